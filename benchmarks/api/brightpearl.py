"""Order SEARCH and Order GET as Brightpearl documents them, from bytes rendered beforehand.

Belongs here: windows, paging and id sets, changing orders, what the truth is. Does not belong here:
what an order looks like (`orders.py`), HTTP (`server.py`).

Any number of accounts are served, each under a path of its own, all with the same orders. The
clock stands still unless it is moved: its beginning is well after the last order's stamp.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any
from urllib.parse import parse_qs

import msgspec

from benchmarks.api.orders import FIRST_ID, NEVER, Order, Rendered, order

SEARCH = "/order-service/order-search"
ORDER = "/order-service/order/"
ROWS_PER_SEARCH = 500
IDS_PER_GET = 200
DAY = 86_400
OPENED = round(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
"""The server's time at its beginning, in seconds since 1970, unless there are later orders."""
COLUMNS = {
    "orderId": "IDSET",
    "orderTypeId": "INTEGER",
    "contactId": "INTEGER",
    "orderStatusId": "INTEGER",
    "orderStockStatusId": "INTEGER",
    "createdOn": "PERIOD",
    "createdById": "INTEGER",
    "customerRef": "STRING",
    "orderPaymentStatusId": "INTEGER",
    "updatedOn": "PERIOD",
    "parentOrderId": "INTEGER",
    "channelId": "INTEGER",
}
Answer = tuple[int, bytes]


