"""The warehouse: what is published is whole, exact and documented."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from canonical_rows import (
    ACME,
    START,
    TWELVE,
    land,
    order,
    order_row,
    party,
)
from warehouse_home import ACCOUNTS, COUNT, Home, at, whole

from resources.errors import WarehouseError
from resources.warehouse import Reference
from schemas.status import DIMENSIONS


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three orders, published once, for tests that only read."""
    home = Home(tmp_path_factory.mktemp("published"))
    invoices = [
        {"invoice_reference": "I1", "invoiced_at": START},
        {"invoice_reference": "I2", "tax_date": date(2026, 3, 2)},
    ]
    first = order(
        "1",
        1,
        net_amount="15.0449",
        placed_on=date(2026, 3, 1),
        confirmed_delivery_on=date(2027, 1, 3),
        invoices=invoices,
        totals=[{"code": "tax", "value": Decimal("0.0001")}],
        custom_fields=[{"field_code": "PCF_X", "value_json": "null", "is_null": True}],
        source_fields='{"project_id": 7, "acknowledged": 1, "errors": ["a", "b"]}',
    )
    land(home.lake, [first], [order_row("1", 1)], [party("1", 1)])
    gone = whole("2", 2, is_deleted=True, requested_delivery_on=date(9999, 12, 31))
    land(home.lake, **gone)
    land(home.lake, **whole("1", 1, TWELVE))
    run = {"run_id": "r1", "kind": "changes", "started_at": START, "outcome": "failed"}
    made = home.warehouse.publish([COUNT], replace(ACCOUNTS, runs=[run | {"requests": 3}]))
    assert (made.published, made.orders, made.rows, made.is_rebuilt) == (True, 3, 3, True)
    assert made.touched == {ACME: 2, TWELVE: 1}
    return home


def test_what_is_published_is_what_was_landed(published: Home) -> None:
    sql = "SELECT net_amount, placed_at, placed_on FROM orders WHERE order_key LIKE '%acme:1'"
    assert published.rows(sql) == [(Decimal("15.0449"), at(0), date(2026, 3, 1))]
    assert published.rows("SELECT DISTINCT full_name FROM order_parties") == [("Jane Doe",)]
    zoned = "SELECT COUNT(*) FROM duckdb_columns() WHERE data_type LIKE '%ZONE%' AND NOT internal"
    assert published.rows(zoned) == [(0,)]
    frame = published.warehouse.read("SELECT MIN(net_amount) * 3 AS net_amount FROM orders")
    assert frame["net_amount"].iloc[0] == Decimal("45.1347")


def test_every_table_and_column_has_a_comment(published: Home) -> None:
    for kind in ("table", "view", "column"):
        sql = (
            f"SELECT {kind}_name FROM duckdb_{kind}s() WHERE NOT internal"
            " AND COALESCE(comment, '') = ''"
        )
        assert published.rows(sql) == []
    shown = published.rows(
        "SELECT comment FROM duckdb_columns()"
        " WHERE table_name = 'orders' AND column_name = 'net_amount'"
    )
    assert shown == [("total without tax, in currency, as received; credits not negated",)]


def test_lists_are_unnested(published: Home) -> None:
    sql = "SELECT position, invoice_reference, tax_date, invoiced_at FROM order_invoices"
    assert published.rows(sql) == [(1, "I1", None, at(0)), (2, "I2", date(2026, 3, 2), None)]
    assert published.rows("SELECT code, value FROM order_totals") == [("tax", Decimal("0.0001"))]
    sql = "SELECT field_code, is_null FROM order_custom_fields"
    assert published.rows(sql) == [("PCF_X", True)]
    sql = "SELECT invoices[1].invoiced_at FROM orders WHERE invoices IS NOT NULL"
    assert published.rows(sql) == [(at(0),)]


