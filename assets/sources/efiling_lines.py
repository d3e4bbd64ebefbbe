"""eFiling: the lines of orders.

Belongs here: which orders' lines to ask for, and composing an order with its lines. Does not belong
here: which orders to list (`efiling.py`), and how an order is read (`efiling.sql`).
Sources of the facts: eFiling's JSON API documents, introduction (errors) and Orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from assets.sources.base import Record
from assets.sources.efiling_pages import ORDERS, Listed, Unreadable, array_in, items_in
from resources.api import Api, NotJson, Reply, Unreachable

LOST_LINES = 3
"""Orders in a row whose lines cannot be had before the API is taken to be down."""


_HOUR = timedelta(hours=1)


class Updated(msgspec.Struct):
    """When an order was last updated."""

    updated_at: Any = None


class Landed(msgspec.Struct):
    """A record as it was composed here."""

    order: msgspec.Raw
    orderlines: msgspec.Raw
    orderlines_state: str


def changed(
    api: Api,
    orders: Sequence[Listed],
    settled: datetime | None,
    begun: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Those that differ from what is landed, or whose lines are not complete, with their lines.

    Lines may be edited again in the second in which they were read, and the order then looks the
    same: where it was updated at the moment `settled` or later, its lines are read again. `begun`
    is what a run that was cut short noted in the cursor: what was landed `after` that landing
    sequence was read when it had `asked_at`, or later, so it is settled up to there.
    """
    ids = [each.order_id for each in orders if each.order_id is not None]
    landed = {key: _read_landed(body) for key, body in api.known.bodies(ids).items()}
    missed = api.known.missed(ids)
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

    moved = [each for each in orders if each.order_id is not None and not is_settled(each)]
    for each in (one for one in orders if one.order_id is None):
        yield Record(None, ORDERS, compose(each.body, b"null", "missing"), each.fetched_at)
    api.least_requests += len(moved)
    paths = [f"{ORDERS}/{each.order_id}/orderlines" for each in moved]
    for each, reply in zip(moved, _lines(api, paths), strict=True):
        body = _with_lines(each, reply, landed.get(each.order_id or ""))
        yield Record(each.order_id, ORDERS, body, each.fetched_at)


def _is_as_landed(api: Api, order: Listed, old: Landed) -> bool:
    """Whether an order is what is landed of it, less what may not be kept."""
    if bytes(old.order) == order.body:
        return True
    composed = compose(order.body, bytes(old.orderlines), old.orderlines_state)
    kept = api.known.as_kept(order.order_id, composed)
    now = _read_landed(kept) if kept != composed else None
    return now is not None and bytes(now.order) == bytes(old.order)


def _lines(api: Api, paths: Sequence[str]) -> Iterator[Reply | None]:
    """The replies in order; None for lines that cannot be had though the API answers others."""
    done, lost = 0, 0
    while done < len(paths):
        try:
            asked = [(path, None) for path in paths[done:]]
            for reply in api.get_many(asked, missing_ok=True):
                if reply.status != 404:
                    items_in(reply)
                done, lost = done + 1, 0
                yield reply
        except (Unreachable, NotJson, Unreadable):
            done, lost = done + 1, lost + 1
            if lost == LOST_LINES:
                raise
            yield None


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
