"""Keeping a lake table cheap to read: when its files are to be merged, and how.

Belongs here: judging that by the log alone, merging, looking that no row was lost, shortening the
log. Does not belong here: when that is asked and under which lease (`assets/upkeep.py`), the mark
of what is flushed (`lake_flush.py`), deleting for good what an erasure concerns (`lake_purge.py`).

Every sync leaves one small file a table and account behind, and every commit an entry of the log.
Files are merged in steps, eight times larger each, so that a record is rewritten a few times in
its life and not at every merge. Their rows keep the order in which they were landed, file by file,
so that a reader who asks for one stretch of landing sequences opens a part of a file only.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from resources.durable import flush_file, flush_folder
from resources.errors import LakeError
from resources.lake_files import (
    LAST_CHECKPOINT,
    LOG,
    AccountKey,
    DataFile,
    expected_rows,
    log_entries,
    writer_properties,
)
from resources.lazily import lazily

if TYPE_CHECKING:
    import deltalake
else:
    deltalake = lazily("deltalake")

SMALL_FILES = 32
"""So many small files of one account and table are left alone."""
TARGETS = tuple(size * 2**20 for size in (4, 32, 128))
"""Bytes of a merged file at most, step by step. A file counts as small for a step below an eighth
of it; one that reaches the last step is not rewritten again."""
LARGEST = TARGETS[-1]
_SHARE = 8

LONG_LOG = 20
"""Log entries after the newest checkpoint, from which another one is worth its while: opening a
table reads each of them, 0.2 ms, and writing a checkpoint takes 16 ms."""
LOG_HOURS = 24
"""Log entries that a checkpoint has made needless stay for so long: a process that has the table
open follows them one by one, and no run lasts longer than some hours."""


class RowsLost(LakeError):
    """After files were merged there are not as many rows as before."""


def no_cleaning() -> deltalake.PostCommitHookProperties:
    """For every commit: delta-rs writes a checkpoint now and then, but may delete no log entry.

    It does not flush the checkpoint that would have to stand in for them.
    """
    return deltalake.PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


def crowded(files: Iterable[DataFile]) -> dict[AccountKey, int]:
    """The accounts whose files are due to be merged, and the bytes of a merged file."""
    sizes: dict[AccountKey, list[int]] = defaultdict(list)
    for file in files:
        sizes[file.account].append(file.size)
    due = {account: _target(found) for account, found in sizes.items()}
    return {account: size for account, size in due.items() if size is not None}


def _target(sizes: list[int]) -> int | None:
    """The largest step at which too many files are small, not counting those of smaller steps."""
    least, due = 0, None
    for target in TARGETS:
        most = target // _SHARE
        if sum(least <= size < most for size in sizes) > SMALL_FILES:
            due = target
        least = most
    return due


def merge(handle: deltalake.DeltaTable, table: str, account: AccountKey | None, size: int) -> None:
    """Merge the neighbouring files below a size, of one account or of all, in one commit.

    One file at a time, and in row groups of bounded length, so that memory does not grow with the
    table.
    """
    chosen = None
    if account is not None:
        chosen = [("source_system", "=", account[0]), ("source_account", "=", account[1])]
    handle.optimize.compact(
        partition_filters=chosen,
        target_size=size,
        max_concurrent_tasks=1,
        writer_properties=writer_properties(table),
        post_commithook_properties=no_cleaning(),
    )
    handle.update_incremental()


def vacuum(handle: deltalake.DeltaTable, hours: int) -> list[str]:
    """Delete data files that no version of the last hours names; their paths.

    `full`: not only what the log says was replaced, but what lies there unnamed and as old.
    """
    return handle.vacuum(
        retention_hours=hours,
        dry_run=False,
        enforce_retention_duration=False,
        full=True,
        post_commithook_properties=no_cleaning(),
    )


def refuse_if_rows_were_lost(
    folder: Path, before: list[DataFile], versions: tuple[int, int], after: list[DataFile]
) -> None:
    """Raise RowsLost unless the rows after a merge are those before it and those appended since."""
    expected = expected_rows(before, log_entries(folder, *versions))
    found = sum(file.rows for file in after)
    if found != expected:
        raise RowsLost(
            f"compaction left {found} rows where {expected} were expected",
            str(folder),
            f"restore version {versions[0]} of the table before anything else is written",
        )


def has_long_log(folder: Path, version: int) -> bool:
    """Whether whoever opens a local table reads too many log entries after its checkpoint."""
    try:
        told = json.loads((folder / LOG / LAST_CHECKPOINT).read_text("utf-8"))
        newest = int(told["version"])
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or torn: the log does without
        newest = -1
    return version - newest > LONG_LOG


def checkpoint(folder: Path, handle: deltalake.DeltaTable) -> None:
    """Write a checkpoint of the version that the handle is at, and flush it."""
    handle.create_checkpoint()
    log = folder / LOG
    for path in (*log.glob(f"{handle.version():020d}.checkpoint*.parquet"), log / LAST_CHECKPOINT):
        flush_file(path)
    flush_folder(log)


def shorten_log(folder: Path, version: int, hours: float = -math.inf) -> int:
    """Delete the log entries and checkpoints before a version that has a flushed checkpoint.

    How many files. What stages have committed, their transactions, is in the checkpoint, too.
    `hours`: only what is older than that. Processes that had the table open and did not follow see
    an error once and open it again.
    """
    before = time.time() - hours * 3600
    gone = [
        path
        for path in (folder / LOG).iterdir()
        if path.name[:20].isdigit()
        and int(path.name[:20]) < version
        and path.stat().st_mtime < before
    ]
    for path in sorted(gone):
        path.unlink()
    flush_folder(folder / LOG)
    return len(gone)
