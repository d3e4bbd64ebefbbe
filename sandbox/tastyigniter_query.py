"""What a TastyIgniter order list is asked for, as version 4.2.3 understands it.

Belongs here: the parameters of GET /api/orders, their oddities included, and which orders they
choose. Does not belong here: how the reply is worded.

Recorded from a running 4.2.3 unless a line says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams

from sandbox.tastyigniter_story import LONDON, NO_DATE, local
from sandbox.world import Body

DEFAULT_PAGE_LIMIT = 20
EMPTY_PAGE_LIMIT = 15
"""`pageLimit=0` or an empty one falls back on the framework's page size."""

SORTABLE = ("order_id", "created_at", "order_date", "order_time", "order_type")
ID_FILTERS = ("status", "customer", "location")
RANGE = re.compile(r"dateTimeFilter\[(?!startAt|endAt)[^\]]+\]\[(startAt|endAt)\]")


class ServerError(Exception):
    """The real system answers 500 to this request; `code` is the SQL state, if it is one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True)
class Listing:
    """What is asked for. `page` and `page_limit` are at least 1."""

    page: int
    page_limit: int
    sort: tuple[str, bool] | None
    ids: tuple[tuple[str, int], ...]
    slots: tuple[datetime, datetime] | None
    nothing: bool

    def choose(self, items: Iterable[Body]) -> Sequence[Body]:
        """The orders asked for, in order, all pages. Without a sort they come by id (as seen)."""
        if self.nothing:
            return ()
        chosen = [item for item in items if self._wanted(item["attributes"])]
        column, descending = self.sort or ("order_id", False)
        return sorted(chosen, key=_sort_key(column), reverse=descending)

    def cut(self, chosen: Sequence[Body]) -> Sequence[Body]:
        """The page asked for; empty beyond the last."""
        begin = (self.page - 1) * self.page_limit
        return chosen[begin : begin + self.page_limit]

    def _wanted(self, attributes: Body) -> bool:
        if any((attributes[name] or 0) != value for name, value in self.ids):
            return False
        if self.slots is None:
            return True
        text = attributes["order_date_time"]
        return text != NO_DATE and self.slots[0] <= local(text) <= self.slots[1]


def _sort_key(column: str) -> Callable[[Body], tuple[Any, int]]:
    def key(item: Body) -> tuple[Any, int]:
        order_id = int(item["id"])
        return (order_id if column == "order_id" else item["attributes"][column], order_id)

    return key


def listing(query: QueryParams, now: datetime) -> Listing:
    """Read the parameters at a present moment. Raises ServerError as the real system does.

    Unknown parameters and sorts are ignored.
    """
    return Listing(
        page=_page(query.get("page")),
        page_limit=_page_limit(query.get("pageLimit")),
        sort=_sort(query.get("sort", "")),
        ids=_ids(query),
        slots=_slots(query, now.astimezone(LONDON).replace(tzinfo=None)),
        nothing="dateTimeFilter[startAt]" in query or "dateTimeFilter[endAt]" in query,
    )


def _page(text: str | None) -> int:
    try:
        return max(1, int(text or 1))
    except ValueError as error:
        raise ServerError("Unsupported operand types: string * int") from error


def _page_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE_LIMIT
    if not text.isascii() or not (text or "0").isdigit():
        message = f"SQLSTATE[42000]: Syntax error near '{text}' (SQL: select * from `orders` limit)"
        raise ServerError(message, "42000")
    return int(text or 0) or EMPTY_PAGE_LIMIT


def _sort(text: str) -> tuple[str, bool] | None:
    """Column and whether it descends; a direction left out means descending."""
    column, _, direction = text.strip().partition(" ")
    direction = direction.strip().lower() or "desc"
    if column == "total":
        message = "SQLSTATE[42S22]: Column not found: 1054 Unknown column 'total' in 'order clause'"
        raise ServerError(message, "42S22")
    if column not in SORTABLE or direction not in ("asc", "desc"):
        return None
    return column, direction == "desc"


def _ids(query: QueryParams) -> tuple[tuple[str, int], ...]:
    """Filters by id. Text counts as 0, a list as its first; `0` itself filters nothing."""
    found = []
    for name in ID_FILTERS:
        text = next((value for key, value in query.multi_items() if key in (name, f"{name}[]")), "")
        if text not in ("", "0"):
            leading = re.match(r"\d+", text)
            found.append((f"{name}_id", int(leading.group()) if leading else 0))
    return tuple(found)


def _slots(query: QueryParams, now: datetime) -> tuple[datetime, datetime] | None:
    """First and last slot, naive site-local, both included; a bound left out is the present."""
    bounds: dict[str, datetime] = {}
    for key, value in query.multi_items():
        if bound := RANGE.fullmatch(key):
            bounds[bound.group(1)] = _bound(value)
    if not bounds:
        return None
    return bounds.get("startAt", now), bounds.get("endAt", now)


def _bound(text: str) -> datetime:
    """A bound as it is written: a `Z` or an offset in it is ignored."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise ServerError(f"Could not parse '{text}'") from error
