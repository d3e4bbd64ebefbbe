"""What the marts must say of an order, read from the API's own body in plain Python.

Belongs here: one reading of each API's documented body, with Decimal and zoneinfo, that shares no
line with the mappings in SQL. Does not belong here: asking for bodies, comparing, waiting.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.world import Body

LONDON = ZoneInfo("Europe/London")
Line = tuple[str | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]
"""Of an order row: product name, quantity, unit price, net amount, tax amount."""


@dataclass
class Truth:
    """One order as it must stand in the marts. Moments are UTC without a zone, as published."""

    columns: dict[str, Any]
    lines: Counter[Line] = field(default_factory=Counter)
    emails: dict[str, str] = field(default_factory=dict)
    """E-mail addresses by the party's role."""


def truths(source: str, items: list[Body]) -> dict[str, Truth]:
    """The orders that exist in a sandbox's account, by their source order id."""
    read = READERS[source]
    found = {}
    for item in items:
        if not item["is_deleted"]:
            body = json.loads(json.dumps(item["body"]), parse_float=Decimal)
            found[published_id(source, item)] = read(body)
    return found


def published_id(source: str, item: Body) -> str:
    """The id under which the marts know an order of the sandbox."""
    prefix = "invitation/" if source == "feedback_company" else ""
    return prefix + str(item["source_order_id"])


def _utc(stamp: str | None) -> datetime | None:
    """A stamp with an offset; naive ones are London's."""
    if not stamp:
        return None
    moment = datetime.fromisoformat(stamp)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=LONDON)
    return moment.astimezone(UTC).replace(tzinfo=None)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _sum(lines: Counter[Line], place: int) -> Decimal | None:
    """The sum of one amount over all lines, of those that have it."""
    amounts = [line[place] * count for line, count in lines.items() if line[place] is not None]  # type: ignore[operator]
    return sum(amounts, Decimal(0)) if amounts else None


def _truth(lines: Counter[Line], emails: dict[str, str], **columns: Any) -> Truth:
    sums = {
        "row_count": lines.total(),
        "rows_net": _sum(lines, 3),
        "rows_tax": _sum(lines, 4),
        "rows_quantity": _sum(lines, 1),
    }
    return Truth(columns | sums, lines, emails)


BRIGHTPEARL_STATUS = {
    "1": "draft", "2": "open", "3": "open", "4": "completed", "6": "open", "7": "processing",
    "8": "processing", "20": "processing", "21": "processing", "22": "in_transit",
    "23": "in_transit", "24": "completed", "25": "completed", "27": "cancelled", "28": "cancelled",
}  # fmt: skip
BRIGHTPEARL_TYPE = {
    "SO": "sales_order", "SC": "sales_credit", "PO": "purchase_order", "PC": "purchase_credit",
}  # fmt: skip
SHIPPING = {
    "NST": "not_applicable", "SNS": "not_shipped", "SPS": "partially_shipped", "ASS": "shipped",
}  # fmt: skip
ALLOCATION = {
    "ANR": "not_applicable", "ANA": "not_allocated", "APA": "partially_allocated",
    "AAA": "allocated", None: "unknown",
}  # fmt: skip


def _brightpearl(body: Body) -> Truth:
    totals, rows = body["totalValue"], body["orderRows"].values()
    net, tax = Decimal(totals["net"]), Decimal(totals["taxAmount"])
    status, allocation = str(body["orderStatus"]["orderStatusId"]), body.get("allocationStatusCode")
    unmapped = "completed" if body.get("closedOn") else "open"
    parties = {role: party.get("email") for role, party in body["parties"].items()}
    return _truth(
        Counter(_brightpearl_line(row) for row in rows),
        {role: email for role, email in parties.items() if email},
        order_type=BRIGHTPEARL_TYPE[body["orderTypeCode"]],
        order_number=body["reference"] or None,
        currency=body["currency"]["orderCurrencyCode"],
        net_amount=net,
        tax_amount=tax,
        gross_amount=Decimal(totals["total"]) if "total" in totals else net + tax,
        base_net_amount=_amount(totals.get("baseNet")),
        exchange_rate=_amount(body["currency"].get("exchangeRate")),
        source_status_code=status,
        order_status=BRIGHTPEARL_STATUS.get(status, unmapped),
        source_payment_status_code=body["orderPaymentStatus"],
        payment_status=body["orderPaymentStatus"].lower(),
        source_shipping_status_code=body["shippingStatusCode"],
        shipping_status=SHIPPING[body["shippingStatusCode"]],
        source_allocation_status_code=allocation,
        allocation_status=ALLOCATION[allocation],
        placed_at=_utc(body["placedOn"]),
        created_at=_utc(body["createdOn"]),
        updated_at=_utc(body.get("updatedOn")),
        closed_at=_utc(body.get("closedOn")),
        source_version=body["version"],
    )


def _brightpearl_line(row: Body) -> Line:
    value = row["rowValue"]
    return (
        row["productName"] or None,
        Decimal(row["quantity"]["magnitude"]),
        Decimal(row["productPrice"]["value"]),
        Decimal(value["rowNet"]["value"]),
        Decimal(value["rowTax"]["value"]),
    )


TASTYIGNITER_STATUS = {
    1: "open", 2: "open", 3: "processing", 4: "in_transit", 5: "completed", 9: "cancelled",
}  # fmt: skip
PAID = {True: ("true", "paid"), False: ("false", "failed"), None: (None, "unknown")}


