"""Brightpearl's order search.

Belongs here: its columns, filters, sorting and pages. Does not belong here: the orders themselves.

Columns, page metadata and CMNC-018's wording are recorded; so are status ids 13, 1 and 5 of the
stock, shipping and payment columns, the other numbers in those three are ours. Not known and
chosen here: a period holds its start and not its end, a date is a local midnight, null sorts
first, a page larger than 500 is cut to 500, and the wording for an unknown filter or column.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sandbox.brightpearl_body import ORDER_TYPES, STATUSES, ZONE, stamp, utc_midnight
from sandbox.brightpearl_ids import IdSetError, read_id_set
from sandbox.brightpearl_version import Version
from sandbox.world import Body

MOST_RESULTS = 500
"""Results on a page, unless fewer are asked for."""

OPTIONS = frozenset({"columns", "sort", "pageSize", "firstResult", "countOnly"})
TYPE_NAMES = {
    1: "SALES_ORDER",
    2: "PURCHASE_ORDER",
    3: "SALES_CREDIT",
    4: "PURCHASE_CREDIT",
}
STOCK_IDS = {
    code: number
    for number, code in enumerate((kind + done for kind in ORDER_TYPES for done in "NPA"), start=1)
} | {"NON": 13}
SHIPPING = {
    "NST": (1, "No stock tracked products on order"),
    "SNS": (2, "Stock not shipped"),
    "SPS": (3, "Stock part shipped"),
    "ASS": (4, "All stock shipped"),
}
PAYMENT_IDS = {"UNPAID": 1, "PARTIALLY_PAID": 2, "PAID": 3, "AUTHORIZED": 4, "NOT_APPLICABLE": 5}
NAMES: dict[str, dict[int, str]] = {
    "orderTypeNames": TYPE_NAMES,
    "orderStatusNames": {number: name for number, (name, _) in STATUSES.items()},
    "orderStockStatusNames": {
        number: "Unset" if code == "NON" else code for code, number in STOCK_IDS.items()
    },
    "orderPaymentStatusNames": {number: code for code, number in PAYMENT_IDS.items()},
    "orderShippingStatusNames": dict(SHIPPING.values()),
}

Found = tuple[int, Version]
Test = Callable[[Found], bool]


class SearchError(ValueError):
    """A search that the API refuses with status 500 and CMNC-018."""


@dataclass(frozen=True)
class Column:
    """A search column and how it is read; moments are read as datetimes."""

    name: str
    kind: str
    read: Callable[[Found], Any]
    names: str = ""

    def described(self) -> Body:
        """The column as metaData describes it."""
        return {
            "name": self.name,
            "sortable": True,
            "filterable": True,
            "reportDataType": self.kind,
            "referenceData": [self.names] if self.names else [],
            "isFreeTextSearchable": False,
            "required": False,
        }


def delivery_date(found: Found) -> datetime | None:
    """deliveryDate, None where the order has none."""
    text = found[1].outline["delivery"].get("deliveryDate")
    return datetime.fromisoformat(text) if text else None


def tax_date(found: Found) -> datetime:
    """taxDate: the day's midnight in UTC here, although the body has the local one (recorded)."""
    return datetime.fromisoformat(
        utc_midnight(datetime.fromisoformat(found[1].outline["invoices"][0]["taxDate"]))
    )


def contact(found: Found) -> int:
    """The customer's or supplier's contact id."""
    parties = found[1].outline["parties"]
    number: int = (parties.get("customer") or parties["supplier"])["contactId"]
    return number


