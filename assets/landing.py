"""Landing: what a source yields becomes raw records in the lake, each content once.

Belongs here: keys, hashes, what is new, changed or unchanged, the landing sequence. Does not belong
here: asking (the sources), reading what landed (`assets/known.py`), what may not be kept of erased
persons (`assets/erased.py`), normalising.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import xxhash

from assets.erased import Erased
from assets.known import Landed, Newest, landing_stage
from assets.landed_keys import LandedKeys
from assets.sources.base import Record, Source
from resources.accounts import Account
from resources.arrays import moments, numbers, texts
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Ledger
from schemas.keys import encode, nameless_key, order_key, order_keys
from schemas.lake import LAKE, SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazily("pyarrow")

LEASE = "landing"
"""Purpose of the lease that a landing commit takes: for the commit alone."""
PATIENCE = 120.0
"""Seconds that a landing commit waits for another one of the same account."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class Counts:
    """What became of the records received, in orders; `bytes` counts the bodies landed."""

    received: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    bytes: int = 0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        for name in ("received", "new", "changed", "unchanged", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class _Received:
    """Records as they may be kept, by columns: one place in each for every record."""

    keys: Sequence[str]
    records: Sequence[Record]
    bodies: Sequence[bytes]
    digests: Sequence[str]

    def at(self, places: Sequence[int]) -> _Received:
        """Those at some places, ascending."""
        if len(places) == len(self.keys):
            return self
        return _Received(
            [self.keys[place] for place in places],
            [self.records[place] for place in places],
            [self.bodies[place] for place in places],
            [self.digests[place] for place in places],
        )


class _Batch:
    """Rows on their way into `raw`, and the newest observation of each order so far."""

    def __init__(self, after: int, newest: dict[str, Newest]) -> None:
        self.after = self.seq = after
        """The account's landing sequence before this batch, and after what is in it."""
        self.newest = newest
        self.counts = Counts()
        self.places: Sequence[int] = []
        """Where among what was received the rows stand that say something new."""
        self.kinds: list[str] = []
        self.firsts: list[datetime] = []
        """Kind and first_seen_at of each row."""

    def take(self, received: _Received) -> None:
        """Add what was received, less what says nothing new."""
        if not self.newest and len(set(received.keys)) == len(received.keys):
            self._take_all(received.records)
        else:
            rows = zip(received.keys, received.records, received.digests, strict=True)
            self.places = [place for place, row in enumerate(rows) if self._is_news(*row)]
        self.seq = self.after + len(self.places)
        self.counts.received = len(received.keys)
        self.counts.bytes = sum(map(len, received.at(self.places).bodies))

    def _take_all(self, records: Sequence[Record]) -> None:
        """Of orders of which none was ever landed, and none comes twice, each is new."""
        self.counts.new = len(records)
        self.places = range(len(records))
        self.kinds = ["read"] * len(records)
        self.firsts = [record.fetched_at for record in records]

    def _is_news(self, key: str, record: Record, digest: str) -> bool:
        """Whether a record says anything new; if so, it becomes the newest of its order."""
        counts, newest = self.counts, self.newest.get(key)
        if newest is not None and _is_no_news(newest, record, digest):
            counts.unchanged += 1
            return False
        fetched_at = first_seen_at = record.fetched_at
        kind = "read"
        if newest is None:
            counts.new += 1
        else:
            counts.changed += 1
            first_seen_at = newest.first_seen_at
            if newest.kind == "absent":
                kind = "present"
        seq = self.after + len(self.kinds) + 1
        self.newest[key] = Newest(digest, kind, first_seen_at, fetched_at, fetched_at, seq)
        self.kinds.append(kind)
        self.firsts.append(first_seen_at)
        return True


class Landing:
    """The only way of one account's records into `raw`."""

    def __init__(
        self, source: Source, account: Account, lake: Lake, ledger: Ledger, run_id: str
    ) -> None:
        self._source = source
        self._account = account
        self._lake = lake
        self._ledger = ledger
        self._run_id = run_id
        self._landed = Landed(lake, account)
        self._erased = Erased(account.source, account.key, ledger.erasures)
        self._keys = LandedKeys(lake, (account.source, account.name))
        self._prefix = order_key(account.source, account.name, "")
        self._before = self._landed.last_seq
        """Whatever was landed up to here was fetched before anything that is landed here."""

    def land(self, records: Sequence[Record]) -> Counts:
        """Land what is new or changed, in one commit, durable when this returns.

        Content equal to the newest landed of its order is not landed again; neither is a reply
        that is older than it, which a slow backfill may bring. Raises Overtaken, and lands nothing,
        where this process stood still until another one landed in its place.
        """
        if not records:
            return Counts()
        with self._ledger.lease(self._account.key, LEASE, wait=PATIENCE) as lease:
            self._erased.refresh()  # under the lease: what is erased meanwhile counts
            received = self._received(records)
            batch = self._sorted_out(received)
            if batch.places:
                rows = received.at(batch.places)
                table = self._table(rows, batch)
                lease.check()
                stage = landing_stage(self._account)
                self._lake.append("raw", table, stage=stage, batch=batch.seq, after=batch.after)
                self._keys.add(rows.keys, batch.seq)
        return batch.counts

    def close(self) -> None:
        """Let go of what was opened to look up the lake."""
        self._landed.close()

    def _received(self, records: Sequence[Record]) -> _Received:
        """The records with what is known of them without looking at the lake."""
        if self._erased.is_nobody and not self._source.never_stored:
            bodies = [record.body for record in records]
        else:
            bodies = [self._kept(record) for record in records]
        digests = content_hashes(self._source, bodies)
        return _Received(self._keys_of(records, digests), records, bodies, digests)

    def _sorted_out(self, received: _Received) -> _Batch:
        last = self._landed.last_seq
        newest = self._landed.newest(self._keys.among(received.keys, last))
        batch = _Batch(last, {key: self._dated(each) for key, each in newest.items()})
        batch.take(received)
        return batch

    def _kept(self, record: Record) -> bytes:
        """The body without what is never stored, and without what tells of erased persons.

        An order of theirs is noted before it is landed.
        """
        body = record.body
        if self._source.never_stored:
            body = without(body, self._source.never_stored)
        if self._erased.is_nobody:
            return body
        found = self._erased.apply(self._key(record, ""), body.decode("utf-8", errors="replace"))
        if found is not None:
            body = found.body.encode("utf-8", errors="replace") if found.fields else body
            if found.orders and record.source_order_id is not None:
                self._ledger.erasures.note_orders(found.orders)
                self._erased.refresh()
        return body

    def _dated(self, newest: Newest) -> Newest:
        """Moments tell what is older only among runs side by side: the clock may have been set."""
        if newest.landing_seq > self._before:
            return newest
        return msgspec.structs.replace(newest, fetched_at=_LONG_AGO, observed_at=_LONG_AGO)

    def _keys_of(self, records: Sequence[Record], digests: Sequence[str]) -> list[str]:
        ids = [each.source_order_id for each in records if each.source_order_id is not None]
        if len(ids) == len(records):
            return order_keys(self._account.source, self._account.name, ids)
        return [self._key(*each) for each in zip(records, digests, strict=True)]

    def _key(self, record: Record, digest: str) -> str:
        if record.source_order_id is None:
            return nameless_key(self._account.source, self._account.name, digest)
        return self._prefix + encode(record.source_order_id)

    def _table(self, rows: _Received, batch: _Batch) -> pa.Table:
        """The rows of a batch as `raw` has them; built by columns, each in one go."""
        records, count = rows.records, len(rows.keys)
        columns = {
            "source_system": texts([self._account.source] * count),
            "source_account": texts([self._account.name] * count),
            "order_key": texts(rows.keys),
            "source_order_id": texts([record.source_order_id for record in records]),
            "landing_seq": numbers(range(batch.after + 1, batch.seq + 1)),
            "kind": texts(batch.kinds),
            "endpoint": texts([record.endpoint for record in records]),
            "body": texts(rows.bodies),
            "content_hash": texts(rows.digests),
            "fetched_at": moments([record.fetched_at for record in records]),
            "first_seen_at": moments(batch.firsts),
            "run_id": texts([self._run_id] * count),
            "schema_version": numbers([SCHEMA_VERSION] * count, "h"),
        }
        schema = LAKE["raw"]
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _is_no_news(newest: Newest, record: Record, digest: str) -> bool:
    """Whether a record says nothing beyond what is landed, or is older than it.

    A suspicion is no content: a change that was read before it and lands after it is not lost. A
    tombstone stands against everything that was read before it.
    """
    if newest.fetched_at > record.fetched_at:
        return True
    is_stale = newest.observed_at > record.fetched_at
    if newest.kind == "absent":
        return is_stale
    if newest.kind == "suspected":
        return is_stale and newest.content_hash == digest
    return newest.content_hash == digest


def content_hash(source: Source, body: bytes) -> str:
    """The hash by which equal content is known: of the body less its volatile parts."""
    return xxhash.xxh3_128_hexdigest(without(body, source.volatile))


def content_hashes(source: Source, bodies: Sequence[bytes]) -> list[str]:
    """As `content_hash`, of many bodies."""
    if source.volatile:
        return [content_hash(source, body) for body in bodies]
    return [xxhash.xxh3_128_hexdigest(body) for body in bodies]


def without(body: bytes, paths: frozenset[str]) -> bytes:
    """A JSON object less some keys, everything else byte for byte; `a.b` is key b inside key a.

    What is no JSON object is returned as it is.
    """
    if not paths or not any(path.rpartition(".")[2].encode() in body for path in paths):
        return body
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return body
    for path in paths:
        outer, _, inner = path.partition(".")
        if not inner:
            fields.pop(outer, None)
        elif outer in fields:
            fields[outer] = msgspec.Raw(without(bytes(fields[outer]), frozenset({inner})))
    return msgspec.json.encode(fields)
