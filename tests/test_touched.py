"""Where little was touched, little is looked at and made anew, and what comes of it is the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from canonical_rows import ACME, START, land, order
from test_publication import story
from warehouse_home import ACCOUNTS, Home, contents, whole

from assets.marts import MARTS
from resources.warehouse import Reference, Warehouse
from resources.warehouse_accounts import rows_of
from resources.warehouse_build import Build
from resources.warehouse_checks import CONDITIONS, find
from resources.warehouse_columns import type_of
from resources.warehouse_fill import sql
from resources.warehouse_plan import Reach, Step
from schemas.canonical import LAKE
from schemas.published import INTERNAL, PUBLISHED

ORDERS = 100
TOUCHED = 20

A = "brightpearl:acme:1"
"""Touched."""
B = "brightpearl:acme:99"
"""Not touched."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A hundred orders that are published, and twenty new versions that are not."""
    home = Home(tmp_path_factory.mktemp("touched"))
    _land(home, range(1, ORDERS + 1), 0, gross_amount="10")
    home.publish()
    _land(home, range(1, TOUCHED + 1), ORDERS, gross_amount="11")
    return home


def _land(home: Home, numbers: range, after: int, **values: Any) -> None:
    batches = [whole(str(number), after + number, **values) for number in numbers]
    land(home.lake, **{name: [r for b in batches for r in b[name]] for name in batches[0]})