def _tastyigniter(body: Body) -> Truth:
    order = body["attributes"]
    status, (flag, payment) = order["status_id"], PAID[order["processed"]]
    totals = order["order_totals"]
    totals = list(totals.values()) if isinstance(totals, dict) else totals
    with_tax = any(row["code"] == "tax" and not row["is_summable"] for row in totals)
    is_draft = not status and order["processed"] is not True
    is_collection = order["order_type"] == "collection"
    return _truth(
        Counter(_tastyigniter_line(line, with_tax) for line in order["order_menus"]),
        {"customer": order["email"]} if order["email"] else {},
        order_type="sales_order",
        currency="GBP",
        net_amount=None,
        gross_amount=Decimal(order["order_total"]),
        payment_method=order["payment"] or None,
        source_status_code=str(status),
        order_status="draft" if is_draft else TASTYIGNITER_STATUS.get(status, "unknown"),
        source_payment_status_code=flag,
        payment_status=payment,
        shipping_status="not_applicable" if is_collection else "unknown",
        allocation_status="not_applicable",
        source_fulfilment_method=order["order_type"] or None,
        created_at=_utc(order["created_at"]),
        updated_at=_utc(order["updated_at"]),
        declared_item_count=order["total_items"],
    )


def _tastyigniter_line(line: Body, with_tax: bool) -> Line:
    """Where prices include tax, the subtotal is no net amount."""
    subtotal = None if with_tax else Decimal(line["subtotal"])
    return (line["name"] or None, Decimal(line["quantity"]), Decimal(line["price"]), subtotal, None)


EFILING_STATUS = {
    100: "open", 300: "processing", 500: "processing", 700: "completed", 900: "completed",
}  # fmt: skip


def _ymdhis(stamp: int | str) -> datetime | None:
    """A YmdHis number in London's time; the earlier one in the hour that autumn repeats."""
    if not stamp:
        return None
    clock_time = datetime.strptime(str(stamp), "%Y%m%d%H%M%S")  # noqa: DTZ007
    return clock_time.replace(tzinfo=LONDON).astimezone(UTC).replace(tzinfo=None)


def _efiling(body: Body) -> Truth:
    order, lines = body["order"], body["orderlines"]
    net, gross = Decimal(order["net"]), Decimal(order["gross"])
    products = [line["product"] for line in lines]
    immaterial = all(one["is_service"] or one["is_incorporation"] for one in products)
    is_cancelled = order["cancelled_at"] != ""
    return _truth(
        Counter(_efiling_line(line) for line in lines),
        {},
        order_type="service_order",
        description=order["description"] or None,
        currency="GBP",
        net_amount=net,
        tax_amount=gross - net,
        gross_amount=gross,
        source_status_code=str(order["status"]),
        order_status="cancelled" if is_cancelled else EFILING_STATUS[order["status"]],
        payment_status="unknown",
        shipping_status="not_applicable" if lines and immaterial else "unknown",
        created_at=_ymdhis(order["created_at"]),
        updated_at=_ymdhis(order["updated_at"]),
        cancelled_at=_ymdhis(order["cancelled_at"]),
        rows_state="complete",
    )


def _efiling_line(line: Body) -> Line:
    quantity, price = Decimal(line["quantity"]), Decimal(line["price"])
    return (
        line["product"]["name"] or None,
        quantity,
        price,
        quantity * price,
        Decimal(line["tax"]),
    )


QUOTEVINE_STATUS = {
    "New Order": "open", "Sent to Customer": "open", "Order Placed": "processing",
    "In Build": "processing", "Awaiting Delivery": "processing", "Delivered": "completed",
    "Completed": "completed", "Cancelled": "cancelled",
}  # fmt: skip


def _quotevine_shipping(order: Body) -> str:
    if order["cancellation_date"]:
        return "cancelled"
    if order["order_status"] in ("Delivered", "Completed"):
        return "delivered"
    return "scheduled" if order["confirmed_delivery_date"] else "not_shipped"


def _quotevine(order: Body) -> Truth:
    status, staff = order["order_status"], order["working_user_email"]
    return _truth(
        Counter(),
        {"staff": staff} if staff else {},
        order_type="lease_order",
        order_number=order["funder_order_number"] or None,
        currency=None,
        gross_amount=None,
        source_status_code=status,
        order_status="cancelled" if order["cancellation_date"] else QUOTEVINE_STATUS[status],
        payment_status="unknown",
        shipping_status=_quotevine_shipping(order),
        allocation_status="allocated" if order["vin"] else "not_allocated",
        source_fulfilment_method=order["delivery_method"] or None,
        created_at=_utc(order["creation_date"]),
        updated_at=_utc(order["last_update_date"]),
        rows_state="not_supplied",
    )


def _feedback_company(invitation: Body) -> Truth:
    sent = "sent" if invitation["is_sent"] else "scheduled"
    reminded = invitation["is_reminder_sent"]
    flag = f"is_sent={json.dumps(invitation['is_sent'])}"
    return _truth(
        Counter(),
        {},
        order_type="review_registration",
        currency=None,
        gross_amount=None,
        order_status="not_applicable",
        payment_status="not_applicable",
        invitation_status="reminder_sent" if reminded else sent,
        source_invitation_status_code="is_reminder_sent=true" if reminded else flag,
        created_at=_utc(invitation["created_at"]),
    )


READERS: dict[str, Callable[[Body], Truth]] = {
    "brightpearl": _brightpearl,
    "tastyigniter": _tastyigniter,
    "efiling": _efiling,
    "quotevine": _quotevine,
    "feedback_company": _feedback_company,
}
