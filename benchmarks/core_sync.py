"""One sync, or one backfill, the whole way in one process without Dagster, stage by stage.

Belongs here: doing it as the steps of a run do, with the seconds and the bytes written of each
stage, and what the lake consists of afterwards. Does not belong here: how the figures grow
(`growth.py`), comparing with others (`compare.py`).

    python -m benchmarks.core_sync [FIRST_DAY LAST_DAY]

The home is ORDERLOOM_HOME, the accounts are those of ORDERLOOM_ACCOUNTS; with two days their
history is pulled instead of their changes. The last line printed is JSON: `Synced`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.stopwatch import peak

if TYPE_CHECKING:
    from assets.pull import Pull
    from assets.upkeep import Tended
    from assets.workshop import Workshop
    from resources.warehouse import Publication

STAGES = ("import", "open", "pull", "normalise", "publish", "upkeep")
_State = dict[Path, tuple[int, int]]


@dataclass
class Synced:
    """What one sync came to. Seconds; bytes; megabytes of 2**20 bytes."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    """Sizes of the files of lake and marts that a stage made or changed."""
    requests: int = 0
    least: int = 0
    orders: int = 0
    """In the published file."""
    touched: int = 0
    """Received, new or changed."""
    compactions: int = 0
    """Tables whose files were merged."""
    files: int = 0
    """Of all tables of the lake, as their logs name them."""
    entries: int = 0
    """Log entries of all tables, on the disk."""
    lake_bytes: int = 0
    marts_bytes: int = 0
    """Of the live file."""
    peak: float = 0.0

    @property
    def seconds(self) -> float:
        """CPU seconds of every stage but importing."""
        return sum(self.cpu.values()) - self.cpu.get("import", 0.0)


class Meter:
    """Notes the seconds and the written bytes of stages."""

    def __init__(self, home: Path) -> None:
        self.synced = Synced()
        self._home = home
        self._before = _state(home)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A block whose cost is noted; looking at what it wrote is not part of it."""
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.synced.wall[name] = time.monotonic() - wall
        self.synced.cpu[name] = time.process_time() - cpu
        after = _state(self._home)
        made = (size for path, (size, at) in after.items() if self._before.get(path) != (size, at))
        self.synced.written[name] = sum(made)
        self._before = after


Stage = Callable[[str], AbstractContextManager[None]]
"""Notes what a stage of that name costs."""


@dataclass(frozen=True)
class Done:
    """What the stages of one sync came to."""

    pulls: list[Pull]
    published: Publication
    tended: Tended | None
    """None where nothing was published, so that nothing was to be tended."""


def whole_way(
    stage: Stage, days: tuple[date, date] | None = None, *, keeps_nothing: bool = False
) -> Done:
    """Pull every account of the environment's home, normalise, publish, tend the lake.

    What the steps of a run do. `days` and `keeps_nothing` as in `sync`.
    """
    with stage("import"):
        from assets.holding_back import note
        from assets.marts import MARTS
        from assets.reference import reference
        from assets.workshop import Workshop

    with stage("open"):
        workshop = Workshop()
        accounts = [*workshop.accounts]
    run_id = f"run-{time.time_ns()}"
    with stage("pull"):
        puller = workshop.puller
        pulls = [
            puller.history(each, *days, f"{run_id}/{each.key}")
            if days
            else puller.changes(each, f"{run_id}/{each.key}")
            for each in accounts
        ]
    with stage("normalise"):
        for account in accounts:
            workshop.normaliser(account).drain()
    with stage("publish"):
        published = workshop.warehouse.publish(MARTS, reference(workshop))
        note(workshop, published, run_id)
    with stage("upkeep"):
        tended = _tended(workshop, keeps_nothing=keeps_nothing) if published.published else None
    workshop.close()
    return Done(pulls, published, tended)


def sync(days: tuple[date, date] | None = None, *, keeps_nothing: bool = False) -> Synced:
    """The whole way, its cost noted.

    `days`: pull what was created in these days instead. `keeps_nothing`: replaced files and log
    entries go at once, as if they were older than they are.
    """
    home = Path(os.environ["ORDERLOOM_HOME"])
    meter = Meter(home)
    done = whole_way(meter.stage, days, keeps_nothing=keeps_nothing)
    synced = meter.synced
    synced.compactions = len(done.tended.merged) if done.tended else 0
    synced.requests = sum(pull.requests for pull in done.pulls)
    synced.least = sum(pull.least_requests for pull in done.pulls)
    synced.touched = sum(pull.counts.new + pull.counts.changed for pull in done.pulls)
    synced.orders = done.published.orders
    _look(synced, home, done.published.path)
    return synced


def _tended(workshop: Workshop, *, keeps_nothing: bool) -> Tended:
    from assets.upkeep import Upkeep  # A run in which nothing changed does without.

    if keeps_nothing:
        return Upkeep(workshop.lake, workshop.ledger, days=0, log_hours=0).where_due()
    days = workshop.accounts.service.retention.replaced_files_days
    return Upkeep(workshop.lake, workshop.ledger, days=days).where_due()


def _look(synced: Synced, home: Path, marts: Path) -> None:
    from resources.lake import Lake
    from schemas.canonical import LAKE

    lake = Lake(str(home / "lake"))
    synced.files = sum(len(lake.files(table)) for table in LAKE)
    synced.entries = len([*(home / "lake").glob("*/_delta_log/*.json")])
    synced.lake_bytes = sum(size for size, _ in _state(home / "lake").values())
    synced.marts_bytes = marts.stat().st_size
    synced.peak = peak()


def _state(home: Path) -> _State:
    """Size and time of every file of lake and marts; the ledger is written in place."""
    found: _State = {}
    for path in home.glob("**/*"):
        if path.is_file() and not path.is_symlink() and "sqlite" not in path.name:
            seen = path.stat()
            found[path] = seen.st_size, seen.st_mtime_ns
    return found


def main() -> None:
    """The command shown above."""
    given = [date.fromisoformat(each) for each in sys.argv[1:3]]
    synced = sync((given[0], given[1]) if given else None)
    sys.stdout.write(json.dumps(asdict(synced)) + "\n")


if __name__ == "__main__":
    main()
