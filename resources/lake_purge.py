"""Deleting what a local lake table no longer needs, for good: old versions, and their traces.

Belongs here: which files those are, and removing them. Does not belong here: who may do so and when
(`assets/erase.py`; the caller holds every lease under which somebody could be writing).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from resources import lake_flush
from resources.durable import flush_folder
from resources.lake_files import LOG, DataFile

if TYPE_CHECKING:
    import deltalake


def purge(folder: Path, needed: list[DataFile]) -> int:
    """Delete every data file but these, and what was moved aside after crashes; how many."""
    folder = folder.resolve()  # the log's files are named without links and dots
    kept = {Path(file.path).resolve() for file in needed}
    gone = [
        path
        for path in folder.rglob("*.parquet*")
        if path not in kept and LOG not in path.relative_to(folder).parts and path.is_file()
    ]
    for path in gone:
        path.unlink()
    aside = folder / lake_flush.ASIDE
    if aside.exists():
        gone += [path for path in aside.rglob("*") if path.is_file()]
        shutil.rmtree(aside)
    for parent in {path.parent for path in gone} | {folder}:
        if parent.exists():
            flush_folder(parent)
    return len(gone)


def vacuum_all(handle: deltalake.DeltaTable) -> int:
    """The same on an object store, where the library deletes; how many data files.

    What the store itself keeps of deleted objects is not reached.
    """
    gone = handle.vacuum(
        retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True
    )
    return len(gone)
