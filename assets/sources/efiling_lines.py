"""eFiling: the lines of orders.

Belongs here: which orders' lines to ask for, and composing an order with its lines. Does not belong
here: which orders to list (`efiling.py`), and how an order is read (`efiling.sql`).
Sources of the facts: eFiling's JSON API documents, introduction (errors) and Orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from assets.sources.base import Record
from assets.sources.efiling_pages import ORDERS, Listed, Unreadable, array_in, items_in
from resources.api import Api, NotJson, Reply, Unreachable
from resources.errors import ApiError

LOST_LINES = 3
"""Orders in a row whose lines cannot be had before the API is taken to be down."""
REQUESTS_PER_MINUTE = 120
"""Allowed unless an account says otherwise."""
MOST_AT_ONCE = 32
"""Orders whose lines are asked for at a time. The API limits requests in a minute, not these; where
few are allowed fewer are under way, so that little is asked for again when a run is cut short."""
LEAST_AT_ONCE = 4

_HOUR = timedelta(hours=1)


class Updated(msgspec.Struct):
    """When an order was last updated."""

    updated_at: Any = None


class Landed(msgspec.Struct):
    """A record as it was composed here."""

    order: msgspec.Raw
    orderlines: msgspec.Raw
    orderlines_state: str


@dataclass(frozen=True, slots=True)
class Moved:
    """An order that is to be landed, and what is landed of it."""

    order: Listed
    old: Landed | None

    @property
    def path(self) -> str:
        """Where its lines are."""
        return f"{ORDERS}/{self.order.order_id}/orderlines"

    def record(self, reply: Reply | None) -> Record:
        """It with the lines of a reply."""
        body = _with_lines(self.order, reply, self.old)
        return Record(self.order.order_id, ORDERS, body, self.order.fetched_at)


def changed(
    api: Api,
    pieces: Iterable[Sequence[Listed]],
    settled: Callable[[], datetime] | None,
    begun: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Those that differ from what is landed, or whose lines are not complete, with their lines.

    Lines may be edited again in the second in which they were read, and the order then looks the
    same: where it was updated at the moment that `settled` tells, or later, its lines are read
    again. `begun` is what a run that was cut short noted in the cursor: what was landed `after`
    that landing sequence was read when it had `asked_at`, or later, so it is settled up to there.

    In the order listed. The pieces are drawn from while lines are asked for, up to twice as many
    ahead as are asked for at once.
    """
    ahead: deque[Moved] = deque()

    def paths() -> Iterator[str]:
        for piece in pieces:
            for moved in _moved(api, piece, settled() if settled else None, begun):
                ahead.append(moved)
                if moved.order.order_id is not None:
                    api.least_requests += 1
                    yield moved.path

    for reply in _lines(api, paths()):
        yield from _nameless(ahead)
        yield ahead.popleft().record(reply)
    yield from _nameless(ahead)


def _nameless(ahead: deque[Moved]) -> Iterator[Record]:
    """What is next in line and cannot be asked for its lines."""
    while ahead and ahead[0].order.order_id is None:
        yield ahead.popleft().record(None)


def _moved(
    api: Api,
    orders: Sequence[Listed],
    settled: datetime | None,
    begun: Mapping[str, Any] | None,
) -> list[Moved]:
    """Those whose lines are to be asked for, and those without an id; see `changed`."""
    ids = [each.order_id for each in orders if each.order_id is not None]
    seen = list(api.known.observed(ids))
    landed = {each.source_order_id: _read_landed(each.body.encode()) for each in seen if each.body}
    missed = {each.source_order_id for each in seen if each.kind in {"suspected", "absent"}}
    resumed = api.known.landed_after(begun["after"], ids) if begun else frozenset[str]()

    def is_settled(each: Listed) -> bool:
        old = landed.get(each.order_id or "")
        if old is None or each.order_id in missed:
            return False
        bound = datetime.fromisoformat(begun["asked_at"]) if begun else settled
        bound = bound if each.order_id in resumed else settled
        if bound and _is_updated_since(each.body, bound, api.account.zone):
            return False
        return old.orderlines_state == "complete" and _is_as_landed(api, each, old)

    return [Moved(each, landed.get(each.order_id or "")) for each in orders if not is_settled(each)]