class Brightpearl:
    """The orders of every account, as they are at the server's time."""

    def __init__(self, rendered: Rendered) -> None:
        self._rendered = rendered
        self.restore()

    def restore(self) -> None:
        """Forget every change and put the clock back."""
        last = self._rendered.created[self._rendered.count - 1]
        self.now = max(OPENED, last + DAY)
        self._changed: dict[int, Order] = {}
        self._versions: dict[int, int] = {}
        self._added: list[int] = []
        self._touched = self._new = 0
        self._index()

    def advance(self, seconds: int) -> None:
        """Move the clock."""
        self.now += seconds

    def change(self, count: int, new: int = 0) -> None:
        """Change that many orders, spread over all, and add new ones, a day from now.

        They are stamped a second apart; another day passes then, so that no stamp is recent.
        """
        self.now += DAY
        existing = self._rendered.count + len(self._added)
        step = max(1, existing // count) if count else 1
        chosen = range(step // 2, existing, step)[:count]
        for place, number in enumerate(chosen):
            self._put(number, self._created[number], self.now + place)
        for place, number in enumerate(range(existing, existing + new)):
            self._put(number, self.now + place, None)
            self._added.append(number)
        self._touched, self._new = len(chosen), new
        self.now += max(count, new) + DAY
        self._index()

    def _put(self, number: int, created: int, updated: int | None) -> None:
        version = self._versions[number] = self._versions.get(number, 0) + 1
        self._changed[number] = order(number, version, created=created, updated=updated)

    def least(self) -> dict[str, int]:
        """The least possible requests: for all orders, for what `change` changed, for nothing.

        Two searches, by createdOn and by updatedOn: an order that was never changed has no
        updatedOn.
        """
        orders = len(self._by_created)
        searches = _pages(orders) + _pages(len(self._by_updated))
        changed = _pages(self._new) + _pages(self._touched)
        changed += ceil((self._new + self._touched) / IDS_PER_GET)
        return {
            "full": searches + ceil(orders / IDS_PER_GET),
            "changed": changed,
            "no_change": 2,
        }

    def truth(self) -> dict[str, int]:
        """How many orders and rows there are now, and their sums in pence."""
        rendered = self._rendered
        rows = sum(rendered.rows[: rendered.count])
        net = sum(each for each, _ in rendered.amounts())
        tax = sum(each for _, each in rendered.amounts())
        for number, changed in self._changed.items():
            was = (0, 0, 0)
            if number < rendered.count:
                was = (rendered.rows[number], *rendered.amount(number))
            rows += changed.rows - was[0]
            net += changed.net - was[1]
            tax += changed.tax - was[2]
        return {"orders": len(self._by_created), "order_rows": rows, "net": net, "tax": tax}

    def search(self, query: str) -> Answer:
        """One page of a search by createdOn or by updatedOn, ascending."""
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        column = "updatedOn" if "updatedOn" in asked else "createdOn"
        numbers, stamps = self._sorted(column)
        first_stamp, last_stamp = _window(asked.get(column, "/"))
        begin, end = bisect_left(stamps, first_stamp), bisect_right(stamps, last_stamp)
        size = min(ROWS_PER_SEARCH, int(asked.get("pageSize", ROWS_PER_SEARCH)))
        first = int(asked.get("firstResult", 1))
        page = numbers[begin + first - 1 : min(end, begin + first - 1 + size)]
        meta = {
            "resultsAvailable": end - begin,
            "resultsReturned": len(page),
            "firstResult": first,
            "lastResult": first + len(page) - 1,
            "columns": _COLUMNS,
            "sorting": [],
        }
        rows = b",".join(map(self._found, page))
        head = b'{"response":{"metaData":' + msgspec.json.encode(meta)
        return 200, head + b',"results":[' + rows + b"]}}"

    def get(self, id_set: str) -> Answer:
        """Orders by an id set, such as `1-200` or `1,5,7-9`; unknown ids are left out."""
        spans = list(_spans(id_set))
        if sum(last - first + 1 for first, last in spans) > IDS_PER_GET:
            return 400, b'{"errors":[{"code":"CMNC-008","message":"at most 200 ids"}]}'
        return 200, b'{"response":[' + b",".join(self._bodies(spans)) + b"]}"

    def options(self, id_set: str) -> Answer:
        """The id sets that exist, as a list of addresses."""
        there = [n for first, last in _spans(id_set) for n in range(first, last + 1)]
        names = [f"/order/{FIRST_ID + n}" for n in there if self._exists(n)]
        return 200, msgspec.json.encode({"response": {"getUris": names}})

    def _index(self) -> None:
        rendered, changed = self._rendered, self._changed
        self._by_created = [*range(rendered.count), *self._added]
        self._created = list(rendered.created[: rendered.count])
        self._created += [changed[number].created for number in self._added]
        stamps = dict(enumerate(rendered.updated[: rendered.count]))
        stamps |= {number: each.updated for number, each in changed.items()}
        pairs = sorted((stamp, n) for n, stamp in stamps.items() if stamp != NEVER)
        self._updated = [stamp for stamp, _ in pairs]
        self._by_updated = [number for _, number in pairs]
        self._numbers_changed = sorted(changed)

    def _sorted(self, column: str) -> tuple[list[int], list[int]]:
        if column == "updatedOn":
            return self._by_updated, self._updated
        return self._by_created, self._created

    def _found(self, number: int) -> bytes:
        changed = self._changed.get(number)
        return changed.found if changed else self._rendered.found(number)

    def _exists(self, number: int) -> bool:
        return 0 <= number < self._rendered.count + len(self._added)

    def _bodies(self, spans: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        for first, last in spans:
            if self._is_as_rendered(first, last):
                yield self._rendered.bodies(first, last)
                continue
            for number in filter(self._exists, range(first, last + 1)):
                changed = self._changed.get(number)
                yield changed.body if changed else self._rendered.bodies(number, number)

    def _is_as_rendered(self, first: int, last: int) -> bool:
        place = bisect_left(self._numbers_changed, first)
        none = place == len(self._numbers_changed) or self._numbers_changed[place] > last
        return none and first >= 0 and last < self._rendered.count


_COLUMNS: list[dict[str, Any]] = [
    {
        "name": name,
        "sortable": True,
        "filterable": True,
        "reportDataType": kind,
        "required": False,
    }
    for name, kind in COLUMNS.items()
]


def _pages(results: int) -> int:
    """Pages of a search: one even where nothing is found."""
    return max(1, ceil(results / ROWS_PER_SEARCH))


def _spans(id_set: str) -> Iterator[tuple[int, int]]:
    """The numbers that an id set names, as first and last."""
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", id_set):
        yield int(first) - FIRST_ID, int(last or first) - FIRST_ID


def _window(period: str) -> tuple[float, float]:
    """The seconds since 1970 of a period `FROM/TO`, either of which may be absent."""
    first, _, last = period.partition("/")
    return _stamp(first, float("-inf")), _stamp(last, float("inf"))


def _stamp(moment: str, otherwise: float) -> float:
    # A plus sign that was not escaped arrives as a space.
    return datetime.fromisoformat(moment.replace(" ", "+")).timestamp() if moment else otherwise


def http_date(seconds: int) -> str:
    """A moment as in the header Date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
