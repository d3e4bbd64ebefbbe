"""The body of a Brightpearl order.

Belongs here: how the documented order body is put together, with its number formats.
Does not belong here: which orders there are, and when something happens to them.

Formats are those of recorded replies: money and quantities are text, unit values and row values
have four decimals, row tax and totals two. Unset keys are left out rather than null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property, partial
from zoneinfo import ZoneInfo

from sandbox.brightpearl_version import Version
from sandbox.people import chance
from sandbox.world import Body

ZONE = ZoneInfo("Europe/London")
ORDER_TYPES = {"SO": 1, "PO": 2, "SC": 3, "PC": 4}
STATUSES = {
    1: ("Draft / Quote", "SO"),
    2: ("New web order", "SO"),
    3: ("New phone order", "SO"),
    4: ("Invoiced", "SO"),
    6: ("Pending PO", "PO"),
    7: ("Placed with supplier", "PO"),
    8: ("Part received", "PO"),
    9: ("Received", "PO"),
    10: ("Sales credit", "SC"),
    12: ("Purchase credit", "PC"),
    20: ("Ready to ship", "SO"),
    21: ("Payment received", "SO"),
    22: ("Part shipped", "SO"),
    23: ("Shipped", "SO"),
    24: ("Delivered", "SO"),
    25: ("Written off", "SO"),
    26: ("Being packed", "SO"),
    27: ("Cancelled", "SO"),
    28: ("Unavailable", "SO"),
}
"""Name and order type of each status; below 20 are a new account's own, the rest were added."""


@dataclass(frozen=True, slots=True)
class Line:
    """One order row. Money is in ten-thousandths; `net` and `tax` are of the whole row."""

    product_id: int
    name: str
    sku: str
    quantity: int
    price: int
    net: int
    tax: int
    rate: int
    cost: int = 0
    nominal: str = "4000"
    stocked: bool = True
    bundle: str = ""
    """`parent`, `child` (of the nearest parent above it) or nothing."""


@dataclass(frozen=True)
class State:
    """What changes about an order during its life."""

    status: int
    payment: str = "UNPAID"
    fulfilled: str = "N"
    """N none, P part or A all; the order type is put in front of it."""
    allocation: str = "ANA"
    shipping: str = "SNS"
    rows: int = 100_000
    """How many of the order's rows are on it yet."""
    invoiced_at: datetime | None = None
    closed_at: datetime | None = None
    custom: Body = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """Everything about an order that stays, before it has an id. Moments are UTC."""

    key: str
    type_code: str
    created: datetime
    placed: datetime
    reference: str
    lines: tuple[Line, ...]
    parties: Body
    currency: str = "GBP"
    rate: str = "1.000000"
    price_mode: str = "EXC"
    delivery_on: datetime | None = None
    warehouse: int = 2
    channel: int = 1
    staff: int = 0
    parent_key: str | None = None
    extra: Body = field(default_factory=dict)
    total: int | None = None
    """In ten-thousandths, where the source has a total but no rows."""


def stamp(moment: datetime) -> str:
    """A moment with the account's offset: `2026-10-25T00:30:00.000+01:00`."""
    return moment.astimezone(ZONE).isoformat(timespec="milliseconds")


def local_midnight(moment: datetime) -> str:
    """The start of a moment's day in the account's zone."""
    return stamp(datetime.combine(moment.astimezone(ZONE).date(), time(), ZONE))


def utc_midnight(moment: datetime) -> str:
    """The start in UTC of a moment's local day, as recorded for dueDate and in searches."""
    return stamp(datetime.combine(moment.astimezone(ZONE).date(), time(), UTC))


def decimals(value: int, places: int) -> str:
    """Ten-thousandths as text with 2 or 4 decimals, rounded half up."""
    scaled = value if places == 4 else rounded(value, 100)
    whole, part = divmod(abs(scaled), 10**places)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{places}d}"


def rounded(value: int, by: int) -> int:
    """A whole number divided and rounded half up."""
    return (2 * value + by) // (2 * by)


