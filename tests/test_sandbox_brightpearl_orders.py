"""What the sandbox's Brightpearl orders hold, and what time and edits do to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox.clock import OPENING
from sandbox.server import Sandbox
from tests.order_service import ACCOUNT, BOTH, Orders, OrderService


@pytest.fixture(scope="module")
def client() -> Iterator[OrderService]:
    """For tests that change nothing."""
    with Sandbox(sources=("brightpearl",)) as sandbox, OrderService(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def orders(client: OrderService) -> Orders:
    """Every order at the opening."""
    return client.all()


@pytest.fixture
def own() -> Iterator[OrderService]:
    """For tests that move the clock or change orders."""
    with Sandbox(sources=("brightpearl",)) as sandbox, OrderService(sandbox) as client:
        yield client


def test_formats_are_the_recorded_ones(orders: Orders) -> None:
    stamp = re.compile(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0[01]:00")
    for order in orders.values():
        assert stamp.fullmatch(order["createdOn"])
        assert stamp.fullmatch(order["placedOn"])
        assert order["placedOn"] <= order["createdOn"] or order["orderTypeCode"] == "PO"
        summer = datetime.fromisoformat(order["createdOn"]) < datetime.fromisoformat(
            "2026-10-25T01:00:00+00:00"
        )
        assert order["createdOn"].endswith("+01:00" if summer else "+00:00")
        assert re.fullmatch(r"-?\d+\.\d\d", order["totalValue"]["net"])
        assert re.fullmatch(r"\d\.\d{6}", order["currency"]["exchangeRate"])
        for row in order["orderRows"].values():
            assert re.fullmatch(r"-?\d+\.0000", row["quantity"]["magnitude"])
            assert re.fullmatch(r"-?\d+\.\d{4}", row["rowValue"]["rowNet"]["value"])
            assert re.fullmatch(r"-?\d+\.\d\d", row["rowValue"]["rowTax"]["value"])
            assert (
                row["rowValue"]["rowNet"]["currencyCode"]
                == (order["currency"]["orderCurrencyCode"])
            )


def test_due_date_is_a_midnight_in_utc(orders: Orders) -> None:
    for order in orders.values():
        due = datetime.fromisoformat(order["invoices"][0]["dueDate"])
        assert due.utctimetuple()[3:6] == (0, 0, 0)


def test_totals_are_the_rows_sums(orders: Orders) -> None:
    for order in orders.values():
        values = [row["rowValue"] for row in order["orderRows"].values()]
        net = sum(Decimal(value["rowNet"]["value"]) for value in values)
        if values:
            assert abs(Decimal(order["totalValue"]["net"]) - net) <= Decimal("0.005")
        else:
            assert order["reference"]  # a marketplace order that lost its items keeps its total


def test_codes_fit_the_type_and_the_rows(orders: Orders) -> None:
    for order in orders.values():
        kind, stock = order["orderTypeCode"], order["stockStatusCode"]
        stocked = any(row["productId"] != 1000 for row in order["orderRows"].values())
        assert stock in ((kind + "N", kind + "P", kind + "A") if stocked else ("NON",))
        assert (order["shippingStatusCode"] == "NST") is not stocked
        if not stocked or kind != "SO":
            assert order.get("allocationStatusCode", "ANR") == "ANR"


def test_the_awkward_cases_are_there(orders: Orders) -> None:
    """Each of these has broken somebody's pipeline."""
    values = list(orders.values())
    rows = [row for order in values for row in order["orderRows"].values()]
    kinds = Counter(order["orderTypeCode"] for order in values)
    assert {"SO", "SC", "PO"} <= set(kinds)
    returned = [order for order in values if order["orderTypeCode"] == "SC"]
    assert {order["parentOrderId"] > 0 for order in returned} == {True, False}
    assert any(row["composition"]["parentOrderRowId"] for row in rows)
    assert any(row["composition"]["bundleParent"] for row in rows)
    assert any(row["quantity"]["magnitude"].startswith("-") for row in rows)
    assert any(row["productName"] == "" for row in rows)
    assert any(row["productSku"] == "" and row["nominalCode"] == "4040" for row in rows)
    assert any(not order["orderRows"] for order in values)
    assert any("allocationStatusCode" not in order for order in values)
    assert any("total" not in order["totalValue"] for order in values)
    assert any(order["tax"]["errors"] for order in values)
    assert {order["priceModeCode"] for order in values} == {"EXC", "INC"}
    assert {order["currency"]["orderCurrencyCode"] for order in values} == {"GBP", "BRL"}
    payments = {order["orderPaymentStatus"] for order in values}
    assert payments == {"PAID", "PARTIALLY_PAID", "UNPAID", "AUTHORIZED", "NOT_APPLICABLE"}
    assert {27, 28} <= {order["orderStatus"]["orderStatusId"] for order in values}
    assert any(order.get("isDropship") for order in values)
    row_ids = Counter(row_id for order in values for row_id in order["orderRows"])
    assert row_ids.most_common(1)[0][1] > 1, "row ids occur in several orders"


def test_inclusive_prices_hold_the_tax(orders: Orders) -> None:
    inclusive = [order for order in orders.values() if order["priceModeCode"] == "INC"]
    for order in inclusive:
        for row in order["orderRows"].values():
            value, price = row["rowValue"], Decimal(row["productPrice"]["value"])
            gross = price * Decimal(row["quantity"]["magnitude"])
            parts = Decimal(value["rowNet"]["value"]) + Decimal(value["rowTax"]["value"])
            assert abs(gross - parts) <= Decimal("0.01")
            due = Decimal(value["rowNet"]["value"]) * Decimal(value["taxRate"]) / 100
            assert abs(Decimal(value["rowTax"]["value"]) - due) <= Decimal("0.01")


