"""What Dagster keeps of a run, in bytes, and what a year of schedules comes to.

Belongs here: the measurement, of a home that a service has worked in for a while. Does not belong
here: deleting (`pipelines/retention.py`). Reads only.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from pipelines.retention import EVALUATIONS
from resources.service import RetentionSettings

ACCOUNTS = 5
MINUTES = 15
"""The usual case: so many accounts, each synced this often, and a publication every time."""
_MINUTES_A_DAY = 24 * 60


def main(home: Path) -> None:
    """Print bytes a run, and what a year comes to with and without housekeeping."""
    dagster = home / "dagster"
    runs = _count(dagster / "history/runs.db", "SELECT COUNT(*) FROM runs")
    files = list((dagster / "history/runs").glob("*-*.db"))
    parts = {
        "events, a file a run": sum(path.stat().st_size for path in files) / max(len(files), 1),
        "events in the index": (dagster / "history/runs/index.db").stat().st_size / runs,
        "runs and tags": (dagster / "history/runs.db").stat().st_size / runs,
        "logs": _size(dagster / "storage") / runs,
    }
    for name, size in parts.items():
        print(f"{name:<34}{size / 1024:>12,.0f} KiB a run")  # noqa: T201
    each = sum(parts.values())
    a_day = (ACCOUNTS + 1) * _MINUTES_A_DAY / MINUTES
    days = RetentionSettings().successful_runs_days
    stored = "COALESCE(SUM(LENGTH(asset_evaluation_body)), 0)"
    evaluations = _count(
        dagster / "schedules/schedules.db", f"SELECT {stored} FROM asset_daemon_asset_evaluations"
    )
    rows = (
        ("a run, all together", each / 2**20),
        (f"{runs} runs here, with evaluations of", evaluations / 2**20),
        (f"a year, {a_day:,.0f} runs a day, nothing deleted", each * a_day * 365 / 2**20),
        (f"the same, {days} days kept", each * a_day * days / 2**20),
        (f"evaluations, {EVALUATIONS.days} days", evaluations / runs * a_day * 2 / 2**20),
    )
    for name, size in rows:
        print(f"{name:<52}{size:>12,.1f} MiB")  # noqa: T201


def _count(database: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "var"))
