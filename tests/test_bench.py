"""The comparison with others, at a size at which it takes seconds."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import pytest

from benchmarks import report
from benchmarks.compare import CASES, Comparison, compare, write
from benchmarks.contestant import ORDERLOOM, PANDAS, SCRIPTS, Contestant, own_python
from benchmarks.environments import HERE, NAMES
from benchmarks.equality import Unequal, require_equal
from benchmarks.measure import MeasurementFailed, Server, measured, serving
from benchmarks.stages import STAGES, found
from benchmarks.targets import Target, reached

ORDERS = 300
SCRIPT = replace(PANDAS, python=own_python)
"""The pandas script with what is installed anyway."""
LOSING = """
import sys, duckdb
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import with_pandas
with_pandas.main(sys.argv[2], Path(sys.argv[3]))
with duckdb.connect(sys.argv[3] + "/db.duckdb") as con:
    con.execute("DELETE FROM orders WHERE id = (SELECT min(id) FROM orders)")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where orders are rendered once for all tests of this module."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def comparison(data: Path) -> Comparison:
    return compare([ORDERLOOM, SCRIPT], ORDERS, 1, ("full",), data)


def test_both_make_the_least_possible_requests_and_cost_something(comparison: Comparison) -> None:
    for cases in comparison.runs.values():
        for case, (run,) in cases.items():
            assert run.requests == comparison.least[case] > 2
            assert run.wall > 0
            assert run.cpu > 0
            assert run.peak > 20
    assert comparison.held["orderloom"] == comparison.held["pandas"]
    assert comparison.held["orderloom"].orders == ORDERS


def test_tables_and_a_chart_are_made_of_the_results(comparison: Comparison, tmp_path: Path) -> None:
    write(comparison, f"orders-{ORDERS}", tmp_path)
    result = report.read(tmp_path)[f"orders-{ORDERS}"]
    runs = {name: dict.fromkeys(CASES, cases["full"]) for name, cases in result["runs"].items()}
    least = dict.fromkeys(CASES, 4)
    (tmp_path / f"orders-{ORDERS}.json").unlink()
    made = json.dumps({**result, "orders": 20_000, "runs": runs, "least": least})
    (tmp_path / "orders-20000.json").write_text(made, encoding="utf-8")
    text = report.write(tmp_path, into_pages=False)
    wall = comparison.runs["pandas"]["full"][0].wall
    assert f"| pandas script | {wall:.2f} |" in text
    assert "20,000 orders, full load, against pandas" in text
    assert (tmp_path / "full_load.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_contestant_that_lacks_an_order_ends_the_comparison(data: Path) -> None:
    def losing(server: Server, folder: Path) -> list[str | Path]:
        return ["-c", LOSING, SCRIPTS, server.url, folder]

    lossy = replace(SCRIPT, name="lossy", arguments=losing)
    with pytest.raises(Unequal, match=rf"lossy: orders is {ORDERS - 1}, the server has {ORDERS}"):
        compare([lossy], ORDERS, 1, ("full",), data)


def test_equal_sums_of_different_orders_are_told_by_the_digest(comparison: Comparison) -> None:
    held = comparison.held["orderloom"]
    pence = {"net": int(held.net * 100), "tax": int(held.tax * 100)}
    truth = {"orders": held.orders, "order_rows": held.order_rows, **pence}
    require_equal("full", truth, {"one": held, "other": held})
    with pytest.raises(Unequal, match="digest"):
        require_equal("full", truth, {"one": held, "other": replace(held, digest="another")})


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(MeasurementFailed, match="ended with 3"):
        measured([own_python(), "-c", "raise SystemExit(3)"])


def test_the_server_changes_adds_and_restores(data: Path) -> None:
    with serving(ORDERS, folder=data / "orders", python=own_python()) as server:
        before = server.truth()
        server.change(3, new=2)
        assert server.truth()["orders"] == ORDERS + 2
        assert server.least()["changed"] == 3
        search = httpx.get(f"{server.url}/acme/order-service/order-search", params={"pageSize": 9})
        assert search.json()["response"]["metaData"]["resultsAvailable"] == ORDERS + 2
        newest = search.json()["response"]["results"][0][0] + ORDERS + 1
        (got,) = httpx.get(f"{server.url}/order-service/order/{newest}").json()["response"]
        assert "updatedOn" not in got
        assert server.stats()["requests"] == {"search": 1, "get": 1}
        server.restore()
        assert server.truth() == before


def test_a_target_says_whether_it_is_met() -> None:
    fewer = Target("seconds", 3.0, must=5, goal=4, unit="s")
    assert fewer.verdict == "goal met"
    assert replace(fewer, value=4.5).verdict == "met"
    assert replace(fewer, value=5.5).verdict == "**missed**"
    more = Target("ratio", 2.5, must=2.2, goal=3, unit="x", more_is_better=True)
    assert more.verdict == "met"
    assert replace(more, value=2.0).verdict == "**missed**"
    assert asdict(more)["text"] == "ratio"
    assert reached({}) == []


def test_every_profiled_function_is_there() -> None:
    for names in STAGES.values():
        for name in names:
            owner, attribute = found(name)
            assert callable(getattr(owner, attribute))


@pytest.mark.parametrize("name", NAMES)
def test_requirements_are_pinned_and_name_no_host(name: str) -> None:
    lines = (HERE / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in pins)


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_numbers_in_the_pages_are_those_of_the_results(page: Path) -> None:
    results = report.read(report.HERE)
    part = report.PAGES[page]
    text = page.read_text(encoding="utf-8")
    shown = report.summary(results) if part == "summary" else report.tables(results)
    assert report.with_text(text, part, shown) == text


def test_a_contestant_keeps_to_its_own_folder() -> None:
    assert isinstance(ORDERLOOM, Contestant)
    assert ORDERLOOM.environment(Path("x"))["ORDERLOOM_HOME"] == "x/var"
    assert PANDAS.environment(Path("x")) == {}
