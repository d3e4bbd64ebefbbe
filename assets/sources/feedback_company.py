"""Feedback Company: how to ask for review invitations, and how to register orders for one.

Belongs here: the token, the list of invitations, and what an account says. Does not belong here:
how an invitation or a registration is read (`feedback_company.sql`), which orders are registered
(`feedback_company_rule.py`), what of them is sent (`feedback_company_order.py`) and how
(`feedback_company_send.py`).
Sources of the facts: API for Developers: Orders (orders can be posted, never read), API for
Developers: Invitations, and the token as public clients rely on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from assets.sources.base import (
    Batch,
    Cursor,
    Outcome,
    Outgoing,
    PublishedOrder,
    Record,
    Source,
    Until,
)
from assets.sources.feedback_company_order import outgoing
from assets.sources.feedback_company_rule import PushRule
from assets.sources.feedback_company_send import register
from assets.sources.listing import Listing
from resources.accounts import Account, AccountSettings
from resources.api import Api, Reply
from resources.errors import ApiError

TOKEN = "/oauth2/token"
INVITATIONS = "/invitations"
ROWS_PER_PAGE = 100
"""Invitations: 1 to 1000 rows a page."""
OLDEST_FIRST, NEWEST_FIRST = "created_at", "-created_at"
MOST_ROWS = 10**9
"""An announced number beyond this is taken for a fault."""
MOST_RETREATS = 20
"""How often a walk goes back because invitations have left the list."""


class FeedbackCompanySettings(AccountSettings):
    """What an account says beyond what every account says."""

    reread_days: Annotated[int, Strict(), Field(gt=0, le=3650)] = 45
    """How long after its making an invitation may still change: the longest delay and reminder.

    Its flags change without a stamp, so what is younger is read again in every run.
    """
    push: PushRule | None = None
    """Which orders are registered for an invitation; None: none."""

    @model_validator(mode="after")
    def _is_read_again_long_enough(self) -> Self:
        if self.push is not None and self.push.horizon > timedelta(days=self.reread_days):
            raise PydanticCustomError(
                "horizon",
                "rereads {days} days, but an invitation may change for longer: raise reread_days "
                "above the longest delay and reminder of push",
                {"days": self.reread_days},
            )
        return self


class TokenReply(msgspec.Struct):
    """What a request for a token brings."""

    access_token: str


class Meta(msgspec.Struct):
    """What is said about the whole list."""

    count: int


class Page(msgspec.Struct):
    """A page of invitations, each left as the bytes that arrived."""

    meta: Meta
    invitations: list[msgspec.Raw]


class Complaint(msgspec.Struct):
    """How a reply says that it is none; `error` is true in one place and a text in others."""

    success: Any = None
    error: Any = None


class InvitationBody(msgspec.Struct):
    """What asking needs of an invitation, of whatever type it came."""

    id: Any = None
    created_at: Any = None


@dataclass(frozen=True)
class Rows:
    """One page as read."""

    number: int
    records: list[Record]
    created: list[datetime | None]
    read: int
    """Rows read so far, these included."""
    announced: int
    """Rows of the whole list."""

    @property
    def following(self) -> dict[str, int]:
        """Where a load that is broken off after this page goes on."""
        return {"page": self.number + 1, "rows": self.read, "announced": self.announced}


class FeedbackCompany(Source):
    """The list of invitations, which is all that can be asked for."""

    name: ClassVar[str] = "feedback_company"
    title: ClassVar[str] = "Feedback Company"
    settings: ClassVar[type[AccountSettings]] = FeedbackCompanySettings
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"client_id", "client_secret"}),)
    requests_per_minute: ClassVar[int] = 60
    ways: ClassVar[frozenset[str]] = frozenset({"changes", "push"})
    never_stored: ClassVar[frozenset[str]] = frozenset({"request"})

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """None of its own: the token is asked for first."""
        return {}

    def login(self, api: Api, secrets: Mapping[str, str]) -> dict[str, str]:
        """A token by GET, as clients do, with a grant_type of authorization_code and no code."""
        asked = {
            "client_id": secrets["client_id"],
            "client_secret": secrets["client_secret"],
            "grant_type": "authorization_code",
        }
        reply = api.get(TOKEN, asked)
        token = _decode(reply, TokenReply, "the token").access_token
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise ApiError(
                "the token is no text that a header can carry",
                where=reply.url,
                remedy="ask Feedback Company to renew client_id and client_secret",
            )
        return {"Authorization": f"Bearer {token}"}

    def refusal(self, reply: Reply) -> str | None:
        """A reply of 200 whose body says that it failed."""
        if reply.status != 200:
            return None
        try:
            complaint = msgspec.json.decode(reply.body, type=Complaint)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None  # whoever reads the reply says what is wrong with it
        if complaint.success is False or complaint.error:
            return reply.excerpt(200)
        return None

    def probe(self, api: Api) -> Reply:
        """One invitation."""
        return api.get(INVITATIONS, {"page": 1, "page_size": 1})

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """The invitations that may have changed since the last run, newest first.

        Of a fresh account all of them, oldest first, since new ones do not shift these pages; a
        load that was broken off goes on with its next page, and then reads what may have changed
        since it began.
        """
        if cursor is None or "page" in cursor:
            yield from self._load(api, cursor, until)
        if cursor is not None:
            yield from self._newest(api, datetime.fromisoformat(cursor["read_until"]), until)

    def outgoing(self, account: Account, order: PublishedOrder) -> Outgoing:
        """A published order as the API takes it. Raises Unfit."""
        rule: PushRule = account.settings.push  # type: ignore[attr-defined]
        return outgoing(rule, order)

    def push(self, api: Api, orders: Iterable[Outgoing]) -> Iterator[Outcome]:
        """Register the orders one by one."""
        for order in orders:
            yield register(api, order)

    def _load(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """Every page from the one that the cursor names."""
        start = cursor or {"page": 1, "rows": 0}
        began: str | None = start.get("read_until")
        records: list[Record] = []
        told = start.get("announced", 0)
        for page in _pages(api, OLDEST_FIRST, start["page"], start["rows"], told):
            began = began or until.moment.isoformat()
            records.extend(page.records)
            if len(records) >= self.batch_size:
                yield Batch(_once(records), page.following | {"read_until": began})
                records = []
        yield Batch(_once(records), {"read_until": began})

    def _newest(self, api: Api, read_until: datetime, until: Until) -> Iterator[Batch]:
        """Pages newest first, back to what cannot have changed since the moment `read_until`."""
        days: int = api.account.settings.reread_days  # type: ignore[attr-defined]
        horizon = read_until - timedelta(days=days)
        records: list[Record] = []
        for page in _pages(api, NEWEST_FIRST):
            records.extend(page.records)
            if len(records) >= self.batch_size:
                yield Batch(_once(records))
                records = []
            if _is_past(page.created, horizon):
                break
        reached = max(read_until, until.moment)
        yield Batch(_once(records), {"read_until": reached.isoformat()})


def _pages(
    api: Api, sort: str, number: int = 1, read: int = 0, announced: int = 0
) -> Iterator[Rows]:
    """The pages of the list from the given one on, up to an empty one or the announced end.

    A page may hold fewer rows than asked for although more are announced: the next one is asked
    for all the same; an empty one, or one that repeats the one before, is asked for again. Where
    fewer rows are announced than before, rows have left the list and the following ones have moved
    up: that many pages are asked for again. A list that ends with fewer rows than announced is read
    a second time, from its first page. Raises Incomplete.
    """
    before, retreats = b"", 0
    listing = Listing(api, "the list of invitations", before=read)
    while True:
        asked: dict[str, str | int] = {"page": number, "page_size": ROWS_PER_PAGE, "sort": sort}
        reply = api.get(INVITATIONS, asked, flaw=partial(_flaw, before, read))
        api.least_requests += 1
        page = _read_page(reply)
        rows, count = page.invitations, page.meta.count
        if count < announced and number > 1:
            back = min(number - 1, -(-(announced - count) // ROWS_PER_PAGE))
            number, read = number - back, max(0, read - back * ROWS_PER_PAGE)
            announced, before, retreats = count, b"", retreats + 1
            _refuse_if(retreats > MOST_RETREATS, "the announced number keeps falling", reply)
            continue
        announced, before = count, reply.body
        read += len(rows)
        made = _rows(number, page, read, reply, api.account.zone)
        listing.page(count, [each.source_order_id or each.body for each in made.records])
        yield made
        if not rows or read == count or (len(rows) < ROWS_PER_PAGE and read > count):
            if not listing.is_to_be_read_again(reply.url):
                return
            number, read, announced, before = 0, 0, 0, b""
        number += 1


def _flaw(before: bytes, read: int, reply: Reply) -> str | None:
    """Why a page is not the one that was asked for, after `read` rows and the page `before`."""
    page = _read_page(reply)
    if page.invitations and reply.body == before:
        return "it repeats the page before"
    if not page.invitations and read < page.meta.count:
        return f"it is empty though {page.meta.count} are announced and {read} have come"
    return None


def _read_page(reply: Reply) -> Page:
    page: Page = _decode(reply, Page, "the list of invitations")
    count = page.meta.count
    _refuse_if(not 0 <= count <= MOST_ROWS, f"the list announces {count} invitations", reply)
    return page


def _refuse_if(wrong: bool, what: str, reply: Reply) -> None:
    if wrong:
        raise ApiError(
            what,
            where=reply.url,
            remedy="run again; if it persists, ask Feedback Company how its list is paged now",
        )


def _rows(number: int, page: Page, read: int, reply: Reply, zone: tzinfo) -> Rows:
    rows, bodies = page.invitations, [_body(row) for row in page.invitations]
    records = [
        Record(_order_id(body), INVITATIONS, bytes(row), reply.fetched_at)
        for row, body in zip(rows, bodies, strict=True)
    ]
    created = [_moment(body.created_at, zone) for body in bodies]
    return Rows(number, records, created, read, page.meta.count)


def _body(row: msgspec.Raw) -> InvitationBody:
    """An invitation as far as asking needs it; an empty one where it cannot be read."""
    try:
        return msgspec.json.decode(row, type=InvitationBody)
    except msgspec.ValidationError:
        return InvitationBody()


def _order_id(body: InvitationBody) -> str | None:
    is_id = isinstance(body.id, int | str) and not isinstance(body.id, bool)
    return f"invitation/{body.id}" if is_id and body.id != "" else None


def _moment(stamp: object, zone: tzinfo) -> datetime | None:
    """A stamp as UTC; None where it is none."""
    if not isinstance(stamp, str):
        return None
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _is_past(created: list[datetime | None], horizon: datetime) -> bool:
    """Whether a page, and with it all that follow, ends before the horizon.

    Only a page whose stamps can all be read, and which is sorted, can say so.
    """
    stamps = [each for each in created if each is not None]
    if not stamps or len(stamps) < len(created):
        return False
    return stamps[-1] < horizon and stamps == sorted(stamps, reverse=True)


def _once(records: list[Record]) -> list[Record]:
    """Records less repetitions: while pages are read, new invitations push others to the next."""
    seen: set[tuple[str | None, bytes]] = set()
    fresh = []
    for record in records:
        if (record.source_order_id, record.body) not in seen:
            seen.add((record.source_order_id, record.body))
            fresh.append(record)
    return fresh


def _decode(reply: Reply, kind: Any, what: str) -> Any:
    """A reply's body; numbers may come as texts."""
    try:
        return msgspec.json.decode(reply.body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ApiError(
            f"{what} cannot be read ({fault})",
            where=reply.url,
            remedy="compare the reply with Feedback Company's documents",
        ) from fault
