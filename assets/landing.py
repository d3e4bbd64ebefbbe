"""Landing: what a source yields becomes raw records in the lake, each content once.

Belongs here: keys, hashes, what is new, changed or unchanged, the landing sequence. Does not belong
here: asking (the sources), reading what landed (`assets/known.py`), what may not be kept of erased
persons (`assets/erased.py`), normalising.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from assets.erased import Erased
from assets.known import Landed, Newest, landing_stage
from assets.sources.base import Record, Source
from resources.accounts import Account
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Ledger
from schemas.keys import nameless_key, order_key
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


@dataclass
class _Batch:
    """Rows on their way into `raw`, and the newest observation of each order so far."""

    after: int
    """The account's landing sequence before this batch."""
    seq: int
    newest: dict[str, Newest]
    counts: Counts = field(default_factory=Counts)
    rows: list[dict[str, Any]] = field(default_factory=list)


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
            prepared = [(record, *self._prepare(record)) for record in records]
            batch = self._sort_out(prepared)
            if batch.rows:
                table = pa.Table.from_pylist(batch.rows, schema=LAKE["raw"])
                lease.check()
                stage = landing_stage(self._account)
                self._lake.append("raw", table, stage=stage, batch=batch.seq, after=batch.after)
        return batch.counts

    def close(self) -> None:
        """Let go of what was opened to look up the lake."""
        self._landed.close()

    def _prepare(self, record: Record) -> tuple[bytes, str]:
        """The body without what is never stored, and the hash of its lasting parts.

        Neither is what tells of erased persons. An order of theirs is noted before it is landed.
        """
        body = without(record.body, self._source.never_stored)
        key = self._key(record, "")
        found = self._erased.apply(key, body.decode("utf-8", errors="replace"))
        if found is not None:
            body = found.body.encode("utf-8", errors="replace") if found.fields else body
            if found.orders and record.source_order_id is not None:
                self._ledger.erasures.note_orders(found.orders)
                self._erased.refresh()
        return body, content_hash(self._source, body)

    def _sort_out(self, prepared: Sequence[tuple[Record, bytes, str]]) -> _Batch:
        keys = {self._key(record, digest) for record, _, digest in prepared}
        last = self._landed.last_seq
        newest = {key: self._dated(each) for key, each in self._landed.newest(keys).items()}
        batch = _Batch(after=last, seq=last, newest=newest)
        for record, body, digest in prepared:
            self._take(batch, record, body, digest)
        return batch

    def _dated(self, newest: Newest) -> Newest:
        """Moments tell what is older only among runs side by side: the clock may have been set."""
        if newest.landing_seq > self._before:
            return newest
        return replace(newest, fetched_at=_LONG_AGO, observed_at=_LONG_AGO)

    def _take(self, batch: _Batch, record: Record, body: bytes, digest: str) -> None:
        key = self._key(record, digest)
        newest = batch.newest.get(key)
        batch.counts.received += 1
        if newest is not None and _is_no_news(newest, record, digest):
            batch.counts.unchanged += 1
            return
        if newest is None:
            batch.counts.new += 1
        else:
            batch.counts.changed += 1
        first_seen_at = newest.first_seen_at if newest else record.fetched_at
        batch.seq += 1
        batch.counts.bytes += len(body)
        kind = "present" if newest is not None and newest.kind == "absent" else "read"
        batch.newest[key] = Newest(
            digest, kind, first_seen_at, record.fetched_at, record.fetched_at, batch.seq
        )
        row = self._row(record, key, body, digest, batch.seq, first_seen_at)
        batch.rows.append(row | {"kind": kind})

    def _key(self, record: Record, digest: str) -> str:
        if record.source_order_id is None:
            return nameless_key(self._account.source, self._account.name, digest)
        return order_key(self._account.source, self._account.name, record.source_order_id)

    def _row(
        self,
        record: Record,
        key: str,
        body: bytes,
        digest: str,
        seq: int,
        first_seen_at: datetime,
    ) -> dict[str, Any]:
        return {
            "source_system": self._account.source,
            "source_account": self._account.name,
            "order_key": key,
            "source_order_id": record.source_order_id,
            "landing_seq": seq,
            "kind": "read",
            "endpoint": record.endpoint,
            "body": body.decode("utf-8", errors="replace"),
            "content_hash": digest,
            "fetched_at": record.fetched_at,
            "first_seen_at": first_seen_at,
            "run_id": self._run_id,
            "schema_version": SCHEMA_VERSION,
        }


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


def without(body: bytes, paths: frozenset[str]) -> bytes:
    """A JSON object less some keys, everything else byte for byte; `a.b` is key b inside key a.

    What is no JSON object is returned as it is.
    """
    if not any(path.rpartition(".")[2].encode() in body for path in paths):
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
