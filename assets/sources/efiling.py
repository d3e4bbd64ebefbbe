"""eFiling: how to ask for company formation orders.

Belongs here: the order list by its filters, and the lines of each order that changed. Does not
belong here: how an order is read (`efiling.sql`).
Sources of the facts: eFiling's JSON API documents, introduction (limits, errors) and Orders.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, ClassVar, cast
from zoneinfo import ZoneInfo

import msgspec
from pydantic import Field, Strict

from assets.mapping import code_map
from assets.sources.base import Batch, Cursor, Record, Source, Until
from resources.accounts import Account, AccountSettings
from resources.api import Api, Reply, Unreachable, retry_after
from resources.errors import ApiError

ORDERS = "/orders"
PAGE = 100
"""Orders a page, as on the vendor's other resources; the document does not say."""
SMALLER_PAGES = frozenset({10, 20, 25, 50})
"""Sizes that a full page might have after all: a list of just so many is asked for more."""
LOAD_DAYS = 365
"""Days of creation that are loaded between two moves of a fresh account's cursor."""
OPEN_DAYS = 90
"""An unfinished order older than this is read again by the complete listing only."""
FINISHED = frozenset({"completed", "cancelled", "returned"})
LONGEST_WAIT = 120.0
"""Seconds: two of the vendor's windows. A longer wait is a clock read in the wrong zone."""
LOST_LINES = 3
"""Orders in a row whose lines cannot be had before the API is taken to be down."""
STATES = ("$.order.status", "$.order.cancelled_at", "$.order.created_at")


class EfilingSettings(AccountSettings):
    """Which orders `changes` reads again: the API cannot be asked what changed."""

    reread_days: Annotated[int, Strict(), Field(ge=0)] = 7
    """Orders created or invoiced in so many days are read again by every run."""
    relist_days: Annotated[int, Strict(), Field(ge=1)] = 1
    """Every so many days all orders are listed again, for late changes of finished ones."""


class Envelope(msgspec.Struct):
    """How the vendor's other resources wrap their lists."""

    response: msgspec.Raw
    pagination: Any = None


class Named(msgspec.Struct):
    """The one field of an order that asking needs."""

    id: Any = None


