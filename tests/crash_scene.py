"""One sandbox account that a killed or interrupted command line pulls from.

Belongs here: what the tests of crashes share. Does not belong here: expectations of one test.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox import server
from sandbox.server import Sandbox
from tests.crashing import KILLED, Child, Commands, Moment
from tests.home import Pulls, point_at
from tests.test_truth import Home, alive, differences

KEY = "efiling.formations"
LINES = re.compile(r"/orders/\d+/orderlines$")
DAYS = ("--from", "2026-06-01", "--to", "2026-10-31")
"""Five windows of a backfill with some fifty orders each."""


@dataclass
class Scene:
    """One sandbox account, a home, and what was asked of the account."""

    box: Sandbox
    home: Home
    commands: Commands
    asked: list[str] = field(default_factory=list)
    """The path of every request."""
    signal_at: int = 0
    """Signal the newest child when this many requests have come; 0 for never."""
    signal: int = signal.SIGKILL

    def note(self, path: str) -> None:
        self.asked.append(path)
        if len(self.asked) == self.signal_at:
            number = self.commands.children[-1].process.pid
            assert number is not None
            os.kill(number, self.signal)

    def die(self, moment: Moment, *arguments: str) -> Child:
        child = self.commands.run(*arguments, die_at=moment)
        assert child.process.exitcode == KILLED, f"{moment} never came: {child.said()}"
        return child

    def is_true(self) -> Child:
        """A sync later, the marts are what the API holds, and nothing stands there twice."""
        child = self.commands.succeed("sync")
        assert differences(self.home) == {}
        lake = self.home.pulls.workshop.lake
        with self.home.warehouse.open() as connection:
            for table, key in {"raw": "landing_seq", "orders": "version_id"}.items():
                found = lake.read(connection, table)
                rows, keys = found.aggregate(f"COUNT(*), COUNT(DISTINCT {key})").fetchall()[0]
                assert rows == keys > 0, table
        assert {run["outcome"] for run in self.home.pulls.workshop.ledger.runs(None)} <= {
            "succeeded",
            "failed",
        }
        return child

    def repeated(self) -> int:
        """How many requests for an order's lines were made more than once."""
        counts = Counter(path for path in self.asked if LINES.search(path))
        return counts.total() - len(counts)


@contextmanager
def open_scene(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A sandbox whose every request is noted, and an empty home that points at it."""
    call = server.Front.__call__
    with Sandbox(lifted=True, sources=("efiling",)) as box:
        pulls = Pulls(point_at(box, folder, monkeypatch))
        found = Scene(box, Home(box, pulls), Commands(folder))

        async def watched(self, scope, receive, send):  # type: ignore[no-untyped-def]
            found.note(scope["path"])
            await call(self, scope, receive, send)

        monkeypatch.setattr(server.Front, "__call__", watched)
        yield found
        found.commands.end()


def edit_some(box: Sandbox, count: int) -> None:
    """Change the lines of some orders, and let the day come when all are listed again."""
    for order_id, order in list(alive(box, KEY).items())[-count:]:
        lines = [{**line, "quantity": line.get("quantity", 1) + 1} for line in order["orderlines"]]
        box.api(KEY).edit(order_id, {"orderlines": lines})
    box.clock.advance(timedelta(days=2))
