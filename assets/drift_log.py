"""Keeping what was noted of drift in the lake, as far as orders are normalised.

Belongs here: what is still to be noted, and the commits of the lake table `drift`. Does not belong
here: what drift is (`assets/drift.py`), mapping and its commits (`assets/normalise.py`).

A batch in which nothing was noted is not committed, except for the account's first: an account
without any commit is one that was normalised before this table was kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.drift import SETTLED_TYPE, Scanner
from assets.mapping import Mapped
from resources.accounts import Account
from resources.lake import Lake
from resources.lazily import lazily
from schemas.known_fields import has_choices

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    duckdb = lazily("duckdb")
    pc = lazily("pyarrow.compute")

TABLE = "drift"
Noted = tuple[str, str, str | None]
"""Kind, field, code."""


class DriftLog:
    """One account's part of the lake table `drift`, under the lease of whoever normalises."""

    def __init__(self, account: Account, lake: Lake, stage: str) -> None:
        self._account = account
        self._lake = lake
        self._stage = stage
        self._done = lake.committed(TABLE, stage)
        self._scanner = Scanner(account, self._read_settled())

    @property
    def lacks_the_past(self) -> bool:
        """Whether nothing was ever noted of this account."""
        return not self._done

    def catch_up(self, scanner: Scanner, last: int) -> None:
        """Keep what was found in all that was normalised up to the landing sequence `last`."""
        self._append(scanner.found(), last)
        self._scanner = Scanner(self._account, scanner.settled)

    def replace(self, scanner: Scanner, last: int) -> set[Noted]:
        """Put what was found in all of the account's orders in the old one's place."""
        found = scanner.found()
        own = (self._account.source, self._account.name)
        self._lake.replace_account(
            TABLE, own, [found], stage=self._stage, batch=last, after=self._done
        )
        return _noted(found)

    def look(self, chunk: pa.Table, mapped: Mapped) -> None:
        """Look at a chunk, less what a run that died had noted of it already."""
        orders = mapped.tables["orders"]
        if pc.min(chunk["landing_seq"]).as_py() <= self._done:
            unseen = pc.field("landing_seq") > self._done
            chunk, orders = chunk.filter(unseen), orders.filter(unseen)
        self._scanner.scan(chunk)
        self._scanner.codes(orders)

    def keep(self, last: int) -> set[Noted]:
        """Keep what was found since the last time, in orders up to the landing sequence `last`."""
        found = self._scanner.found()
        if found.num_rows or self.lacks_the_past:
            self._append(found, last)
        self._scanner = Scanner(self._account, self._scanner.settled)
        return _noted(found)

    def _append(self, found: pa.Table, last: int) -> None:
        self._lake.append(TABLE, found, stage=self._stage, batch=last, after=self._done)
        self._done = max(self._done, last)

    def _read_settled(self) -> dict[str, str]:
        """Field -> JSON type, as the account's orders have had it so far."""
        if not self._done or not has_choices(self._account.source):
            return {}
        own = (self._account.source, self._account.name)
        with duckdb.connect() as connection:
            kept = self._lake.read(connection, TABLE, account=own)
            rows = kept.filter(f"kind = '{SETTLED_TYPE}'").project("field, json_type").fetchall()
        return dict(rows)


def _noted(found: pa.Table) -> set[Noted]:
    columns = (found[name].to_pylist() for name in ("kind", "field", "code"))
    return {noted for noted in zip(*columns, strict=True) if noted[0] != SETTLED_TYPE}
