"""Sweeping one account: from what a source still has to tombstones.

Belongs here: when an absence is a suspicion, when a tombstone, when it is not to be believed, and
landing what was decided. Does not belong here: asking (the sources), landing what was read
(`assets/landing.py`), normalising.

An order is suspected at the first complete and successful absence, deleted at the second one in
another run, and restored when it is there again. Decisions are taken under the landing lease
against the newest landed state, so that what another run landed meanwhile is never judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assets.known import Landed, Standing, landing_stage
from assets.landing import LEASE, PATIENCE
from assets.sources import source as source_of
from assets.sources.base import Presence, pieces
from resources.accounts import Account
from resources.api import Api
from resources.errors import ApiError, ConfigurationError
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Lease, Ledger
from schemas.lake import LAKE, SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazily("pyarrow")

PRESENCE = "presence"
"""The kind of a sweep's run, and the purpose of the lease that keeps it alone in its account."""
SWEEP = "sweep"
MOST = 5
"""A sweep that would mark more than one in so many known orders is stopped."""
SHOWN = 5
"""Orders that an error names."""


class SweepError(ApiError):
    """What a sweep found is not to be believed without a look: nothing of it was landed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What becomes of one order, on which answer it rests, and when that arrived (UTC)."""

    kind: str
    endpoint: str
    fetched_at: datetime


@dataclass
class Swept:
    """What a sweep found out, in orders."""

    known: int = 0
    """Landed when it began, tombstones not counted."""
    asked: int = 0
    """Of the known, those that complete and successful answers told about."""
    there: int = 0
    """Of the known, those that the source still has."""
    marks: dict[str, Mark] = field(default_factory=dict)
    """What is landed, by source order id."""

    def count(self, kind: str) -> int:
        """How many orders got a mark of a kind."""
        return sum(mark.kind == kind for mark in self.marks.values())

    @property
    def suspected(self) -> int:
        return self.count("suspected")

    @property
    def deleted(self) -> int:
        return self.count("absent")

    @property
    def restored(self) -> int:
        """Tombstones of which the order is there again; suspicions that have gone do not count."""
        return self.count("present")


class Sweeper:
    """One sweep of one account, by whoever holds its presence lease."""

    def __init__(
        self, account: Account, lake: Lake, ledger: Ledger, run_id: str, lease: Lease
    ) -> None:
        self._account = account
        self._lake = lake
        self._ledger = ledger
        self._run_id = run_id
        self._lease = lease

    def sweep(self, api: Api, *, accept_mass_deletion: bool = False) -> Swept:
        """Ask about every known order, and land what is news. Raises SweepError."""
        known: Landed = api.known
        began, before = known.last_seq, known.standings()
        if not before:
            return Swept()
        told = _Told()
        for answer in source_of(self._account.source).sweep(api, before.keys()):
            told.take(answer)
        with self._ledger.lease(self._account.key, LEASE, wait=PATIENCE) as landing:
            now = {i: s for i, s in known.standings().items() if s.landing_seq <= began}
            swept = self._decided(before, now, told)
            self._judge(swept, accept_mass_deletion=accept_mass_deletion)
            self._land(known, swept.marks, (self._lease, landing))
        return swept

    def _decided(
        self, before: Mapping[str, Standing], now: Mapping[str, Standing], told: _Told
    ) -> Swept:
        alive = {each for each, standing in before.items() if standing.kind != "absent"}
        swept = Swept(len(alive), len(alive & told.asked.keys()), len(alive & told.there.keys()))
        for order_id, standing in now.items():
            if order_id in told.there:
                kind = _KIND_WHEN_THERE.get(standing.kind)
                answer = told.there[order_id]
            elif order_id in told.asked:
                kind = self._kind_when_absent(standing)
                answer = told.asked[order_id]
            else:
                continue
            if kind is not None:
                swept.marks[order_id] = Mark(kind, answer.endpoint, answer.fetched_at)
        return swept

    def _kind_when_absent(self, standing: Standing) -> str | None:
        if standing.kind == "absent":
            return None
        if standing.kind != "suspected":
            return "suspected"
        return "absent" if standing.run_id != self._run_id else None

    def _judge(self, swept: Swept, *, accept_mass_deletion: bool) -> None:
        """Raise SweepError where too much is missing to be believed."""
        if swept.known and not swept.there:
            raise SweepError(
                f"the answers name none of the {swept.known:,} known orders, which is no evidence "
                "that they are gone; nothing was marked",
                where=f"{self._account.key}, {swept.asked:,} orders asked about",
                remedy="check that base_url and credentials are still those of this account",
            )
        gone = [i for i, mark in swept.marks.items() if mark.kind in ("suspected", "absent")]
        if len(gone) * MOST <= swept.known or accept_mass_deletion:
            return
        examples = ", ".join(sorted(gone)[:SHOWN])
        raise SweepError(
            f"{len(gone):,} of the {swept.known:,} known orders are missing, more than a fifth: "
            f"{swept.suspected:,} for the first time, {swept.deleted:,} again; nothing was marked",
            where=f"{self._account.key}, {swept.marks[gone[0]].endpoint[:200]}",
            remedy=f"look for some of them in the source itself ({examples}); if they are gone, "
            f"run `orderloom sweep {self._account.key} --accept-mass-deletion`",
        )

    def _land(self, known: Landed, marks: Mapping[str, Mark], leases: Iterable[Lease]) -> None:
        """Land the last known bodies under their new kinds; of a tombstone, the last usable one."""
        for ids in pieces(sorted(marks), source_of(self._account.source).batch_size):
            gone = [each for each in ids if marks[each].kind == "absent"]
            records = known.records(ids) | known.readable(gone)
            seq = known.last_seq
            rows = [
                self._row(records[each], marks[each], seq + place)
                for place, each in enumerate(ids, start=1)
            ]
            table = pa.Table.from_pylist(rows, schema=LAKE["raw"])
            for lease in leases:
                lease.check()
            stage = landing_stage(self._account)
            self._lake.append("raw", table, stage=stage, batch=seq + len(rows), after=seq)

    def _row(self, record: Mapping[str, Any], mark: Mark, seq: int) -> dict[str, Any]:
        return {
            **record,
            "kind": mark.kind,
            "endpoint": mark.endpoint,
            "fetched_at": mark.fetched_at,
            "landing_seq": seq,
            "run_id": self._run_id,
            "schema_version": SCHEMA_VERSION,
        }


_KIND_WHEN_THERE = {"absent": "present", "suspected": "read"}


class _Told:
    """All answers of one sweep: by order id, the answer that tells most about it."""

    def __init__(self) -> None:
        self.asked: dict[str, Presence] = {}
        self.there: dict[str, Presence] = {}

    def take(self, answer: Presence) -> None:
        """Add one answer."""
        self.asked.update(dict.fromkeys(answer.asked, answer))
        self.there.update(dict.fromkeys(answer.there, answer))


def can_sweep(account: Account) -> bool:
    """Whether the account's source can tell what is still there."""
    return SWEEP in source_of(account.source).ways


def require_sweep(account: Account) -> None:
    """Raise ConfigurationError for an account whose source cannot tell what is still there."""
    if not can_sweep(account):
        raise ConfigurationError(
            f"{source_of(account.source).title} cannot tell which orders are still there",
            where=account.key,
            remedy="leave it out: `orderloom sweep` alone takes all accounts that can be swept",
        )
