"""What changed between two moments, on cases worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from canonical_rows import START, land, order, order_row
from warehouse_home import Home, at

SQL = (
    "SELECT order_key, what, before, after, received_at, run_id"
    " FROM changes_between({}, {}) ORDER BY order_key, what"
)


def version(order_id: str, seq: int, minutes: int, **values: Any) -> dict[str, Any]:
    seen = START + timedelta(minutes=minutes)
    return order(order_id, seq, last_seen_at=seen, run_id=f"run-{seq}", row_count=0, **values)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("changes"))
    land(
        home.lake,
        [
            version("1", 1, 0),
            version("2", 2, 0),
            version("3", 3, 10),
            version("1", 4, 20, payment_status="partially_paid"),
            version("1", 5, 30, payment_status="paid", net_amount="90.5", currency=None),
            version("2", 6, 30, is_deleted=True),
            version("4", 7, 30),
            version("4", 8, 31, order_status="processing"),
            version("3", 9, 32, order_status="problem"),
            version("3", 10, 33),
            version("2", 11, 60) | {"row_count": 1},
        ],
        [order_row("2", 11)],
    )
    home.publish()
    return home


def moment(minutes: int) -> str:
    return f"TIMESTAMP '{at(minutes)}'"


def test_what_differs_is_told_once_and_what_came_back_not_at_all(home: Home) -> None:
    first, second, fourth = (f"brightpearl:acme:{number}" for number in (1, 2, 4))
    assert home.rows(SQL.format(moment(10), moment(40))) == [
        (first, "currency", "GBP", None, at(30), "run-5"),
        (first, "net_amount", "100.0000", "90.5000", at(30), "run-5"),
        (first, "payment_status", "unpaid", "paid", at(30), "run-5"),
        (second, "is_deleted", "false", "true", at(30), "run-6"),
        (fourth, "order", None, "known", at(31), "run-8"),
    ]


def test_a_restored_order_and_a_row_more(home: Home) -> None:
    key = "brightpearl:acme:2"
    assert home.rows(SQL.format(moment(40), moment(60))) == [
        (key, "is_deleted", "true", "false", at(60), "run-11"),
        (key, "row_count", "0", "1", at(60), "run-11"),
    ]


def test_without_time_between_or_without_moments_nothing_changed(home: Home) -> None:
    assert home.rows(SQL.format(moment(40), moment(40))) == []
    assert home.rows(SQL.format(moment(40), moment(10))) == []
    assert home.rows(SQL.format("NULL", "NULL")) == []
    whole = home.rows(SQL.format("NULL", "DATE '2027-01-01'"))
    assert [(key[-1], what) for key, what, *_ in whole] == [(n, "order") for n in "1234"]
