"""Deleting what Dagster keeps of old runs.

Belongs here: which runs may go, and everything that belongs to them: events, files, logs,
evaluations. Does not belong here: when (`pipelines/housekeeping.py`), the ledger's own rows
(`resources/ledger_trim.py`).

Dagster's own retention is for ticks alone. A run that holds the newest materialisation of any asset
partition stays, or that partition would count as never materialised: it would turn grey, and
automation would fire for it again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.event_api import AssetRecordsFilter
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from sqlalchemy import delete, func, select

_AT_ONCE = 500
EVALUATIONS = timedelta(days=2)
"""Age after which evaluations of automation go. Dagster keeps them for thirty days."""
_TICK_LOGS = timedelta(days=30)
"""As long as `dagster.yaml` keeps the ticks."""
_DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
_SPARE_BYTES = 32 * 2**20
"""A database with so many free bytes, and more of them than used ones, is written anew."""


def needed_runs(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey] = ()
) -> frozenset[str]:
    """Ids of the runs that hold the newest materialisation of an asset or one of its partitions,
    or the newest result of a check."""
    storage = instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    found: set[str] = set()
    for record in storage.get_asset_records():
        entry = record.asset_entry
        if entry.last_materialization_record is not None:
            found.add(entry.last_materialization_record.run_id)
        newest = storage.get_latest_storage_id_by_partition(entry.asset_key, kind)
        for ids in _pieces(sorted(newest.values())):
            wanted = AssetRecordsFilter(entry.asset_key, storage_ids=ids)
            records = instance.fetch_materializations(wanted, limit=len(ids)).records
            found |= {each.run_id for each in records}
    for summary in storage.get_asset_check_summary_records(list(checks)).values():
        if summary.last_check_execution_record is not None:
            found.add(summary.last_check_execution_record.run_id)
    return frozenset(found)


def delete_runs(
    instance: dg.DagsterInstance,
    needed: frozenset[str],
    *,
    successful_days: int,
    failed_days: int,
    most_seconds: float,
) -> int:
    """Delete runs that ended so many days ago, the oldest first; how many there were.

    After `most_seconds` it is enough: the next time goes on.
    """
    give_up = time.monotonic() + most_seconds
    status = dg.DagsterRunStatus
    count = 0
    for statuses, days in (
        ([status.SUCCESS], successful_days),
        ([status.FAILURE, status.CANCELED], failed_days),
    ):
        before = datetime.now(UTC) - timedelta(days=days)
        for run_id in list(_old_runs(instance, statuses, before, needed)):
            if time.monotonic() > give_up:
                return count
            _delete(instance, run_id)
            count += 1
    return count


def _old_runs(
    instance: dg.DagsterInstance,
    statuses: list[dg.DagsterRunStatus],
    before: datetime,
    needed: frozenset[str],
) -> Iterator[str]:
    wanted = dg.RunsFilter(statuses=statuses, updated_before=before)
    cursor = None
    while records := instance.get_run_records(
        wanted, limit=_AT_ONCE, cursor=cursor, ascending=True
    ):
        for record in records:
            cursor = record.dagster_run.run_id
            if cursor not in needed:
                yield cursor


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, and what Dagster leaves behind of it: its events' file and its logs."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        for suffix in ("", "-wal", "-shm"):
            Path(storage.path_for_shard(run_id) + suffix).unlink(missing_ok=True)


def delete_check_results(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete results of checks from before a moment, but the newest of each check and partition.

    Dagster keeps them when it deletes their run. How many there were; 0 where Dagster's storage is
    not SQLite.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    table = AssetCheckExecutionsTable
    newest = select(func.max(table.c.id)).group_by(
        table.c.asset_key, table.c.check_name, table.c.partition
    )
    moment = before.astimezone(UTC).replace(tzinfo=None)
    old = delete(table).where(table.c.create_timestamp < moment, table.c.id.not_in(newest))
    with storage.index_connection() as connection:
        return connection.execute(old).rowcount


def delete_evaluations(instance: dg.DagsterInstance) -> None:
    """Delete old evaluations of automation: each holds the whole tree of its condition."""
    before = datetime.now(UTC) - EVALUATIONS
    if instance.schedule_storage is not None:
        instance.schedule_storage.purge_asset_evaluations(before.timestamp())


def delete_orphaned_logs(instance: dg.DagsterInstance) -> int:
    """Delete logs of ticks that are gone, and of runs that were; how many folders there were."""
    if not isinstance(instance.compute_log_manager, LocalComputeLogManager):
        return 0
    count = 0
    for folder in Path(instance.storage_directory()).iterdir():
        if folder.is_dir() and _is_older(folder, timedelta(days=1)):
            if _is_run_id(folder.name):
                orphans = [] if instance.has_run(folder.name) else [folder.name]
            else:  # a repository: logs of ticks, by the name of the schedule
                ticks = (tick for tick in folder.glob("*/*") if _is_older(tick, _TICK_LOGS))
                orphans = [str(tick.relative_to(folder.parent)) for tick in ticks]
            for orphan in orphans:
                instance.compute_log_manager.delete_logs(prefix=orphan.split("/"))
                count += 1
    return count


def _is_run_id(name: str) -> bool:
    return len(name) == 36 and name.count("-") == 4


def _is_older(path: Path, age: timedelta) -> bool:
    try:
        return time.time() - path.stat().st_mtime > age.total_seconds()
    except FileNotFoundError:
        return False


def shrink(instance: dg.DagsterInstance) -> list[str]:
    """Write databases anew that are mostly free pages; the names of those that were.

    One that somebody is using at this moment is left for the next time.
    """
    shrunk = []
    for name in _DATABASES:
        path = Path(instance.root_directory) / name
        if path.exists() and _is_mostly_free(path):
            with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
                connection.execute("VACUUM")
                shrunk.append(name)
    return shrunk


def _is_mostly_free(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return bool(free * size > _SPARE_BYTES and free > pages - free)


def _pieces(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
