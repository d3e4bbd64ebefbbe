"""Brightpearl orders made up for measuring, the same ones every time.

Belongs here: what an order of a given number and version looks like, and a folder of a great many,
rendered once. Does not belong here: serving them (`brightpearl.py`).
The shape is that of Brightpearl's Order GET and Order SEARCH documents; an order is about 4 kB and
has 3.5 rows. Every fourth order was never changed: it has no `updatedOn` before its first change.
"""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

FIRST_ID = 100_001
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
"""When the first order was created; every SECONDS_APART another one was."""
SECONDS_APART = 10
NEVER = -1
"""Stamp of what was never changed."""
LAYOUT = 2
"""To be raised with every change of what is rendered, so that old folders are made anew."""
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """One version of one order. Amounts are pence, stamps seconds since 1970."""

    body: bytes
    """As in Order GET."""
    found: bytes
    """Its row in Order SEARCH."""
    created: int
    updated: int
    """NEVER where the order was never changed."""
    rows: int
    net: int
    tax: int


def order(
    number: int, version: int = 0, *, created: int | None = None, updated: int | None = None
) -> Order:
    """The order of a number from 0, as it is rendered if no stamp is given."""
    dice = Random(number * 1_000 + version)
    if created is None:
        created = round(BEGAN.timestamp()) + number * SECONDS_APART
        if updated is None and number % 4 != 3:
            updated = created + 60 + number * 7_919 % 5_000
    updated = NEVER if updated is None else updated
    is_sale = dice.random() < 0.8
    contact = 900 + dice.randrange(9_000)
    rows = [_row(dice, place) for place in range(dice.randint(1, 6))]
    net, tax = sum(each[1] for each in rows), sum(each[2] for each in rows)
    order_id, status = FIRST_ID + number, dice.randrange(1, 9)
    stamps = {"createdOn": text(created)}
    if updated != NEVER:
        stamps["updatedOn"] = text(updated)
    body: Body = {
        "id": order_id,
        "parentOrderId": 0,
        "orderTypeCode": "SO" if is_sale else "PO",
        "reference": f"order#{number}",
        "version": 1 + version,
        "orderStatus": {"orderStatusId": status, "name": "Draft / Quote"},
        "orderPaymentStatus": dice.choice(("PAID", "UNPAID", "PARTIALLY_PAID")),
        "stockStatusCode": "SON" if is_sale else "PON",
        **_SAME_FOR_ALL,
        "placedOn": text(created),
        **stamps,
        "delivery": {"deliveryDate": text(created + 777_600), "shippingMethodId": 1},
        "invoices": [_invoice(number, created)],
        "totalValue": _totals(net, tax),
        "parties": {
            "customer" if is_sale else "supplier": _party(dice, contact),
            "delivery": _party(dice),
            "billing": _party(dice, contact),
        },
        "orderRows": {str(order_id * 6 + place): row for place, (row, _, _) in enumerate(rows)},
        "customFields": {"PCF_CHANNEL": {"id": dice.randrange(1, 9), "value": "Web shop"}},
    }
    found: list[Any] = [order_id, 1 if is_sale else 2, contact, status, 1, text(created), 200]
    found += [f"order#{number}", 2, stamps.get("updatedOn"), 0, 2]
    rendered = msgspec.json.encode(body), msgspec.json.encode(found)
    return Order(*rendered, created, updated, len(rows), net, tax)


_SAME_FOR_ALL: Body = {
    "state": {"tax": "ready"},
    "allocationStatusCode": "ANA",
    "shippingStatusCode": "SNS",
    "createdById": 200,
    "priceListId": 1,
    "costPriceListId": 1,
    "priceModeCode": "EXC",
    "currency": {
        "accountingCurrencyCode": "GBP",
        "orderCurrencyCode": "GBP",
        "exchangeRate": "1.000000",
        "fixedExchangeRate": False,
    },
    "assignment": {
        "current": {
            "staffOwnerContactId": 200,
            "projectId": 1,
            "channelId": 2,
            "leadSourceId": 4,
            "teamId": 2,
        }
    },
    "warehouseId": 2,
    "isDropship": False,
}


def _invoice(number: int, created: int) -> Body:
    return {
        "invoiceReference": f"INV{number}",
        "taxDate": text(created),
        "dueDate": text(created + 2_592_000),
    }


def _totals(net: int, tax: int) -> Body:
    return {
        "net": pounds(net),
        "taxAmount": pounds(tax),
        "baseNet": pounds(net),
        "baseTaxAmount": pounds(tax),
        "baseTotal": pounds(net + tax),
        "total": pounds(net + tax),
    }


def text(stamp: int) -> str:
    """A moment as Brightpearl writes it: with milliseconds and an offset."""
    return f"{(_EPOCH + timedelta(seconds=stamp)).isoformat()[:19]}.000+00:00"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pounds(pence: int) -> str:
    """An amount with two decimals."""
    return f"{pence // 100}.{pence % 100:02}"