COLUMNS = (
    Column("orderId", "IDSET", lambda found: found[0]),
    Column(
        "orderTypeId",
        "IDSET",
        lambda found: ORDER_TYPES[found[1].outline["orderTypeCode"]],
        "orderTypeNames",
    ),
    Column("contactId", "INTEGER", contact),
    Column(
        "orderStatusId",
        "INTEGER",
        lambda found: found[1].outline["orderStatus"]["orderStatusId"],
        "orderStatusNames",
    ),
    Column(
        "orderStockStatusId",
        "INTEGER",
        lambda found: STOCK_IDS[found[1].outline["stockStatusCode"]],
        "orderStockStatusNames",
    ),
    Column("createdOn", "PERIOD", lambda found: found[1].created),
    Column("createdById", "INTEGER", lambda found: found[1].outline["createdById"]),
    Column("customerRef", "STRING", lambda found: found[1].head(found[0])["reference"]),
    Column(
        "orderPaymentStatusId",
        "INTEGER",
        lambda found: PAYMENT_IDS[found[1].outline["orderPaymentStatus"]],
        "orderPaymentStatusNames",
    ),
    Column("updatedOn", "PERIOD", lambda found: found[1].updated),
    Column("parentOrderId", "IDSET", lambda found: found[1].head(found[0])["parentOrderId"]),
    Column(
        "orderShippingStatusId",
        "INTEGER",
        lambda found: SHIPPING[found[1].outline["shippingStatusCode"]][0],
        "orderShippingStatusNames",
    ),
    Column("externalRef", "STRING", lambda _: None),
    Column("installedIntegrationInstanceId", "INTEGER", lambda _: None),
    Column("warehouseId", "IDSET", lambda found: found[1].outline["warehouseId"]),
    Column(
        "staffOwnerContactId",
        "INTEGER",
        lambda found: found[1].outline["assignment"]["current"]["staffOwnerContactId"],
    ),
    Column("taxDate", "PERIOD", tax_date),
    Column("departmentId", "INTEGER", lambda _: 0),
    Column("deliveryDate", "PERIOD", delivery_date),
)
"""The 19 recorded columns, in the recorded order."""

BY_NAME = {column.name: column for column in COLUMNS}
FILTERS = BY_NAME | {"placedOn": Column("placedOn", "PERIOD", lambda found: found[1].placed)}
"""What can be filtered on; a public client filters on placedOn, which is no column."""


@dataclass(frozen=True)
class Question:
    """A search as asked, with its options read."""

    filters: tuple[tuple[str, str], ...]
    sorts: tuple[tuple[Column, bool], ...]
    columns: tuple[Column, ...]
    page_size: int
    first: int
    count_only: bool

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Question:
        """Read a query string's parameters. Raises SearchError for any that cannot be."""
        filters = {name: text for name, text in asked.items() if name not in OPTIONS}
        for name, text in filters.items():
            if name not in FILTERS:
                raise SearchError(f"The filter {name}={text} is not a column of this search")
        wanted = asked["columns"].split(",") if asked.get("columns") else list(BY_NAME)
        return cls(
            tuple(filters.items()),
            tuple(read_sort(part) for part in asked.get("sort", "orderId.ASC").split(",")),
            tuple(named(name, "columns") for name in wanted),
            min(read_number(asked, "pageSize", MOST_RESULTS), MOST_RESULTS),
            read_number(asked, "firstResult", 1),
            asked.get("countOnly", "").lower() == "true",
        )


def named(name: str, option: str) -> Column:
    """A column by name. Raises SearchError if there is none."""
    if name not in BY_NAME:
        raise SearchError(f"The option {option} names {name}, which is not a column")
    return BY_NAME[name]


def read_sort(text: str) -> tuple[Column, bool]:
    """`updatedOn.DESC` as a column and whether it descends. Raises SearchError."""
    name, _, direction = text.partition(".")
    if direction not in ("", "ASC", "DESC"):
        raise SearchError(f"The option sort={text} has a direction that is not ASC or DESC")
    return named(name, "sort"), direction == "DESC"


