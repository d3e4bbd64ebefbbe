"""How a DuckDB file takes the live one's place.

Belongs here: names, locks, flushing, the symlink, cleaning up. Does not belong here: what is in the
file (`resources/warehouse_build.py`), when to publish (`resources/warehouse.py`).

A name is never used twice. DuckDB replays a write-ahead log that lies beside a file of its name,
so a log that somebody's writing session left behind would end up in the next file of that name.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from resources.durable import flush_file, flush_folder
from resources.errors import WarehouseError

KEPT_FILES = 2
"""The live file and the one before, for readers who are just opening it."""

PATIENCE = 900.0
"""Seconds that a publication waits for another one, which may be building everything anew."""

_POLL = 0.05
"""Seconds between two looks whether the other one has finished."""

_STAMP = "%Y%m%dT%H%M%S%f"

_UNFINISHED = "building"


def new_id(marts: Path) -> str:
    """An id that is never given again, and sorts after those of the files that are there.

    It tells the time, unless the clock was set back: then it follows the newest file by a moment.
    """
    moment = datetime.now(UTC)
    for file in marts.parent.glob(f"{marts.stem}-*T*-*.duckdb"):
        stamp = file.stem.removeprefix(f"{marts.stem}-").partition("-")[0]
        with suppress(ValueError):
            found = datetime.strptime(f"{stamp}Z", f"{_STAMP}%z")
            moment = max(moment, found + timedelta(microseconds=1))
    return f"{moment:{_STAMP}}-{secrets.token_hex(3)}"


@contextmanager
def exclusive(marts: Path) -> Iterator[None]:
    """Wait until no other process publishes here, then hold them off, and clean up behind.

    Raises WarehouseError after PATIENCE seconds: a process that was stopped keeps its lock.
    """
    with marts.with_suffix(".lock").open("w") as lock:
        _wait_for(lock, marts)
        clean_up(marts)
        try:
            yield
        finally:
            clean_up(marts)


def _wait_for(lock: IO[str], marts: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise WarehouseError(
                    f"another process has been publishing for {PATIENCE:.0f} seconds",
                    str(marts),
                    "let it finish, or end it if it stands still; then run again",
                ) from None
        time.sleep(_POLL)


def live(marts: Path) -> Path | None:
    """The published file that the symlink leads to, None if there is none."""
    target = marts.resolve()
    return target if target.is_file() else None


def is_untouched(file: Path) -> bool:
    """Whether nobody wrote to the published file: no write-ahead log lies beside it."""
    return not _log(file).exists()


def unfinished(marts: Path, publication_id: str) -> Path:
    """Where the file of that id is built."""
    return marts.with_name(f"{marts.stem}-{publication_id}.{_UNFINISHED}")


def copy(file: Path, building: Path) -> None:
    """Copy a published file, without any log beside it, to where the next one is built."""
    shutil.copyfile(file, building)


def publish(marts: Path, building: Path) -> Path:
    """Flush a finished file, give it its name, and make it the live one.

    Whatever step a crash interrupts, `marts` leads to a whole file: the old one or the new one.
    """
    building.chmod(0o444)
    flush_file(building)
    file = building.with_suffix(".duckdb")
    building.rename(file)
    flush_folder(marts.parent)
    swap(marts, file)
    flush_folder(marts.parent)
    return file


def swap(marts: Path, file: Path) -> None:
    """Let the symlink lead to another file, in one step."""
    link = file.with_suffix(".link")
    link.symlink_to(file.name)
    os.replace(link, marts)


def clean_up(marts: Path) -> None:
    """Remove what crashed builds left, and published files beyond the last two."""
    for path in marts.parent.glob(f"{marts.stem}-*.{_UNFINISHED}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in marts.parent.glob(f"{marts.stem}-*.link"):
        path.unlink()
    for file in published_files(marts)[:-KEPT_FILES]:
        if file != live(marts):
            file.unlink()
            _log(file).unlink(missing_ok=True)


def published_files(marts: Path) -> list[Path]:
    """Every published file, the oldest first."""
    return sorted(marts.parent.glob(f"{marts.stem}-*.duckdb"))


def remove_all_but_live(marts: Path) -> int:
    """Remove every published file but the live one; how many. By whoever holds others off.

    Who has one open keeps reading it until they close it; nobody can open it any more.
    """
    gone = [file for file in published_files(marts) if file != live(marts)]
    for file in gone:
        file.unlink()
        _log(file).unlink(missing_ok=True)
    flush_folder(marts.parent)
    return len(gone)


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")