def money(currency: str, value: int, places: int = 4) -> Body:
    """A currency code and an amount as text."""
    return {"currencyCode": currency, "value": decimals(value, places)}


def order_row(draft: Draft, line: Line, place: int, parent_row: int) -> Body:
    """One row of `orderRows`."""
    body: Body = {
        "orderRowSequence": str((place + 1) * 10),
        "productId": line.product_id,
        "productName": line.name,
        "productSku": line.sku,
        "quantity": {"magnitude": f"{line.quantity}.0000"},
        "itemCost": money(draft.currency, line.cost),
        "productPrice": money(draft.currency, line.price),
        "discountPercentage": "0.00",
        "rowValue": {
            "taxRate": decimals(line.rate, 4),
            "taxCode": "T20" if line.rate else "T0",
            "taxCalculator": "brightpearl",
            "rowNet": money(draft.currency, line.net),
            "rowTax": money(draft.currency, line.tax, 2),
            "taxClassId": 2 if line.rate else 3,
        },
    }
    if line.name.startswith(("PINK ", "BLUE ", "RED ", "GREEN ", "WHITE ", "BLACK ")):
        body["productOptions"] = {"Colour": line.name.partition(" ")[0].title()}
    body["nominalCode"] = line.nominal
    body["composition"] = {
        "bundleParent": line.bundle == "parent",
        "bundleChild": line.bundle == "child",
        "parentOrderRowId": parent_row if line.bundle == "child" else 0,
    }
    body["clonedFromId"] = 0
    return body


def order_rows(draft: Draft) -> list[tuple[str, Body]]:
    """Row ids and rows. Ids begin anywhere, so some occur in several orders, as documented."""
    first, parent, rows = 1 + chance(draft.key, "rows") % 4000, 0, []
    for place, line in enumerate(draft.lines):
        if line.bundle == "parent":
            parent = first + place
        rows.append((str(first + place), order_row(draft, line, place, parent)))
    return rows


def total_value(draft: Draft, count: int) -> Body:
    """The order's totals; net is the sum of the rows, rounded once."""
    lines = draft.lines[:count]
    net = rounded(sum(line.net for line in lines), 100) if draft.total is None else 0
    tax = sum(rounded(line.tax, 100) for line in lines)
    net = net if draft.total is None else rounded(draft.total, 100)
    body = {"net": decimals(net * 100, 2), "taxAmount": decimals(tax * 100, 2)}
    if draft.extra.get("historicalOrder"):
        return body
    rate = int(draft.rate.replace(".", ""))
    base_net, base_tax = (rounded(value * 1_000_000, rate) for value in (net, tax))
    return body | {
        "baseNet": decimals(base_net * 100, 2),
        "baseTaxAmount": decimals(base_tax * 100, 2),
        "baseTotal": decimals((base_net + base_tax) * 100, 2),
        "total": decimals((net + tax) * 100, 2),
    }


def invoice(draft: Draft, state: State) -> Body:
    """The order's invoice; without a reference until it is invoiced."""
    at = state.invoiced_at or draft.created
    prefix = {"SO": "SI", "SC": "SC", "PO": "PI", "PC": "PC"}[draft.type_code]
    return {
        "invoiceReference": f"{prefix}-{draft.key[-8:].upper()}" if state.invoiced_at else "",
        "taxDate": local_midnight(at),
        "dueDate": utc_midnight(at + timedelta(days=30)),
    }


def stock_codes(draft: Draft, state: State) -> Body:
    """Stock, allocation and shipping codes; an order without stock-tracked rows has its own."""
    if not any(line.stocked for line in draft.lines):
        codes = {"stockStatusCode": "NON", "allocationStatusCode": "ANR"}
        codes["shippingStatusCode"] = "NST"
    else:
        codes = {"stockStatusCode": draft.type_code + state.fulfilled}
        codes["allocationStatusCode"] = state.allocation if draft.type_code == "SO" else "ANR"
        codes["shippingStatusCode"] = state.shipping
    if draft.extra.get("historicalOrder"):
        del codes["allocationStatusCode"]
    return codes


