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
from typing import Any

import duckdb
import pytest

from assets.pull import Pull
from resources.api import Progress
from sandbox.server import Sandbox
from schemas.canonical import LAKE
from tests.home import Pulls, point_at
from tests.sequence_promise import Discovered, is_loading, may_be_late
from tests.sequence_steps import Step, killed, make_small, perform
from tests.test_truth import Home, unlike
from tests.truth import published_id, truths

MOST = 24
"""Orders of each account."""
WEEK = timedelta(days=7)
"""After so long every source has listed all that it ever lists again."""


class World:
    """A sandbox and a home of the given sources. Close it."""

    def __init__(self, sources: Collection[str]) -> None:
        self._folder = TemporaryDirectory(prefix="sequence-")
        self._patch = pytest.MonkeyPatch()
        make_small(self._patch.setattr)
        self.box = Sandbox(most=MOST, sources=sources).__enter__()
        self.workshop = point_at(self.box, Path(self._folder.name), self._patch)
        self.home = Home(self.box, Pulls(self.workshop))
        self.discovered = Discovered(self.box)
        self.accounts = tuple(self.box.accounts)
        self.is_sound = True
        """False once a step has failed, or found what must not be."""

    def close(self) -> None:
        """Stop the sandbox and forget the home."""
        self.workshop.close()
        self.box.__exit__(None, None, None)
        self._patch.undo()
        self._folder.cleanup()

    def do(self, step: Step) -> list[Pull]:
        """Do a step, and look at what must hold after any."""
        with self._watched():
            pulled = perform(self.workshop, step)
            self.nothing_twice()
        return pulled

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self.is_sound, was_sound = False, self.is_sound
        yield
        self.is_sound = was_sound

    def sync(self, accounts: Collection[str]) -> list[Pull]:
        """Sync accounts; what each source promises to have seen must then be so."""
        late = {key: may_be_late(self.workshop, self.box, key) for key in accounts}
        self.discovered.look()
        pulled = self.do(Step("sync", tuple(accounts)))
        self.discovered.keep(accounts)
        with self._watched():
            wrong = {key: self.differences(key, late[key]) for key in accounts}
            assert not any(wrong.values()), wrong
        return pulled

    def crash(self, step: Step, place: int, *, at_requests: bool) -> bool:
        """Do a step in a process that is killed on the way; whether it was."""
        with self._watched():
            was_killed = killed(step, place, at_requests=at_requests)
            self.nothing_twice()
        return was_killed

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

    def settle(self) -> None:
        """Bring everything up to date, and hold the home against every promise."""
        if any(is_loading(self.workshop, key) for key in self.accounts):
            self.sync(self.accounts)
        self.box.clock.advance(WEEK)
        self.sync(self.accounts)
        wrong = {key: self.differences(key) for key in self.accounts}
        assert not any(wrong.values()), wrong
        self._idle()
        self._anew()
        assert [run for run in self.workshop.ledger.runs(None) if run["outcome"] == "running"] == []

    def _idle(self) -> None:
        """Syncing again finds nothing and writes nothing."""
        before = self._written()
        pulled = self.do(Step("sync", self.accounts))
        counts = {p.account.key: p.counts.new + p.counts.changed for p in pulled}
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
        """Every row of the canonical tables, in an order of its own."""
        tables = [table for table in LAKE if table != "raw"]
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
