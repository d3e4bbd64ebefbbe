"""TastyIgniter: the order list, page by page.

Belongs here: paging, and finding the orders in a reply. Does not belong here: which orders to ask
for (`tastyigniter.py`), and how an order is read (`tastyigniter.sql`).
Sources of the facts: replies recorded from a running 4.2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

import msgspec

from assets.sources.base import Record
from assets.sources.listing import Listing
from resources.accounts import Account
from resources.api import TRIES, Api, Reply, ServerFault
from resources.errors import ApiError

ORDERS = "/api/orders"
PAGE = 200
"""Orders a page at most. The API sets no limit, but takes about 10 ms an order (recorded)."""
LOST = 10
"""Orders in a row that the site cannot show before the site itself is taken to be down."""
MOST_ORDERS = 10**9
"""A total beyond this is taken for nonsense."""


class Attributes(msgspec.Struct):
    """What asking needs of an order in the JSON:API shape, beside its id."""

    order_id: Any = None
    created_at: Any = None
    date_added: Any = None


class Flat(Attributes):
    """An order in the flat shape of 2020."""

    id: Any = None


class Item(Flat):
    """An order of a list: JSON:API with `attributes`, or the flat object."""

    attributes: Attributes | None = None


class Envelope(msgspec.Struct):
    """A reply in the JSON:API shape: an array of orders, or one order."""

    data: msgspec.Raw


class Pagination(msgspec.Struct):
    """What a page says of itself and of the whole list."""

    total: int
    current_page: int | None = None


class Meta(msgspec.Struct):
    """Where a page says it."""

    pagination: Pagination


class Paged(msgspec.Struct):
    """A page in the JSON:API shape, as far as its paging goes."""

    data: list[msgspec.Raw]
    meta: Meta


@dataclass(frozen=True, slots=True)
class Listed:
    """One order of a reply, with what decides about reading on. `created` is UTC."""

    number: int | None
    created: datetime | None
    record: Record


class Pages:
    """The order list, read from one end to the other, each order once and none skipped.

    A page begins with the last order of the page before it: where that is missing, an order was
    deleted meanwhile and the following ones have moved up (seen on 4.2.3), and an earlier page is
    asked for. The links of a reply are never followed, since they drop sort and filters. A page
    that is not full is the last, unless the reply's own total says that there are more; where fewer
    orders were listed by then than the pages announced (not every version announces any), the list
    is read a second time.
    """

    def __init__(
        self, api: Api, filters: Mapping[str, str] | None = None, *, newest_first: bool = False
    ) -> None:
        self._api = api
        self._listing = Listing(api, "the order list")
        self._newest_first = newest_first
        self._asked = {"sort": f"order_id {'desc' if newest_first else 'asc'}"} | dict(
            filters or {}
        )
        self._place = 0
        self._count = 0
        self._least = 0
        self._ended = False
        self._last: int | None = None
        self._lost_in_row = 0
        self.edge: int | None = None
        """The id of the last order read."""
        self.announced: int | None = None
        """How many orders there are by the newest reply; None where it does not tell."""

    def go_on_from(self, edge: int, ids: Collection[str]) -> None:
        """Begin after the order `edge`; `ids` are those landed, by which its place is found."""
        self.edge = edge
        read = sum(number <= edge for number in numbers_in(ids))
        self._place = max(0, read - 1)
        self._listing = Listing(self._api, "the order list", before=read)

    def read(self) -> list[Listed]:
        """The next orders, none at the end.

        Raises ApiError for a list that cannot be followed, Incomplete for one that stays short.
        """
        if self._ended:
            return []
        fresh: list[Listed] = []
        futile = 0
        while not fresh and not self._ended:
            number, limit = page_from(self._place)
            page, url = self._page(number, limit)
            begin = (number - 1) * limit
            if self._place and self.edge is not None and self._has_gap(page):
                self._place = max(0, begin - limit // 2)
                continue
            fresh = [each for each in page if each.number is None or self._is_beyond(each.number)]
            self._ended = len(page) < limit
            self._place = max(0, begin + len(page) - 1)
            futile += 1
            if futile == 3:
                raise _unreadable("brings the same orders again and again", url)
        self._note(fresh)
        if self._ended and self._listing.is_to_be_read_again(ORDERS):
            self._place, self.edge, self._ended = 0, None, False
        return fresh or ([] if self._ended else self.read())

    def _has_gap(self, page: Sequence[Listed]) -> bool:
        """Whether a page does not go on where the one before it ended."""
        return not page or (page[0].number is not None and self._is_beyond(page[0].number))

    def _is_beyond(self, number: int) -> bool:
        if self.edge is None:
            return True
        return number < self.edge if self._newest_first else number > self.edge

    def _note(self, fresh: Sequence[Listed]) -> None:
        numbers = [each.number for each in fresh if each.number is not None]
        self.edge = numbers[-1] if numbers else self.edge
        self._listing.page(None, numbers, nameless=len(fresh) - len(numbers))
        self._count += len(fresh)
        least = max(1, ceil(self._count / PAGE))
        self._api.least_requests += least - self._least
        self._least = least

    def _page(self, number: int, limit: int, tries: int = TRIES) -> tuple[list[Listed], str]:
        """A page; in place of one that is answered 500, smaller ones around the order at fault."""
        begin = (number - 1) * limit
        try:
            asked = self._asked | {"page": number, "pageLimit": limit}
            reply = self._api.get(
                ORDERS, asked, tries=tries, flaw=lambda reply: _flaw(reply, begin, limit)
            )
        except ServerFault as fault:
            return self._around_lost(fault, begin, limit), ORDERS
        told = _pagination_in(reply)
        self.announced = told.total if told else None
        page = [listed(body, reply, self._api.account) for body in _orders_in(reply)]
        numbers = [each.number for each in page if each.number is not None]
        if numbers != sorted(numbers, reverse=self._newest_first):
            raise _unreadable("is not sorted by order_id as asked", reply.url)
        if len(page) > limit:
            raise _unreadable(f"has {len(page)} orders though {limit} were asked for", reply.url)
        self._listing.page(self.announced, [])
        self._lost_in_row = 0 if page else self._lost_in_row
        self._last = numbers[-1] if numbers else self._last
        return page, reply.url

    def _around_lost(self, fault: ServerFault, begin: int, limit: int) -> list[Listed]:
        """A page that is refused for one order in it, read in smaller pages around that order.

        A single order is given all tries, so that a site in passing trouble loses none; the further
        ones of a row two.
        """
        if limit == 1:
            self._lost_in_row += 1
            if self._lost_in_row == LOST:
                raise fault
            return [lost(self._last)]
        found: list[Listed] = []
        for number, size in blocks(begin, begin + limit, limit // 2):
            tries = 1 if size > 1 else TRIES if self._lost_in_row == 0 else 2
            found += self._page(number, size, tries)[0]
        return found


def blocks(begin: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Page numbers and sizes that together cover places `begin` to `end`, sizes up to `most`."""
    while begin < end:
        size = 1
        while 2 * size <= most and begin % (2 * size) == 0 and begin + 2 * size <= end:
            size *= 2
        yield begin // size + 1, size
        begin += size