def stamps(draft: Draft, state: State, updated: datetime | None) -> Body:
    """placedOn and createdOn, and updatedOn and closedOn once they are."""
    body = {"placedOn": stamp(draft.placed), "createdOn": stamp(draft.created)}
    if updated:
        body["updatedOn"] = stamp(updated)
    if state.closed_at:
        body["closedOn"] = stamp(state.closed_at)
    return body


def delivery(draft: Draft) -> Body:
    """The delivery block; its date is left out where none was promised."""
    date = {"deliveryDate": local_midnight(draft.delivery_on)} if draft.delivery_on else {}
    return {**date, "shippingMethodId": chance(draft.key, "method") % 3}


def assignment(draft: Draft) -> Body:
    """Who the order is assigned to; 0 is nobody and nothing."""
    ids = {"staffOwnerContactId": draft.staff, "projectId": 0, "channelId": draft.channel}
    return {"current": {**ids, "leadSourceId": 0, "teamId": 0}}


def rates(draft: Draft) -> Body:
    """The currency block; GBP is the account's own."""
    return {
        "accountingCurrencyCode": "GBP",
        "orderCurrencyCode": draft.currency,
        "exchangeRate": draft.rate,
        "fixedExchangeRate": draft.currency != "GBP",
    }


class Composer:
    """Writes the versions of one order when they are asked for; rows are written once."""

    def __init__(self, draft: Draft, order_id: int, parent_id: int) -> None:
        self._draft = draft
        self._order_id = order_id
        self._parent_id = parent_id

    def version(self, number: int, state: State, updated: datetime | None) -> Version:
        """The order in a state; `updated` is None until the first change."""
        return Version(
            order_id=self._order_id,
            created=self._draft.created,
            placed=self._draft.placed,
            updated=updated,
            custom=state.custom,
            write=partial(self._outline, number, state, updated),
            write_rows=partial(self._shown_rows, state.rows),
        )

    @cached_property
    def _rows(self) -> list[tuple[str, Body]]:
        return order_rows(self._draft)

    def _shown_rows(self, count: int) -> Body:
        """The rows that are on the order; in every fifth order the map begins with the last."""
        shown = self._rows[:count]
        return dict(reversed(shown) if chance(self._draft.key, "map") % 5 == 0 else shown)

    def _outline(self, number: int, state: State, updated: datetime | None) -> Body:
        """The body, but for its rows."""
        draft = self._draft
        troubled = chance(draft.key, "tax error") % 150 == 0
        body: Body = {
            "id": self._order_id,
            "parentOrderId": self._parent_id,
            "orderTypeCode": draft.type_code,
            "reference": draft.reference,
            "version": number,
            "state": {"tax": "INVOICED" if state.invoiced_at else "READY"},
            "orderStatus": {"orderStatusId": state.status, "name": STATUSES[state.status][0]},
            "tax": {"errors": ["Tax could not be calculated for one row"] if troubled else []},
            "orderPaymentStatus": state.payment,
            **stock_codes(draft, state),
            **stamps(draft, state, updated),
            "createdById": 4 if draft.channel != 1 else 206,
            "priceListId": 2 if draft.price_mode == "INC" else 1,
            "priceModeCode": draft.price_mode,
            "delivery": delivery(draft),
            "invoices": [invoice(draft, state)],
            "currency": rates(draft),
            "totalValue": total_value(draft, state.rows),
            "assignment": assignment(draft),
            "parties": draft.parties,
            "orderRows": {},
            "warehouseId": draft.warehouse,
            "acknowledged": 0,
            "costPriceListId": 1,
            "historicalOrder": False,
            **draft.extra,
            "orderWeighting": 100,
        }
        if state.invoiced_at:
            body["originalInvoiceDate"] = local_midnight(state.invoiced_at)
        return body
