"""How far stages and accounts have come in a local table, noted beside its log.

Belongs here: the note, and when it may be believed. Does not belong here: asking the table itself
(`resources/lake.py`).

A run that finds nothing new asks every table the same few questions. delta-rs answers them from the
log, at the cost of being imported and of reading the log; the note answers them from one small
file. It holds the answers to what was asked of one version of the table, which never change: a
version is never written again. It counts only while the newest log entry is, byte for byte, the one
that it speaks of, and is flushed; whatever is committed after it (a batch, a replay, a compaction)
makes it worthless, and so does a crash before it was written. It is not flushed: a note that is
lost or torn is a question asked again.
"""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from resources import lake_flush
from resources.lake_files import LOG
from schemas.lake import SCHEMA_VERSION

NOTE = "_standing"
"""Beside a table's `_delta_log`. Readers pass over names that begin with an underscore."""


@dataclass(frozen=True)
class Standing:
    """What is known of one version of a table. Of what it does not have nobody has asked."""

    version: int
    """-1: there is no table."""
    committed: Mapping[str, int] = field(default_factory=dict)
    """Stage -> the highest batch that it has committed."""
    reached: Mapping[tuple[str, str], int] | None = None
    """Account -> the greatest landing_seq of its data."""

    def batch(self, stage: str) -> int | None:
        """The highest batch of a stage, 0 if it has committed none; None where that is unknown."""
        return 0 if self.version < 0 else self.committed.get(stage)

    def has(self, question: str | None) -> bool:
        """Whether it answers a question of `Standings`."""
        return (self.reached if question is None else self.batch(question)) is not None


class Standings:
    """The questions that one process asks of the tables of a lake.

    Of each table by one thread at a time.
    """

    def __init__(
        self,
        root: Path | None,
        opened: Collection[str],
        answer: Callable[[str, Collection[str | None]], Standing],
    ) -> None:
        """`opened`: the tables that are open; `answer` asks a table itself.

        A question is a stage, or None for how far the data reaches. Without a local root every
        question is asked of the table.
        """
        self._root = root
        self._opened = opened
        self._answer = answer
        self._asked: defaultdict[str, set[str | None]] = defaultdict(set)

    def ask(self, table: str, question: str | None) -> Standing:
        """A standing of the newest version that has the answer."""
        is_new = question not in self._asked[table]
        self._asked[table].add(question)
        if self._root is not None and table not in self._opened:
            known = noted(self._root / table)
            if known is not None and known.has(question):
                return known
        found = self._answer(table, [question])
        if is_new:
            self._note(table, found)
        return found

    def note(self, table: str) -> None:
        """Note what was asked of a table that is open, as it stands now."""
        self._note(table, self._answer(table, self._asked[table]))

    def _note(self, table: str, standing: Standing) -> None:
        if self._root is not None and standing.version >= 0:
            note(self._root / table, standing)


def noted(folder: Path) -> Standing | None:
    """What is known of a local table's newest version without opening it; None: nothing."""
    mark, newest = lake_flush.flushed(folder), _newest(folder)
    if newest is None and mark is None:
        return Standing(-1, reached={})
    if newest is None or newest != _name(mark):
        return None
    try:
        said = json.loads((folder / NOTE).read_text("utf-8"))
        if said["entry"] != _entry(folder, newest) or said["schema_version"] != SCHEMA_VERSION:
            return None
        of_data = said["reached"]
        reached = None if of_data is None else {(s, a): seq for s, a, seq in of_data}
        return Standing(int(newest[:20]), said["committed"], reached)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(folder: Path, standing: Standing) -> None:
    """Note what is known of a version, beside what is noted of the same version already.

    Where the table has gone on meanwhile, or the disk is full, nothing is noted.
    """
    with suppress(OSError):
        newest = _newest(folder)
        if newest is None or newest != _name(standing.version):
            return
        before = noted(folder)
        if before is None or before.version != standing.version:
            before = Standing(standing.version)
        reached = before.reached if standing.reached is None else standing.reached
        after = Standing(standing.version, {**before.committed, **standing.committed}, reached)
        if after != before:
            _write(folder, newest, after)


def _write(folder: Path, newest: str, standing: Standing) -> None:
    reached = standing.reached
    said = {
        "schema_version": SCHEMA_VERSION,
        "entry": _entry(folder, newest),
        "committed": dict(standing.committed),
        "reached": None if reached is None else [[*own, seq] for own, seq in reached.items()],
    }
    building = folder / f"{NOTE}.{os.getpid()}.{threading.get_ident()}"
    try:
        building.write_text(json.dumps(said), encoding="utf-8")
        building.replace(folder / NOTE)
    finally:
        building.unlink(missing_ok=True)


def _newest(folder: Path) -> str | None:
    """The name of the newest file of the log, None if there is none.

    A checkpoint without its log entry is none that a note speaks of.
    """
    try:
        names = os.listdir(folder / LOG)
    except FileNotFoundError:
        return None
    return max((name for name in names if name[:20].isdigit()), key=_order, default=None)


def _order(name: str) -> tuple[str, bool]:
    return name[:20], name.endswith(".json")


def _name(version: int | None) -> str:
    return f"{-1 if version is None else version:020d}.json"


def _entry(folder: Path, newest: str) -> str:
    return sha256((folder / LOG / newest).read_bytes()).hexdigest()
