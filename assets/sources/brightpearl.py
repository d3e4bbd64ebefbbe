"""Brightpearl: how to ask for orders.

Belongs here: order-search by createdOn and updatedOn, then Order GET by id sets. Does not belong
here: how an order is read (`brightpearl.sql`).
Sources of the facts: Brightpearl Order GET and Order SEARCH documents, and recorded replies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from time import monotonic
from typing import Any, ClassVar

import msgspec

from assets.sources.base import (
    Batch,
    Cursor,
    Presence,
    Record,
    Source,
    Until,
    pieces,
    seconds_of,
    settled_before,
)
from assets.sources.brightpearl_found import NO_STAMP, Found, stamp_of
from assets.sources.brightpearl_ids import existing, id_set, sweep_sets
from assets.sources.brightpearl_search import flaw_in, read_page
from assets.sources.listing import Listing
from resources.accounts import Account
from resources.api import Api, Reply
from resources.arrays import micros, moment_of
from resources.errors import ApiError

SEARCH = "/order-service/order-search"
ORDER = "/order-service/order/"
IDS_PER_GET = 200
"""Brightpearl Order GET: at most the details of 200 orders in a single request."""
ROWS_PER_SEARCH = 500
"""Brightpearl Order SEARCH: at most 500 results a page."""
OVERLAP = timedelta(minutes=15)
"""How far a run reads back behind its cursor, for orders stamped before they were visible."""
FIRST_PIECE = 2000
"""Orders landed in the first commit of a run, before it is known how fast they come."""
SECONDS_PER_PIECE = 5.0
AT_ONCE = 50_000
"""Orders that are looked up in the lake at a time."""
OPTIONAL = {"includeOptional": "customFields,nullCustomFields"}

_BEGINS_WITH_ID = re.compile(rb'\{"id":(\d{1,18}),')


class OrderBody(msgspec.Struct):
    """The one field of an order that asking needs."""

    id: Any = None


class StampedBody(msgspec.Struct):
    """What of a landed order tells whether it has changed since."""

    created: Any = msgspec.field(name="createdOn", default=None)
    updated: Any = msgspec.field(name="updatedOn", default=None)


class Orders(msgspec.Struct):
    """An Order GET reply, each order left as the bytes that arrived."""

    response: list[msgspec.Raw]


class Brightpearl(Source):
    """Searches list ids and stamps; Order GET brings the orders, rows included."""

    name: ClassVar[str] = "brightpearl"
    title: ClassVar[str] = "Brightpearl"
    credentials: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"app_ref", "account_token"}),
        frozenset({"app_ref", "access_token"}),
    )
    requests_per_minute: ClassVar[int] = 200
    batch_size: ClassVar[int] = 5000
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "history", "sweep"})

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """A private app's account token, or an OAuth access token, beside the app reference."""
        headers = {"brightpearl-app-ref": secrets["app_ref"]}
        if "account_token" in secrets:
            return headers | {"brightpearl-account-token": secrets["account_token"]}
        return headers | {"Authorization": f"Bearer {secrets['access_token']}"}

    def throttle(self, reply: Reply, now: datetime) -> float | None:  # noqa: ARG002
        """A 503 whose text speaks of too many requests; other 503s are faults."""
        if reply.status == 429 or (reply.status == 503 and b"too many requests" in reply.body):
            period = reply.headers.get("Brightpearl-Next-Throttle-Period")
            return seconds_of(period, default=60_000.0) / 1000 if period else 60.0
        return None

    def refusal(self, reply: Reply) -> str | None:
        """A filter that cannot be parsed is answered 500 with CMNC-018: no fault of the server."""
        if reply.status == 500 and b"CMNC-0" in reply.body:
            return reply.body.decode(errors="replace")
        if reply.status == 200 and reply.body.startswith(b'{"errors"'):
            return reply.body.decode(errors="replace")
        return None

    def spare(self, reply: Reply) -> tuple[int, float] | None:
        """Every reply tells the requests left and the milliseconds until the next period."""
        left = reply.headers.get("Brightpearl-Requests-Remaining", "")
        if not left.isdigit():
            return None
        period = reply.headers.get("Brightpearl-Next-Throttle-Period")
        return int(left), seconds_of(period, default=60_000.0) / 1000

    def probe(self, api: Api) -> Reply:
        """One search that returns a single row."""
        return api.get(SEARCH, {"pageSize": 1})

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """Orders created, and orders updated, since the cursor.

        Two searches, because updatedOn is absent until an order's first change. Of a fresh account
        everything since `started_on`, oldest first, the cursor moving batch by batch.
        """
        since = _lower_bound(api.account, cursor)
        found = Found()
        for column in ("createdOn", "updatedOn"):
            for rows in self._search(api, column, since):
                found.extend(rows)
        name = "watermark" if cursor and "asked_at" not in cursor else "asked_at"
        settled = micros(settled_before(cursor, name, until))
        wanted = _not_yet_landed(api, found.arranged(), settled) if found else found
        reached = {"watermark": until.moment.isoformat(), "asked_at": until.asked_at.isoformat()}
        if not wanted:
            if cursor != reached:
                yield Batch([], reached)
            return
        left = len(wanted)
        for rows in self._paced(wanted):
            left -= len(rows)
            stamp = min(rows.stamps[-1], micros(until.moment))
            step = {"watermark": moment_of(stamp).isoformat()} if left else reached
            yield Batch(list(self._get(api, rows.ids)), step)

    def history(self, api: Api, first_day: date, last_day: date) -> Iterator[Batch]:
        """Orders created in these days, whether their stamps have moved or not.

        Those that were landed within a day are left out: they are of a backfill that was cut short.
        """
        window = f"{_midnight(api, first_day)}/{_midnight(api, last_day + timedelta(days=1))}"
        listed = Found()
        for rows in self._pages(api, {"createdOn": window, "sort": "createdOn.ASC"}, "createdOn"):
            listed.extend(rows)
        for rows in self._paced(_not_just_landed(api, listed, self.margin)):
            yield Batch(list(self._get(api, rows.ids)))

    def sweep(self, api: Api, known: Collection[str]) -> Iterator[Presence]:
        """Order OPTIONS by id sets, which names the existing ids alone."""
        for asked in sweep_sets(sorted(int(each) for each in known if each.isdecimal())):
            path = ORDER + asked.path
            api.least_requests += 1
            reply = api.options(path)
            there = existing(reply)
            if there:
                ids = frozenset(map(str, asked.ids))
                yield Presence(f"OPTIONS {path}", ids, there, reply.fetched_at)

    def _paced(self, rows: Found) -> Iterator[Found]:
        """Pieces to be landed at once: as many orders as come in some seconds.

        A commit costs the same whatever it holds; what is fetched and not landed yet is lost with
        the process. The time that landing takes counts as well, which only makes pieces smaller.
        """
        start, size = 0, min(FIRST_PIECE, self.batch_size)
        while start < len(rows):
            began = monotonic()
            yield rows.piece(start, size)
            start += size
            fitting = int(size * SECONDS_PER_PIECE / max(monotonic() - began, 0.001))
            size = min(max(fitting // IDS_PER_GET, 1) * IDS_PER_GET, self.batch_size)

    def _search(self, api: Api, column: str, since: datetime) -> Iterator[Found]:
        """Pages of rows whose stamp is not older than the bound, oldest first.

        The first page is asked for without an end, so that what is stamped in the future counts.
        Where there are more, they are asked for with a fixed end, so that what changes while they
        are read can only leave the window, which `_pages` notices, and then what lies beyond that
        end, if anything does. What is newer than the cursor will be is landed, too; the next run
        lists it again.
        """
        filters = {column: f"{_text(since)}/", "sort": f"{column}.ASC"}
        rows, announced = self._page(api, filters, column, 1)
        if len(rows) >= announced and _is_whole(api, rows, announced, column):
            api.least_requests += 1
            yield rows
            return
        end = _end(api)
        window = filters | {column: f"{_text(since)}/{end}"}
        within = yield from self._pages(api, window, column, (rows, announced))
        if within < announced:
            yield from self._pages(api, filters | {column: f"{end}/"}, column)

    def _pages(
        self,
        api: Api,
        filters: dict[str, str],
        column: str,
        began: tuple[Found, int] | None = None,
    ) -> Generator[Found, None, int]:
        """Every page of a search; in the end the number of results announced.

        `began`: the rows of the first page and the number announced, where it was read already.

        When fewer results are announced than before, rows have left the window and the following
        ones have moved up: the page is asked again from that many places earlier. A search that
        ends with fewer orders than announced is read a second time. Raises Incomplete.
        """
        first, announced = 1, None
        listing = Listing(api, _named(column))
        if began is not None:
            rows, announced = began
            listing.page(announced, rows.ids)
            yield rows
            first += len(rows)
        while True:
            rows, available = self._page(api, filters, column, first)
            if announced is not None and available < announced:
                first = max(1, first - (announced - available))
                announced = available
                continue
            announced = available
            listing.page(available, rows.ids)
            yield rows
            first += len(rows)
            if not rows or first > available:
                if listing.is_to_be_read_again(SEARCH):
                    first, announced = 1, None
                    continue
                api.least_requests += max(1, ceil(available / ROWS_PER_SEARCH))
                return available

    def _page(
        self, api: Api, filters: dict[str, str], column: str, first: int
    ) -> tuple[Found, int]:
        """One page of a search and the number of results announced."""
        asked = filters | {"pageSize": str(ROWS_PER_SEARCH), "firstResult": str(first)}
        reply = api.get(SEARCH, asked, flaw=lambda reply: flaw_in(reply, first))
        return read_page(reply, column)

    def _get(self, api: Api, order_ids: Sequence[int]) -> Iterator[Record]:
        """The orders themselves. Ids that no longer exist are left out by the API."""
        ids = sorted(set(order_ids))
        sets = [id_set(piece) for piece in pieces(ids, IDS_PER_GET)]
        api.least_requests += len(sets)
        left_out: set[str | None] = set(map(str, ids))
        for reply in api.get_many([(ORDER + each, OPTIONAL) for each in sets], flaw=_split):
            records = _records(reply)
            left_out.difference_update([record.source_order_id for record in records])
            yield from records
        for piece in pieces(sorted(int(each) for each in left_out if each), IDS_PER_GET):
            yield from self._left_out(api, piece)

    def _left_out(self, api: Api, order_ids: Sequence[int]) -> Iterator[Record]:
        """Orders that a GET left out and that exist: Order OPTIONS names existing ids alone."""
        wanted = existing(api.options(ORDER + id_set(order_ids)))
        if not wanted:
            return

        def flaw(reply: Reply) -> str | None:
            found = {record.source_order_id for record in _records(reply)}
            return "orders that Order OPTIONS names are left out" if wanted - found else None

        reply = api.get(ORDER + id_set(sorted(map(int, wanted))), OPTIONAL, flaw=flaw)
        yield from _records(reply)


def _is_whole(api: Api, rows: Found, announced: int, column: str) -> bool:
    """Whether a search of one page holds as many orders as it announces; counted if so."""
    listing = Listing(api, _named(column))
    listing.page(announced, rows.ids)
    return listing.listed >= announced and not listing.is_to_be_read_again(SEARCH)


def _named(column: str) -> str:
    return f"the search by {column}"


def _lower_bound(account: Account, cursor: Cursor | None) -> datetime:
    if cursor is None:
        return datetime.combine(account.settings.started_on, time.min, account.zone)
    return datetime.fromisoformat(cursor["watermark"]) - OVERLAP


def _end(api: Api) -> str:
    """The end of a run's windows: the second after its first reply, which is told in seconds."""
    return _text(_present(api) + timedelta(seconds=1))


def _present(api: Api) -> datetime:
    """The server's time at the run's first reply."""
    assert api.first_server_time is not None
    return api.first_server_time


def _not_yet_landed(api: Api, found: Found, settled: int) -> Found:
    """The rows whose order is not in the lake with this very stamp: overlap costs no Order GET.

    A stamp at the moment `settled` or later says nothing: the next change may have the same one,
    be it of the same second or because the stamp lies in the future. So only orders stamped before
    it are looked up. Those found to be missing are read again whatever their stamp.
    """
    if not api.known.last_seq:
        return found
    is_new = bytearray(b"\1") * len(found)
    for start in range(0, len(found), AT_ONCE):
        stop = min(start + AT_ONCE, len(found))
        asked = {str(found.ids[i]): i for i in range(start, stop) if found.stamps[i] < settled}
        for each in api.known.observed(asked):
            place = asked[each.source_order_id]
            if not each.is_missed and _stamp_in(each.body) == found.stamps[place]:
                is_new[place] = False
    return found.only(is_new)


def _stamp_in(body: str | None) -> int:
    """The stamp of last change of a landed order; NO_STAMP where it has none."""
    try:
        order = msgspec.json.decode(body or "{}", type=StampedBody)
    except msgspec.MsgspecError:  # not even an object: it is asked for again
        return NO_STAMP
    return stamp_of(order.updated or order.created)


def _not_just_landed(api: Api, found: Found, margin: timedelta) -> Found:
    """The rows whose order was not landed within a day, well after its present stamp."""
    day = datetime.now(UTC) - timedelta(days=1)
    is_new = bytearray()
    for start in range(0, len(found), AT_ONCE):
        rows = found.piece(start, AT_ONCE)
        landed = api.known.received_since(day, list(map(str, rows.ids)))
        for order_id, stamp in zip(rows.ids, rows.stamps, strict=True):
            received = landed.get(str(order_id))
            is_new.append(received is None or stamp > micros(received - margin))
    return found.only(is_new)


def _records(reply: Reply) -> list[Record]:
    bodies, fetched_at = map(bytes, _read_orders(reply)), reply.fetched_at
    return [Record(_order_id(body), ORDER, body, fetched_at) for body in bodies]


def _order_id(body: bytes) -> str | None:
    """The order's id; None where it has none, so that it is landed and quarantined."""
    begins = _BEGINS_WITH_ID.match(body)
    if begins is not None:  # as Brightpearl writes every order: it need not be read to its end
        return begins[1].decode()
    try:
        order_id = msgspec.json.decode(body, type=OrderBody).id
    except msgspec.ValidationError:
        return None
    is_id = isinstance(order_id, int | str) and not isinstance(order_id, bool)
    return str(order_id) if is_id and order_id != "" else None


def _split(reply: Reply) -> None:
    """Read an Order GET reply where it arrives: whether it is JSON is then known as well."""
    with suppress(msgspec.ValidationError):  # _read_orders says what is wrong with it
        reply.read(Orders)


def _read_orders(reply: Reply) -> list[msgspec.Raw]:
    try:
        return reply.read(Orders).response
    except msgspec.ValidationError as fault:
        raise ApiError(
            f"Order GET has no list of orders ({fault})",
            where=reply.url,
            remedy="compare the reply with Brightpearl's Order GET document",
        ) from fault


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _midnight(api: Api, day: date) -> str:
    return _text(datetime.combine(day, time.min, api.account.zone))
