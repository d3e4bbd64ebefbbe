"""Reading eFiling: the document's order and lines through the mapping."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.mapping_harness import Outcome, outcome, read_extra

PAGES = Path(__file__).parent / "pages" / "efiling"
ORDER: dict[str, Any] = json.loads((PAGES / "orders.json").read_text(encoding="utf-8"))[0]
LINES: list[dict[str, Any]] = json.loads(
    (PAGES / "orderlines_123.json").read_text(encoding="utf-8")
)


def read(
    lines: Any = LINES,
    state: str = "complete",
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Outcome:
    """The document's order with some fields changed and these lines, read."""
    body = {"order": ORDER | changes, "orderlines": lines, "orderlines_state": state}
    found = outcome("efiling", body, "123", **(settings or {}))
    found.rows.sort(key=lambda row: row["row_no"])
    return found


def line(place: int = 0, **changes: Any) -> dict[str, Any]:
    """A line of the document with some fields changed; a dict changes fields inside a field."""
    changed = deepcopy(LINES[place])
    for name, value in changes.items():
        changed[name] = changed[name] | value if isinstance(value, dict) else value
    return changed


def order(found: Outcome) -> dict[str, Any]:
    assert found.order is not None, found.faults
    return found.order


def test_the_documents_order_is_read_without_a_fault() -> None:
    found = read()
    one = order(found)
    assert found.faults == []
    assert one["created_at"] == datetime(2020, 1, 1, 9, 55, tzinfo=UTC)
    assert (one["created_tz_basis"], one["created_offset_min"]) == ("configured", None)
    assert one["placed_on"] == date(2020, 1, 1)
    assert one["invoices"][0]["invoiced_at"] == datetime(2020, 1, 1, 10, 18, 36, tzinfo=UTC)
    assert (one["cancelled_at"], one["rows_state"], one["row_count"]) == (None, "complete", 2)
    assert [event["event_type"] for event in one["events"]] == ["created", "invoiced"]


def test_tax_is_what_gross_exceeds_net_by() -> None:
    one = order(read())
    assert (one["net_amount"], one["tax_amount"], one["gross_amount"]) == (
        Decimal("17.98"),
        Decimal("1.60"),
        Decimal("19.58"),
    )
    assert (one["amounts_basis"], one["totals_check"]) == ("derived_tax", "mismatch")


def test_totals_that_agree_with_the_lines_are_ok() -> None:
    lines = [line(price=8.99, tax=0.8), line(1, price=4.495, quantity=2, tax=0.8)]
    assert order(read(lines))["totals_check"] == "ok"


def test_summer_stamps_are_an_hour_behind_in_utc() -> None:
    one = order(read(cancelled_at=20200701001500))
    assert one["cancelled_at"] == datetime(2020, 6, 30, 23, 15, tzinfo=UTC)
    assert one["cancelled_on"] == date(2020, 7, 1)


def test_the_repeated_hour_is_the_earlier_one_and_flagged() -> None:
    one = order(read(created_at=20201025013000))
    assert one["created_at"] == datetime(2020, 10, 25, 0, 30, tzinfo=UTC)
    assert "repeated_hour" in one["quality_flags"]


@pytest.mark.parametrize(
    ("cancelled_at", "mapped", "expected"),
    [
        ("", {}, ("unknown", "default")),
        ("", {"700": "completed"}, ("completed", "account_map")),
        (20200102090000, {"700": "completed"}, ("cancelled", "derived")),
        ("soon", {}, ("cancelled", "derived")),
        (0, {"700": "completed"}, ("completed", "account_map")),
    ],
)
def test_an_order_with_a_cancellation_is_cancelled(
    cancelled_at: object, mapped: dict[str, str], expected: tuple[str, str]
) -> None:
    one = order(read(cancelled_at=cancelled_at, settings={"order_status": mapped}))
    assert (one["order_status"], one["order_status_basis"]) == expected
    is_flagged = "unmapped_code:order_status" in one["quality_flags"]
    assert is_flagged == (expected[0] == "unknown")


def test_what_is_not_shipped_needs_no_shipping() -> None:
    goods = line(1, product={"is_service": 0, "name": "Company Seal"})
    assert order(read())["shipping_status"] == "not_applicable"
    assert order(read())["shipping_status_basis"] == "derived"
    assert order(read([LINES[0], goods]))["shipping_status"] == "unknown"
    assert order(read([]))["shipping_status"] == "unknown"


def test_lines_become_order_rows() -> None:
    found = read([LINES[0], LINES[1], line(1, product={"is_service": 0}, quantity=3)])
    assert [row["row_kind"] for row in found.rows] == ["incorporation", "service", "product"]
    assert [row["amount_basis"] for row in found.rows] == [
        "unambiguous", "unambiguous", "assumed_unit"
    ]  # fmt: skip
    assert [row["net_amount"] for row in found.rows] == [Decimal(2), Decimal(2), Decimal(6)]
    assert [row["row_no"] for row in found.rows] == [1, 2, 3]
    assert read_extra(found.rows[0]) == {
        "package_name": "Bronze Package",
        "incorporation_id": "456",
        "company_name": "ABC LTD",
    }
    assert found.rows[0]["currency"] == "GBP"


def test_a_row_keeps_its_key_wherever_it_stands() -> None:
    keys = {row["order_row_key"] for row in read().rows}
    assert {row["order_row_key"] for row in read(LINES[::-1]).rows} == keys
    twice = sorted(row["source_row_id"] for row in read([LINES[0], LINES[0]]).rows)
    assert [key[12:] for key in twice] == ["~1", "~2"]
    assert read([line(description="other")]).rows[0]["order_row_key"] not in keys


def test_officers_are_parties_of_their_row() -> None:
    found = read()
    [officer] = found.parties
    assert (officer["role"], officer["first_name"], officer["last_name"]) == (
        "officer",
        "Joe",
        "Bloggs",
    )
    assert officer["order_row_key"] == found.rows[1]["order_row_key"]


@pytest.mark.parametrize("state", ["missing", "stale"])
def test_lines_that_are_not_of_now_are_not_checked(state: str) -> None:
    one = order(read(None if state == "missing" else LINES, state))
    assert (one["rows_state"], one["totals_check"]) == (state, "not_checkable")
    assert one["row_count"] == (0 if state == "missing" else 2)


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        ({"created_at": ""}, "created_at"),
        ({"created_at": 20201301000000}, "created_at"),
        ({"net": "1.23456"}, "net"),
        ({"lines": {}}, "orderlines"),
        ({"lines": ["x"]}, "orderlines[]"),
        ({"lines": [line(order_id=124)]}, "orderlines[].order_id"),
        ({"lines": [line(price=1.23456)]}, "orderlines[].price"),
    ],
)
def test_what_cannot_be_read_holds_the_order_back(odd: dict[str, Any], field: str) -> None:
    found = read(**odd)
    assert found.order is None
    assert (field, True) in found.reasons()


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        ({"updated_at": "x"}, "updated_at"),
        ({"gross": None}, "gross"),
        ({"lines": [line(product={"taxable": 2})]}, "orderlines[].product.taxable"),
        ({"lines": [line(price=1.1111, quantity=1.5)]}, "orderlines[].price"),
    ],
)
def test_what_is_odd_is_reported_and_the_order_loaded(odd: dict[str, Any], field: str) -> None:
    found = read(**odd)
    assert found.order is not None
    assert found.reasons() == {(field, False)}
