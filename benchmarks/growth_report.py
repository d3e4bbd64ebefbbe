"""The results of `growth.py`, kept as JSON and shown as tables.

Belongs here: which figures are shown, and in which form. Does not belong here: measuring.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.core_sync import STAGES

RESULTS = Path(__file__).parent / "results"
_Row = dict[str, Any]
_Column = tuple[str, Callable[[_Row], str]]
SPENT = STAGES[2:]
"""Stages that are shown one by one."""


def keep(case: str, rows: Iterable[_Row], folder: Path = RESULTS) -> None:
    """Put a case's rows in the place of its former ones, and write the tables anew."""
    folder.mkdir(exist_ok=True)
    kept = _kept(folder)
    kept[case] = {"machine": machine(), "on": f"{datetime.now(UTC):%Y-%m-%d}", "rows": list(rows)}
    (folder / "growth.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    head = "# How cost grows\n\nWritten by `python -m benchmarks.growth`. CPU seconds.\n\n"
    text = "\n".join(section(each, folder) for each in SHOWN if each in kept)
    (folder / "growth.md").write_text(head + text, encoding="utf-8")


def section(case: str, folder: Path = RESULTS) -> str:
    """One case as a heading, a table and the machine, in Markdown."""
    found = _kept(folder)[case]
    title, columns, chosen = SHOWN[case]
    table = _table(columns, chosen(found["rows"]))
    return f"## {title}\n\n{table}\n\n{found['on']}, {found['machine']}\n"


def machine() -> str:
    """Processor, cores, memory and Python of this machine."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = names[0] if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def _kept(folder: Path) -> dict[str, Any]:
    file = folder / "growth.json"
    kept: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return kept


def _table(columns: Sequence[_Column], rows: Sequence[_Row]) -> str:
    head = [name for name, _ in columns]
    body = [[shown(row) for _, shown in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body))


def _named(name: str) -> _Column:
    return name, lambda row: f"{row[name]:,}" if isinstance(row[name], int) else str(row[name])


def _cpu(stage: str) -> _Column:
    return stage, lambda row: f"{row['cpu'][stage]:.2f}"


def _written(stage: str) -> _Column:
    return f"{stage} kB", lambda row: f"{row['written'][stage] / 1024:,.0f}"


def _each(per: str, named: str, unit: int = 1_000) -> _Column:
    return named, lambda row: f"{row['seconds'] / max(row[per], 1) * unit:.2f}"


_ALL: list[_Column] = [
    *map(_cpu, SPENT),
    ("all", lambda row: f"{row['seconds']:.2f}"),
]
_WRITTEN = [*map(_written, SPENT)]
_PEAK: _Column = ("peak MB", lambda row: f"{row['peak']:,.0f}")
_REQUESTS: _Column = ("requests (least)", lambda row: f"{row['requests']:,} ({row['least']:,})")
_SIZES: list[_Column] = [
    _named("files"),
    _named("entries"),
    ("lake MB", lambda row: f"{row['lake_bytes'] / 2**20:.1f}"),
    ("marts MB", lambda row: f"{row['marts_bytes'] / 2**20:.1f}"),
]


def _periods(rows: Sequence[_Row]) -> list[_Row]:
    """Of a year the first sync, and the means of ten at its beginning, middle and end."""
    syncs = [row for row in rows if row["day"] > 0]
    few = min(10, max(1, len(syncs) // 3))
    middle = (len(syncs) - few) // 2
    parts = [syncs[:few], syncs[middle : middle + few], syncs[-few:]]
    return [rows[0], *map(_mean, parts), max(syncs, key=lambda row: row["seconds"])]


def _mean(rows: Sequence[_Row]) -> _Row:
    days = f"{rows[0]['day']}-{rows[-1]['day']}"
    cpu = {stage: mean(row["cpu"][stage] for row in rows) for stage in rows[0]["cpu"]}
    written = {stage: mean(row["written"][stage] for row in rows) for stage in rows[0]["written"]}
    seconds = mean(row["seconds"] for row in rows)
    compactions = sum(row["compactions"] for row in rows)
    return {
        **rows[-1],
        "day": days,
        "cpu": cpu,
        "written": written,
        "seconds": seconds,
        "compactions": compactions,
    }


_Choice = Callable[[Sequence[_Row]], Sequence[_Row]]
SHOWN: dict[str, tuple[str, list[_Column], _Choice]] = {
    "orders": (
        "By orders",
        [
            _named("orders"),
            _named("sync"),
            *_ALL,
            _each("orders", "ms an order"),
            _PEAK,
            _REQUESTS,
            *_WRITTEN,
        ],
        list,
    ),
    "accounts": (
        "By accounts, of 200 orders each",
        [
            _named("accounts"),
            _named("sync"),
            *_ALL,
            _each("accounts", "ms an account"),
            _PEAK,
            _REQUESTS,
        ],
        list,
    ),
    "backfill": (
        "By days of a backfill, 100 orders every other day",
        [_named("days"), _named("touched"), *_ALL, _each("touched", "ms an order"), _REQUESTS],
        list,
    ),
    "year": (
        "A sync a day for a year, 20 orders new and 20 changed each",
        [_named("day"), _named("orders"), *_ALL, *_SIZES, _named("compactions"), *_WRITTEN],
        _periods,
    ),
}