def test_addresses_are_invented(orders: Orders) -> None:
    for order in orders.values():
        for party in order["parties"].values():
            assert party["email"].endswith("@example.com")


def test_time_brings_orders_changes_and_deletions(own: OrderService) -> None:
    before = own.all()
    own.sandbox.clock.advance(timedelta(days=3))
    after = own.all()
    appeared = set(after) - set(before)
    changed = {number for number in set(after) & set(before) if after[number] != before[number]}
    assert len(appeared) > 100
    assert min(appeared) > max(before)
    assert len(changed) > 100
    assert set(before) - set(after), "some were deleted"
    for number in changed:
        assert after[number]["version"] > before[number]["version"]
        assert datetime.fromisoformat(after[number]["updatedOn"]) > OPENING
    for order in after.values():
        now = own.sandbox.clock.now()
        for name in ("createdOn", "placedOn", "updatedOn", "closedOn"):
            moment = datetime.fromisoformat(order.get(name, order["createdOn"]))
            assert moment <= now + timedelta(seconds=1)
    swept = own.rows(updatedOn=f"{OPENING.isoformat()}/", columns="orderId")
    assert {row["orderId"] for row in swept} >= changed


def test_the_truth_is_what_get_gives(own: OrderService) -> None:
    own.sandbox.clock.advance(timedelta(days=8))
    truth = {int(item["source_order_id"]): item for item in own.sandbox.truth(ACCOUNT)}
    existing = own.all()
    assert {key for key, item in truth.items() if not item["is_deleted"]} == set(existing)
    assert all(truth[number]["body"] == order for number, order in existing.items())
    deleted = [item for item in truth.values() if item["is_deleted"]]
    assert deleted
    assert all(item["body"] is None for item in deleted)


def test_an_edit_is_recorded_and_lasts(own: OrderService) -> None:
    number = next(
        row["orderId"] for row in own.rows(orderTypeId=1, warehouseId=2) if not row["updatedOn"]
    )
    (before,) = own.orders(str(number), **BOTH)
    own.sandbox.clock.advance(timedelta(minutes=5, milliseconds=250))
    api = own.sandbox.api(ACCOUNT)
    row_id = next(iter(before["orderRows"]))
    changes = {
        "orderStatus": {"orderStatusId": 27},
        "customFields": {"PCF_BOXES": 3},
        "orderRows": {row_id: {"rowValue": {"rowNet": {"value": "1.0000"}}}},
    }
    api.edit(str(number), changes)
    (after,) = own.orders(str(number), **BOTH)
    assert after["orderStatus"] == {"orderStatusId": 27, "name": "Cancelled"}
    assert after["version"] == before["version"] + 1
    assert after["updatedOn"] == "2026-11-02T07:05:00.000+00:00"
    assert after["customFields"]["PCF_BOXES"] == 3
    assert "PCF_BOXES" not in after["nullCustomFields"]
    net = sum(Decimal(r["rowValue"]["rowNet"]["value"]) for r in after["orderRows"].values())
    assert abs(Decimal(after["totalValue"]["net"]) - net) < Decimal("0.01")
    assert [row["orderId"] for row in own.rows(updatedOn="2026-11-02T07:05:00Z/")][-1] == number
    own.sandbox.clock.advance(timedelta(days=12))
    assert own.orders(str(number))[0]["orderStatus"]["orderStatusId"] == 27


@pytest.mark.parametrize(
    "changes", [{"version": 9}, {"colour": "red"}, {"orderStatus": {"orderStatusId": 99}}]
)
def test_impossible_edits_are_refused(own: OrderService, changes: dict[str, Any]) -> None:
    (row, *_) = own.rows(pageSize=1)
    path = f"{own.sandbox.control_address}/orders/{ACCOUNT}/{row['orderId']}"
    assert httpx.post(path, json=changes).status_code == 400
    assert own.rows(pageSize=1) == [row]


def test_an_edit_stays_in_its_own_sandbox(own: OrderService, orders: Orders) -> None:
    number = min(orders)
    own.sandbox.api(ACCOUNT).edit(str(number), {"reference": "changed"})
    with Sandbox(sources=("brightpearl",)) as other, OrderService(other) as client:
        assert client.orders(str(number))[0]["reference"] == orders[number]["reference"]


def test_repetitions_have_ids_and_references_of_their_own(
    orders: Orders,
) -> None:
    with Sandbox(sources=("brightpearl",), repeat=3) as sandbox, OrderService(sandbox) as client:
        everything = client.all()
        assert len(everything) == 3 * len(orders)
        assert len({(o["reference"], o["createdOn"]) for o in everything.values()}) >= len(orders)
        child = next(n for n, o in orders.items() if o["parentOrderId"])
        shift = (max(everything) - max(orders)) // 2
        repeated = everything[child + shift]
        assert repeated["parentOrderId"] == orders[child]["parentOrderId"] + shift
        assert repeated["reference"] == f"{orders[child]['reference']}+{shift}"
        assert repeated["orderRows"] == orders[child]["orderRows"]
        sandbox.api(ACCOUNT).edit(str(child + shift), {"warehouseId": 77})
        sandbox.api(ACCOUNT).delete(str(child + 2 * shift))
        assert [row["orderId"] for row in client.rows(warehouseId=77)] == [child + shift]
        assert client.orders(f"{child}.{child + 2 * shift}")[0] == client.orders(str(child))[0]
        (edited,) = client.orders(str(child + shift), **BOTH)
        assert edited["id"] == child + shift
        truth = {item["source_order_id"]: item for item in sandbox.truth(ACCOUNT)}
        assert truth[str(child + shift)]["body"] == edited
        assert truth[str(child + 2 * shift)]["is_deleted"]
        assert truth[str(child)]["body"] == orders[child]
