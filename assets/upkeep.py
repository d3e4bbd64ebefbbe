"""The lake kept cheap to read, by itself: after each publication, and every night.

Belongs here: when which table is tended, under its lease, and for how long. Does not belong here:
what a crowded table is (`resources/lake_keeping.py`), doing it (`resources/lake.py`), what is told
of it in Dagster (`assets/publish.py`, `pipelines/`).

It comes after publishing, since then no file holds what the next publication has to read besides
what it has read. A table is left alone while somebody else rewrites it: whoever comes next finds it
as due as before. Syncs never wait for it: appending needs no lease of the table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from assets.normalise import rewriting
from resources import lake_keeping
from resources.errors import LakeError, LedgerError
from resources.lake import AccountKey, Lake
from resources.lake_keeping import RowsLost
from resources.ledger import LeaseHeld, Ledger
from schemas.canonical import LAKE

MOST_SECONDS = 60.0
"""Once they are over no further account or table is begun; what is left goes the next time."""


@dataclass
class Tended:
    """What became of the lake's files."""

    merged: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Table -> its files before and after."""
    deleted: int = 0
    """Files of the tables that nothing needed any more, and of their logs."""
    left: dict[str, str] = field(default_factory=dict)
    """Table -> why it was left as it was."""

    @property
    def lines(self) -> list[str]:
        """One line for each table that was tended or could not be."""
        merged = [f"{table}: {old} files became {new}" for table, (old, new) in self.merged.items()]
        return merged + [f"{table}: not tended, {why}" for table, why in self.left.items()]


class Upkeep:
    """Tends the tables of one lake."""

    def __init__(
        self,
        lake: Lake,
        ledger: Ledger,
        *,
        days: int,
        log_hours: float = lake_keeping.LOG_HOURS,
    ) -> None:
        """`days`: for how long replaced files stay, for readers that have them open; `log_hours`:
        the same of log entries that a checkpoint stands in for.
        """
        self._lake = lake
        self._ledger = ledger
        self._hours = 24 * days
        self._log_hours = log_hours

    def where_due(self, most_seconds: float = MOST_SECONDS) -> Tended:
        """Tend the tables that need it; where none does, nothing but their logs is looked at.

        A fault is noted, not raised: what was published before this stands. Raises RowsLost.
        """
        tended, give_up = Tended(), time.monotonic() + most_seconds
        for table in LAKE:
            try:
                due = lake_keeping.crowded(self._lake.files(table))
                if time.monotonic() < give_up and (due or self._has_long_log(table)):
                    self._tend(table, due, tended, give_up)
            except RowsLost:
                raise
            except (LakeError, LedgerError) as fault:
                tended.left[table] = str(fault)
        return tended

    def everything(self, tables: Iterable[str] = LAKE) -> Tended:
        """Tend every table, however little there is to do. Raises LeaseHeld and LakeError."""
        tended = Tended()
        for table in tables:
            with rewriting(self._ledger, table):
                tended.merged[table] = self._lake.compact(table)
                self._clear(table, tended)
        return tended

    def delete_what_is_old(self) -> int:
        """Delete files that are needed no more of every table that nobody rewrites; how many."""
        tended = Tended()
        for table in LAKE:
            try:
                with rewriting(self._ledger, table, wait=0):
                    self._clear(table, tended)
            except LeaseHeld:
                continue
        return tended.deleted

    def _has_long_log(self, table: str) -> bool:
        root = self._lake.root
        return root is not None and lake_keeping.has_long_log(
            root / table, self._lake.version(table)
        )

    def _tend(
        self, table: str, due: Mapping[AccountKey, int], tended: Tended, give_up: float
    ) -> None:
        with rewriting(self._ledger, table, wait=0) as lease:
            before = len(self._lake.files(table))
            for account, size in due.items():
                if time.monotonic() > give_up:
                    break
                lease.check()
                self._lake.compact(table, account=account, size=size)
            if due:
                tended.merged[table] = before, len(self._lake.files(table))
                lease.check()
                tended.deleted += self._lake.vacuum(table, hours=self._hours)
            tended.deleted += self._lake.shorten_log(table, hours=self._log_hours)

    def _clear(self, table: str, tended: Tended) -> None:
        tended.deleted += self._lake.vacuum(table, hours=self._hours)
        if self._has_long_log(table):
            tended.deleted += self._lake.shorten_log(table, hours=self._log_hours)
