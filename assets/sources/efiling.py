"""eFiling: how to ask for company formation orders.

Belongs here: the order list by its filters, and the lines of each order that changed. Does not
belong here: how an order is read (`efiling.sql`).
Sources of the facts: eFiling's JSON API documents, introduction (limits, errors) and Orders.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Annotated, Any, ClassVar, cast
from zoneinfo import ZoneInfo

import msgspec
from pydantic import Field, Strict

from assets.mapping_sections import code_map
from assets.sources.base import (
    Batch,
    Cursor,
    Presence,
    Record,
    Source,
    Until,
    settled_before,
)
from assets.sources.efiling_lines import REQUESTS_PER_MINUTE, changed
from assets.sources.efiling_pages import ORDERS, PAGE, Listed, listing
from resources.accounts import Account, AccountSettings
from resources.api import Api, Reply, retry_after
from resources.errors import OrderloomError

LOAD_DAYS = 365
"""Days of creation that are loaded between two moves of a fresh account's cursor."""
OPEN_DAYS = 90
"""An unfinished order older than this is read again by the complete listing only."""
FINISHED = frozenset({"completed", "cancelled", "returned"})
LONGEST_WAIT = 120.0
"""Seconds: two of the vendor's windows. A longer wait is a clock read in the wrong zone."""
STATES = ("$.order.status", "$.order.cancelled_at", "$.order.created_at")


BEGAN = ("listed_on", "listed_at", "asked_at")
"""Of a cursor, what says when the account was last listed as a whole: day and moment."""


class EfilingSettings(AccountSettings):
    """Which orders `changes` reads again: the API cannot be asked what changed."""

    reread_days: Annotated[int, Strict(), Field(ge=0)] = 7
    """Orders created or invoiced in so many days are read again by every run."""
    relist_days: Annotated[int, Strict(), Field(ge=1)] = 1
    """Every so many days all orders are listed again, for late changes of finished ones."""