def test_views_show_the_fields_of_one_source(published: Home) -> None:
    shown = "source_order_id, project_id + 1, acknowledged, errors, tax"
    sql = f"SELECT {shown} FROM brightpearl_orders"
    assert published.rows(sql) == [("1", 8, 1, ["a", "b"], None)]
    assert published.rows("SELECT source_account FROM tastyigniter_orders") == [("12",)]
    sql = "SELECT source_order_id, tax_calculator FROM brightpearl_order_rows JOIN orders"
    assert published.rows(f"{sql} USING (version_id) ORDER BY 1") == [("1", None), ("2", None)]


def test_dimensions_join_and_span_the_dates(published: Home) -> None:
    sql = "SELECT MIN(date_key), MAX(date_key), COUNT(*) FROM dim_date"
    assert published.rows(sql) == [(date(2026, 1, 1), date(2027, 12, 31), 730)]
    sql = "SELECT * FROM dim_date WHERE date_key = DATE '2027-01-03'"
    day = (date(2027, 1, 3), 2027, 1, 1, "January", 2026, 53, 7, "Sunday", True)
    assert published.rows(sql) == [day]
    sql = "SELECT order_type FROM dim_order_type WHERE order_sign = -1 ORDER BY 1"
    assert published.rows(sql) == [("purchase_credit",), ("sales_credit",)]
    for dimension, codes in DIMENSIONS.items():
        found = published.rows(f"SELECT {dimension} FROM dim_{dimension}")
        assert {code for (code,) in found} == codes
    sql = "SELECT account, timezone, paused FROM dim_account ORDER BY 1"
    assert published.rows(sql) == [
        ("brightpearl.acme", "Europe/London", False),
        ("tastyigniter.12", "Europe/Berlin", True),
    ]
    assert published.rows("SELECT run_id, started_at, requests FROM runs") == [("r1", at(0), 3)]


