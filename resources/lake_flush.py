"""Which versions of a local lake table are on the disk for certain, and taking out those torn.

Belongs here: the mark of the last flushed version, flushing up to it, looking at what lies beyond
it after a power cut. Does not belong here: when something is committed (`resources/lake.py`).

delta-rs renames but does not flush. So a version counts only once `flush` has been through it, and
whoever builds on a version (a cursor, the canonical tables, a publication) has that done first,
also where another process committed it. The file `_flushed` beside a table's log names the last
such version. What lies beyond it nobody has built on: where a power cut tore it, it is moved aside
and comes again. Damage up to the mark is none that a power cut can do, and is refused.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from resources.durable import flush_file, flush_folder, flush_folders, replace_file
from resources.errors import LakeError
from resources.lake_files import LAST_CHECKPOINT, LOG, LogEntry, log_entries
from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake import exceptions
else:
    exceptions = lazily("deltalake.exceptions")
    pa = lazily("pyarrow")
    pq = lazily("pyarrow.parquet")

MARK = "_flushed"
"""Beside a table's `_delta_log`: the number of the last flushed version. Readers pass over names
that begin with an underscore."""
ASIDE = "_torn"
"""Beside it: what was moved aside, a folder each time."""

_AHEAD = 2
"""Versions beyond the mark that are looked for by name, before anything is listed."""

log = logging.getLogger("orderloom")


def flushed(folder: Path) -> int | None:
    """The last version that is flushed for certain; None where no mark tells."""
    try:
        return int((folder / MARK).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return None


def flush(folder: Path, since: int, until: int) -> None:
    """Flush the versions after `since` up to `until`, then set the mark to `until`.

    Data first, then log entries and checkpoints, then the folders, the mark last of all. What
    another process has flushed meanwhile is not flushed again: its log entries may be gone by now.
    """
    marked = flushed(folder)
    since = since if marked is None else max(since, marked)
    entries = log_entries(folder, since, until)
    gone = _removed(entries)
    folders = {folder / LOG}
    for entry in entries:
        for path in entry.added:
            if path not in gone:
                flush_file(path)
                folders.add(path.parent)
    for entry in entries:
        flush_file(entry.path)
        for checkpoint in entry.checkpoints:
            flush_file(checkpoint)
    root = folder.parent
    flush_folders(folders, root.parent if since < 0 else root)
    with _exclusive(folder):
        mark = flushed(folder)
        if mark is None or mark < until:
            replace_file(folder / MARK, f"{until}\n")


def is_settled(folder: Path) -> bool:
    """Whether nothing lies beyond the mark, as far as three file names tell."""
    mark = flushed(folder)
    if mark is None:
        return not (folder / LOG).exists()
    return not any(_entry(folder, mark + n).exists() for n in range(1, _AHEAD + 1))


def opened(folder: Path, open_table: Callable[[], Any]) -> tuple[Any, int]:
    """What `open_table` gives, once what a power cut tore is out of the way, and the mark.

    Without a mark all but the newest version counts as flushed. Raises LakeError where versions
    are lost that had been flushed.
    """
    if not is_settled(folder):
        mend(folder)
    before = flushed(folder)
    try:
        handle = open_table()
    except exceptions.DeltaError:
        mend(folder)
        handle = open_table()
    if handle is None:
        return None, -1
    refuse_if_lost(folder, handle.version(), before)
    mark = flushed(folder)
    return handle, handle.version() - 1 if mark is None else mark


def mend(folder: Path) -> None:
    """Move aside what a power cut tore: versions beyond the mark, and checkpoints.

    One line of the log tells. Without a mark the newest version alone is in question.
    """
    with _exclusive(folder):
        numbers = _versions(folder)
        mark = flushed(folder)
        if mark is None:
            mark = max(numbers, default=0) - 1
        beyond = [number for number in numbers if number > mark]
        last, reason = _last_whole(folder, mark, beyond)
        torn = [number for number in beyond if number > last]
        if torn:
            aside = _move_aside(folder, _parts(folder, torn))
            log.warning(
                "%s: versions %d to %d were not whole after a crash (%s); nothing was built on "
                "them: moved to %s, and the next run writes them again",
                folder,
                torn[0],
                torn[-1],
                reason,
                aside,
            )
        checkpoints = _torn_checkpoints(folder)
        if checkpoints:
            aside = _move_aside(folder, checkpoints)
            log.warning("%s: a checkpoint cannot be read and is not needed: %s", folder, aside)


def refuse_if_lost(folder: Path, version: int, mark: int | None) -> None:
    """Raise LakeError if the newest version found is older than what was once flushed.

    `mark` was read before the version was: other processes may go on at any moment.
    """
    if mark is not None and version < mark:
        found = f"ends at version {version}" if version >= 0 else "is gone"
        raise LakeError(
            f"the table's log {found}, although version {mark} was once on the disk",
            str(folder),
            "restore the lake from a copy; or move it away and set up a new ledger: a full load",
        )


def _last_whole(folder: Path, mark: int, beyond: Iterable[int]) -> tuple[int, str]:
    """The last version up to which all is whole, and what is wrong with the next one."""
    entries: list[LogEntry] = []
    reason = ""
    for number in beyond:
        if number != mark + len(entries) + 1:
            reason = f"version {mark + len(entries) + 1} is missing"
            break
        try:
            entries += log_entries(folder, number - 1, number)
        except ValueError:
            reason = "a log entry is cut short"
            break
        if not entries[-1].actions:
            reason = "a log entry is empty"
            entries.pop()
            break
    while True:
        place, fault = _first_fault(entries)
        if place is None:
            return mark + len(entries), reason
        entries, reason = entries[:place], fault


def _first_fault(entries: list[LogEntry]) -> tuple[int | None, str]:
    """The first entry that names a data file which is not whole, unless a later one removes it."""
    gone = _removed(entries)
    for place, entry in enumerate(entries):
        sizes = [action["add"]["size"] for action in entry.actions if "add" in action]
        for path, size in zip(entry.added, sizes, strict=True):
            if path not in gone and (fault := _fault(path, size)):
                return place, fault
    return None, ""


def _fault(path: Path, size: int) -> str:
    """What is wrong with a data file; empty where nothing is."""
    if not path.exists():
        return "a data file is missing"
    if path.stat().st_size != size:
        return "a data file is cut short"
    return "" if _is_readable(path) else "a data file cannot be read"


def _is_readable(path: Path) -> bool:
    """Whether the whole file can be decoded: blocks that never reached the disk read as zeros."""
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches():
                pass
    except (pa.ArrowException, OSError):
        return False
    return True


def _torn_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints that cannot be read, and a hint that leads to none: the log does without them."""
    found = [p for p in (folder / LOG).glob("*.checkpoint*.parquet") if not _is_readable(p)]
    hint = folder / LOG / LAST_CHECKPOINT
    if hint.exists():
        whole = set((folder / LOG).glob("*.checkpoint*.parquet")) - set(found)
        told = _told(hint)
        if not any(path.name.startswith(f"{told:020d}.") for path in whole):
            found.append(hint)
    return found