def page_from(place: int) -> tuple[int, int]:
    """Page number and size of the page that has most orders from a place (0-based) on."""
    limit = max(range(PAGE // 2, PAGE + 1), key=lambda size: size - place % size)
    return place // limit + 1, limit


def _orders_in(reply: Reply) -> list[msgspec.Raw]:
    """The orders of a list, each as the bytes that arrived."""
    reply.json()
    try:
        if reply.body.lstrip().startswith(b"["):
            return msgspec.json.decode(reply.body, type=list[msgspec.Raw])
        data = msgspec.json.decode(reply.body, type=Envelope).data
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.ValidationError as fault:
        raise _unreadable(f"is not a list of orders ({fault})", reply.url) from fault


def _pagination_in(reply: Reply) -> Pagination | None:
    """What `meta.pagination` says; None where it is absent, as in several versions, or odd."""
    try:
        told = msgspec.json.decode(reply.body, type=Paged, strict=False).meta.pagination
    except msgspec.ValidationError:
        return None
    return told if 0 <= told.total <= MOST_ORDERS else None


def order_in(reply: Reply) -> msgspec.Raw | None:
    """The order of a single reply; None for 404, and for the null of version 3."""
    if reply.status == 404:
        return None
    body = reply.json()
    if not isinstance(body, dict):
        raise _unreadable("is not an order", reply.url)
    if "data" not in body:
        return msgspec.Raw(reply.body.strip())
    return msgspec.json.decode(reply.body, type=Envelope).data if body["data"] else None


def listed(body: msgspec.Raw, reply: Reply, account: Account) -> Listed:
    """An order with its id: `id` in the JSON:API shape, `order_id` in the flat one."""
    item = _read(body, Item) or _read(body, Flat) or Flat()
    inner = item.attributes if isinstance(item, Item) else None
    named = (item.id, inner.order_id) if inner else (item.order_id, item.id)
    order_id = next((text for text in map(_id, named) if text), None)
    stamps = inner or item
    return Listed(
        number=int(order_id) if order_id and order_id.isdecimal() else None,
        created=_moment(stamps.created_at or stamps.date_added, account),
        record=Record(order_id, ORDERS, bytes(body), reply.fetched_at),
    )


def lost(number: int | None) -> Listed:
    """In place of an order that the site answers 500 for: a record without an id, to be counted.

    Seen on 4.2.3 for every order with a menu option that was deleted since, alone and in lists.
    """
    body = msgspec.json.encode({"unreadable": {"at_or_next_to_order": number, "status": 500}})
    return Listed(None, None, Record(None, ORDERS, body, datetime.now(UTC)))


def _flaw(reply: Reply, begin: int, limit: int) -> str | None:
    """Why a page is not the one asked for: its reply tells of more orders than it holds."""
    told = _pagination_in(reply)
    if told is None:
        return None
    held = len(_orders_in(reply))
    if held and told.current_page is not None and told.current_page != begin // limit + 1:
        return f"it is page {told.current_page}, not {begin // limit + 1}"
    if held < limit and begin + held < told.total:
        return f"it ends at order {begin + held} of {told.total}"
    return None


def _read(body: msgspec.Raw, kind: type[Flat]) -> Flat | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return None


def _id(value: Any) -> str | None:
    is_id = isinstance(value, int | str) and not isinstance(value, bool)
    return str(value) if is_id and value not in ("", 0) else None


def _moment(stamp: Any, account: Account) -> datetime | None:
    """A stamp, naive ones in the account's zone; None where it is no moment."""
    try:
        moment = datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=account.zone)


def numbers_in(ids: Collection[str]) -> Iterator[int]:
    return (int(order_id) for order_id in ids if order_id.isdecimal())


def _unreadable(what: str, url: str) -> ApiError:
    return ApiError(
        f"the reply {what}",
        where=url,
        remedy="compare it with TastyIgniter's orders document; ask the site's owner what changed",
    )
