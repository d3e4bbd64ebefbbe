"""Quotevine (QV Accelerate): how to ask for lease orders.

Belongs here: which relationships there are, and the list of orders of each. Does not belong here:
how an order is read (`quotevine.sql`).
Sources of the facts: Orders Object v2, Relationships Search v2 and the older Orders Object page.
No list of all orders, no list of relationships and no filter by date is documented, so every run
reads the orders of every relationship known so far; the hash of an order tells what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urljoin

import msgspec
from pydantic import Field, Strict

from assets.sources.base import Batch, Cursor, Presence, Record, Source, Until, pieces
from resources.accounts import Account, AccountSettings
from resources.api import Api, Reply
from resources.errors import ApiError

SEARCH = "/relationships/search"
REACH = timedelta(days=7)
"""Relationships Search v2: `updated_since` may reach back at most 7 days."""
ROWS_PER_SEARCH = 20
"""Relationships Search v2: at most 20 rows, so 20 may be fewer than there are."""
ITEMS_PER_PAGE = 25
"""Oracle REST Data Services, which the replies resemble: 25 items a page unless asked otherwise."""
MOST_PAGES = 1000
"""Pages of one relationship beyond which its links are taken to lead in a circle."""
RELATIONSHIPS_PER_BATCH = 200
FAILED = 3
"""Relationships in a row that fail before a sweep takes the API to be down."""


class QuotevineSettings(AccountSettings):
    """What an account says beyond what every account says."""

    relationships: tuple[Annotated[int, Strict(), Field(gt=0)], ...] = ()
    """Relationships known beforehand: the search finds those alone that changed of late."""


class Link(msgspec.Struct):
    """A link of an envelope."""

    ref: str = msgspec.field(name="$ref")


class NewerLink(msgspec.Struct):
    """A link as newer Oracle REST Data Services write it."""

    rel: str
    href: str


class Page(msgspec.Struct):
    """A list of orders in its envelope, each order left as the bytes that arrived."""

    items: list[msgspec.Raw]
    next: Link | None = None
    has_more: bool | None = msgspec.field(name="hasMore", default=None)
    links: list[NewerLink] = []

    @property
    def following(self) -> str | None:
        """Where the next page is, if one is told."""
        if self.next is not None or not self.has_more:
            return self.next.ref if self.next else None
        return next((link.href for link in self.links if link.rel == "next"), None)


class OrderBody(msgspec.Struct):
    """The id of an order, of whatever type: Orders Object v2 names it vehicle_order_id."""

    vehicle_order_id: Any = None
    order_id: Any = None
    id: Any = None


class RelationshipRow(msgspec.Struct):
    """One row of a search."""

    relationship_id: int


@dataclass
class Tour:
    """One walk over all relationships, in the order in which they are read."""

    known: set[int]
    searched: str | None
    """Day of the last finished search, in the account's zone."""
    quiet_since: str | None = None
    """Where searches found nothing of late, the day of the one before: it is searched from again.

    A search that is empty by mistake looks like any other."""
    missing: list[int] = field(default_factory=list)
    """Relationships that were answered 404 or, in a sweep, not readably at all."""
    partial: set[int] = field(default_factory=set)
    """Relationships whose list may go on, though no next page is told."""

    def cursor(self, after: int | None) -> Cursor:
        """A walk that stopped goes on with the relationship after the last one landed."""
        found: Cursor = {"relationships": sorted(self.known), "searched": self.searched}
        if self.quiet_since is not None:
            found["quiet_since"] = self.quiet_since
        return found if after is None else found | {"after": after}


