"""Brightpearl: reading what Order SEARCH answers.

Belongs here: the rows of a page, and whether it is the page that was asked for. Does not belong
here: what to search for (`brightpearl.py`), and how an order is read (`brightpearl.sql`).
Sources of the facts: Brightpearl's Order SEARCH document, and recorded replies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from assets.sources.brightpearl_found import NO_STAMP, Found, stamp_of
from resources.api import Reply
from resources.arrays import micros
from resources.errors import ApiError

MOST_RESULTS = 10**9
"""An announced number beyond this is taken for a fault."""

_TYPES = {"orderId": int, "createdOn": datetime | None, "updatedOn": datetime | None}
_LIST = re.compile(rb"\s*\[\s*(?P<end>]?)")
_FINER = re.compile(rb"\.\d{7}")
"""A stamp finer than microseconds, which would be rounded here and is cut elsewhere."""
_ODD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, OverflowError)


class Column(msgspec.Struct):
    """A column of a search."""

    name: str


class Meta(msgspec.Struct):
    """What a page of a search says of itself and of the whole list."""

    available: int = msgspec.field(name="resultsAvailable")
    first: int | None = msgspec.field(name="firstResult", default=None)
    columns: list[Column] = msgspec.field(default_factory=list)


class Rows(msgspec.Struct):
    """A page of a search."""

    results: msgspec.Raw
    meta: Meta = msgspec.field(name="metaData")


class Search(msgspec.Struct):
    """A search's reply, as far as its paging goes."""

    response: Rows


def read_page(reply: Reply, column: str) -> tuple[Found, int]:
    """As `read_search`; a page in the documented types is read in a few calls for all its rows."""
    try:
        page = reply.read(Search).response
        found = _found_in(page)
    except _ODD:
        found = None
    if found is None or _FINER.search(page.results) or not 0 <= page.meta.available <= MOST_RESULTS:
        return read_search(reply.json(), column, reply.url)
    return found, page.meta.available


def _found_in(page: Rows) -> Found:
    """The rows of a page. Raises what msgspec does, KeyError or OverflowError for odd ones."""
    names = tuple(column.name for column in page.meta.columns)
    places = {name: place for place, name in enumerate(names)}
    order_id, created, updated = (places[name] for name in _TYPES)
    rows = _rows_of(names).decode(page.results)
    stamps = [row[updated] or row[created] for row in rows]
    return Found(
        [row[order_id] for row in rows],
        [NO_STAMP if stamp is None else micros(stamp) for stamp in stamps],
    )


@lru_cache(maxsize=8)
def _rows_of(names: tuple[str, ...]) -> msgspec.json.Decoder[list[tuple[Any, ...]]]:
    """What reads rows of these columns, each a tuple."""
    types = tuple(_TYPES.get(name, Any) for name in names)
    return msgspec.json.Decoder(list[tuple[types]])  # type: ignore[valid-type]


def read_search(reply: Any, column: str, url: str) -> tuple[Found, int]:
    """Search rows, read by the names of their columns, never by position; the number announced.

    The stamp is updatedOn, or createdOn where an order was never changed. Where a reply has no such
    column (those of 2012 have seven), or a stamp is none, the order counts as changed.
    """
    try:
        response = reply["response"]
        places = {each["name"]: place for place, each in enumerate(response["metaData"]["columns"])}
        rows, order_id = response["results"], places["orderId"]
        available = int(response["metaData"]["resultsAvailable"])
        has_stamps = {"createdOn", "updatedOn"} <= places.keys()
        stamps = (_stamp(row, places) if has_stamps else NO_STAMP for row in rows)
        found = Found((int(row[order_id]) for row in rows), stamps)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as fault:
        raise ApiError(
            f"the search by {column} has no readable results ({fault!r})",
            where=url,
            remedy="compare the reply with Brightpearl's Order SEARCH document",
        ) from fault
    if available < 0 or available > MOST_RESULTS:
        raise ApiError(
            f"the search by {column} announces {available} results",
            where=url,
            remedy="ask again; if it persists, narrow started_on",
        )
    return found, available


def _read_loosely(reply: Reply) -> Rows | None:
    """A page whose numbers may be texts; None where it has another form altogether."""
    try:
        return reply.read(Search).response
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.json.decode(reply.body, type=Search, strict=False).response
    except msgspec.ValidationError:
        return None


def flaw_in(reply: Reply, first: int) -> str | None:
    """Why a page of a search is not the one that was asked for, though it reads well."""
    found = _read_loosely(reply)
    begins = None if found is None else _LIST.match(found.results)
    if found is None or begins is None:
        return None  # read_search says what is wrong with it
    has_rows = not begins["end"]
    if has_rows and found.meta.first not in (None, first):
        return f"it begins with result {found.meta.first}, not {first}"
    if not has_rows and first <= found.meta.available <= MOST_RESULTS:
        return f"it holds no result though {found.meta.available} are announced"
    return None


def _stamp(row: Sequence[Any], places: Mapping[str, int]) -> int:
    return stamp_of(row[places["updatedOn"]] or row[places["createdOn"]])