def _is_as_landed(api: Api, order: Listed, old: Landed) -> bool:
    """Whether an order is what is landed of it, less what may not be kept."""
    if bytes(old.order) == order.body:
        return True
    composed = compose(order.body, bytes(old.orderlines), old.orderlines_state)
    kept = api.known.as_kept(order.order_id, composed)
    now = _read_landed(kept) if kept != composed else None
    return now is not None and bytes(now.order) == bytes(old.order)


def _lines(api: Api, paths: Iterable[str]) -> Iterator[Reply | None]:
    """The replies in order; None for lines that cannot be had though the API answers others.

    What failed right after another one is asked for once more, by itself: both may have met the
    same trouble at the same moment.
    """
    asked: deque[str] = deque()
    failed, lost = False, 0

    def noted() -> Iterator[str]:
        for path in paths:
            asked.append(path)
            yield path

    for reply in _asked(api, noted()):
        path, fault = asked.popleft(), _fault_in(reply)
        failed_before, failed = failed, fault is not None
        if fault is not None and failed_before:
            (reply,) = _asked(api, [path])
            fault = _fault_in(reply)
        lost = 0 if fault is None else lost + 1
        if fault is not None and lost == LOST_LINES:
            raise fault
        yield reply if isinstance(reply, Reply) and fault is None else None


def _asked(api: Api, paths: Iterable[str]) -> Iterator[Reply | ApiError]:
    requests = ((path, None) for path in paths)
    allowed = api.account.settings.requests_per_minute or REQUESTS_PER_MINUTE
    at_once = min(max(allowed // 30, LEAST_AT_ONCE), MOST_AT_ONCE)
    return api.try_many(requests, at_once=at_once, lost=(Unreachable, NotJson), missing_ok=True)


def _fault_in(reply: Reply | ApiError) -> ApiError | None:
    """Why a reply is no list of lines; that there is none for the order is no fault."""
    if isinstance(reply, ApiError):
        return reply
    try:
        if reply.status != 404:
            items_in(reply)
    except (NotJson, Unreadable) as fault:
        return fault
    return None


def _with_lines(order: Listed, reply: Reply | None, old: Landed | None) -> bytes:
    """One record. Lines that cannot be had are those landed before, marked stale, if there are."""
    if reply is not None and reply.status != 404:
        return compose(order.body, bytes(array_in(reply)[0]), "complete")
    if old is not None and old.orderlines_state != "missing":
        return compose(order.body, bytes(old.orderlines), "stale")
    return compose(order.body, b"null", "missing")


def compose(order: bytes, lines: bytes, state: str) -> bytes:
    """Order and lines as one JSON object, by bytes, so that numbers keep their digits."""
    return b'{"order":%b,"orderlines":%b,"orderlines_state":"%b"}' % (order, lines, state.encode())


def _read_landed(body: bytes) -> Landed | None:
    """A landed record's parts; None where it was composed otherwise."""
    try:
        return msgspec.json.decode(body, type=Landed)
    except msgspec.DecodeError:
        return None


def _is_updated_since(order: bytes, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether `updated_at`, YmdHis in the account's zone, may be this moment or later."""
    try:
        updated_at = str(msgspec.json.decode(order, type=Updated).updated_at)
    except msgspec.ValidationError:
        return False
    early, late = (each.astimezone(zone) for each in (moment, moment + _HOUR))
    if early.utcoffset() != late.utcoffset():
        early -= _HOUR  # the hour is about to be repeated: later stamps may be lower
    return updated_at.isdecimal() and updated_at >= f"{early:%Y%m%d%H%M%S}"