@contextmanager
def _filled(
    home: Home, folder: Path, before: str = "", after: str = ""
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the published file with the new versions in it; `before` and `after` are SQL that
    breaks something."""
    file = folder / "copy.duckdb"
    shutil.copyfile(home.warehouse.path, file)
    with duckdb.connect(str(file)) as con:
        build = Build(con, home.lake)
        build.begin()
        con.execute(before)
        zones = build.take_over(rows_of(ACCOUNTS, [ACME]), ())
        step = Step(ACME, Reach(orders_seq=ORDERS), Reach(orders_seq=ORDERS + TOUCHED))
        touched = build.bring_up_to_date([step], zones)
        assert (touched.is_little, touched.counts) == (True, {ACME: TOUCHED})
        if after:
            con.execute(after)
            for name in ("orders", "order_rows", "order_status_history"):
                con.execute(f"DROP TABLE touched_{name}")
            con.execute(sql("touched"))
        yield con


BREAKS = {
    "a key twice": ("", f"INSERT INTO orders SELECT * FROM orders WHERE order_key = '{A}'"),
    "the row key of an order that was not touched": (
        "",
        "UPDATE order_rows SET order_row_key ="
        f" (SELECT order_row_key FROM order_rows WHERE order_key = '{B}') WHERE order_key = '{A}'",
    ),
    "rows without their order": ("", f"DELETE FROM orders WHERE order_key = '{A}'"),
    "an order without its rows": ("", f"DELETE FROM order_rows WHERE order_key = '{A}'"),
    "rows of a version that is gone": (
        f"INSERT INTO order_rows SELECT * REPLACE ('odd' AS order_row_key, '{B}' AS order_key)"
        f" FROM order_rows WHERE order_key = '{A}'",
        "",
    ),
    "a row that goes with another order": (
        f"UPDATE order_rows SET version_id = (SELECT version_id FROM orders WHERE order_key = '{B}'"
        f") WHERE order_key = '{A}';"
        f" DELETE FROM order_rows WHERE order_key = '{B}'",
        "",
    ),
    "two current codes": (
        "",
        f"INSERT INTO order_status_history SELECT * FROM order_status_history"
        f" WHERE order_key = '{A}' AND is_current",
    ),
    "no current code": (
        "", f"UPDATE order_status_history SET is_current = false WHERE order_key = '{A}'",
    ),
    "an unknown code": ("", f"UPDATE orders SET payment_status = 'x' WHERE order_key = '{A}'"),
    "an order that is lost": (
        "",
        f"DELETE FROM orders WHERE order_key = '{A}';"
        f" DELETE FROM order_rows WHERE order_key = '{A}'",
    ),
    "an order that is lost, though not touched": (
        "",
        f"DELETE FROM orders WHERE order_key = '{B}';"
        f" DELETE FROM order_rows WHERE order_key = '{B}'",
    ),
    "amounts beyond belief": (
        "",
        "UPDATE orders SET gross_amount = 1000 * gross_amount"
        f" WHERE landing_seq > {ORDERS}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_what_a_change_breaks_is_found_among_what_was_touched(
    home: Home, tmp_path: Path, broken: str
) -> None:
    before, after = BREAKS[broken]
    with _filled(home, tmp_path, before, after) as con:
        little = find(con, CONDITIONS, home.warehouse.path.resolve(), touched=True)
        assert little, "nothing was found"
        con.execute("ROLLBACK")
    with _filled(home, tmp_path, before, after) as con:
        everything = find(con, CONDITIONS, home.warehouse.path.resolve())
    assert little == everything


def test_nothing_is_found_where_nothing_is_broken(home: Home, tmp_path: Path) -> None:
    with _filled(home, tmp_path) as con:
        assert find(con, CONDITIONS, home.warehouse.path.resolve(), touched=True) == {}


def test_marts_of_touched_orders_equal_those_built_anew(tmp_path: Path) -> None:
    home, anew = Home(tmp_path / "kept"), Home(tmp_path / "anew")
    anew.warehouse = Warehouse(anew.places, home.lake)
    land(home.lake, [order(str(n), n, row_count=0) for n in range(101, 141)])
    home.warehouse.publish(MARTS, _synced(0))
    batches = [batch for batch in story() if "orders" in batch]
    moved: dict[str, Any] = {"allocation_status": "allocated", "shipping_status": "shipped"}
    batches += [whole("1", 150, **moved), whole("1", 151, is_deleted=True), whole("1", 152)]
    for number, batch in enumerate(batches):
        for records in batch.values():
            for record in records:
                if record["source_account"] == "acme":
                    record["landing_seq"] += 200
                    record["version_id"] = f"{record['order_key']}@{record['landing_seq']}"
        land(home.lake, **batch)
        made = home.warehouse.publish(MARTS, _synced(number))
        assert (made.published, made.is_rebuilt) == (True, False)
        if number in {4, len(batches) - 2, len(batches) - 1}:
            anew.warehouse.publish(MARTS, _synced(number), rebuild=True)
            assert contents(made.path) == contents(anew.warehouse.path)
    assert home.rows("SELECT COUNT(*) > 0 FROM order_changes") == [(True,)]
    assert home.rows("SELECT MAX(age_days) FROM open_orders") == [(len(batches) + 99,)]


def test_orders_grow_older_where_none_was_touched(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    land(home.lake, [order(str(n), n, row_count=0) for n in range(101, 141)])
    home.warehouse.publish(MARTS, _synced(0))
    made = home.warehouse.publish(MARTS, _synced(9))
    assert (made.published, made.is_rebuilt, dict(made.touched)) == (True, False, {})
    kept = contents(made.path)
    assert home.rows("SELECT MAX(age_days) FROM open_orders") == [(109,)]
    assert contents(home.warehouse.publish(MARTS, _synced(9), rebuild=True).path) == kept


def _synced(days: int) -> Reference:
    """The accounts as they were synced so long after a hundred days: orders grow older."""
    moment = START + timedelta(days=100 + days)
    accounts = [replace(account, last_success_at=moment) for account in ACCOUNTS.accounts]
    return Reference(accounts)


def test_types_are_those_that_duckdb_gives_arrow_columns() -> None:
    for schema in (*LAKE.values(), *PUBLISHED.values(), *INTERNAL.values()):
        given = duckdb.from_arrow(schema.empty_table())
        for name, kind in zip(given.columns, given.types, strict=True):
            told = duckdb.sql(f"SELECT NULL::{type_of(schema.field(name).type)}").types[0]
            assert str(told) == str(kind).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")


def test_a_text_of_any_length_is_stored_as_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    code = "long " * 100_000
    land(home.lake, [order(str(n), n, row_count=0, source_status_code=code) for n in (1, 2)])
    home.publish()
    assert home.rows("SELECT DISTINCT source_status_code FROM orders") == [(code,)]
