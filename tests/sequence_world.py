"""One sandbox and one home, brought through a sequence, and what must hold of them.

Belongs here: doing a step, comparing with the truth. Does not belong here: choosing the steps
(`test_sequences.py`), what may be late (`sequence_promise.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import duckdb
import pytest

from assets.pull import Pull
from assets.sweeping import SweepError, can_sweep
from resources.api import Progress
from resources.errors import OrderloomError
from resources.ledger import LeaseHeld
from sandbox.server import Sandbox
from schemas.canonical import LAKE
from tests.home import Pulls, point_at
from tests.sequence_promise import Discovered, is_loading, may_be_late
from tests.sequence_steps import Step, killed, make_quick, perform
from tests.test_truth import Home, unlike
from tests.truth import published_id, truths

T = TypeVar("T")
MOST, MOST_OF_A_YEAR = 24, 72
"""Orders of each account; of eFiling, which has a year of them, enough for some to be recent."""
WEEK = timedelta(days=7)
"""After so long every source has listed all that it ever lists again."""


class World:
    """A sandbox and a home of the given sources. Close it."""

    def __init__(self, sources: Collection[str]) -> None:
        self._folder = TemporaryDirectory(prefix="sequence-")
        self._patch = pytest.MonkeyPatch()
        make_quick(self._patch)
        most = MOST_OF_A_YEAR if set(sources) == {"efiling"} else MOST
        self.box = Sandbox(most=most, sources=sources).__enter__()
        self.workshop = point_at(self.box, Path(self._folder.name), self._patch)
        self.home = Home(self.box, Pulls(self.workshop))
        self.discovered = Discovered(self.box)
        self.accounts = tuple(self.box.accounts)
        self._cleared = 0
        self.is_sound = True
        """False once a step has failed, or found what must not be."""

    def close(self) -> None:
        """Stop the sandbox and forget the home."""
        self.workshop.close()
        self.box.__exit__(None, None, None)
        self._patch.undo()
        self._folder.cleanup()

    def do(self, step: Step) -> list[Pull] | None:
        """Do a step, and look at what must hold after any; None where a fault made it fail."""
        with self._watched():
            pulled = self._tried(lambda: perform(self.workshop, step))
            self.nothing_twice()
        return pulled

    def _tried(self, act: Callable[[], T]) -> T | None:
        """What comes of an act; None where it fails, as it may when a fault has struck."""
        before = self.struck
        try:
            return act()
        except (LeaseHeld, SweepError):
            return None
        except OrderloomError:
            if self.struck == before:
                raise
            return None

    @property
    def struck(self) -> int:
        """How many requests were struck by faults so far."""
        return self._cleared + sum(f.struck for key in self.accounts for f in self.box.faults(key))

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._cleared = self.struck
        self.box.clear_faults()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self.is_sound, was_sound = False, self.is_sound
        yield
        self.is_sound = was_sound

    def sync(self, accounts: Collection[str]) -> list[Pull] | None:
        """Sync accounts; what each source promises to have seen must then be so."""
        late = {key: may_be_late(self.workshop, self.box, key) for key in accounts}
        self.discovered.look()
        before = self.struck
        pulled = self.do(Step("sync", tuple(accounts)))
        if self.struck > before:
            return pulled
        self.discovered.keep(accounts)
        with self._watched():
            wrong = {key: self.differences(key, late[key]) for key in accounts}
            assert not any(wrong.values()), wrong
        return pulled

    def crash(self, step: Step, place: int, *, at_requests: bool) -> bool:
        """Do a step in a process that is killed on the way; whether it was."""
        with self._watched():
            was_killed = self._tried(lambda: killed(step, place, at_requests=at_requests))
            self.nothing_twice()
        return bool(was_killed)

    def meanwhile(self, step: Step, after: int, act: Callable[[], None], *, landed: bool) -> bool:
        """Do a step, and something else in the midst of it; whether it came to that.

        That is after so many requests or, if `landed`, after so many landing commits.
        """
        left = [after]

        def told(_: Pull | Progress) -> None:
            left[0] -= 1
            if left[0] == 0:
                act()

        name = "landed" if landed else "asking"
        setattr(self.workshop, name, told)
        try:
            self.do(step)
        finally:
            setattr(self.workshop, name, None)
        return left[0] <= 0

    def differences(self, account: str, late: Collection[str] = ()) -> dict[str, Any]:
        """What the marts say otherwise than the sandbox, by order id, but for those late."""
        source = account.partition(".")[0]
        items = self.box.truth(account)
        expected = {
            order_id: truth
            for order_id, truth in truths(source, items).items()
            if order_id not in late and self.discovered.has(account, order_id)
        }
        if not expected:
            return {}
        published = self.home.orders(source, next(iter(expected.values())).columns)
        ever = {published_id(source, item) for item in items}
        found: dict[str, Any] = dict.fromkeys(published.keys() - ever, "never existed")
        lines, emails = self.home.lines(), self.home.emails()
        for order_id, truth in expected.items():
            order = published.get(order_id)
            if order is None:
                found[order_id] = "missing"
                continue
            key = order["order_key"]
            wrong = unlike(truth, order, lines[key], emails[key])
            if wrong:
                found[order_id] = wrong
        return found

    def nothing_twice(self) -> None:
        """No order, order row or version is there twice, and none without a change."""
        for what, found in zip(TWICE, self._of_lake(list(TWICE.values())), strict=True):
            assert not found, f"{what}: {found[:3]}"
        if self.home.warehouse.path.exists():
            for table, key in (("orders", "order_key"), ("order_rows", "order_row_key")):
                sql = f"SELECT {key} FROM {table} GROUP BY ALL HAVING COUNT(*) > 1"
                assert self.home.rows(sql) == []
            self._none_deleted_that_exists()

    def _none_deleted_that_exists(self) -> None:
        sql = "SELECT source_system, source_order_id FROM orders WHERE is_deleted"
        deleted = {(row["source_system"], row["source_order_id"]) for row in self.home.rows(sql)}
        for key in self.accounts:
            source = key.partition(".")[0]
            there = {(source, order_id) for order_id in truths(source, self.box.truth(key))}
            assert not deleted & there, f"deleted though they exist: {deleted & there}"

    def not_yet_deleted(self, account: str) -> set[str]:
        """Published orders that the sandbox no longer has, and that are not called deleted."""
        source = account.partition(".")[0]
        sql = "SELECT source_system, source_order_id FROM orders WHERE NOT is_deleted"
        kept = {r["source_order_id"] for r in self.home.rows(sql) if r["source_system"] == source}
        return kept - truths(source, self.box.truth(account)).keys()

    def settle(self) -> None:
        """Bring everything up to date, and hold the home against every promise."""
        self.clear_faults()
        if any(is_loading(self.workshop, key) for key in self.accounts):
            self.sync(self.accounts)
        self.box.clock.advance(WEEK)
        self.sync(self.accounts)
        wrong = {key: self.differences(key) for key in self.accounts}
        assert not any(wrong.values()), wrong
        self._idle()
        self._swept()
        assert [what for what, sql in NEVER_IN_HISTORY.items() if self.home.rows(sql)] == []
        self._anew()
        assert [run for run in self.workshop.ledger.runs(None) if run["outcome"] == "running"] == []

    def _swept(self) -> None:
        """Two sweeps find every deletion."""
        swept = tuple(k for k in self.accounts if can_sweep(self.workshop.accounts.get(k)))
        for _ in range(2):
            self.do(Step("accepted sweep", swept))
        self.do(Step("publish"))
        assert {key: self.not_yet_deleted(key) for key in swept} == {key: set() for key in swept}

    def _idle(self) -> None:
        """Syncing again finds nothing and writes nothing."""
        before = self._written()
        pulled = self.do(Step("sync", self.accounts))
        counts = {p.account.key: p.counts.new + p.counts.changed for p in pulled or ()}
        assert counts == dict.fromkeys(self.accounts, 0)
        assert self._written() == before

    def _written(self) -> list[Any]:
        versions = [self.workshop.lake.version(table) for table in LAKE]
        return [*versions, self.home.warehouse.path.resolve()]

    def _anew(self) -> None:
        """Rebuilding and replaying give what is there, cell by cell."""
        marts, lake = self.home.tables(), self._lake()
        self.do(Step("rebuild"))
        assert self.home.tables() == marts
        self.do(Step("replay", self.accounts))
        assert self._lake() == lake
        self.do(Step("publish"))
        assert self.home.tables() == marts

    def _lake(self) -> dict[str, list[Any]]:
        """Every row of the tables made from `raw`, in an order of its own.

        Not of `drift`, which counts by chunk: what is published of it is compared all the same.
        """
        tables = [table for table in LAKE if table not in ("raw", "drift")]
        found = self._of_lake([f"SELECT CAST(t AS VARCHAR) FROM {t} AS t" for t in tables])
        return {table: sorted(rows) for table, rows in zip(tables, found, strict=True)}

    def _of_lake(self, queries: list[str]) -> list[list[Any]]:
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            for table in LAKE:
                self.workshop.lake.read(con, table).create_view(table)
            return [con.execute(sql).fetchall() for sql in queries]


TWICE = {
    "a landing sequence is there twice": """
        SELECT source_system, landing_seq FROM raw GROUP BY ALL HAVING COUNT(*) > 1
    """,
    "a version without a change": """
        SELECT order_key, landing_seq
        FROM (
            SELECT
                *,
                LAG(content_hash || kind) OVER (PARTITION BY order_key ORDER BY landing_seq) AS old
            FROM raw
        )
        WHERE old = content_hash || kind
    """,
    "a version is there twice": """
        SELECT version_id FROM orders GROUP BY ALL HAVING COUNT(*) > 1
    """,
    "an order row is there twice": """
        SELECT version_id, order_row_key FROM order_rows GROUP BY ALL HAVING COUNT(*) > 1
    """,
    "a version without its rows": """
        SELECT o.version_id, o.row_count
        FROM orders AS o LEFT JOIN order_rows AS r ON r.version_id = o.version_id
        GROUP BY ALL
        HAVING COUNT(r.version_id) <> o.row_count
    """,
}
"""What must never be found in the lake, whatever happened."""

NEVER_IN_HISTORY = {
    "not one current code": """
        SELECT order_key, dimension
        FROM order_status_history
        GROUP BY ALL
        HAVING COUNT(*) FILTER (WHERE is_current) <> 1
    """,
    "a current code has ended, or another has not": """
        SELECT * FROM order_status_history WHERE is_current <> (valid_to_utc IS NULL)
    """,
    "stretches overlap or leave a gap": """
        SELECT *
        FROM (
            SELECT
                *,
                LEAD(valid_from_utc) OVER (
                    PARTITION BY order_key, dimension ORDER BY valid_from_utc, landing_seq
                ) AS following
            FROM order_status_history
        )
        WHERE valid_to_utc IS DISTINCT FROM following OR valid_to_utc < valid_from_utc
    """,
    "the current code is not the order's": """
        SELECT o.order_key
        FROM orders AS o
        LEFT JOIN order_status_history AS h
            ON h.order_key = o.order_key AND h.dimension = 'order_status' AND h.is_current
        WHERE h.code IS DISTINCT FROM o.order_status
    """,
}
"""What must never be found in the published history."""