class Landed(msgspec.Struct):
    """A record as it was composed here."""

    order: msgspec.Raw
    orderlines: msgspec.Raw
    orderlines_state: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One order of a list, as the bytes that arrived."""

    order_id: str | None
    body: bytes
    fetched_at: datetime


class Efiling(Source):
    """Lists by day of creation, by day of invoice and by status; the lines are one call an order,
    made only where the order differs from the one landed."""

    name: ClassVar[str] = "efiling"
    title: ClassVar[str] = "eFiling"
    settings: ClassVar[type[AccountSettings]] = EfilingSettings
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"key"}),)
    requests_per_minute: ClassVar[int] = 120
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "history"})
    batch_size: ClassVar[int] = 60
    """Half a minute of lines at the default budget: that much at most is asked for again."""
    """A request each: more would be lost when a load is cut short."""

    def __init__(self) -> None:
        self._zones: dict[str, ZoneInfo] = {}

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:
        """The key as printed: whether it is already encoded is not documented, so it is not again.

        The account's zone is kept for `throttle`, which is not told the account.
        """
        self._zones[account.key] = account.zone
        return {"Authorization": f"Basic {secrets['key']}"}

    def throttle(self, reply: Reply, now: datetime) -> float | None:
        """Retry-After is a clock time in YmdHis, not a number of seconds (introduction)."""
        if reply.status != 429:
            return None
        text = reply.headers.get("Retry-After", "")
        try:
            clock_time = datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            wait = retry_after(reply, now)
            return 60.0 if wait is None else min(wait, LONGEST_WAIT)
        again = clock_time.replace(tzinfo=self._zones[reply.account])
        return min((again - now).total_seconds(), LONGEST_WAIT)

    def refusal(self, reply: Reply) -> str | None:
        """An `error` other than 0 or any `errors` refuse, whatever the status."""
        if reply.status >= 500 or not reply.body.lstrip().startswith(b"{"):
            return None
        try:
            body = msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            return None
        error, errors = body.get("error"), body.get("errors")
        if error in (None, "", 0, "0", False) and not errors:
            return None
        return "; ".join(f"{each}" for each in (error, errors) if each)

    def probe(self, api: Api) -> Reply:
        """The orders of the account's first day."""
        first = api.account.settings.started_on
        return api.get(ORDERS, created(first, first))

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """New orders, and again those that may still change.

        Those are the orders created or invoiced in `reread_days`, and older ones whose newest
        landed status is not a finished one; every `relist_days`, all. Of a fresh account
        everything, oldest first, the cursor moving year by year.
        """
        if cursor is None or "loaded_to" in cursor:
            yield from self._load(api, cursor, until)
        else:
            yield from self._reread(api, cursor, until)

    def history(self, api: Api, first_day: date, last_day: date) -> Iterator[Batch]:
        """Orders created in these days."""
        yield from self._batches(api, listing(api, created(first_day, last_day)), set())

    def _load(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """Every order, by year of creation. Lines already landed are not asked for again."""
        first, listed_on = api.account.settings.started_on, None
        if cursor is not None:
            first, listed_on = date.fromisoformat(cursor["loaded_to"]), cursor["listed_on"]
        while True:
            following = first + timedelta(days=LOAD_DAYS)
            window = created(first, following - timedelta(days=1))
            yield from self._batches(api, listing(api, window), set())
            today = _day(api, until)
            listed_on, first = listed_on or today.isoformat(), following
            if first > today:
                break
            yield Batch([], {"loaded_to": first.isoformat(), "listed_on": listed_on})
        yield Batch([], {"read_to": today.isoformat(), "listed_on": listed_on})

    def _reread(self, api: Api, cursor: Cursor, until: Until) -> Iterator[Batch]:
        """Recent orders, then either all older ones or those that may still change."""
        settings = cast("EfilingSettings", api.account.settings)
        since = date.fromisoformat(cursor["read_to"]) - timedelta(days=settings.reread_days)
        seen: set[str] = set()
        yield from self._batches(api, listing(api, created(since)), seen)
        today, listed_on = _day(api, until), date.fromisoformat(cursor["listed_on"])
        relist = (today - listed_on).days >= settings.relist_days
        older = created(settings.started_on, since - timedelta(days=1))
        orders = listing(api, older) if relist else still_open(api, since, seen)
        yield from self._batches(api, orders, seen)
        listed_on = today if relist else listed_on
        yield Batch([], {"read_to": today.isoformat(), "listed_on": listed_on.isoformat()})

    def _batches(self, api: Api, orders: Iterator[Listed], seen: set[str]) -> Iterator[Batch]:
        """The changed ones of the orders not yet seen, with their lines."""
        fresh = _unseen(orders, seen)
        while piece := list(islice(fresh, self.batch_size)):
            records = list(_changed(api, piece))
            if records:
                yield Batch(records)


def created(first: date, last: date | None = None) -> dict[str, str]:
    """The filter for days of creation, both included, in the account's zone; open at its end.

    The document writes `filters[..]` in its request line and `filter[..]` in its table; the other
    resources' request lines say `filters[..]`.
    """
    window = {"filters[createdFrom]": f"{first:%Y%m%d}"}
    return window if last is None else window | {"filters[createdTo]": f"{last:%Y%m%d}"}


def listing(api: Api, filters: Mapping[str, str]) -> Iterator[Listed]:
    """The orders that pass the filters, all pages.

    Nothing tells the number of pages where a list is a bare array. The last one is empty, repeats
    the one before, is shorter than it, or has a number of orders that no full page would have.
    """
    number = 1
    before: list[msgspec.Raw] = []
    while True:
        reply = api.get(ORDERS, {**filters, "page[number]": number})
        items, is_last = _read_page(reply)
        if items and items == before:
            return
        api.least_requests += bool(items) or number == 1
        yield from (_listed(item, reply) for item in items)
        if is_last or len(items) < len(before):
            return
        number, before = number + 1, items


def still_open(api: Api, since: date, seen: set[str]) -> Iterator[Listed]:
    """Orders invoiced since a day, and older ones that are, or were when landed, unfinished.

    `seen` gains the ids of what is yielded. An unfinished order that the list by status no longer
    holds has got another status: it is looked for by its day of creation.
    """
    yield from listing(api, {"filters[invoicedFrom]": f"{since:%Y%m%d}"})
    landed, codes = api.known.values(STATES, api.known.ids()), code_map(api.account)
    first = since - timedelta(days=OPEN_DAYS)
    days = {order_id: _day_of(values[2]) for order_id, values in landed.items()}
    wanted = {
        order_id: day
        for order_id, day in days.items()
        if day and first <= day < since and _is_open(codes, *landed[order_id][:2])
    }
    statuses = sorted({landed[order_id][0] or "" for order_id in wanted} - {""})
    if statuses:
        older = created(first, since - timedelta(days=1))
        yield from listing(api, {"filters[statuses]": ",".join(statuses), **older})
    moved = sorted(day for order_id, day in wanted.items() if order_id not in seen)
    for first, last in spans(moved, sorted(day for day in days.values() if day)):
        yield from listing(api, created(first, last))


def spans(wanted: Sequence[date], days: Sequence[date]) -> list[tuple[date, date]]:
    """Spans that hold the wanted days, with at most a page of orders where several days share one.

    Both are sorted; `days` has the day of every known order.
    """
    found: list[tuple[date, date]] = []
    for day in wanted:
        if found:
            first = found[-1][0]
            if bisect_right(days, day) - bisect_left(days, first) < PAGE:
                found[-1] = (first, day)
                continue
        found.append((day, day))
    return found


def _changed(api: Api, orders: Sequence[Listed]) -> Iterator[Record]:
    """Those that differ from what is landed, or whose lines are not complete, with their lines."""
    ids = [each.order_id for each in orders if each.order_id is not None]
    landed = {key: _read_landed(body) for key, body in api.known.bodies(ids).items()}

    def is_settled(each: Listed) -> bool:
        old = landed.get(each.order_id or "")
        return (
            old is not None and old.orderlines_state == "complete" and bytes(old.order) == each.body
        )

    nameless = [each for each in orders if each.order_id is None]
    moved = [each for each in orders if each.order_id is not None and not is_settled(each)]
    for each in nameless:
        yield Record(None, ORDERS, compose(each.body, b"null", "missing"), each.fetched_at)
    api.least_requests += len(moved)
    paths = [f"{ORDERS}/{each.order_id}/orderlines" for each in moved]
    for each, reply in zip(moved, _lines(api, paths), strict=True):
        body = _with_lines(each, reply, landed.get(each.order_id or ""))
        yield Record(each.order_id, ORDERS, body, each.fetched_at)


def _lines(api: Api, paths: Sequence[str]) -> Iterator[Reply | None]:
    """The replies in order; None for lines that cannot be had though the API answers others."""
    done, lost = 0, 0
    while done < len(paths):
        try:
            asked = [(path, None) for path in paths[done:]]
            for reply in api.get_many(asked, missing_ok=True):
                done, lost = done + 1, 0
                yield reply
        except Unreachable:
            done, lost = done + 1, lost + 1
            if lost == LOST_LINES:
                raise
            yield None


def _with_lines(order: Listed, reply: Reply | None, old: Landed | None) -> bytes:
    """One record. Lines that cannot be had are those landed before, marked stale, if there are."""
    if reply is not None and reply.status != 404:
        _items_in(reply)
        return compose(order.body, bytes(_array_in(reply)[0]), "complete")
    if old is not None and old.orderlines_state != "missing":
        return compose(order.body, bytes(old.orderlines), "stale")
    return compose(order.body, b"null", "missing")


def compose(order: bytes, lines: bytes, state: str) -> bytes:
    """Order and lines as one JSON object, by bytes, so that numbers keep their digits."""
    return b'{"order":%b,"orderlines":%b,"orderlines_state":"%b"}' % (order, lines, state.encode())


def _unseen(orders: Iterator[Listed], seen: set[str]) -> Iterator[Listed]:
    for each in orders:
        if each.order_id is None:
            yield each
        elif each.order_id not in seen:
            seen.add(each.order_id)
            yield each


def _is_open(
    codes: Mapping[str, Mapping[str, str | None]], status: str | None, cancelled_at: str | None
) -> bool:
    if cancelled_at not in (None, "", "0"):
        return False
    meaning = codes.get(f"order_status/{status}")
    return meaning is None or meaning["code"] not in FINISHED


def _array_in(reply: Reply) -> tuple[msgspec.Raw, Any]:
    """The array of a reply, bare or in an envelope, as the bytes that arrived; the pagination."""
    if reply.body.lstrip().startswith(b"["):
        return msgspec.Raw(reply.body.strip()), None
    envelope = msgspec.json.decode(reply.body, type=Envelope)
    return envelope.response, envelope.pagination


def _items_in(reply: Reply) -> tuple[list[msgspec.Raw], Any]:
    """What the array of a reply holds, and the pagination. Raises ApiError where it has none."""
    reply.json()
    try:
        array, pagination = _array_in(reply)
        return msgspec.json.decode(array, type=list[msgspec.Raw]), pagination
    except msgspec.ValidationError as fault:
        raise _unreadable(f"is not a list ({fault})", reply.url) from fault


def _read_page(reply: Reply) -> tuple[list[msgspec.Raw], bool]:
    """The orders of a page, and whether it is the last."""
    items, pagination = _items_in(reply)
    if not isinstance(pagination, dict) or "total_pages" not in pagination:
        return items, len(items) < PAGE and len(items) not in SMALLER_PAGES
    pages, page = pagination["total_pages"], pagination.get("current_page")
    if not (isinstance(pages, int) and isinstance(page, int) and 0 <= pages <= 10**6):
        raise _unreadable(f"tells of page {page!r} of {pages!r}", reply.url)
    return items, not items or page >= pages


def _listed(item: msgspec.Raw, reply: Reply) -> Listed:
    try:
        order_id = msgspec.json.decode(item, type=Named).id
    except msgspec.ValidationError:
        order_id = None
    is_id = isinstance(order_id, int | str) and not isinstance(order_id, bool)
    name = str(order_id) if is_id and order_id not in ("", 0) else None
    return Listed(name, bytes(item), reply.fetched_at)


def _read_landed(body: bytes) -> Landed | None:
    """A landed record's parts; None where it was composed otherwise."""
    try:
        return msgspec.json.decode(body, type=Landed)
    except msgspec.DecodeError:
        return None


def _day_of(stamp: str | None) -> date | None:
    """The day of a YmdHis stamp, in the account's zone."""
    try:
        return datetime.strptime((stamp or "")[:8], "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return None


def _day(api: Api, until: Until) -> date:
    return until.moment.astimezone(api.account.zone).date()


def _unreadable(what: str, url: str) -> ApiError:
    return ApiError(
        f"the reply {what}",
        where=url,
        remedy="compare it with eFiling's Orders document; ask the vendor what changed",
    )
