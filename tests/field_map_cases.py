"""What is put at a field of field_map.csv, and what must arrive where the line says.

Belongs here: one value per line, distinct from the document's own. Does not belong here: running
the mappings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

MOMENT = datetime(2031, 7, 5, 11, 34, 56, tzinfo=UTC)
"""12:34:56 in London, an hour ahead of UTC in July."""
DAY = date(2031, 3, 5)
KEY = "brightpearl:acme:100123"


@dataclass(frozen=True)
class Line:
    """One line of field_map.csv."""

    number: int
    source: str
    field: str
    disposition: str
    table: str
    column: str
    type: str
    rule: str

    def __str__(self) -> str:
        return f"{self.source}-{self.field}"


@dataclass(frozen=True)
class Case:
    """A value to put at the field, and what it must become."""

    value: Any
    expected: Any
    without: tuple[str, ...] = ()
    """Fields that are taken away first."""
    given: dict[str, Any] = field(default_factory=dict)
    """Fields that are set first."""
    also: dict[str, Any] = field(default_factory=dict)
    """Further columns of the same record, and what they must hold."""


def coded(value: str, expected: str, raw: str) -> Case:
    """A code, with the column that keeps it as received."""
    return Case(value, expected, also={raw: value})


_STAMP = "2031-07-05T12:34:56.000+01:00"
_NAIVE = "2031-07-05 12:34:56"
_ZULU = "2031-07-05T11:34:56.000000Z"
_YMDHIS = 20310705123456
_MIDNIGHT = "2031-03-05T00:00:00.000+00:00"
_LINE_OF_TOTALS = {
    "code": "coupon", "title": "Coupon", "value": -1.5, "priority": 3, "is_summable": True, "x": 1,
}  # fmt: skip

SPECIAL: dict[tuple[str, str], Case] = {
    ("brightpearl", "id"): Case(777, "777"),
    ("brightpearl", "parentOrderId"): Case(55, "brightpearl:acme:55"),
    ("brightpearl", "orderTypeCode"): coded("PC", "purchase_credit", "source_order_type_code"),
    ("brightpearl", "orderPaymentStatus"): coded(
        "PARTIALLY_PAID", "partially_paid", "source_payment_status_code"
    ),
    ("brightpearl", "stockStatusCode"): coded("SOP", "partial", "source_fulfilment_status_code"),
    ("brightpearl", "allocationStatusCode"): coded(
        "APA", "partially_allocated", "source_allocation_status_code"
    ),
    ("brightpearl", "shippingStatusCode"): coded(
        "SPS", "partially_shipped", "source_shipping_status_code"
    ),
    ("brightpearl", "delivery.shippingMethodId"): Case(
        31, "transporter", also={"source_shipping_method_id": "31"}
    ),
    ("brightpearl", "invoices[].dueDate"): Case("2031-03-04T19:00:00.000-05:00", DAY),
    ("brightpearl", "totalValue.total"): Case(
        "1234.5678", Decimal("1234.5678"), also={"amounts_basis": "as_received"}
    ),
    ("brightpearl", "customFields.{code}"): Case(
        {"id": 6, "value": "BK"},
        {
            "field_code": "PCF_PROBE",
            "value_json": '{"id":6,"value":"BK"}',
            "value_text": "BK",
            "is_null": False,
        },
    ),
    ("brightpearl", "nullCustomFields[]"): Case(
        "PCF_PROBE",
        {"field_code": "PCF_PROBE", "value_json": None, "value_text": None, "is_null": True},
    ),
    ("brightpearl", "tax.errors[]"): Case("E1", ["E1"], also={"quality_flags": ["tax_errors"]}),
    ("brightpearl", "acknowledged"): Case(1, 1),
    ("brightpearl", "orderRows.{id}"): Case(
        {"orderRowSequence": "10"}, "154", without=("orderRows.{id}",)
    ),
    ("brightpearl", "orderRows.{id}.productPrice.currencyCode"): Case(
        "XTS",
        "XTS",
        without=(
            "currency.orderCurrencyCode",
            "orderRows.{id}.rowValue.rowNet.currencyCode",
            "orderRows.{id}.rowValue.rowTax.currencyCode",
        ),
    ),
    ("brightpearl", "orderRows.{id}.rowValue.rowTax.currencyCode"): Case(
        "XTS",
        "XTS",
        without=("currency.orderCurrencyCode", "orderRows.{id}.rowValue.rowNet.currencyCode"),
    ),
    ("brightpearl", "orderRows.{id}.orderRowSequence"): Case("70", 70),
    ("brightpearl", "orderRows.{id}.productOptions.{name}"): Case(
        "red", [("Probe", "red"), ("Size", "L")]
    ),
    ("brightpearl", "orderRows.{id}.composition.bundleParent"): Case(
        value=True, expected="bundle_parent"
    ),
    ("brightpearl", "orderRows.{id}.composition.bundleChild"): Case(
        value=True, expected="bundle_component"
    ),
    ("brightpearl", "orderRows.{id}.composition.parentOrderRowId"): Case(99, f"{KEY}#99"),
    ("tastyigniter", "order_type"): coded("collection", "collection", "source_fulfilment_method"),
    ("tastyigniter", "order_date_time"): Case(_NAIVE, MOMENT),
    ("tastyigniter", "order_date"): Case("2031-03-05 00:00:00", DAY, without=("order_date_time",)),
    ("tastyigniter", "order_time"): Case(
        "12:34:56",
        MOMENT,
        without=("order_date_time",),
        given={"order_date": "2031-07-05 00:00:00"},
    ),
    ("tastyigniter", "processed"): Case(
        value=True,
        expected="paid",
        also={"source_payment_status_code": "true", "payment_status_basis": "documented_flag"},
    ),
    ("tastyigniter", "invoice_date"): Case(_ZULU, MOMENT),
    ("tastyigniter", "status_updated_at"): Case(_ZULU, ("order_status", MOMENT)),
    ("tastyigniter", "assignee_updated_at"): Case(_ZULU, ("assigned", MOMENT)),
    ("tastyigniter", "date_added"): Case(_NAIVE, MOMENT, also={"placed_at": MOMENT}),
    ("tastyigniter", "date_modified"): Case(_NAIVE, MOMENT),
    ("tastyigniter", "order_totals[]"): Case(
        _LINE_OF_TOTALS,
        {
            "code": "coupon",
            "title": "Coupon",
            "value": Decimal("-1.5000"),
            "priority": 3,
            "is_summable": True,
            "value_json": '{"code":"coupon","title":"Coupon","value":-1.5,"priority":3,'
            '"is_summable":true,"x":1}',
        },
    ),
    ("efiling", "order.id"): Case(777, "777", without=("orderline.order_id",)),
    ("efiling", "order.created_at"): Case(_YMDHIS, MOMENT, also={"placed_at": MOMENT}),
    ("efiling", "order.updated_at"): Case(_YMDHIS, MOMENT),
    ("efiling", "order.invoiced_at"): Case(_YMDHIS, MOMENT),
    ("efiling", "order.cancelled_at"): Case(
        _YMDHIS, MOMENT, also={"order_status": "cancelled", "order_status_basis": "derived"}
    ),
    ("efiling", "order.gross"): Case(
        1234.5678,
        Decimal("1234.5678"),
        also={"tax_amount": Decimal("1216.5878"), "amounts_basis": "derived_tax"},
    ),
    ("efiling", "orderline.order_id"): Case(123, "efiling:acme:123"),
    ("efiling", "orderline.product.is_service"): Case(1, "service"),
    ("efiling", "orderline.product.is_incorporation"): Case(1, "incorporation"),
    ("efiling", "orderline.product.taxable"): Case(0, expected=False),
    ("efiling", "orderline.incorporation.incorporation_id"): Case(987, "987"),
    ("quotevine", "path.relationship_id"): Case(55, "55/4"),
    ("quotevine", "path.order_id"): Case(55, "7/55"),
    ("quotevine", "order_status"): Case("probe", "probe"),
    ("quotevine", "delivery_address"): Case("probe", "probe", without=("delivery_property",)),
    ("quotevine", "discount_bonus_1"): Case("probe", "probe", without=("discount_bonus_code_1",)),
    ("quotevine", "discount_bonus_2"): Case("probe", "probe", without=("discount_bonus_code_2",)),
    ("quotevine", "delivery_method"): coded(
        "Customer Collection", "collection", "source_fulfilment_method"
    ),
    ("quotevine", "cancellation_date"): Case(
        "2031-03-05", DAY, also={"order_status": "cancelled", "order_status_basis": "derived"}
    ),
    ("quotevine", "last_customer_update"): Case(_NAIVE, ("customer_updated", MOMENT)),
    ("quotevine", "vin"): Case("WXX9", "WXX9", also={"allocation_status": "allocated"}),
    ("feedback_company", "external_id"): Case(
        "Order 9", "Order 9", also={"order_number": "Order 9"}
    ),
    ("feedback_company", "products[].external_id"): Case(
        "p9",
        "p9",
        also={
            "source_row_id": "p9~1",
            "order_row_key": "feedback_company:acme:08b747cb#p9~1",
        },
    ),
    ("feedback_company", "response.success"): Case(
        value=True, expected=("feedback_submitted", True)
    ),
}

_NUMBERED = ("id", "Id")
"""How the names of fields end that hold whole numbers, whatever their column's type."""