class Efiling(Source):
    """Lists by day of creation, by day of invoice and by status; the lines are one call an order,
    made only where the order differs from the one landed."""

    name: ClassVar[str] = "efiling"
    title: ClassVar[str] = "eFiling"
    settings: ClassVar[type[AccountSettings]] = EfilingSettings
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"key"}),)
    requests_per_minute: ClassVar[int] = REQUESTS_PER_MINUTE
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "history", "sweep"})
    batch_size: ClassVar[int] = 60
    """A request each, half a minute at the default budget. When a run is cut short, so many at
    most are asked for again, and those under way."""

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
        if (not error or error == "0") and not errors:
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
        yield from self._batches(api, listing(api, created(first_day, last_day)), set(), None)

    def sweep(self, api: Api, known: Collection[str]) -> Iterator[Presence]:
        """A listing of all orders, without their lines.

        Nothing tells whether it was complete (pages shift when an order is deleted, and no total
        is told), so what it lacks is looked for again by its days of creation.
        """
        days = _days_of(api, known)
        first = min([api.account.settings.started_on, *days.values()])
        window, there, fetched_at = created(first), set[str](), None
        for each in listing(api, window):
            fetched_at = each.fetched_at
            there.add(each.order_id or "")
        if fetched_at is None:
            return
        found = frozenset(known) & there
        yield Presence(f"GET {ORDERS}", found, found, fetched_at)
        missing = (days.keys() & api.known.ids()) - there
        for first, last in windows_around(missing, there, days):
            yield from _within(api, first, last, {i for i in missing if first <= days[i] <= last})

    def _load(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """Every order, by year of creation. Lines already landed are not asked for again."""
        first, began = api.account.settings.started_on, dict[str, str]()
        if cursor is not None:
            first = date.fromisoformat(cursor["loaded_to"])
            began = {name: cursor[name] for name in BEGAN if name in cursor}
        while True:
            following = first + timedelta(days=LOAD_DAYS)
            orders = listing(api, created(first, following - timedelta(days=1)))
            settled = partial(settled_before, cursor, "asked_at", until)
            for batch in self._batches(api, orders, set(), settled):
                if not began:
                    began = _now(api, until)
                    yield Batch([], {"loaded_to": first.isoformat(), **began})
                yield batch
            first, began = following, began or _now(api, until)
            if first > _day(api, until):
                break
            yield Batch([], {"loaded_to": first.isoformat(), **began})
        yield Batch([], {"read_to": _day(api, until).isoformat(), **began})

    def _reread(self, api: Api, cursor: Cursor, until: Until) -> Iterator[Batch]:
        """Recent orders, then either all older ones or those that may still change.

        The first batch notes in the cursor that a run has `begun`, and what had been landed before:
        should it be cut short, the next one need not read again what this one landed.
        """
        after = api.known.last_seq
        for batch in self._reread_all(api, cursor, until):
            begun = {"asked_at": until.asked_at.isoformat(), "after": after}
            yield batch if batch.cursor else Batch(batch.records, {"begun": begun, **cursor})

    def _reread_all(self, api: Api, cursor: Cursor, until: Until) -> Iterator[Batch]:
        """As `_reread`, only the last batch having a cursor."""
        settings = cast("EfilingSettings", api.account.settings)
        since = date.fromisoformat(cursor["read_to"]) - timedelta(days=settings.reread_days)
        seen: set[str] = set()
        settled = partial(settled_before, cursor, "asked_at", until)
        begun = cursor.get("begun")
        yield from self._batches(api, listing(api, created(since)), seen, settled, begun)
        today, listed_on = _day(api, until), date.fromisoformat(cursor["listed_on"])
        relist = (today - listed_on).days >= settings.relist_days
        older = created(settings.started_on, since - timedelta(days=1))
        orders = listing(api, older) if relist else still_open(api, since, seen)
        if relist:
            settled = partial(settled_before, cursor, "listed_at", until)
        yield from self._batches(api, orders, seen, settled, begun)
        now = _now(api, until)
        listed = now if relist else {name: cursor[name] for name in BEGAN if name in cursor}
        yield Batch([], {"read_to": today.isoformat(), **listed, "asked_at": now["asked_at"]})

    def _batches(
        self,
        api: Api,
        orders: Iterator[Listed],
        seen: set[str],
        settled: Callable[[], datetime] | None,
        begun: Mapping[str, Any] | None = None,
    ) -> Iterator[Batch]:
        """The changed ones of the orders not yet seen, with their lines.

        `settled` is asked after the first reply; for it and for `begun` see `changed`.
        """
        batch: list[Record] = []
        try:
            for record in changed(api, _pieces(_unseen(orders, seen)), settled, begun):
                batch.append(record)
                if len(batch) == self.batch_size:
                    yield Batch(batch)
                    batch = []
        except OrderloomError:
            if batch:  # what a page that fails every time follows is landed all the same
                yield Batch(batch)
            raise
        if batch:
            yield Batch(batch)


def created(first: date, last: date | None = None) -> dict[str, str]:
    """The filter for days of creation, both included, in the account's zone; open at its end.

    The document writes `filters[..]` in its request line and `filter[..]` in its table; the other
    resources' request lines say `filters[..]`.
    """
    window = {"filters[createdFrom]": f"{first:%Y%m%d}"}
    return window if last is None else window | {"filters[createdTo]": f"{last:%Y%m%d}"}


def _days_of(api: Api, known: Collection[str]) -> dict[str, date]:
    """The day of creation of each known order that has one, as landed."""
    landed = api.known.values(STATES[2:], known)
    days = {order_id: _day_of(stamp) for order_id, (stamp,) in landed.items()}
    return {order_id: day for order_id, day in days.items() if day is not None}


def windows_around(
    missing: Collection[str], there: Collection[str], days: Mapping[str, date]
) -> list[tuple[date, date]]:
    """Spans of days that hold the missing orders, and each an order that is there as well.

    So an answer that is empty by mistake is not taken for their absence.
    """
    seen = sorted(days[each] for each in there if each in days)
    found = []
    for first, last in spans(sorted(days[each] for each in missing), sorted(days.values())):
        before, after = bisect_right(seen, last), bisect_left(seen, first)
        if before > after:
            found.append((first, last))
        elif before > 0:
            found.append((seen[before - 1], last))
        elif seen:
            found.append((first, seen[0]))
    return found


def _within(api: Api, first: date, last: date, missing: set[str]) -> Iterator[Presence]:
    """Whether these orders are in the list of some days."""
    window = created(first, last)
    listed = list(listing(api, window))
    if listed:
        there = frozenset(each.order_id for each in listed if each.order_id is not None)
        endpoint = f"GET {ORDERS}?" + "&".join(f"{key}={value}" for key, value in window.items())
        yield Presence(endpoint, frozenset(missing), there, listed[-1].fetched_at)


def still_open(api: Api, since: date, seen: set[str]) -> Iterator[Listed]:
    """Orders invoiced since a day, and older ones that are, or were when landed, unfinished.

    `seen` gains the ids of what is yielded. An unfinished order that the list by status no longer
    holds has got another status: it is looked for by its day of creation.
    """
    yield from listing(api, {"filters[invoicedFrom]": f"{since:%Y%m%d}"})
    there, codes = api.known.ids(), code_map(api.account)
    landed = {key: state for key, state in api.known.values(STATES).items() if key in there}
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


def _pieces(orders: Iterator[Listed]) -> Iterator[list[Listed]]:
    """As many orders as are compared at a time with what is landed: a page."""
    while piece := list(islice(orders, PAGE)):
        yield piece


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


def _day_of(stamp: str | None) -> date | None:
    """The day of a YmdHis stamp, in the account's zone."""
    try:
        return datetime.strptime((stamp or "")[:8], "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return None


def _now(api: Api, until: Until) -> dict[str, str]:
    """BEGAN for a run that lists the account as a whole."""
    asked_at = until.asked_at.isoformat()
    return {
        "listed_on": _day(api, until).isoformat(),
        "listed_at": asked_at,
        "asked_at": asked_at,
    }


def _day(api: Api, until: Until) -> date:
    return until.moment.astimezone(api.account.zone).date()
