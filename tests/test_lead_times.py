"""Lead times, ages and what orders wait for, on cases worked out by hand.

Everything is placed on 1 March 2026 at 09:00 UTC, unless a case says otherwise; hours count from
there. A version is received at the hour that `step` is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from canonical_rows import ACME, START, TWELVE, land, order
from warehouse_home import ACCOUNTS, Home, at

from assets.marts import MARTS
from resources.warehouse import Reference

NOTHING = {"allocation_status": "not_allocated", "shipping_status": "not_shipped"}
ALLOCATED = {"allocation_status": "allocated", "shipping_status": "not_shipped"}
SHIPPED = {"allocation_status": "allocated", "shipping_status": "shipped"}
DELIVERED = {"allocation_status": "allocated", "shipping_status": "delivered"}

FRESH = START + timedelta(days=10, hours=1)
"""When the account acme was last synced."""

_seq = count(1)


def after(hours: float) -> Any:
    return START + timedelta(hours=hours)


def step(hours: float, codes: dict[str, str], updated: float | None = None) -> dict[str, Any]:
    """A version received after so many hours, whose stamp of the last change is `updated`."""
    changed = None if updated is None else after(updated)
    return {**codes, "last_seen_at": after(hours), "updated_at": changed}


def versions(order_id: str, *steps: dict[str, Any], **values: Any) -> Iterator[dict[str, Any]]:
    account = values.pop("account", ACME)
    for each in steps:
        yield order(order_id, next(_seq), account, row_count=0, **values | each)


def _landed() -> Iterator[dict[str, Any]]:
    first = step(0.1, NOTHING)
    yield from versions("plain", first, step(4, ALLOCATED, 3), step(27, SHIPPED, 26.5),
                        step(50, DELIVERED, 26.5))  # fmt: skip
    yield from versions("late", step(200, SHIPPED, 100))
    yield from versions("again", first, step(2, SHIPPED), step(4, NOTHING), step(6, SHIPPED))
    yield from versions("late again", step(200, SHIPPED, 100), step(201, NOTHING, 200.5),
                        step(202, SHIPPED, 201.5))  # fmt: skip
    yield from versions("skips", first, step(8, DELIVERED))
    yield from versions("at once", step(0.5, ALLOCATED))
    yield from versions("told", step(9, SHIPPED | {"events": [_shipped(5)]}, 8))
    yield from versions("unmapped", step(0.1, NOTHING | {"allocation_status": "unknown"}),
                        step(3, ALLOCATED))  # fmt: skip
    yield from versions("backdated", first, step(4, ALLOCATED, 3), placed_at=after(10))
    lease = {"account": TWELVE, "order_type": "lease_order", "placed_at": None}
    yield from versions("day", first, step(2, ALLOCATED), placed_on=date(2026, 3, 1), **lease)
    yield from versions("undated", first, step(2, ALLOCATED), created_at=None, **lease)
    for code in ("sales_credit", "purchase_order", "review_registration"):
        yield from versions(code, first, order_type=code)
    yield from versions("draft", first, order_status="draft")
    yield from versions("gone", first, is_deleted=True)


def _shipped(hours: float) -> dict[str, Any]:
    return {
        "event_type": "status_changed",
        "dimension": "shipping_status",
        "canonical_code": "shipped",
        "occurred_at": after(hours),
        "valid_from_utc": after(hours),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("lead"))
    land(home.lake, [*_landed(), *_waiting()])
    acme, twelve = ACCOUNTS.accounts
    accounts = [
        replace(acme, last_success_at=FRESH, stale_after_hours=6, last_error="no answer"),
        twelve,
    ]
    home.warehouse.publish(MARTS, Reference(accounts))
    return home


def lead(home: Home, number: str, what: str) -> Any:
    """Hours, moment as hours after placing, and basis."""
    ((hours, moment, basis),) = home.rows(
        f"SELECT hours_to_{what}, {what}_at_utc, {what}_at_basis"
        f" FROM fulfilment_lead_times WHERE order_number = 'N{number}'"
    )
    return hours, moment and (moment - at(0)) / timedelta(hours=1), basis


def test_a_step_counts_from_placing_to_when_it_was_first_reached(home: Home) -> None:
    assert lead(home, "plain", "allocated") == (3.0, 3.0, "source_updated")
    assert lead(home, "plain", "shipped") == (26.5, 26.5, "source_updated")
    assert lead(home, "plain", "delivered") == (50.0, 50.0, "observed")
    assert lead(home, "again", "shipped") == (2.0, 2.0, "observed")
    assert lead(home, "told", "shipped") == (5.0, 5.0, "source_event")


def test_what_had_been_reached_before_anybody_looked_has_no_moment(home: Home) -> None:
    nobody_knows = (None, None, "unknown")
    for number in ("late", "late again"):
        assert lead(home, number, "allocated") == nobody_knows
        assert lead(home, number, "shipped") == nobody_knows
    assert lead(home, "unmapped", "allocated") == nobody_knows
    assert lead(home, "told", "allocated") == nobody_knows


def test_what_was_reached_within_the_first_hour_is_known(home: Home) -> None:
    assert lead(home, "at once", "allocated") == (0.0, 0.0, "source_created")


def test_a_skipped_or_unreached_state_has_neither_moment_nor_basis(home: Home) -> None:
    assert lead(home, "skips", "shipped") == (None, None, None)
    assert lead(home, "skips", "delivered") == (8.0, 8.0, "observed")
    assert lead(home, "plain", "delivered")[0] > 0
    assert lead(home, "at once", "shipped") == (None, None, None)


def test_no_time_is_negative(home: Home) -> None:
    assert lead(home, "backdated", "allocated") == (None, 3.0, "source_updated")
    sql = "SELECT COUNT(*) FROM fulfilment_lead_times WHERE hours_to_{} < 0"
    for what in ("allocated", "shipped", "delivered"):
        assert home.rows(sql.format(what)) == [(0,)]


def test_a_day_alone_begins_in_the_zone_of_the_account(home: Home) -> None:
    assert lead(home, "day", "allocated") == (12.0, 2.0, "observed")
    assert lead(home, "undated", "allocated") == (None, 2.0, "observed")
    sql = (
        "SELECT order_number, order_date, placed_at_utc, placed_at_basis"
        " FROM fulfilment_lead_times WHERE source_account = '12' ORDER BY 1"
    )
    assert home.rows(sql) == [
        ("Nday", date(2026, 3, 1), at(-10 * 60), "placed_on"),
        ("Nundated", None, None, None),
    ]


def test_only_sales_have_lead_times(home: Home) -> None:
    left_out = "'Nsales_credit', 'Npurchase_order', 'Nreview_registration', 'Ndraft', 'Ngone'"
    sql = f"SELECT * FROM fulfilment_lead_times WHERE order_number IN ({left_out})"
    assert home.rows(sql) == []
    assert len(home.rows(f"SELECT * FROM orders WHERE order_number IN ({left_out})")) == 5


PAID: dict[str, Any] = {"payment_status": "paid"}
WAITING: dict[str, dict[str, Any]] = {
    "attention": {"order_status": "problem"},
    "receipt": {"order_type": "purchase_order", "fulfilment_status": "partial"},
    "payment": {"payment_status": "failed", **SHIPPED},
    "allocation": {**PAID, "allocation_status": "partially_allocated"},
    "shipping": {"payment_status": "authorized", **ALLOCATED},
    "collection": {**PAID, "order_status": "ready_for_pickup",
                   **dict.fromkeys(("allocation_status", "shipping_status"), "not_applicable")},
    "delivery": {**PAID, **SHIPPED},
    "closing": {**PAID, **DELIVERED},
    "processing": {"order_status": "processing", **dict.fromkeys(
        ("payment_status", "allocation_status", "shipping_status"), "unknown")},
    "unknown": dict.fromkeys(
        ("order_status", "payment_status", "allocation_status", "shipping_status"), "unknown"),
}  # fmt: skip


def _waiting() -> Iterator[dict[str, Any]]:
    for word, codes in WAITING.items():
        yield from versions(f"waits for {word}", step(1, {}), **codes)
    yield from versions("just placed", step(1, {}), placed_at=FRESH + timedelta(minutes=1))


def test_an_open_order_waits_for_the_first_thing_that_is_missing(home: Home) -> None:
    sql = "SELECT order_number, waits_for FROM open_orders WHERE order_number LIKE 'Nwaits for %'"
    assert dict(home.rows(sql)) == {f"Nwaits for {word}": word for word in WAITING}


def test_age_is_as_of_the_last_success_of_the_account(home: Home) -> None:
    sql = "SELECT order_number, age_days FROM open_orders WHERE order_number IN ({})"
    numbers = "'Nwaits for payment', 'Nbackdated', 'Njust placed', 'Nday'"
    assert dict(home.rows(sql.format(numbers))) == {
        "Nwaits for payment": 10,
        "Nbackdated": 9,
        "Njust placed": 0,
        "Nday": None,
    }


def test_quality_tells_when_and_why(home: Home) -> None:
    sql = (
        "SELECT source_account, last_success_at, stale_at, last_error, without_order_date"
        " FROM data_quality"
        " ORDER BY ALL"
    )
    fresh = FRESH.replace(tzinfo=None)
    assert home.rows(sql) == [
        ("12", None, None, None, 1),
        ("acme", fresh, fresh + timedelta(hours=6), "no answer", 0),
    ]
