"""A file is built on two connections: what goes wrong on either ends both, the old file stays."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from canonical_rows import ACME, land, order, quarantined
from warehouse_home import ACCOUNTS, COUNT, Home, contents, whole

from resources.errors import LakeError, WarehouseError
from resources.lake import Lake
from resources.warehouse import Mart
from resources.warehouse_aside import aside, opened
from resources.warehouse_build import Build
from resources.warehouse_describe import are_apart

LONG = "SELECT SUM(hash(range)) FROM range(20_000_000_000)"
"""Takes a minute and more unless it is stopped."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    land(home.lake, **whole("1", 1), quarantine=[quarantined("9", 2)])
    return home


def mart(name: str, sql: str) -> Mart:
    return Mart(name, sql, "One row.", {"told": "what is told"})


@pytest.mark.parametrize("table", ["order_rows", "order_parties", "orders", "quarantine"])
def test_a_table_that_cannot_be_read_leaves_the_live_file(home: Home, table: str) -> None:
    live = home.publish().path
    before = contents(live)
    for file in (home.files / "lake" / table).rglob("*.parquet"):
        file.write_bytes(b"PAR1 torn PAR1")
    with pytest.raises(LakeError):
        home.publish(rebuild=True)
    assert home.warehouse.path.resolve() == live
    assert contents(live) == before
    assert not [name for name in home.names() if "building" in name]


@pytest.mark.parametrize("broken", range(3))
def test_a_mart_that_fails_on_either_connection_fails_all(home: Home, broken: int) -> None:
    marts = [mart(f"m{n}", f"SELECT {n} AS told") for n in range(3)]
    marts[broken] = mart(f"m{broken}", "SELECT error('broken') AS told")
    with pytest.raises(WarehouseError, match=f"broken.*mart m{broken}|mart m{broken}.*broken"):
        home.warehouse.publish(marts, ACCOUNTS)
    assert not home.warehouse.path.exists()


@pytest.mark.parametrize("rebuild", [True, False])
def test_faults_go_before_marts_that_fail_of_them(home: Home, rebuild: bool) -> None:
    odd = "CASE WHEN MAX(row_count) = 3 THEN error('three rows') ELSE 'well' END"
    marts = [mart(f"m{n}", f"SELECT {odd} AS told FROM orders") for n in range(3)]
    home.warehouse.publish(marts, ACCOUNTS)
    land(home.lake, [order("2", 3, row_count=3)])
    made = home.warehouse.publish(marts, ACCOUNTS, rebuild=rebuild)
    assert made.held_back == {ACME}
    assert home.rows("SELECT told FROM m2") == [("well",)]


def test_a_mart_may_read_one_before_it(home: Home) -> None:
    slow = "CASE WHEN (SELECT SUM(hash(range)) FROM range(30_000_000)) > 0 THEN 1 END"
    marts = [mart("m0", f"SELECT {slow} AS told"), mart("m1", "SELECT told + 1 AS told FROM m0")]
    home.warehouse.publish([*marts, COUNT], ACCOUNTS)
    assert home.rows("SELECT told FROM m1") == [(2,)]


def test_what_is_done_aside_is_stopped_with_the_rest(tmp_path: Path) -> None:
    ended: list[str] = []

    def do(con: duckdb.DuckDBPyConnection) -> None:
        try:
            con.execute(LONG)
        except duckdb.InterruptException:
            ended.append("stopped")
            raise

    with (
        opened(tmp_path / "a.building") as con,
        pytest.raises(KeyboardInterrupt),
        aside(con, do),
    ):
        raise KeyboardInterrupt
    assert ended == ["stopped"]


def test_nothing_is_logged_and_all_is_in_the_file(tmp_path: Path) -> None:
    def insert(con: duckdb.DuckDBPyConnection, table: str) -> None:
        con.execute(f"CREATE TABLE {table} AS SELECT * FROM range(100_000)")

    def found(con: duckdb.DuckDBPyConnection) -> Any:
        return con.execute("SELECT COUNT(*) FROM a JOIN b USING (range)").fetchall()

    file = tmp_path / "a.building"
    with opened(file) as con:
        with aside(con, lambda second: insert(second, "a")):
            insert(con, "b")
        assert [path.name for path in tmp_path.iterdir()] == [file.name]
        con.execute("CHECKPOINT")
    with duckdb.connect(str(file), read_only=True) as con:
        assert found(con) == [(100_000,)]


def test_neither_connection_sees_what_the_other_does(tmp_path: Path) -> None:
    """Though the first has looked at nothing yet when the second has committed."""
    with opened(tmp_path / "building") as con:
        build = Build(con, Lake(str(tmp_path / "lake")))
        build.begin()
        con.execute("CREATE TABLE order_rows (n INTEGER)")
        committed = threading.Event()

        def do(other: Build) -> None:
            other._con.execute("INSERT INTO order_rows VALUES (1)")
            other._con.execute("COMMIT")
            other.begin()
            committed.set()

        with build.beside(do):
            assert committed.wait(30)
            assert build.count("order_rows") == 0
        assert build.count("order_rows") == 1


@pytest.mark.parametrize(
    "reading",
    ["SELECT COUNT(*) AS told FROM Acme_Orders", "SELECT '--' AS told FROM M0", "SELECT 1 AS told"],
)
def test_marts_read_views_of_sources_and_marts_before_them(home: Home, reading: str) -> None:
    view = f"{ACME[0]}_orders"
    sql = reading.replace("Acme_Orders", view.upper())
    marts = [mart("m0", "SELECT 0 AS told"), *(mart(f"m{n}", sql) for n in range(1, 6))]
    home.warehouse.publish(marts, ACCOUNTS)
    with home.warehouse.open() as con:
        assert con.execute("SELECT COUNT(*) FROM m5").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("sql", "apart"),
    [
        ("SELECT 1 FROM orders", True),
        ("-- key: m0\nSELECT 1 FROM orders", True),
        ("SELECT 1 FROM m00", True),
        ("SELECT 1 FROM M0", False),
        ("SELECT '--' FROM m0", False),
    ],
)
def test_marts_that_name_no_other_are_apart(sql: str, apart: bool) -> None:
    assert are_apart([("m0", "SELECT 0"), ("m1", sql)]) is apart
