"""Taking values out of logs and SQLite databases that hold them by accident.

Belongs here: overwriting texts in place, and leaving nothing of them in free pages. Does not belong
here: tables of ours (`ledger_store.py`, `lake.py`), and looking whether anything is left
(`proof.py`).

By design no log and no database of Dagster's holds personal data; an error's text that quotes a
server's answer may. Characters are replaced one for one, so that whoever is writing to a log, or
reading from a place in it, is not disturbed.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

STAR = "*"
_BUSY_SECONDS = 30.0
_AS_THEY_ARE = "surrogateescape"
"""How bytes that are no UTF-8 are read: written again, they are the same."""
_BEGIN = r"(?:(?<![^\W_])|(?<=\\[bfnrt])|(?<=\\u00[0-3][0-9a-f]))"
"""No letter or digit before, but for those of a JSON escape of none."""
_END = r"(?![^\W_])"


class Scrubber:
    """Replaces some values by stars, whatever their capitals, plain or with JSON's escapes.

    A value counts where it stands by itself: `ann@example.com` is not in `joann@example.com`.
    """

    def __init__(self, values: Iterable[str]) -> None:
        told = {value.strip() for value in values} - {""}
        forms = {form for value in told for form in (value, json.dumps(value)[1:-1])}
        longest_first = sorted(forms, key=len, reverse=True)
        any_of = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(rf"{_BEGIN}(?:{any_of}){_END}", re.I)

    def text(self, text: str) -> str:
        """The text with stars in the values' places."""
        return self._pattern.sub(lambda found: STAR * len(found[0]), text)

    def file(self, path: Path) -> bool:
        """Overwrite the values in a text file; whether there were any."""
        with path.open("r+b") as file:
            found = self._places(file.read())
            for start, length in found:
                file.seek(start)
                file.write(STAR.encode() * length)
        return bool(found)

    def database(self, path: Path) -> bool:
        """Overwrite the values in a SQLite database; whether there were any."""
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as found:
            found.execute("PRAGMA secure_delete = ON")
            found.create_function("scrubbed", 1, self._scrubbed, deterministic=True)
            changed = [self._table(found, table) for table in _tables(found)]
        compact(path)
        return any(changed)

    def _table(self, connection: sqlite3.Connection, table: str) -> bool:
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        count = 0
        for column in columns:
            count += connection.execute(
                f'UPDATE "{table}" SET "{column}" = scrubbed("{column}") '
                f'WHERE scrubbed("{column}") IS NOT "{column}"'
            ).rowcount
        return count > 0

    def _scrubbed(self, value: Any) -> Any:
        if isinstance(value, bytes):
            rest = bytearray(value)
            for start, length in self._places(value):
                rest[start : start + length] = STAR.encode() * length
            return bytes(rest)
        return self.text(value) if isinstance(value, str) else value

    def _places(self, data: bytes) -> list[tuple[int, int]]:
        """Where in bytes the values stand, and how many bytes each takes."""
        text = data.decode(errors=_AS_THEY_ARE)
        places, read, at = [], 0, 0
        for found in self._pattern.finditer(text):
            at += len(text[read : found.start()].encode(errors=_AS_THEY_ARE))
            length = len(found[0].encode(errors=_AS_THEY_ARE))
            places.append((at, length))
            read, at = found.end(), at + length
        return places


def compact(path: Path) -> None:
    """Leave nothing in a SQLite database but what its tables hold, nor in its write-ahead log.

    Raises sqlite3.OperationalError where another process does not let go of it.
    """
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return [name for (name,) in rows.fetchall()]
