"""Asset checks over a real published file and a real ledger: each can pass, warn and fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets import checks, run_checks, source_checks
from assets.marts import MARTS
from assets.reference import reference
from assets.workshop import Workshop
from resources.places import Places
from resources.warehouse_checks import Fault
from tests.faults_case import thin
from tests.home import Pulls, open_sandbox, point_at

BREAK = {
    "order_key_is_unique": "INSERT INTO orders SELECT * FROM orders LIMIT 1",
    "order_row_key_is_unique": "INSERT INTO order_rows SELECT * FROM order_rows LIMIT 1",
    "every_row_has_its_order": (
        "DELETE FROM orders WHERE order_key = (SELECT MIN(order_key) FROM order_rows)"
    ),
    "one_current_status": (
        "UPDATE order_status_history SET is_current = FALSE WHERE order_key = "
        "(SELECT MIN(order_key) FROM order_status_history)"
    ),
    "every_order_has_its_rows": "UPDATE orders SET row_count = 99",
    "every_status_joins": "UPDATE orders SET payment_status = 'perhaps'",
    "totals_agree_with_orders": "UPDATE daily_orders SET gross_amount = gross_amount + 0.01",
    "no_account_is_missing": "DELETE FROM data_quality",
    "grain_is_unique": "INSERT INTO data_quality SELECT * FROM data_quality LIMIT 1",
    "every_order_is_known": "DELETE FROM orders",
    "totals_agree": "UPDATE orders SET totals_check = 'mismatch'",
    "codes_are_mapped": "UPDATE orders SET quality_flags = ['unmapped_code:order_status']",
    "nothing_is_quarantined": (
        "INSERT INTO quarantine (source_system, source_account, order_key, version_id, "
        "landing_seq, field, reason, is_held, fetched_at, run_id, schema_version) "
        "VALUES ('efiling', 'formations', 'efiling:formations:1', 'v', 1, 'net', 'odd', TRUE, "
        "TIMESTAMP '2026-11-22 00:00:00', 'run', 1)"
    ),
    "fields_are_known": (
        "INSERT INTO schema_drift VALUES ('efiling', 'formations', 'unknown_field', 'vat', "
        "'string', NULL, 1, TIMESTAMP '2026-11-22 00:00:00', TIMESTAMP '2026-11-22 00:00:00', "
        "'efiling:formations:1', 'xx 9', 1)"
    ),
}
MENDED = {
    "totals_agree": "UPDATE orders SET totals_check = 'ok'",
    "codes_are_mapped": "UPDATE orders SET quality_flags = []",
    "nothing_is_quarantined": "DELETE FROM quarantine",
    "fields_are_known": "DELETE FROM schema_drift",
}
"""What the sandbox's own orders are odd in, put right first."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """eFiling's orders, published."""
    with open_sandbox() as box, pytest.MonkeyPatch.context() as patch:
        thin(box, "efiling.formations")
        workshop = point_at(box, tmp_path_factory.mktemp("checks"), patch)
        Pulls(workshop).changes("efiling.formations")
        workshop.warehouse.publish(MARTS, reference(workshop))
        yield workshop


def outcome(workshop: Workshop, name: str) -> dg.AssetCheckResult:
    """What one check finds; of a home without a published file, one that asks the ledger."""
    if workshop.places.marts.exists():
        told = [each for each in checks.results(workshop, {}) if each.check_name == name]
        return next((each for each in told if not each.passed), told[0])
    (check,) = (each for each in checks.CHECKS if each.name == name)
    with duckdb.connect() as empty:
        return checks.warned(check, workshop, empty)


def altered(home: Workshop, folder: Path, *statements: str) -> Workshop:
    """A home whose published file is that of `home`, less and more."""
    copy = folder / "var"
    copy.mkdir()
    (copy / "marts.duckdb").write_bytes(home.places.marts.resolve().read_bytes())
    (copy / "marts.duckdb").chmod(0o600)
    with duckdb.connect(str(copy / "marts.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return _bare(copy)


@pytest.mark.parametrize("name", sorted(BREAK))
def test_a_check_passes_and_fails_with_an_example(
    home: Workshop, tmp_path: Path, name: str
) -> None:
    is_warning = name in {check.name for check in checks.CHECKS}
    for folder, statements in (("good", []), ("bad", [BREAK[name]])):
        (tmp_path / folder).mkdir()
        made = altered(home, tmp_path / folder, *filter(None, [MENDED.get(name)]), *statements)
        found = outcome(made, name)
        assert found.passed is (folder == "good")
    assert found.severity == (checks.WARN if is_warning else checks.ERROR)
    assert "efiling.formations" in (found.description or "")
    assert ", for example " in found.metadata["efiling.formations"].value  # type: ignore[operator]


def test_every_check_of_the_file_alone_is_broken_above() -> None:
    asked_elsewhere = {
        *("no_order_is_lost", "amounts_are_as_before"),  # test_holding_back.py
        *("as_many_orders_as_announced", "runs_receive_something"),  # below
        "volume_is_as_before",  # below, and test_volume.py
    }
    assert {spec.name for spec in checks.specs()} == {*BREAK, *asked_elsewhere}


def test_what_was_held_back_is_told_as_failed(home: Workshop) -> None:
    fault = Fault("no_order_is_lost", "orders", "orders are gone", 3, "efiling:formations:7")
    told = checks.results(home, {("efiling", "formations"): fault})
    (lost,) = (each for each in told if each.check_name == "no_order_is_lost")
    assert (lost.passed, lost.severity) == (False, checks.ERROR)
    assert lost.description == "3 orders are gone (held back): efiling.formations"
    said = lost.metadata["efiling.formations"].value
    assert said == "3, for example efiling:formations:7"


def test_volume_is_compared_up_to_what_the_newest_run_asked(home: Workshop, tmp_path: Path) -> None:
    """Forty orders a day for nine weeks, then none: told as soon as a run asked about that day."""
    days = (
        "INSERT INTO orders BY NAME SELECT o.* REPLACE (DATE '2027-03-01' - CAST(ago AS INTEGER)"
        " AS business_date, o.order_key || '/' || ago || '/' || n AS order_key)"
        " FROM (SELECT * FROM orders LIMIT 1) AS o, RANGE(1, 64) AS d (ago), RANGE(40) AS c (n)"
    )
    made = altered(home, tmp_path, "DELETE FROM orders WHERE order_key <> (SELECT MIN(order_key)"
                   " FROM orders)", days)  # fmt: skip
    for day, passed in (("2027-03-01", True), ("2027-03-02", False)):
        until = f"{day}T07:00:00+00:00"
        ran(made.ledger, "efiling.formations", "succeeded", window_to=until)
        found = outcome(made, "volume_is_as_before")
        assert found.passed is passed, found.description
    assert "efiling.formations" in (found.description or "")
    assert "2027-03-01: 0 orders, 40 to 40 in the weeks before" in (
        found.metadata["efiling.formations"].value  # type: ignore[operator]
    )
    made.close()


def _bare(folder: Path) -> Workshop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERLOOM_HOME", str(folder))
        return Workshop(Places.from_environment())


def ran(ledger: Any, account: str, outcome: str, **numbers: Any) -> None:
    run = ledger.start_run(account, "changes")
    ledger.finish_run(run, outcome, **numbers)


def test_counts_and_silence_are_asked_of_the_newest_runs(tmp_path: Path) -> None:
    workshop = _bare(tmp_path)
    names = ("as_many_orders_as_announced", "runs_receive_something")
    ran(workshop.ledger, "a.b", "failed", announced=5, listed=3)
    ran(workshop.ledger, "c.d", "failed", alarm="received_nothing", received=0)
    ran(workshop.ledger, "e.f", "succeeded", announced=5, listed=5)
    ran(workshop.ledger, "g.h", "succeeded", received=5)
    assert [outcome(workshop, name).passed for name in names] == [False, False]
    short = outcome(workshop, names[0])
    assert short.description == (
        "2 orders that the newest runs' listings announced and did not hold: a.b"
    )
    ran(workshop.ledger, "a.b", "succeeded", announced=5, listed=5)
    ran(workshop.ledger, "c.d", "succeeded", received=0)
    assert [outcome(workshop, name).passed for name in names] == [True, True]
    workshop.close()


def test_before_anything_is_published_nothing_is_checked(tmp_path: Path) -> None:
    workshop = _bare(tmp_path)
    assert list(checks.results(workshop, {})) == []
    workshop.close()


def test_the_page_on_checks_names_each_with_what_comes_of_it() -> None:
    page = Path(__file__).parents[1].joinpath("docs", "checks.md").read_text(encoding="utf-8")
    published, _, rest = page.partition("## Of the versions")
    rows = [line for line in published.splitlines() if line.startswith("| `")]
    held = {line.split("`")[1] for line in rows if line.endswith("| holds back |")}
    warns = {line.split("`")[1] for line in rows if line.endswith("| warns |")}
    assert held == {guard.name for guard in checks.GUARDS}
    assert warns == {check.name for check in checks.CHECKS}
    normalised, _, pulled = rest.partition("## Of a run")
    for part, specs in (
        (normalised, source_checks.specs("efiling")),
        (pulled, run_checks.specs("efiling")),
    ):
        named = {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}
        assert named == {spec.name for spec in specs}
    tables = {guard.table for guard in checks.GUARDS if guard.name == "totals_agree_with_orders"}
    (line,) = (row for row in rows if row.startswith("| `totals_agree_with_orders`"))
    assert all(table in line for table in tables)
