"""eFiling: the order list, page by page.

Belongs here: paging, and finding the list in a reply. Does not belong here: which orders to ask for
(`efiling.py`), and how an order is read (`efiling.sql`).
Sources of the facts: eFiling's JSON API documents, introduction (errors), Orders, Services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from resources.api import Api, Reply
from resources.errors import ApiError

ORDERS = "/orders"
PAGE = 100
"""Orders a page, as on the vendor's other resources; the document does not say."""
SMALLER_PAGES = frozenset({10, 20, 25, 50})
"""Sizes that a full page might have after all: a list of just so many is asked for more."""


class Envelope(msgspec.Struct):
    """How the vendor's other resources wrap their lists."""

    response: msgspec.Raw
    pagination: Any = None


class Unreadable(ApiError):
    """A reply that is not a list."""


class Named(msgspec.Struct):
    """The one field of an order that asking needs."""

    id: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """The place of a page in its list, from 1."""

    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One order of a list, as the bytes that arrived."""

    order_id: str | None
    body: bytes
    fetched_at: datetime


def listing(api: Api, filters: Mapping[str, str]) -> Iterator[Listed]:
    """The orders that pass the filters, all pages.

    Nothing tells the number of pages where a list is a bare array. The last one is empty, repeats
    the one before, is shorter than it, or has a number of orders that no full page would have. One
    that is empty or repeats is asked for once more: it could be a mistake, which nothing else would
    show. A mistake made twice is found by the next listing of all orders. A page that must follow
    is asked for while the one before it is worked on.
    """
    number = 1
    before: list[msgspec.Raw] = []
    asked = _begin(api, filters, number)
    while True:
        items, is_last, reply = _read_whole(asked())
        if not items or items == before:
            items, is_last, reply = _read_whole(_begin(api, filters, number)())
        if items and items == before:
            return
        api.least_requests += bool(items) or number == 1
        api.listed = (api.listed or 0) + len(items)
        is_last = is_last or len(items) < len(before)
        if not is_last:
            number, before = number + 1, items
            asked = _begin(api, filters, number)
        yield from (_listed(item, reply) for item in items)
        if is_last:
            return


def _begin(api: Api, filters: Mapping[str, str], number: int) -> Callable[[], Reply]:
    """Ask for a page; the reply is to be called for."""
    asked = {**filters, "page[number]": str(number)}
    return api.begin_get(ORDERS, asked, flaw=partial(_flaw, number=number))


def _read_whole(reply: Reply) -> tuple[list[msgspec.Raw], bool, Reply]:
    """The orders of a page, whether it is the last as far as it tells, and its reply."""
    items, told = _read_page(reply)
    if told is None:
        return items, len(items) < PAGE and len(items) not in SMALLER_PAGES, reply
    return items, not items or told.page >= told.pages, reply


def _flaw(reply: Reply, number: int) -> str | None:
    """Why a page is not the one that was asked for; only an envelope tells."""
    items, told = _read_page(reply)
    if told is None:
        return None
    if told.page != number:
        return f"it is page {told.page}, not {number}"
    is_empty = not items and number < told.pages
    return f"it is empty, and page {number} of {told.pages}" if is_empty else None


def array_in(reply: Reply) -> tuple[msgspec.Raw, Any]:
    """The array of a reply, bare or in an envelope, as the bytes that arrived; the pagination."""
    if reply.body.lstrip().startswith(b"["):
        return msgspec.Raw(reply.body.strip()), None
    envelope = msgspec.json.decode(reply.body, type=Envelope)
    is_empty = bytes(envelope.response) == b"null"
    return msgspec.Raw(b"[]") if is_empty else envelope.response, envelope.pagination


def items_in(reply: Reply) -> tuple[list[msgspec.Raw], Any]:
    """What the array of a reply holds, and the pagination. Raises ApiError where it has none."""
    reply.json()
    try:
        array, pagination = array_in(reply)
        return msgspec.json.decode(array, type=list[msgspec.Raw]), pagination
    except msgspec.ValidationError as fault:
        raise _unreadable(f"is not a list ({fault})", reply.url) from fault


def _read_page(reply: Reply) -> tuple[list[msgspec.Raw], Told | None]:
    """The orders of a page, and what it tells of its place."""
    items, pagination = items_in(reply)
    if not isinstance(pagination, dict) or "total_pages" not in pagination:
        return items, None
    given = pagination["total_pages"], pagination.get("current_page")
    pages, page = (int(n) if isinstance(n, str) and n.isdecimal() else n for n in given)
    if not (isinstance(pages, int) and isinstance(page, int) and 0 <= pages <= 10**6):
        raise _unreadable(f"tells of page {page!r} of {pages!r}", reply.url)
    return items, Told(page, pages)


def _listed(item: msgspec.Raw, reply: Reply) -> Listed:
    try:
        order_id = msgspec.json.decode(item, type=Named).id
    except msgspec.ValidationError:
        order_id = None
    is_id = isinstance(order_id, int | str) and not isinstance(order_id, bool)
    name = str(order_id) if is_id and order_id not in ("", 0) else None
    return Listed(name, bytes(item), reply.fetched_at)


def _unreadable(what: str, url: str) -> Unreadable:
    return Unreadable(
        f"the reply {what}",
        where=url,
        remedy="compare it with eFiling's Orders document; ask the vendor what changed",
    )
