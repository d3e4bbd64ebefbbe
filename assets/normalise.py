"""Normalising: raw records become canonical records, account by account.

Belongs here: which raw records are still to be mapped, and committing what the mapping made of
them in the right order. Does not belong here: the mapping itself (`assets/mapping.py`, NAME.sql),
drift (`assets/drift.py`, `assets/drift_log.py`).

Each table remembers how far it has come by the transaction of its last commit, so that a run that
died between two tables is completed without writing anything twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assets.drift import CHANGED_TYPE, UNKNOWN_FIELD, UNMAPPED_CODE, Scanner
from assets.drift_log import TABLE as DRIFT
from assets.drift_log import DriftLog, Noted
from assets.known import landing_stage
from assets.mapping import Mapped, Mapper
from resources.accounts import Account
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Lease, Ledger

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    duckdb = lazily("duckdb")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

CHUNK = 5000
"""Raw records mapped at once; bounds memory."""
WRITTEN = ("order_rows", "order_parties", "quarantine", "orders")
"""In this order: an order is never visible without its rows."""
LEASE = "normalise"
PATIENCE = 300.0
"""Seconds that one run waits for another that works on the same account or table."""
REWRITE = "rewrite"
"""Purpose of the lease of a lake table."""


@dataclass
class Normalised:
    """What a run made of raw records: versions of orders, their rows and parties, held versions."""

    orders: int = 0
    order_rows: int = 0
    order_parties: int = 0
    quarantined: int = 0
    after: int = 0
    """It was made of what was landed after this landing sequence."""
    drift: set[Noted] = field(default_factory=set)

    @property
    def drift_counts(self) -> dict[str, int]:
        """Different fields and codes in the orders normalised, by kind of drift."""
        return {
            f"{kind}s": sum(noted[0] == kind for noted in self.drift)
            for kind in (UNKNOWN_FIELD, CHANGED_TYPE, UNMAPPED_CODE)
        }


class Normaliser:
    """Drains one account's raw records into the canonical tables."""

    def __init__(self, account: Account, lake: Lake, ledger: Ledger) -> None:
        self._account = account
        self._lake = lake
        self._ledger = ledger
        self._own = (account.source, account.name)
        self._stage = f"normalise:{account.key}"

    @property
    def is_drained(self) -> bool:
        """True where no raw record waits: known from the tables' logs alone."""
        landed = self._lake.committed("raw", landing_stage(self._account))
        return landed <= self._lake.committed("orders", self._stage) and not self._is_half_replayed

    @property
    def _is_half_replayed(self) -> bool:
        """Whether a replay died after the first table it replaces and before the last."""
        first, last = (self._lake.generation(t, self._own) for t in (WRITTEN[0], WRITTEN[-1]))
        return first != last

    def drain(self) -> Normalised:
        """Map what was landed and not yet mapped, chunk by chunk.

        Where a replay died half way it is done again, so that no table is left by an older mapping.
        """
        total = Normalised()
        if self.is_drained:
            return total
        with (
            self._ledger.lease(self._account.key, LEASE, wait=PATIENCE) as lease,
            Mapper(self._account) as mapper,
        ):
            if self._is_half_replayed:
                return self._replace(mapper, lease)
            done = {table: self._lake.committed(table, self._stage) for table in WRITTEN}
            total.after = done["orders"]
            last = self._lake.committed("raw", landing_stage(self._account))
            drift = self._drift_log(mapper, done["orders"])
            for chunk in self._chunks(done["orders"], last):
                mapped = mapper.map(chunk)
                lease.check()
                reached = pc.max(chunk["landing_seq"]).as_py()
                drift.note(chunk, mapped, reached)
                self._write(mapped, done, reached)
                _count(total, mapped)
        total.drift = drift.noted
        return total

    def replay(self) -> Normalised:
        """Map every raw record of the account afresh and put the result in the old one's place."""
        with (
            self._ledger.lease(self._account.key, LEASE, wait=PATIENCE) as lease,
            Mapper(self._account) as mapper,
        ):
            return self._replace(mapper, lease)

    def _replace(self, mapper: Mapper, lease: Lease) -> Normalised:
        """As `replay`, under the lease. Every table gets one generation, the same for all."""
        total = Normalised()
        done = {table: self._lake.committed(table, self._stage) for table in WRITTEN}
        last = self._lake.committed("raw", landing_stage(self._account))
        generation = 1 + max(self._lake.generation(table, self._own) for table in WRITTEN)
        made: dict[str, list[pa.Table]] = {table: [] for table in WRITTEN}
        log = DriftLog(self._account, self._lake, self._stage)
        scanner = Scanner(self._account)
        for chunk in self._chunks(0, last):
            mapped = mapper.map(chunk)
            for table in WRITTEN:
                made[table].append(mapped.tables[table])
            scanner.scan(chunk)
            scanner.codes(mapped.tables["orders"])
            _count(total, mapped)
        with rewriting(self._ledger, DRIFT):
            lease.check()
            log.replace(scanner, last)
        total.drift = log.noted
        for table in WRITTEN:
            with rewriting(self._ledger, table):
                lease.check()
                self._lake.replace_account(
                    table,
                    self._own,
                    made[table],
                    stage=self._stage,
                    batch=last,
                    after=done[table],
                    generation=generation,
                )
        return total

    def _drift_log(self, mapper: Mapper, mapped_to: int) -> DriftLog:
        """The account's drift, brought up to what is mapped where it was never noted."""
        log = DriftLog(self._account, self._lake, self._stage)
        if mapped_to and log.lacks_the_past:
            scanner = Scanner(self._account)
            for chunk in self._chunks(0, mapped_to):
                scanner.scan(chunk)
                scanner.codes(mapper.map(chunk).tables["orders"])
            log.catch_up(scanner, mapped_to)
        return log

    def _write(self, mapped: Mapped, done: dict[str, int], last: int) -> None:
        """Append to every table what it lacks, and note in `done` how far it has come."""
        for table in WRITTEN:
            records = mapped.tables[table]
            if done[table]:
                records = records.filter(pc.field("landing_seq") > done[table])
            if records.num_rows or table == "orders":
                reached = done[table]
                self._lake.append(table, records, stage=self._stage, batch=last, after=reached)
                done[table] = max(reached, last)

    def _chunks(self, after: int, last: int) -> Iterator[pa.Table]:
        """Raw records beyond a landing sequence up to another, in order, some thousands a time."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            self._lake.read(connection, "raw", account=self._own).create_view("raw")
            for start in range(after, last, CHUNK):
                chunk = connection.execute(
                    "SELECT * FROM raw WHERE landing_seq > ? AND landing_seq <= ? "
                    "ORDER BY landing_seq",
                    [start, min(start + CHUNK, last)],
                ).to_arrow_table()
                if chunk.num_rows:
                    yield chunk


def rewriting(ledger: Ledger, table: str) -> AbstractContextManager[Lease]:
    """The lease under which files of a lake table are rewritten: by replay, or by compaction.

    Appending needs none. Of two who rewrite the same files at once one would be refused.
    """
    return ledger.lease(f"lake/{table}", REWRITE, wait=PATIENCE)


def _count(total: Normalised, mapped: Mapped) -> None:
    quarantine = mapped.tables["quarantine"]
    held = quarantine.filter(pc.field("is_held"))
    total.orders += mapped.count("orders")
    total.order_rows += mapped.count("order_rows")
    total.order_parties += mapped.count("order_parties")
    total.quarantined += len(pc.unique(held["version_id"]))
