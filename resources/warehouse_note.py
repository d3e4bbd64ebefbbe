"""What the live file says of itself, noted beside it, so that DuckDB need not be asked.

Belongs here: the note, and when it may be believed. Does not belong here: what follows from it
(`resources/warehouse_plan.py`), reading the file itself (`resources/warehouse.py`).

A published file is never written again. The note counts for the file of that name, inode, size and
times alone: of one that was touched, copied or replaced the file itself is asked. It also keeps the
hash of the tables' layout, which takes Arrow to compute, and counts for the very texts that shape
them alone. It is not flushed: a note that is lost or torn costs one look into the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import resources
import schemas
from resources.lazily import lazily
from resources.warehouse_accounts import Shown
from resources.warehouse_plan import Published, Reach

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = lazily("duckdb")

_HAS_DRIFT = "SELECT 1 FROM duckdb_tables() WHERE table_name = 'schema_drift'"
_DRIFT = (
    "SELECT source_system || '.' || source_account, kind,"
    " COUNT(DISTINCT concat_ws(' ', field, code)) FROM schema_drift"
    " GROUP BY 1, 2 ORDER BY 1, kind DESC"
)

_SHAPING = (".py", ".sql", ".csv")
"""Files of `schemas` and `resources` that shape the tables, or may."""


@dataclass(frozen=True)
class Note:
    """What was known when a file was published or looked into."""

    said: Published
    code: str
    """By which code the next was found."""
    layout: str
    """The hash of the layout of the tables that this code makes."""


def note_of(marts: Path) -> Path:
    """Where the note on the live file is."""
    return marts.with_suffix(".standing")


def read(marts: Path, file: Path) -> Note | None:
    """What is noted of the live file; None where nothing is, or where it was touched since."""
    try:
        told = json.loads(note_of(marts).read_text("utf-8"))
        if told["file"] != _identity(file):
            return None
        said = told["said"]
        reaches = {(system, name): Reach(*reach) for system, name, *reach in said["reaches"]}
        accounts = {
            (system, name): Shown(moment and datetime.fromisoformat(moment), is_failing)
            for system, name, moment, is_failing in said["accounts"]
        }
        counts = said["orders"], said["order_rows"], said["rebuilt_bytes"]
        drift = [(account, kind, count) for account, kind, count in said["drift"]]
        marks = said["layout"], said["fingerprint"]
        found = Published(file, *marks, *counts, reaches, accounts, drift)
        return Note(found, told["code"], told["layout"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask(file: Path) -> Published | None:
    """What a published file itself says; None where it is not one of ours."""
    try:
        with duckdb.connect(str(file), read_only=True) as con:
            ((layout, fingerprint, orders, order_rows, size),) = con.execute(
                "SELECT layout, fingerprint, orders, order_rows, rebuilt_bytes FROM orderloom.build"
            ).fetchall()
            rows = con.execute(
                "SELECT source_system, source_account, orders_seq, quarantine_seq, generation,"
                " drift_seq FROM orderloom.publication"
            ).fetchall()
            shown = con.execute(
                "SELECT source_system, source_account, last_success_at, last_error FROM dim_account"
            ).fetchall()
            has_drift = con.execute(_HAS_DRIFT).fetchall()
            drift = con.execute(_DRIFT).fetchall() if has_drift else []
    except (duckdb.Error, ValueError):
        return None
    reaches = {(system, account): Reach(*reach) for system, account, *reach in rows}
    accounts = {
        (system, account): Shown.in_file(success, error)
        for system, account, success, error in shown
    }
    counts = orders, order_rows, size
    return Published(file, layout, fingerprint, *counts, reaches, accounts, drift)


def write(marts: Path, note: Note) -> None:
    """Note it; where the disk is full, or where the program was replaced meanwhile, nothing."""
    if note.code != _code():
        return
    said = note.said
    told = {
        "file": _identity(said.path),
        "code": note.code,
        "layout": note.layout,
        "said": {
            "layout": said.layout,
            "fingerprint": said.fingerprint,
            "orders": said.orders,
            "order_rows": said.order_rows,
            "rebuilt_bytes": said.rebuilt_bytes,
            "drift": [list(each) for each in said.drift],
            "reaches": [[*own, *_numbers(reach)] for own, reach in said.reaches.items()],
            "accounts": [
                [*own, shown.last_success_at and shown.last_success_at.isoformat(),
                 shown.is_failing]
                for own, shown in said.accounts.items()
            ],
        },
    }  # fmt: skip
    building = note_of(marts).with_suffix(".standing.new")
    with suppress(OSError):
        building.write_text(json.dumps(told), encoding="utf-8")
        building.replace(note_of(marts))


def _numbers(reach: Reach) -> tuple[int, int, int, int]:
    return reach.orders_seq, reach.quarantine_seq, reach.generation, reach.drift_seq


def _identity(file: Path) -> list[Any]:
    """By what a file is known again: whoever writes to it, renames or copies it changes this."""
    found = file.stat()
    times = found.st_mtime_ns, found.st_ctime_ns
    return [file.name, found.st_dev, found.st_ino, found.st_size, *times]


def _code() -> str:
    """The hash of everything that the layout of the tables is made of."""
    parts = sha256(version("pyarrow").encode())
    for package in (resources, schemas):
        for path in _files(Path(*package.__path__)):
            parts.update(path.name.encode() + b"\0" + path.read_bytes())
    return parts.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        elif entry.name.endswith(_SHAPING):
            yield Path(entry.path)


CODE = _code()
"""Of the program that this process runs: taken while it is imported, before it can be replaced."""
