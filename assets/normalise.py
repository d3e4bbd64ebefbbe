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

from assets.chunks import raw_chunks
from assets.drift import CHANGED_TYPE, UNKNOWN_FIELD, UNMAPPED_CODE, Scanner
from assets.drift_log import TABLE as DRIFT
from assets.drift_log import DriftLog, Noted
from assets.known import landing_stage
from assets.mappers import Mappers
from assets.mapping import Mapped
from resources.accounts import Account
from resources.errors import OrderloomError
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Lease, Ledger

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

MOST_BYTES = 24_000_000
"""Of canonical records committed together. A commit has costs of its own (footers, flushes)."""
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

    def add(self, later: Normalised) -> None:
        """Add what was made after this, which may be nothing."""
        if not self.has_any:
            self.after = later.after
        for name in ("orders", "order_rows", "order_parties", "quarantined"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.drift |= later.drift

    def count(self, mapped: Mapped) -> None:
        """Add what was made of one chunk."""
        quarantine = mapped.tables["quarantine"]
        held = quarantine.filter(quarantine["is_held"])
        self.orders += mapped.count("orders")
        self.order_rows += mapped.count("order_rows")
        self.order_parties += mapped.count("order_parties")
        self.quarantined += len(pc.unique(held["version_id"]))

    @property
    def has_any(self) -> bool:
        """Whether any version was made or held."""
        return bool(self.orders or self.quarantined)

    @property
    def drift_counts(self) -> dict[str, int]:
        """Different fields and codes in the orders normalised, by kind of drift."""
        return {
            f"{kind}s": sum(noted[0] == kind for noted in self.drift)
            for kind in (UNKNOWN_FIELD, CHANGED_TYPE, UNMAPPED_CODE)
        }


@dataclass
class Gathered:
    """Mapped chunks that are committed together."""

    reached: int
    """The last landing sequence in it; where it is empty, that after which it begins."""
    made: Normalised = field(init=False)
    tables: dict[str, list[pa.Table]] = field(default_factory=lambda: {t: [] for t in WRITTEN})
    bytes: int = 0

    def __post_init__(self) -> None:
        self.made = Normalised(after=self.reached)

    def add(self, mapped: Mapped, reached: int) -> None:
        """Add the chunk that follows. Raises OutOfOrder where it does not."""
        if reached < self.reached:
            raise OutOfOrder(
                f"a chunk up to landing sequence {reached} came after {self.reached}",
                where="the lake's table raw",
                remedy="nothing was committed of it: report this, then run `orderloom replay`",
            )
        self.reached = reached
        self.made.count(mapped)
        for table, made in self.tables.items():
            made.append(mapped.tables[table])
            self.bytes += mapped.tables[table].nbytes

    @property
    def is_full(self) -> bool:
        """Whether it is as large as memory is to bear."""
        return self.bytes >= MOST_BYTES


class OutOfOrder(OrderloomError):
    """Raw records were read in another order than that of their landing: some would be lost."""


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
            Mappers(self._account) as mappers,
        ):
            if self._is_half_replayed:
                return self._replace(mappers, lease)
            self._go_on(mappers, lease, total)
        return total

    def replay(self) -> Normalised:
        """Map every raw record of the account afresh and put the result in the old one's place."""
        with (
            self._ledger.lease(self._account.key, LEASE, wait=PATIENCE) as lease,
            Mappers(self._account) as mappers,
        ):
            return self._replace(mappers, lease)

    def _go_on(self, mappers: Mappers, lease: Lease, total: Normalised) -> None:
        """Map what was landed and not yet mapped, under the lease."""
        done = {table: self._lake.committed(table, self._stage) for table in WRITTEN}
        last = self._lake.committed("raw", landing_stage(self._account))
        drift = self._drift_log(mappers, done["orders"])
        gathered = Gathered(done["orders"])
        for chunk, mapped in mappers.map(self._chunks(done["orders"], last)):
            drift.look(chunk, mapped)
            gathered.add(mapped, pc.max(chunk["landing_seq"]).as_py())
            if gathered.is_full:
                total.add(self._commit(gathered, drift, lease, done))
                gathered = Gathered(gathered.reached)
        if gathered.tables["orders"]:
            total.add(self._commit(gathered, drift, lease, done))

    def _replace(self, mappers: Mappers, lease: Lease) -> Normalised:
        """As `replay`, under the lease. Every table gets one generation, the same for all."""
        done = {table: self._lake.committed(table, self._stage) for table in WRITTEN}
        last = self._lake.committed("raw", landing_stage(self._account))
        generation = 1 + max(self._lake.generation(table, self._own) for table in WRITTEN)
        gathered = Gathered(0)
        log = DriftLog(self._account, self._lake, self._stage)
        scanner = Scanner(self._account)
        for chunk, mapped in mappers.map(self._chunks(0, last)):
            gathered.add(mapped, last)
            scanner.scan(chunk)
            scanner.codes(mapped.tables["orders"])
        with rewriting(self._ledger, DRIFT):
            lease.check()
            gathered.made.drift = log.replace(scanner, last)
        for table in WRITTEN:
            with rewriting(self._ledger, table):
                lease.check()
                self._lake.replace_account(
                    table,
                    self._own,
                    gathered.tables[table],
                    stage=self._stage,
                    batch=last,
                    after=done[table],
                    generation=generation,
                )
        return gathered.made

    def _drift_log(self, mappers: Mappers, mapped_to: int) -> DriftLog:
        """The account's drift, brought up to what is mapped where it was never noted."""
        log = DriftLog(self._account, self._lake, self._stage)
        if mapped_to and log.lacks_the_past:
            scanner = Scanner(self._account)
            for chunk, mapped in mappers.map(self._chunks(0, mapped_to)):
                scanner.scan(chunk)
                scanner.codes(mapped.tables["orders"])
            log.catch_up(scanner, mapped_to)
        return log

    def _commit(
        self, gathered: Gathered, drift: DriftLog, lease: Lease, done: dict[str, int]
    ) -> Normalised:
        lease.check()
        gathered.made.drift = drift.keep(gathered.reached)
        self._write(gathered, done)
        return gathered.made

    def _write(self, gathered: Gathered, done: dict[str, int]) -> None:
        """Append to every table what it lacks, and note in `done` how far it has come."""
        for table in WRITTEN:
            records = pa.concat_tables(gathered.tables[table])
            if done[table] > gathered.made.after:
                records = records.filter(pc.field("landing_seq") > done[table])
            if records.num_rows or table == "orders":
                after, last = done[table], gathered.reached
                self._lake.append(table, records, stage=self._stage, batch=last, after=after)
                done[table] = max(after, last)

    def _chunks(self, after: int, last: int) -> Iterator[pa.Table]:
        return raw_chunks(self._lake, self._own, after, last)


def rewriting(
    ledger: Ledger, table: str, *, wait: float = PATIENCE
) -> AbstractContextManager[Lease]:
    """The lease under which files of a lake table are rewritten: by replay, or by compaction.

    Appending needs none. Of two who rewrite the same files at once one would be refused.
    """
    return ledger.lease(f"lake/{table}", REWRITE, wait=wait)