def test_an_account_that_left_the_settings_counts_as_paused(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    home.warehouse.publish([], Reference())
    assert home.rows("SELECT account, paused FROM dim_account") == [("brightpearl.acme", True)]
    run = {"run_id": "r", "kind": "changes", "started_at": START, "outcome": "failed", "odd": 1}
    with pytest.raises(WarehouseError, match=r"no such columns: odd .table runs"):
        home.warehouse.publish([], Reference(runs=[run]), rebuild=True)


def status_history(home: Home, dimension: str) -> list[tuple[Any, ...]]:
    return home.rows(
        "SELECT code, source_code, valid_from_utc, valid_to_utc, valid_from_basis, is_current"
        f" FROM order_status_history WHERE dimension = '{dimension}' ORDER BY landing_seq"
    )


def test_a_status_that_returns_is_three_stretches(home: Home) -> None:
    for seq, code in ((10, "unpaid"), (20, "paid"), (30, "paid"), (40, "unpaid")):
        stamp = START + timedelta(minutes=seq - 5)
        land(home.lake, **whole("1", seq, payment_status=code, updated_at=stamp))
        if seq != 20:
            home.publish()
    assert status_history(home, "payment_status") == [
        ("unpaid", None, at(5), at(15), "source_updated", False),
        ("paid", None, at(15), at(35), "source_updated", False),
        ("unpaid", None, at(35), None, "source_updated", True),
    ]
    assert len(status_history(home, "order_status")) == 1


def test_a_stretch_begins_where_the_source_can_be_believed(home: Home) -> None:
    stamps = [
        (10, "1", None),
        (20, "2", START + timedelta(minutes=15)),
        (30, "3", START + timedelta(minutes=15)),
        (40, "4", START + timedelta(minutes=99)),
        (50, "5", None),
    ]
    for seq, code, stamp in stamps:
        land(home.lake, **whole("1", seq, source_status_code=code, updated_at=stamp))
    home.publish()
    begun = [(row[1], row[2], row[4]) for row in status_history(home, "order_status")]
    assert begun == [
        ("1", at(0), "source_created"),
        ("2", at(15), "source_updated"),
        ("3", at(30), "observed"),
        ("4", at(40), "observed"),
        ("5", at(50), "observed"),
    ]


def test_stretches_never_overlap(home: Home) -> None:
    """The clock of the machine that received the second version was an hour behind."""
    land(home.lake, **whole("1", 1, order_status="open", last_seen_at=START, created_at=None))
    behind = {"last_seen_at": START - timedelta(hours=1), "updated_at": START - timedelta(hours=2)}
    land(home.lake, **whole("1", 2, order_status="problem", **behind))
    land(home.lake, **whole("1", 3, order_status="completed"))
    home.publish()
    assert [row[2:] for row in status_history(home, "order_status")] == [
        (at(-60), at(-60), "observed", False),
        (at(-60), at(3), "observed", False),
        (at(3), None, "observed", True),
    ]


def test_a_deleted_order_stays_as_a_tombstone(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    home.publish()
    land(home.lake, **whole("1", 2, is_deleted=True))
    home.publish()
    assert home.rows("SELECT is_deleted, version_id FROM orders") == [
        (True, "brightpearl:acme:1@2")
    ]


def test_checks_find_what_does_not_hold_together(home: Home) -> None:
    expected = {}
    for name, orders, rows, fault in [
        ("a", [{"order_status": "lost"}], ["1"], "1 orders have an order_status that dim_order_s"),
        ("b", [{"row_count": 2}], ["1", "1"], "1 order rows share their order_row_key"),
        ("c", [{"row_count": 2}], ["1"], "1 orders lack some of their rows"),
        ("d", [{}, {}], ["1"], "1 orders share their order_key"),
    ]:
        account = ("brightpearl", name)
        land(
            home.lake,
            [order("1", 1, account, **values) for values in orders],
            [order_row("1", 1, row_id, account) for row_id in rows],
        )
        expected[account] = fault
    land(home.lake, **whole("1", 1))
    made = home.publish()
    assert {a: str(fault)[: len(expected[a])] for a, fault in made.faults.items()} == (expected)
    assert (made.orders, made.rows) == (1, 1)


def test_a_faulty_mart_is_refused(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    for mart, problem in [
        (replace(COUNT, sql="SELECT nothing FROM orders"), "nothing"),
        (replace(COUNT, comments={"orders": "orders"}), "without comment.*source_account"),
        (replace(COUNT, comments={**COUNT.comments, "gone": "x"}), "without column: gone"),
        (replace(COUNT, name="orders"), "the name is taken"),
    ]:
        with pytest.raises(WarehouseError, match=problem) as caught:
            home.warehouse.publish([mart], ACCOUNTS)
        assert "\n" not in str(caught.value)
    assert home.warehouse.path.resolve() == first.path
    assert not [name for name in home.names() if "building" in name]


def test_nothing_published_is_said_plainly(home: Home) -> None:
    with pytest.raises(WarehouseError, match=r"nothing is published yet .*orderloom sync"):
        home.warehouse.open()
    land(home.lake, **whole("1", 1))
    home.publish()
    with pytest.raises(WarehouseError, match="nonsense"):
        home.warehouse.read("SELECT nonsense FROM orders")
    assert home.warehouse.read("SELECT published_at AS p FROM orderloom.build")["p"][0] <= (
        datetime.now(UTC).replace(tzinfo=None)
    )


def test_an_empty_lake_publishes_empty_tables(home: Home) -> None:
    assert home.publish().published
    counts = home.warehouse.row_counts()
    assert (counts["orders"], counts["dim_date"], counts["order_count"]) == (0, 0, 0)


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's 100% mine")
    for seq in (1, 2):
        land(home.lake, **whole(str(seq), seq))
        home.publish()
    assert home.rows("SELECT count(*) FROM orders") == [(2,)]
    home.lake.compact("orders")
    home.publish(rebuild=True)
    assert home.rows("SELECT count(*) FROM orders") == [(2,)]