class Quotevine(Source):
    """Relationships by configuration and search; the orders of each."""

    name: ClassVar[str] = "quotevine"
    title: ClassVar[str] = "Quotevine"
    settings: ClassVar[type[AccountSettings]] = QuotevineSettings
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"api_key"}),)
    requests_per_minute: ClassVar[int] = 60
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "sweep"})

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """One static key."""
        return {"api-key": secrets["api_key"]}

    def probe(self, api: Api) -> Reply:
        """A search for a relationship that cannot exist."""
        return api.post(
            SEARCH, {"external_reference": "0", "return_multiple_flag": "Y"}, repeatable=True
        )

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:  # noqa: ARG002
        """Every order of every relationship known so far, then of those that the search finds.

        The search comes last because it needs the server's day, which the first reply tells. A walk
        that was broken off goes on where it stopped, and then reads the ones before as well: what
        changed meanwhile cannot be told otherwise.
        """
        tour = _tour(api, cursor)
        known = sorted(tour.known)
        after = (cursor or {}).get("after", 0)
        ahead = [each for each in known if each > after] + [each for each in known if each <= after]
        if not ahead:
            self.probe(api)
        yield from self._read(api, tour, ahead)
        found = self._discover(api, tour) - tour.known
        tour.known |= found
        yield from self._read(api, tour, sorted(found))
        _warn_of_missing(api, tour)
        yield Batch([], tour.cursor(None))

    def sweep(self, api: Api, known: Collection[str]) -> Iterator[Presence]:
        """The list of orders of each relationship that has known ones.

        A relationship that fails, or is answered 404 (gone, or not for this key), tells nothing. Of
        a list that is empty or may go on, an order is missing only where a request for it alone is
        answered 404, too.
        """
        wanted: dict[int, set[str]] = {}
        for order_id in known:
            wanted.setdefault(int(order_id.partition("/")[0]), set()).add(order_id)
        tour = Tour(set(wanted), None)
        for relationship, reply in _first_pages(api, sorted(wanted), tour):
            try:
                records = list(self._orders(api, tour, relationship, reply))
            except ApiError:
                tour.missing.append(relationship)
            if relationship in tour.missing:
                continue
            there = frozenset(each.source_order_id for each in records if each.source_order_id)
            asked = frozenset(wanted[relationship])
            if relationship in tour.partial or not records or len(there) < len(records):
                yield from _singly(api, sorted((asked & api.known.ids()) - there))
                asked &= there
            yield Presence(f"GET {_path(relationship)}", asked, there, reply.fetched_at)
        _warn_of_missing(api, tour)

    def _read(self, api: Api, tour: Tour, relationships: Sequence[int]) -> Iterator[Batch]:
        """The orders of these relationships, landed at least every RELATIONSHIPS_PER_BATCH."""
        for piece in pieces(relationships, RELATIONSHIPS_PER_BATCH):
            records: list[Record] = []
            asked = [(_path(each), None) for each in piece]
            first_pages = list(api.get_many(asked, missing_ok=True, flaw=_flaw))
            for relationship, reply in zip(piece, first_pages, strict=True):
                records.extend(self._orders(api, tour, relationship, reply))
                if len(records) >= self.batch_size:
                    yield Batch(records, tour.cursor(relationship))
                    records = []
            yield Batch(records, tour.cursor(piece[-1]))

    def _orders(self, api: Api, tour: Tour, relationship: int, reply: Reply) -> Iterator[Record]:
        """The orders of one relationship, from the first page of their list on."""
        api.least_requests += 1
        if reply.status == 404:
            tour.missing.append(relationship)
            return
        for _ in range(MOST_PAGES):
            page = _read_page(reply)
            for order in page.items:
                yield _record(relationship, order, reply)
            if page.following is None:
                if page.has_more or (page.has_more is None and len(page.items) == ITEMS_PER_PAGE):
                    tour.partial.add(relationship)
                    api.warnings.append(
                        f"relationship {relationship} lists exactly {len(page.items)} orders and "
                        "no next page; orders beyond these would be missing"
                    )
                return
            before, following = reply.body, urljoin(reply.url, page.following)
            reply = api.get(following, flaw=partial(_flaw, before=before))
            if not _read_page(reply).items:  # the end after a full page, or a mistake: look twice
                reply = api.get(following, flaw=partial(_flaw, before=before))
            api.least_requests += 1
        raise ApiError(
            f"the orders of relationship {relationship} go on after {MOST_PAGES} pages",
            where=reply.url,
            remedy="ask Quotevine whether the links of this list lead in a circle",
        )

    def _discover(self, api: Api, tour: Tour) -> set[int]:
        """Relationships that changed since the last search, as far as the search can tell."""
        today = _today(api)
        earliest = today - REACH
        since = earliest
        if tour.searched is not None:
            last = date.fromisoformat(tour.searched)
            begin = min(last, date.fromisoformat(tour.quiet_since or tour.searched))
            since = min(max(earliest, begin - timedelta(days=1)), today)
            if last < earliest:
                api.warnings.append(
                    f"the last search was on {last}; relationships that changed before {earliest} "
                    "and not since may be missing: name them under `relationships`"
                )
        api.least_requests += 1
        found = _search(api, since)
        if len(found) >= ROWS_PER_SEARCH:
            api.warnings.append(
                f"the search since {since} gave {len(found)} rows, the most it ever gives; "
                "relationships may be missing: name them under `relationships`, or sync more often"
            )
        newest = found
        while len(newest) >= ROWS_PER_SEARCH and since < today:
            since += timedelta(days=1)
            newest = _search(api, since)
            found |= newest
        before = tour.quiet_since or tour.searched or earliest.isoformat()
        tour.searched = today.isoformat()
        tour.quiet_since = None if found or before == tour.searched else before
        return found


