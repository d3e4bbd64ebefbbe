"""Brightpearl: reading what Order SEARCH answers.

Belongs here: the rows of a page, and whether it is the page that was asked for. Does not belong
here: what to search for (`brightpearl.py`), and how an order is read (`brightpearl.sql`).
Sources of the facts: Brightpearl's Order SEARCH document, and recorded replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from resources.api import Reply
from resources.errors import ApiError


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


@dataclass(frozen=True)
class Found:
    """One row of a search: the order's id and the moment that counts as its last change."""

    order_id: int
    stamp: datetime | None


def read_search(reply: Any, column: str, url: str) -> tuple[list[Found], int]:
    """Search rows, read by the names of their columns, never by position.

    The stamp is updatedOn, or createdOn where an order was never changed. Where a reply has no such
    column (those of 2012 have seven), or a stamp is none, the order counts as changed.
    """
    try:
        response = reply["response"]
        places = {each["name"]: place for place, each in enumerate(response["metaData"]["columns"])}
        rows, order_id = response["results"], places["orderId"]
        available = int(response["metaData"]["resultsAvailable"])
        found = [Found(int(row[order_id]), _stamp(row, places)) for row in rows]
    except (KeyError, TypeError, IndexError, ValueError) as fault:
        raise ApiError(
            f"the search by {column} has no readable results ({fault!r})",
            where=url,
            remedy="compare the reply with Brightpearl's Order SEARCH document",
        ) from fault
    if available < 0 or available > 10**9:
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
    if not found.results and found.meta.available >= first:
        return f"it holds no result though {found.meta.available} are announced"
    return None


def _stamp(row: Sequence[Any], places: Mapping[str, int]) -> datetime | None:
    if not {"createdOn", "updatedOn"} <= places.keys():
        return None
    return moment_or_none(row[places["updatedOn"]] or row[places["createdOn"]])


def moment_or_none(stamp: Any) -> datetime | None:
    """A stamp as UTC; None where it is no moment, so that the order is asked for again."""
    try:
        moment = datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