def case_of(line: Line) -> Case:
    """What to put at a line's field, and what must arrive."""
    special = SPECIAL.get((line.source, line.field))
    return special or _plain(line)


def _plain(line: Line) -> Case:
    """By type: a value that no other line has."""
    n = line.number
    if line.type.startswith("DECIMAL"):
        text = {"8": f"{n}.12345678", "4": f"{n}.5678"}[line.type[-2]]
        is_text = line.source == "brightpearl"
        return Case(text if is_text else float(text), Decimal(text))
    if line.type == "TIMESTAMP UTC + offset":
        prefix = line.column.removesuffix("_at")
        also = {f"{prefix}_offset_min": 60, f"{prefix}_tz_basis": "explicit"}
        return Case(_STAMP, MOMENT, also=also)
    plain: dict[str, Case] = {
        "BIGINT": Case(9000 + n, 9000 + n),
        "INTEGER": Case(9000 + n, 9000 + n),
        "SMALLINT": Case(n, n),
        "BOOLEAN": Case(value=True, expected=True),
        "DATE": Case(_MIDNIGHT if line.source == "brightpearl" else "2031-03-05 00:00", DAY),
        "CHAR(3)": Case("XTS", "XTS"),
        "VARCHAR(13)": Case("0012345678905", "0012345678905"),
    }
    if line.type in plain:
        return plain[line.type]
    if line.field.endswith(_NUMBERED):
        return Case(9000 + n, str(9000 + n))
    return Case(f"probe {n}", f"probe {n}")
