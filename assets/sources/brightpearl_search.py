"""Brightpearl: reading what Order SEARCH answers.

Belongs here: the rows of a page, and whether it is the page that was asked for. Does not belong
here: what to search for (`brightpearl.py`), and how an order is read (`brightpearl.sql`).
Sources of the facts: Brightpearl's Order SEARCH document, and recorded replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from assets.sources.brightpearl_found import NO_STAMP, Found, stamp_of
from resources.api import Reply
from resources.errors import ApiError

MOST_RESULTS = 10**9
"""An announced number beyond this is taken for a fault."""


class Meta(msgspec.Struct):
    """What a page of a search says of itself and of the whole list."""

    available: int = msgspec.field(name="resultsAvailable")
    first: int | None = msgspec.field(name="firstResult", default=None)


class Rows(msgspec.Struct):
    """A page of a search."""

    results: list[msgspec.Raw]
    meta: Meta = msgspec.field(name="metaData")


class Search(msgspec.Struct):
    """A search's reply, as far as its paging goes."""

    response: Rows


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


def flaw_in(reply: Reply, first: int) -> str | None:
    """Why a page of a search is not the one that was asked for, though it reads well."""
    try:
        found = msgspec.json.decode(reply.body, type=Search, strict=False).response
    except msgspec.ValidationError:
        return None  # read_search says what is wrong with it
    if found.results and found.meta.first not in (None, first):
        return f"it begins with result {found.meta.first}, not {first}"
    if not found.results and first <= found.meta.available <= MOST_RESULTS:
        return f"it holds no result though {found.meta.available} are announced"
    return None


def _stamp(row: Sequence[Any], places: Mapping[str, int]) -> int:
    return stamp_of(row[places["updatedOn"]] or row[places["createdOn"]])
