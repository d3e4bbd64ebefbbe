"""TastyIgniter: how to ask for orders.

Belongs here: the order list page by page, single orders, and which of them to read again. Does not
belong here: how an order is read (`tastyigniter.sql`).
Sources of the facts: TastyIgniter's orders document, and replies recorded from a running 4.2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, ClassVar, cast
from urllib.parse import quote

import msgspec
from pydantic import Field, Strict

from assets.mapping_sections import code_map
from assets.sources.base import Batch, Cursor, Presence, Record, Source, Until
from assets.sources.tastyigniter_pages import (
    ORDERS,
    PAGE,
    Listed,
    Pages,
    listed,
    lost,
    numbers_in,
    order_in,
)
from resources.accounts import Account, AccountSettings
from resources.api import Api, Reply, ServerFault

FINISHED = frozenset({"completed", "cancelled", "returned"})
"""Canonical statuses after which an order is read again only while it is recent."""
STATUS = ("$.attributes.status_id", "$.status_id", "$.attributes.status_name", "$.status_name")


class TastyigniterSettings(AccountSettings):
    """Which orders `changes` reads again: the API cannot be asked what changed."""

    reread_days: Annotated[int, Strict(), Field(ge=0)] = 7
    """Orders created in so many days are read again by every run, finished or not."""
    relist_days: Annotated[int, Strict(), Field(ge=1)] = 7
    """Every so many days all orders are read again, for late edits of finished ones."""


class Tastyigniter(Source):
    """No filter finds what changed: the newest orders are read first, down to the known, and then
    those again that may still change."""

    name: ClassVar[str] = "tastyigniter"
    title: ClassVar[str] = "TastyIgniter"
    settings: ClassVar[type[AccountSettings]] = TastyigniterSettings
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"token"}),)
    requests_per_minute: ClassVar[int] = 60
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "history", "sweep"})
    never_stored: ClassVar[frozenset[str]] = frozenset(
        f"{outer}{name}"
        for outer in ("", "attributes.")
        for name in ("hash", "ip_address", "user_agent")
    )

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """A personal access token with the ability `*` or `orders:*`."""
        return {"Authorization": f"Bearer {secrets['token']}"}

    def refusal(self, reply: Reply) -> str | None:
        """The message alone: with debugging on, an error carries a stack trace beside it."""
        if not 400 <= reply.status < 500:
            return None
        try:
            return str(msgspec.json.decode(reply.body)["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return None

    def probe(self, api: Api) -> Reply:
        """One order."""
        return api.get(ORDERS, {"pageLimit": 1})

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """New orders, and again those that may still change.

        Those are the orders of `reread_days`, and older ones that are not finished by their newest
        landed status (an abandoned checkout counts as finished); every `relist_days`, all. Of a
        fresh account everything, oldest first, the cursor moving batch by batch.
        """
        if cursor is None or "loaded_to" in cursor:
            yield from self._load(api, cursor, until)
        else:
            yield from self._reread(api, cursor, until)

    def history(self, api: Api, first_day: date, last_day: date) -> Iterator[Batch]:
        """Orders whose slot lies in these days: the API's only date filter, in the site's zone.

        The filter is written as version 3 wants it; 4.2.3 takes it as well (recorded).
        """
        slot = "dateTimeFilter[orderDateTime]"
        window = {
            f"{slot}[startAt]": f"{first_day} 00:00:00",
            f"{slot}[endAt]": f"{last_day} 23:59:59",
        }
        for records in self._batches(Pages(api, window)):
            yield Batch(records)

    def sweep(self, api: Api, known: Collection[str]) -> Iterator[Presence]:
        """The ids of a complete listing, and single orders where it may not have been complete.

        It was, where it holds as many orders as it announces: one that cannot be shown, or that
        was deleted while the pages were read, makes the numbers differ. An order is then missing
        only where a request for it alone is answered 404.
        """
        pages, there, unreadable = Pages(api), set[str](), 0
        while page := pages.read():
            ids = [each.record.source_order_id for each in page]
            there.update(each for each in ids if each is not None)
            unreadable += ids.count(None)
            fetched_at = page[-1].record.fetched_at
        if not there:
            return
        asked = frozenset(known)
        if unreadable or len(there) != pages.announced:
            missing = sorted((asked & api.known.ids()) - there)
            yield from self._singly(api, missing)
            asked &= there
        yield Presence(f"GET {ORDERS}, all pages", asked, frozenset(there), fetched_at)

    def _singly(self, api: Api, missing: Sequence[str]) -> Iterator[Presence]:
        """Each of these orders by itself. One that is answered 500 is there, though unreadable."""
        for order_id in missing:
            api.least_requests += 1
            path = f"{ORDERS}/{quote(order_id, safe='')}"
            try:
                reply = api.get(path, missing_ok=True)
            except ServerFault:
                continue
            asked = frozenset({order_id})
            there = asked if order_in(reply) is not None else frozenset[str]()
            yield Presence(f"GET {path}", asked, there, reply.fetched_at)

    def _load(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """Every order by id, going on from where an interrupted load stopped."""
        pages, listed_on = Pages(api), None
        if cursor is not None:
            pages.go_on_from(cursor["loaded_to"], api.known.ids())
            listed_on = cursor["listed_on"]
        for records in self._batches(pages):
            listed_on = listed_on or _day(api, until).isoformat()
            yield Batch(records, {"loaded_to": pages.edge or 0, "listed_on": listed_on})
        listed_on = listed_on or _day(api, until).isoformat()
        yield Batch([], {"newest": pages.edge or 0, "listed_on": listed_on})

    def _batches(self, pages: Pages) -> Iterator[list[Record]]:
        records: list[Record] = []
        while page := pages.read():
            records += [each.record for each in page]
            if len(records) >= self.batch_size:
                yield records
                records = []
        if records:
            yield records

    def _reread(self, api: Api, cursor: Cursor, until: Until) -> Iterator[Batch]:
        """New and recent orders, newest first, then older ones that are still open."""
        settings = cast("TastyigniterSettings", api.account.settings)
        pages = Pages(api, newest_first=True)
        page = pages.read()
        today, since = _day(api, until), until.moment - timedelta(days=settings.reread_days)
        listed_on = date.fromisoformat(cursor["listed_on"])
        relist = (today - listed_on).days >= settings.relist_days
        newest = max([cursor["newest"], *(each.number for each in page if each.number)])
        records: list[Record] = []
        while page:
            records += [each.record for each in page]
            if not relist and _is_down(page[-1], cursor["newest"], since):
                break
            if len(records) >= self.batch_size:
                yield Batch(records)
                records = []
            page = pages.read()
        if page:
            records += self._still_open(api, pages)
        listed_on = today if relist else listed_on
        yield Batch(records, {"newest": newest, "listed_on": listed_on.isoformat()})

    def _still_open(self, api: Api, pages: Pages) -> Iterator[Record]:
        """Orders further down that are not finished: by page or singly, whichever is fewer."""
        below = sorted(
            (n for n in numbers_in(api.known.ids()) if n < (pages.edge or 0)), reverse=True
        )
        wanted = unfinished(api, below)
        by_page = cheapest(below, wanted)
        while by_page and (pages.edge or 0) > wanted[by_page - 1] and (page := pages.read()):
            yield from (each.record for each in page)
        for number in wanted[by_page:]:
            if number < (pages.edge or 0):
                yield from self._single(api, number)

    def _single(self, api: Api, number: int) -> Iterator[Record]:
        api.least_requests += 1
        try:
            reply = api.get(f"{ORDERS}/{number}", missing_ok=True)
        except ServerFault:
            yield lost(number).record
            return
        body = order_in(reply)
        if body is not None:
            yield listed(body, reply, api.account).record


def cheapest(below: Sequence[int], wanted: Sequence[int]) -> int:
    """How many of the `wanted` orders to read by page, so that fewest requests are made.

    Both are newest first; `below` holds every order that the pages would bring.
    """
    places = {number: place for place, number in enumerate(below)}
    by_page = [0, *(places[number] // PAGE + 1 for number in wanted)]
    costs = [pages + len(wanted) - count for count, pages in enumerate(by_page)]
    return costs.index(min(costs))


def unfinished(api: Api, numbers: Sequence[int]) -> list[int]:
    """Those orders that by their newest landed status are neither finished nor mere checkouts."""
    codes = code_map(api.account)
    landed = api.known.values(STATUS, [str(number) for number in numbers])

    def is_open(number: int) -> bool:
        code, flat_code, name, flat_name = landed.get(str(number), (None,) * 4)
        code, name = code or flat_code, name or flat_name
        if code in (None, "", "0"):
            return False
        meaning = codes.get(f"order_status/{code}")
        if meaning is None or (name and meaning["label"] not in (None, name)):
            return True
        return meaning["code"] not in FINISHED

    return [number for number in numbers if is_open(number)]


def _is_down(last: Listed, newest: int, since: datetime) -> bool:
    """Whether reading newest first has come to orders that are known and old enough."""
    if last.number is None or last.created is None:
        return False
    return last.number <= newest and last.created < since


def _day(api: Api, until: Until) -> date:
    return until.moment.astimezone(api.account.zone).date()
