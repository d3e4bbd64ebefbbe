"""The demo, run as its users run it, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.sources import SOURCES
from schemas.status import DIMENSIONS

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Demo:
    """A demo that was run."""

    home: Path
    printed: str
    exit_code: int


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [Path(sys.executable).with_name("orderloom"), "demo"],
        cwd=folder,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return Demo(folder / "var", ran.stdout + ran.stderr, ran.returncode)


@pytest.fixture
def marts(demo: Demo) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo.home / "marts.duckdb"), read_only=True) as connection:
        yield connection


def test_the_demo_succeeds_and_says_how_to_go_on(demo: Demo) -> None:
    assert demo.exit_code == 0, demo.printed
    said = ("requests / least", "GROUP BY", "marts.duckdb", "orderloom ui", "orderloom doctor")
    assert all(words in demo.printed for words in said)
    assert "Traceback" not in demo.printed
    assert " - dagster - " not in demo.printed


def test_five_sources_without_a_duplicate(marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "SELECT source_system, count(*), count(DISTINCT order_key) FROM orders GROUP BY 1"
    ).fetchall()
    assert {source for source, _, _ in rows} == set(SOURCES)
    assert all(orders == keys > 100 for _, orders, keys in rows)


@pytest.mark.parametrize("dimension", sorted(DIMENSIONS))
def test_every_status_column_joins_its_dimension(
    marts: duckdb.DuckDBPyConnection, dimension: str
) -> None:
    columns = [name for name, *_ in marts.execute(f"DESCRIBE dim_{dimension}").fetchall()]
    key = dimension if dimension in columns else "code"
    lost = marts.execute(
        f"SELECT count(*) FROM orders AS o LEFT JOIN dim_{dimension} AS d "
        f"ON d.{key} = o.{dimension} WHERE d.{key} IS NULL"
    ).fetchall()
    assert lost == [(0,)]


def test_nothing_published_lacks_a_comment(marts: duckdb.DuckDBPyConnection) -> None:
    silent = marts.execute(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal AND coalesce(comment, '') = '' "
        "UNION ALL SELECT table_name, '' FROM duckdb_tables() "
        "WHERE schema_name = 'main' AND coalesce(comment, '') = ''"
    ).fetchall()
    assert silent == []


def test_the_second_sync_brought_changes_of_every_source(marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "SELECT account, sum(changed), sum(new) FROM runs WHERE kind = 'changes' "
        "GROUP BY account HAVING count(*) = 2 AND sum(changed) > 0"
    ).fetchall()
    assert {account.partition(".")[0] for account, _, _ in rows} == set(SOURCES)


def test_the_runs_are_in_dagsters_own_history(demo: Demo) -> None:
    with dg.DagsterInstance.from_config(str(demo.home / "dagster")) as instance:
        runs = instance.get_runs()
        assert len(runs) == 12
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        kept = instance.get_latest_materialization_event(dg.AssetKey(["brightpearl", "changes"]))
        assert kept is not None
        materialization = kept.asset_materialization
        assert materialization is not None
        assert materialization.partition == "acme"
        said = {"requests", "least_requests", "received", "changed"}
        assert said <= materialization.metadata.keys()


def test_a_second_demo_starts_afresh_but_never_deletes_a_home_that_is_not_its_own(
    tmp_path: Path,
) -> None:
    home = tmp_path / "var"
    home.mkdir()
    (home / "precious").touch()
    ran = subprocess.run(
        [Path(sys.executable).with_name("orderloom"), "demo"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "choose another" in ran.stderr
    assert (home / "precious").exists()