def _told(hint: Path) -> int:
    """The version of which `_last_checkpoint` speaks, -1 if it cannot be read."""
    try:
        return int(json.loads(hint.read_text("utf-8"))["version"])
    except (ValueError, KeyError, TypeError):
        return -1


def _parts(folder: Path, torn: Iterable[int]) -> list[Path]:
    """The files of torn versions, as far as they are there and can be told."""
    found = []
    for number in torn:
        entry = _entry(folder, number)
        found += [entry, *entry.parent.glob(f"{entry.stem}.checkpoint*.parquet")]
        for line in entry.read_text("utf-8", errors="replace").splitlines():
            found += [folder / unquote(path) for path in _added(line)]
    return [path for path in found if path.exists()]


def _added(line: str) -> list[str]:
    try:
        action: dict[str, Any] = json.loads(line)
        return [action["add"]["path"]] if "add" in action else []
    except (ValueError, KeyError, TypeError):
        return []


def _move_aside(folder: Path, parts: Iterable[Path]) -> Path:
    """Move files out of the table; the folder where they are now."""
    aside = folder / ASIDE / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    for path in parts:
        target = aside / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        flush_folder(path.parent)
    return aside


def _removed(entries: Iterable[LogEntry]) -> set[Path]:
    return {
        entry.path.parent.parent / unquote(action["remove"]["path"])
        for entry in entries
        for action in entry.actions
        if "remove" in action
    }


def _versions(folder: Path) -> list[int]:
    """The versions that have a log entry, ascending."""
    names = os.listdir(folder / LOG) if (folder / LOG).exists() else []
    return sorted(int(n[:-5]) for n in names if n.endswith(".json") and n[:-5].isdigit())


def _entry(folder: Path, number: int) -> Path:
    return folder / LOG / f"{number:020d}.json"


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold off the other processes that set the mark or move something aside."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