def read_number(asked: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from 1. Raises SearchError."""
    text = asked.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SearchError(f"The filter {name}={text} cannot be parsed as: INTEGER")
    return int(text)


def read_moment(text: str) -> datetime:
    """A date (local midnight) or a date-time. Raises ValueError."""
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), ZONE)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)


def read_period(text: str) -> tuple[datetime, datetime]:
    """`a/b`, `a/` or one day or second, as start and end in UTC. Raises ValueError."""
    start, slash, end = text.partition("/")
    begins = read_moment(start)
    if end:
        ends = read_moment(end)
    elif slash:
        ends = datetime.max.replace(tzinfo=UTC)
    else:
        ends = begins + (timedelta(days=1) if len(start) == 10 else timedelta(seconds=1))
    return begins.astimezone(UTC), ends.astimezone(UTC)


def test(column: Column, text: str) -> Test:
    """A filter as a test of one order. Raises SearchError in the recorded words."""
    read = column.read
    try:
        if column.kind == "PERIOD":
            start, end = read_period(text)
            return lambda found: (at := read(found)) is not None and start <= at < end
        if column.kind == "IDSET":
            ids = read_id_set(text)
            return lambda found: read(found) in ids
        if column.kind == "INTEGER":
            number = int(text)
            return lambda found: read(found) == number
    except (ValueError, OverflowError, IdSetError) as error:
        message = f"The filter {column.name}={text} cannot be parsed as: {column.kind}"
        raise SearchError(message) from error
    return lambda found: read(found) == text


@dataclass
class Index:
    """The orders that exist at a moment, sorted by id, by creation and by change."""

    by_id: list[Found]
    results: dict[object, list[Found]] = field(default_factory=dict)
    """Found lists by question, so that the pages of a search are found once."""

    def __post_init__(self) -> None:
        self.by_id.sort(key=lambda found: found[0])
        changed = (found for found in self.by_id if found[1].updated)
        self.sorted_by = {
            "createdOn": sorted(self.by_id, key=BY_NAME["createdOn"].read),
            "updatedOn": sorted(changed, key=BY_NAME["updatedOn"].read),
        }

    def find(self, question: Question) -> list[Found]:
        """Every order that passes all filters, sorted. Raises SearchError."""
        key = (question.filters, question.sorts)
        if key not in self.results:
            if len(self.results) >= 16:
                self.results.clear()
            self.results[key] = self._find(question)
        return self.results[key]

    def _find(self, question: Question) -> list[Found]:
        tests = [test(FILTERS[name], text) for name, text in question.filters]
        candidates = self._candidates(dict(question.filters))
        found = [item for item in candidates if all(passes(item) for passes in tests)]
        found.sort(key=lambda item: item[0])
        for column, descending in reversed(question.sorts):
            if column.name != "orderId" or descending:
                found.sort(key=lambda item, read=column.read: sortable(read(item)),  # type: ignore[misc]
                           reverse=descending)  # fmt: skip
        return found

    def _candidates(self, filters: Mapping[str, str]) -> list[Found]:
        """A run of one sorted list where a filter allows it, otherwise all orders."""
        for name, orders in self.sorted_by.items():
            if name in filters:
                start, end = read_period(filters[name])
                read = BY_NAME[name].read
                return orders[
                    bisect_left(orders, start, key=read) : bisect_left(orders, end, key=read)
                ]
        return self.by_id


def sortable(value: Any) -> tuple[bool, Any]:
    """A key that puts null first."""
    return value is not None, 0 if value is None else value


def search(index: Index, asked: Mapping[str, str]) -> Body:
    """The reply's body. Raises SearchError."""
    question = Question.read(asked)
    found = index.find(question)
    first = question.first
    page = [] if question.count_only else found[first - 1 : first - 1 + question.page_size]
    last = first + len(page) - 1
    columns = question.columns
    meta: Body = {
        "morePagesAvailable": bool(page) and last < len(found),
        "resultsAvailable": len(found),
        "resultsReturned": len(page),
    }
    if page:
        meta |= {"firstResult": first, "lastResult": last}
    meta["columns"] = [column.described() for column in columns]
    meta["sorting"] = [
        {"filterable": column.described(), "direction": "DESC" if descending else "ASC"}
        for column, descending in question.sorts
    ]
    rows = [[column.read(item) for column in columns] for item in page]
    results = [
        [stamp(cell) if isinstance(cell, datetime) else cell for cell in row] for row in rows
    ]
    return {
        "response": {"results": results, "metaData": meta},
        "reference": reference(columns, rows),
    }


def reference(columns: tuple[Column, ...], rows: list[list[Any]]) -> Body:
    """The names of the ids that occur on the page."""
    names: Body = {}
    for place, column in enumerate(columns):
        if column.names and rows:
            present = sorted({row[place] for row in rows})
            names[column.names] = {str(number): NAMES[column.names][number] for number in present}
    return names