def _row(dice: Random, place: int) -> tuple[Body, int, int]:
    """An order row with its net amount and tax."""
    net = dice.randrange(100, 99_999)
    tax = net // 5
    product = dice.randrange(5_000)
    row: Body = {
        "orderRowSequence": str(place * 10),
        "productId": 1_000 + product,
        "productName": f"Product {product}",
        "productSku": f"SKU{product:05}",
        "quantity": {"magnitude": f"{dice.randrange(1, 9)}.00"},
        "itemCost": {"currencyCode": "GBP", "value": pounds(dice.randrange(9_999)) + "00"},
        "rowValue": {
            "taxRate": "20.00",
            "taxCode": "T20",
            "taxCalculator": "brightpearl",
            "rowNet": {"currencyCode": "GBP", "value": pounds(net) + "00"},
            "rowTax": {"currencyCode": "GBP", "value": pounds(tax)},
        },
        "nominalCode": "4000",
        "composition": {"bundleParent": False, "bundleChild": False, "parentOrderRowId": 0},
    }
    if dice.random() < 0.3:
        row["productOptions"] = {"Size": dice.choice("SML")}
    return row, net, tax


def _party(dice: Random, contact: int | None = None) -> Body:
    person = dice.randrange(99_999)
    return {
        **({"contactId": contact} if contact else {}),
        "addressFullName": f"Person {person}",
        "companyName": f"Company {dice.randrange(9_999)} Ltd",
        "addressLine1": f"{dice.randrange(1, 200)} Main Road",
        "addressLine2": "Out Of Town",
        "addressLine3": "Bristol",
        "addressLine4": "Avon",
        "postalCode": f"BS{dice.randrange(1, 99)} {dice.randrange(9)}AG",
        "country": "United Kingdom",
        "countryIsoCode": "GB",
        "countryIsoCode3": "GBR",
        "telephone": f"01234 {dice.randrange(999_999):06}",
        "mobileTelephone": "",
        "email": f"p{person}@example.com",
    }


NUMBERS = {"body": "Q", "found": "Q", "created": "q", "updated": "q", "rows": "Q", "pence": "q"}
"""Columns of a folder: where texts end, stamps, numbers of rows, and net and tax by turns."""


def make(folder: Path, count: int) -> Path:
    """Render that many orders into a folder, unless it has them; about 7,000 a second."""
    done = folder / "done.json"
    if done.exists():
        made = json.loads(done.read_text(encoding="utf-8"))
        if made["layout"] == LAYOUT and made["orders"] >= count:
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: array(kind) for name, kind in NUMBERS.items()}
    texts = folder / "body.new", folder / "found.new"
    with texts[0].open("wb") as bodies, texts[1].open("wb") as rows:
        for each in map(order, range(count)):
            bodies.write(each.body + b",")
            rows.write(each.found + b",")
            columns["body"].append(bodies.tell())
            columns["found"].append(rows.tell())
            columns["created"].append(each.created)
            columns["updated"].append(each.updated)
            columns["rows"].append(each.rows)
            columns["pence"].extend((each.net, each.tax))
    done.unlink(missing_ok=True)
    # A server that has the files of before mapped into memory keeps them.
    for text_file in texts:
        text_file.replace(text_file.with_suffix(""))
    for name, column in columns.items():
        (folder / f"{name}.column").write_bytes(column.tobytes())
    done.write_text(json.dumps({"layout": LAYOUT, "orders": count}), encoding="utf-8")
    return folder


class Rendered:
    """The first so many orders of a folder, mapped into memory."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self._bodies, self._found = _mapped(folder / "body"), _mapped(folder / "found")
        columns = {name: _column(folder, name, kind) for name, kind in NUMBERS.items()}
        self._body_ends, self._found_ends = columns["body"], columns["found"]
        self.created, self.updated = columns["created"], columns["updated"]
        self.rows, self._pence = columns["rows"], columns["pence"]

    def bodies(self, first: int, last: int) -> bytes:
        """Orders from number to number, separated by commas."""
        return self._bodies[self._begin(self._body_ends, first) : self._body_ends[last] - 1]

    def found(self, number: int) -> bytes:
        """The row of one order in a search."""
        return self._found[self._begin(self._found_ends, number) : self._found_ends[number] - 1]

    def amounts(self) -> Iterator[tuple[int, int]]:
        """Net and tax of each order, in pence."""
        pairs = iter(self._pence[: 2 * self.count])
        return zip(pairs, pairs, strict=True)

    def amount(self, number: int) -> tuple[int, int]:
        """Net and tax of one order, in pence."""
        return self._pence[2 * number], self._pence[2 * number + 1]

    @staticmethod
    def _begin(ends: array[int], number: int) -> int:
        return ends[number - 1] if number else 0


def _mapped(file: Path) -> mmap.mmap:
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)


def _column(folder: Path, name: str, kind: str) -> array[int]:
    column: array[int] = array(kind)
    column.frombytes((folder / f"{name}.column").read_bytes())
    return column
