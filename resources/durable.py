"""Making sure that what was written survives a power cut.

Belongs here: flushing files and folders. Does not belong here: what is written, and in which order.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def flush_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    _flush(path, os.O_RDONLY)


def flush_folder(path: Path) -> None:
    """Wait until the folder's names (new, renamed or removed entries) are on the disk."""
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def flush_folders(paths: set[Path], root: Path) -> None:
    """Flush the folders and every folder above them, down from and including `root`."""
    chain = {folder for path in paths for folder in (path, *path.parents)}
    for folder in sorted(chain):
        if folder == root or root in folder.parents:
            flush_folder(folder)


def replace_file(path: Path, text: str) -> None:
    """Put a small file in the old one's place: whatever happens, one of the two is there, whole.

    One writer at a time. Which of the two it is after a power cut is certain only once the folder
    is flushed.
    """
    building = path.with_name(f"{path.name}.new")
    building.write_text(text, encoding="utf-8")
    flush_file(building)
    building.replace(path)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write, that takes the place of `path` once it is whole; nothing is left else.

    Any number of writers at a time: the last to end stays.
    """
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with building.open("xb") as file:
            yield file
        flush_file(building)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