def _tour(api: Api, cursor: Cursor | None) -> Tour:
    """The relationships known from the configuration, from earlier runs and from landed orders."""
    known = set(api.account.settings.relationships)  # type: ignore[attr-defined]
    known.update((cursor or {}).get("relationships", ()))
    known.update(int(order_id.partition("/")[0]) for order_id in api.known.ids())
    told = cursor or {}
    return Tour(known, told.get("searched"), told.get("quiet_since"))


def _flaw(reply: Reply, before: bytes = b"") -> str | None:
    """Why a page is not the one that was asked for, after a page `before`."""
    if reply.status == 404:
        return None
    page = _read_page(reply)
    if not page.items and page.following is not None:
        return "it is empty though it links to a further page"
    return "it repeats the page before" if page.items and reply.body == before else None


def _first_pages(api: Api, relationships: Sequence[int], tour: Tour) -> Iterator[tuple[int, Reply]]:
    """The first page of each relationship's list; one that fails alone is left out."""
    done, failed = 0, 0
    while done < len(relationships):
        try:
            asked = [(_path(each), None) for each in relationships[done:]]
            for reply in api.get_many(asked, missing_ok=True):
                done, failed = done + 1, 0
                yield relationships[done - 1], reply
        except ApiError:
            failed += 1
            if failed == FAILED:
                raise
            tour.missing.append(relationships[done])
            done += 1


def _singly(api: Api, order_ids: Sequence[str]) -> Iterator[Presence]:
    """Each of these orders by itself, of relationships that the key may see."""
    for order_id in order_ids:
        relationship, _, number = order_id.partition("/")
        path = f"{_path(int(relationship))}{quote(number, safe='')}/"
        api.least_requests += 1
        reply = api.get(path, missing_ok=True)
        asked = frozenset({order_id})
        there = frozenset[str]() if reply.status == 404 else asked
        yield Presence(f"GET {path}", asked, there, reply.fetched_at)


def _warn_of_missing(api: Api, tour: Tour) -> None:
    if tour.missing:
        api.warnings.append(
            f"{len(tour.missing)} relationships were answered 404, so they are gone or the key may "
            f"not see them: {', '.join(map(str, tour.missing[:20]))}"
        )


def _path(relationship: int) -> str:
    return f"/relationships/{relationship}/orders/"


def _today(api: Api) -> date:
    """The server's day, in the account's zone."""
    if api.server_time is None:
        raise ApiError(
            "the replies have no Date header, so the day to search from is not known",
            where=api.account.key,
            remedy="check base_url, or whether a proxy takes the header away",
        )
    return api.server_time.astimezone(api.account.zone).date()


def _search(api: Api, since: date) -> set[int]:
    """Relationships that changed on this day or later; the reply is a bare array."""
    reply = api.post(
        SEARCH, {"updated_since": since.isoformat(), "return_multiple_flag": "Y"}, repeatable=True
    )
    rows = _decode(reply, list[RelationshipRow], "the search for relationships")
    return {row.relationship_id for row in rows}


def _read_page(reply: Reply) -> Page:
    """A list of orders in either of its shapes: the envelope, or a bare array."""
    page = _decode(reply, list[msgspec.Raw] | Page, "the list of orders")
    return page if isinstance(page, Page) else Page(page)


def _decode(reply: Reply, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(reply.body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ApiError(
            f"{what} cannot be read ({fault})",
            where=reply.url,
            remedy="compare the reply with Quotevine's documents",
        ) from fault


def _record(relationship: int, order: msgspec.Raw, reply: Reply) -> Record:
    """The order beside its relationship, which an order itself does not name."""
    body = b'{"relationship_id": %d, "order": %b}' % (relationship, bytes(order))
    number = _order_number(order)
    order_id = None if number is None else f"{relationship}/{number}"
    return Record(order_id, _path(relationship), body, reply.fetched_at)


def _order_number(order: msgspec.Raw) -> str | None:
    """The order's id; None where it has none, so that it is landed and quarantined."""
    try:
        ids = msgspec.json.decode(order, type=OrderBody)
    except msgspec.ValidationError:
        return None
    for number in (ids.vehicle_order_id, ids.order_id, ids.id):
        if isinstance(number, int | str) and not isinstance(number, bool) and number != "":
            return str(number)
    return None
