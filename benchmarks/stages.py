"""Where orderloom's time goes: CPU and wall seconds by stage.

Belongs here: which functions are which stage, and timing them from outside. Does not belong here:
comparing with others (`compare.py`).

    python -m benchmarks.stages --orders 20000    # a full load, no change, 1 % changed

A stage's seconds are its own: without those of stages that it calls. CPU is that of the thread that
runs it, DuckDB being held to one thread, so that its work counts for the stage that asked for it.
What Delta Lake and Arrow do in threads of their own is a line apart. Stages that run at the
same time in several threads overlap in wall seconds, never in CPU seconds. All modules are imported
for their timers, so that the rest of a run in which nothing changed is more than it is without.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.compare import workplace
from benchmarks.contestant import ORDERLOOM, SYNC
from benchmarks.measure import ROOT, measured, serving

STAGES: dict[str, tuple[str, ...]] = {
    "search": ("assets.sources.brightpearl:Brightpearl._page",),
    "fetch": (
        "resources.api:Api._sent",
        "assets.sources.brightpearl:_records",
    ),
    "known": ("assets.known:Landed.values",),
    "land": ("assets.landing:Landing.land",),
    "normalise": ("assets.mapping:Mapper.map",),
    "drift": ("assets.drift_log:DriftLog.look", "assets.drift_log:DriftLog.keep"),
    "write": ("resources.lake:Lake.append",),
    "flush": ("resources.lake:Lake._flush",),
    "merge": ("resources.warehouse_build:Build.bring_up_to_date",),
    "marts": ("resources.warehouse_build:Build.derive",),
    "checks": (
        "resources.warehouse_build:Build.faults",
        "resources.warehouse_build:Build.faults_of_marts",
    ),
    "publish": ("resources.warehouse:Warehouse.publish",),
    "upkeep": ("assets.upkeep:Upkeep.where_due",),
}
"""Functions by stage: MODULE:NAME. `search` counts all that it calls, its replies included."""
WHOLE = "search"
REST = "the rest: imports, opening, glue"
OTHER_THREADS = "threads of Delta Lake and Arrow"
DAGSTER = "Dagster, around all of it"


class Profile:
    """Seconds by stage, summed over threads."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._lock = threading.Lock()
        self.wall: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.beside = 0.0
        """CPU seconds of stages in other threads than the main one."""

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that notes its seconds for a stage, and takes them from its caller's."""

        @functools.wraps(function)
        def timing(*args: Any, **kwargs: Any) -> Any:
            stack: list[str] = self._own.__dict__.setdefault("stack", [])
            if WHOLE in stack:
                return function(*args, **kwargs)
            stack.append(stage)
            wall, cpu = time.monotonic(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                stack.pop()
                took = time.monotonic() - wall, time.thread_time() - cpu
                self._note(stage, *took)
                if stack:
                    self._note(stack[-1], -took[0], -took[1])

        return timing

    def _note(self, stage: str, wall: float, cpu: float) -> None:
        with self._lock:
            self.wall[stage] += wall
            self.cpu[stage] += cpu
            if threading.current_thread() is not threading.main_thread():
                self.beside += cpu

    def watch(self) -> None:
        """Put timers around every function of STAGES, wherever its name was imported to."""
        for stage, names in STAGES.items():
            for name in names:
                owner, attribute = found(name)
                setattr(owner, attribute, self.timed(stage, getattr(owner, attribute)))


def found(name: str) -> tuple[Any, str]:
    """The module or class that holds a function, and its name in it. Raises AttributeError."""
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    getattr(owner, attribute)
    return owner, attribute


def hold_duckdb_to_one_thread() -> None:
    """Make every connection run its queries in the thread that asks."""
    connect = duckdb.connect

    def with_one_thread(*args: Any, **kwargs: Any) -> duckdb.DuckDBPyConnection:
        con = connect(*args, **kwargs)
        con.execute("SET threads = 1")
        return con

    duckdb.connect = with_one_thread


def inside() -> None:
    """One run in this process. The last line printed is JSON: wall and CPU seconds by stage."""
    from benchmarks.contestants import with_orderloom

    began = time.monotonic()
    profile = Profile()
    profile.watch()
    hold_duckdb_to_one_thread()
    with_orderloom.main()
    process, main_thread = time.process_time(), time.thread_time()
    elsewhere = max(0.0, process - main_thread - profile.beside)
    seconds = {stage: (profile.wall[stage], profile.cpu[stage]) for stage in STAGES}
    seconds[OTHER_THREADS] = (0.0, elsewhere)
    rest_wall = time.monotonic() - began - sum(profile.wall.values())
    rest_cpu = process - sum(profile.cpu.values()) - elsewhere
    seconds[REST] = (max(0.0, rest_wall), max(0.0, rest_cpu))
    sys.stdout.write(json.dumps(seconds) + "\n")


def profile_of(orders: int, *, dagster: bool) -> dict[str, Mapping[str, Sequence[float]]]:
    """Stages by case, each run in a process of its own."""
    cases = {"full load": 0, "no change": 0, "1 % changed": max(1, orders // 100)}
    profiles: dict[str, Mapping[str, Sequence[float]]] = {}
    with serving(orders) as server, workplace() as folder:
        for way in (ORDERLOOM, SYNC) if dagster else (ORDERLOOM,):
            own = folder / way.name
            way.prepare(server, own)
            server.restore()
            command: list[str | Path] = [sys.executable, "-m", "benchmarks.stages", "--inside"]
            for case, changes in cases.items():
                if changes:
                    server.change(changes)
                if way is SYNC:
                    command = way.command(server, own)
                run = measured(command, server, env=way.environment(own), cwd=ROOT)
                if way is ORDERLOOM:
                    profiles[case] = json.loads(run.said)
                else:
                    spent = sum(cpu for _, cpu in profiles[case].values())
                    profiles[case] = {**profiles[case], DAGSTER: (0.0, run.cpu - spent)}
    return profiles


def table(profiles: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Markdown: a line a stage, CPU and wall seconds of each case."""
    heads = [f"{case}: {what}" for case in profiles for what in ("CPU s", "wall s")]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for stage in next(iter(profiles.values())):
        pairs = [profiles[case][stage] for case in profiles]
        cells = [f"{cpu:.2f} | {wall:.2f}" if wall else f"{cpu:.2f} | " for wall, cpu in pairs]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    totals = [sum(cpu for _, cpu in each.values()) for each in profiles.values()]
    lines.append("| **all** | " + " | ".join(f"**{each:.2f}** | " for each in totals) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command shown above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--dagster", action="store_true", help="`orderloom sync` as well")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside()
    else:
        sys.stdout.write(table(profile_of(given.orders, dagster=given.dagster)) + "\n")


if __name__ == "__main__":
    main()
