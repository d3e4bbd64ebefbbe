"""Recorded replies, and the documents' own examples, through the mappings."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.mapping_harness import Outcome, outcome, outcomes

PAGES = Path(__file__).parent / "pages"


def saved(name: str) -> Any:
    return json.loads((PAGES / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def orders() -> dict[str, Outcome]:
    """Recorded Brightpearl orders by id."""
    replies = ("order_get_one_po_200.json", "order_get_multiple_200.json")
    bodies = [body for name in replies for body in saved(f"brightpearl/{name}")["response"]]
    found = outcomes("brightpearl", [(str(body["id"]), body) for body in bodies])
    return {str(body["id"]): each for body, each in zip(bodies, found, strict=True)}


def test_recorded_brightpearl_orders_are_loaded_without_a_fault(orders: dict[str, Outcome]) -> None:
    assert orders.keys() == {"312", "320", "1", "321"}
    for found in orders.values():
        assert found.order is not None
        assert found.faults == []
        assert found.order["row_count"] == len(found.rows) > 0


def test_a_recorded_purchase_order(orders: dict[str, Outcome]) -> None:
    order = orders["312"].order
    assert order is not None
    assert order["order_type"] == "purchase_order"
    assert order["net_amount"] == Decimal("900.0000")
    assert order["gross_amount"] == Decimal("1017.0000")
    assert order["totals_check"] == "ok"
    assert [row["source_row_id"] for row in orders["312"].rows] == ["378", "380"]
    assert orders["312"].party("supplier")


INVITATION = "feedback_company/invitations_list_200.json"
DOCUMENTED = "feedback_company/order_create_request.json"
WITHOUT_PRODUCTS = "feedback_company/order_create_request.no_products.json"


def test_the_documented_invitation() -> None:
    [body] = saved(INVITATION)["invitations"]
    found = outcome("feedback_company", body, "invitation/5678")
    assert found.order is not None
    assert found.order["order_type"] == "review_registration"
    assert found.order["order_number"] is None
    assert found.order["invitation_status"] == "reminder_sent"
    assert found.order["rows_state"] == "not_supplied"
    assert found.order["created_at"].isoformat() == "2018-04-01T00:00:00+00:00"
    assert [
        (event["event_type"], event["canonical_code"], event["valid_from_utc"].isoformat())
        for event in found.order["events"]
    ] == [
        ("invitation_scheduled", "scheduled", "2018-04-01T00:00:00+00:00"),
        ("invitation_sent", "sent", "2018-04-01T00:00:00+00:00"),
        ("invitation_reminded", "reminder_sent", "2018-04-08T00:00:00+00:00"),
    ]
    assert found.extra == {
        "order_id": 1234,
        "send_at": "2018-04-01T00:00:00Z",
        "send_reminder_at": "2018-04-08T00:00:00Z",
        "is_sent": True,
        "is_reminder_sent": True,
    }
    assert (found.rows, found.parties, found.faults) == ([], [], [])


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_documented_registration_alone_or_with_its_reply(wrapped: bool) -> None:
    body = saved(DOCUMENTED)
    sent = {"registration": body, "response": {"success": True}} if wrapped else body
    found = outcome("feedback_company", sent, body["external_id"])
    assert found.order is not None
    assert found.order["order_number"] == body["external_id"]
    assert found.order["invitation_status"] == ("scheduled" if wrapped else "unknown")
    assert found.order["rows_state"] == "complete"
    assert found.order["quality_flags"] == ["gtin_check_digit"]
    assert [row["gtin"] for row in found.rows] == ["0075678164124"]
    assert found.party("customer")["email"] == "appleseed@example.com"
    assert found.faults == []


def test_a_registration_without_products_supplies_no_rows() -> None:
    found = outcome("feedback_company", saved(WITHOUT_PRODUCTS), "Order 123")
    assert found.order is not None
    assert found.order["rows_state"] == "not_supplied"
    assert found.rows == []


def test_a_product_twice_is_two_rows() -> None:
    product = {"external_id": "p", "name": "P", "url": "https://example.com/p"}
    products = [product, {**product, "external_id": "q", "gtin": "75678164125"}, product]
    body = {"external_id": "1", "customer": {"email": "a@b.c"}, "products": products}
    found = outcome("feedback_company", body, "1")
    assert found.order is not None
    assert {row["source_row_id"]: row["row_no"] for row in found.rows} == {
        "p~1": 1,
        "q~1": 2,
        "p~2": 3,
    }
    assert found.order["quality_flags"] == ["gtin_not_13_digits"]


@pytest.mark.parametrize(
    ("changes", "field", "held"),
    [
        ({"products": {"a": 1}}, "products", True),
        ({"products": [7]}, "products[].external_id", True),
        ({"products": [{"name": "P", "url": "u"}]}, "products[].external_id", True),
        ({"products": [{"external_id": "p", "url": "u"}]}, "products[].name", False),
        ({"customer": "Ann"}, "customer.email", False),
        ({"invitation": "later"}, "invitation", False),
        ({"invitation": {"delay": {"unit": "days", "amount": "soon"}}},
         "invitation.delay.amount", False),
        ({"invitation": {"delay": {"unit": "days", "amount": 3000000000}}},
         "invitation.delay.amount", False),
    ],
)  # fmt: skip
def test_a_fault_in_a_registration_is_told(changes: dict[str, Any], field: str, held: bool) -> None:
    body = {"external_id": "1", "customer": {"email": "a@b.c"}} | changes
    found = outcome("feedback_company", body, "1")
    assert (field, held) in found.reasons()
    assert (found.order is None) is held


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"is_sent": "yes"}, "is_sent"),
        ({"is_sent": None}, "is_sent"),
        ({"created_at": "2018-13-01T00:00:00Z"}, "created_at"),
        ({"send_at": "soon"}, "send_at"),
        ({"order_id": "many"}, "order_id"),
    ],
)
def test_a_fault_in_an_invitation_is_told_and_it_is_loaded(
    changes: dict[str, Any], field: str
) -> None:
    [body] = saved(INVITATION)["invitations"]
    found = outcome("feedback_company", {**body, "is_reminder_sent": False, **changes}, "i")
    assert found.reasons() == {(field, False)}
    assert found.order is not None
    assert found.order["invitation_status"] == ("unknown" if field == "is_sent" else "sent")


def test_a_line_of_another_order_holds_the_order_back() -> None:
    line = {"order_id": 9, "quantity": 1, "price": 2.00, "tax": 1.00}
    order = {"id": 1, "created_at": 20200101095500, "net": 2, "gross": 3, "status": 700}
    body = {"order": order, "orderlines": [line], "orderlines_state": "complete"}
    found = outcome("efiling", body, "1")
    assert found.order is None
    assert ("orderlines[].order_id", True) in found.reasons()
