"""Brightpearl: sets of ids.

Belongs here: writing them, and reading those that Order OPTIONS answers with. Does not belong here:
which orders to ask for (`brightpearl.py`), and how an order is read (`brightpearl.sql`).
Sources of the facts: Brightpearl's page on ID sets, and recorded replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import msgspec

from assets.sources.base import pieces
from resources.api import Reply
from resources.errors import ApiError

IDS_PER_SWEEP = 20_000
"""Known orders asked about in one request; the reply, at some ten bytes an order, stays small."""
LONGEST_SET = 1_500
"""Characters of an id set in a URL: with the rest of it within the 2,000 that all servers take."""
WIDEST_GAP = 100
"""So many ids between two known ones are asked about as well, rather than written as two ranges.

They are orders that are not known, or no orders: what is answered of them is not looked at."""

_URI = re.compile(r"(?:.*/)?order/([\d.,-]+)")
_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


class Uris(msgspec.Struct):
    """URIs that together get what was asked about: `/order/1-2,5,8`, relative to the service."""

    uris: list[str] = msgspec.field(name="getUris")


class Options(msgspec.Struct):
    """An Order OPTIONS reply."""

    response: Uris


@dataclass(frozen=True)
class SweepSet:
    """The known ids that one request asks about, and the id set that does."""

    ids: Sequence[int]
    path: str


def id_set(order_ids: Sequence[int], widest_gap: int = 0) -> str:
    """Ascending ids as Brightpearl writes a set: `1-3,7`; gaps up to so many ids are closed."""
    runs: list[tuple[int, int]] = []
    for order_id in order_ids:
        if runs and order_id <= runs[-1][1] + 1 + widest_gap:
            runs[-1] = (runs[-1][0], order_id)
        else:
            runs.append((order_id, order_id))
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def sweep_sets(order_ids: Sequence[int]) -> Iterator[SweepSet]:
    """As few sets as there can be for these ascending ids, all of about the same size.

    Of the same size, so that no small one is left over which a few deletions would empty.
    """
    count = max(1, ceil(len(order_ids) / IDS_PER_SWEEP))
    for piece in pieces(order_ids, ceil(len(order_ids) / count) or 1):
        yield from _fitting(piece)


def _fitting(order_ids: Sequence[int]) -> Iterator[SweepSet]:
    """One set, or halves of it until each fits into a URL."""
    path = id_set(order_ids, WIDEST_GAP)
    if len(path) <= LONGEST_SET:
        yield SweepSet(order_ids, path)
        return
    half = len(order_ids) // 2
    yield from _fitting(order_ids[:half])
    yield from _fitting(order_ids[half:])


def existing(reply: Reply) -> frozenset[str]:
    """The ids that an Order OPTIONS reply names. Raises ApiError for any that cannot be read."""
    try:
        uris = msgspec.json.decode(reply.body, type=Options).response.uris
        return frozenset(str(order_id) for uri in uris for order_id in _ids_in(uri))
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as fault:
        raise ApiError(
            f"Order OPTIONS has no readable id sets ({fault})",
            where=reply.url,
            remedy="compare the reply with Brightpearl's page on ID sets",
        ) from fault


def _ids_in(uri: str) -> Iterator[int]:
    """The ids of one URI, at most those of one Order GET."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError(f"{uri[:80]!r} is no URI of orders")
    for part in re.split("[.,]", found[1]):
        ends = _PART.fullmatch(part)
        if ends is None:
            raise ValueError(f"{part[:40]!r} is no range of ids")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first or last - first >= 10**6:
            raise ValueError(f"{part!r} is no range of ids")
        yield from range(first, last + 1)
