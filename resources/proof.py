"""Searching every file of a home for values that must not be there any more.

Belongs here: reading files of every kind that is found, down to the values inside them, and what a
value may look like there. Does not belong here: erasing. It shares no code with that, and knows
neither tables nor fields: whatever can be decoded is decoded and searched.

Each file's bytes are searched as they stand: that finds what lies in free pages, footers, logs and
unknown formats. Parquet, DuckDB, SQLite and compressed files are decoded besides, since a byte
search misses what is compressed. JSON's escapes are resolved. A file that cannot be read is told:
nothing is proven of it.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CHUNK = 1 << 22
"""Bytes searched at once."""
_OVERLAP = 4096
"""Bytes searched twice, so that no value is cut in two."""
_ROWS = 2000
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BLANK = re.compile(r"\\[bfnrt]")
"""Line breaks and the like, escaped: a value may follow at once."""
_SQLITE = b"SQLite format 3\0"
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a value still stands, or that could not be read."""

    file: Path
    place: str
    """Where in the file: a column, a table, `bytes`, or why it could not be read."""
    is_unread: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.place}"


@dataclass
class Proof:
    """What a search came to. It names places and never a value."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every file was read and nothing was found."""
        return not self.findings


class Sought:
    """The values that are sought, in every form in which they may be written.

    A value counts where it stands by itself: `ann@example.com` is not in `joann@example.com`.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {_plain(value).strip() for value in values} - {""}
        told = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) or r"(?!)"
        self._alone = re.compile(rf"(?<![^\W_])(?:{told})(?![^\W_])")
        self._anywhere = re.compile(told)
        self.was_part = False
        """Whether a value was met as a part of a longer word."""

    def in_text(self, text: str) -> bool:
        """Whether a text holds one of the values, plain or with JSON's escapes."""
        if self._is_in(_plain(text)):
            return True
        return "\\" in text and self._is_in(_plain(_resolved(text)))

    def in_bytes(self, data: bytes) -> bool:
        """Whether bytes hold one of the values, whatever stands around it."""
        text = _plain(data.decode("utf-8", errors="replace"))
        return self._anywhere.search(text) is not None or self.in_text(text)

    def _is_in(self, plain: str) -> bool:
        if self._anywhere.search(plain) is None:
            return False
        if self._alone.search(plain) is not None:
            return True
        self.was_part = True
        return False


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def search(roots: Sequence[Path], values: Iterable[str], rebuilt: Collection[Path] = ()) -> Proof:
    """Search every file below these places. Links are not followed: what they name is searched.

    The free blocks of a DuckDB file may hold what was deleted, compressed, and nothing decodes
    them. Of `rebuilt` files, which were built from what is searched here, that is no matter.
    """
    wanted, proof = tuple(values), Proof()
    for path in _files(roots):
        try:
            places = set(_places(path, Sought(wanted)))
            has_past = path not in rebuilt and _has_free_blocks(path)
        except FileNotFoundError:
            continue  # it went meanwhile
        except (OSError, ValueError, EOFError, zlib.error) as fault:
            proof.findings.append(_unread(path, fault))
            continue
        except (pa.ArrowException, duckdb.Error, sqlite3.Error) as fault:
            proof.findings.append(_unread(path, fault))
            continue
        proof.files += 1
        proof.findings += [Finding(path, place) for place in sorted(places)]
        if has_past:
            proof.findings.append(Finding(path, "free blocks, which nothing reads", is_unread=True))
    return proof


def _files(roots: Sequence[Path]) -> list[Path]:
    found = set()
    for root in roots:
        some = root.rglob("*") if root.is_dir() else [root]
        found |= {path.absolute() for path in some if path.is_file() and not path.is_symlink()}
    return sorted(found)


def _unread(path: Path, fault: Exception) -> Finding:
    return Finding(path, f"could not be read ({type(fault).__name__})", is_unread=True)


def _places(path: Path, sought: Sought) -> Iterator[str]:
    """Where in a file the values stand."""
    if any(sought.in_text(part) for part in path.parts):
        yield "its name"
    with path.open("rb") as file:
        head = file.read(32)
        file.seek(0)
        decoder = _decoder(head)
        if decoder is None:
            texts = (data.decode("utf-8", errors="replace") for data in _chunks(file.read))
            if any(sought.in_text(text) for text in texts):
                yield "text"
            return
        is_in_bytes = any(sought.in_bytes(data) for data in _chunks(file.read))
    found = list(decoder(path, sought))
    yield from found
    # In the bytes values stand side by side, so nothing tells where one begins: what the decoded
    # file holds as a part of other words explains it.
    if is_in_bytes and (found or not sought.was_part):
        yield "bytes"


def _decoder(head: bytes) -> Callable[[Path, Sought], Iterator[str]] | None:
    if head.startswith(_PARQUET):
        return _parquet
    if head[8:12] == b"DUCK":
        return _duckdb
    if head.startswith(_SQLITE):
        return _sqlite
    if head.startswith(_GZIP):
        return _gzip
    return None


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    before = b""
    while data := read(_CHUNK):
        yield before + data
        before = data[-_OVERLAP:]


def _gzip(path: Path, sought: Sought) -> Iterator[str]:
    with gzip.open(path) as file:
        if any(sought.in_bytes(data) for data in _chunks(file.read)):
            yield "compressed text"


def _parquet(path: Path, sought: Sought) -> Iterator[str]:
    """Every column, nested ones included, the statistics of each, and the file's own notes."""
    with pq.ParquetFile(path) as file:
        notes = file.schema_arrow.metadata or {}
        if any(sought.in_bytes(each) for pair in notes.items() for each in pair):
            yield "notes"
        for group in range(file.metadata.num_row_groups):
            described = file.metadata.row_group(group)
            for place in range(described.num_columns):
                column = described.column(place)
                told = column.statistics
                if told and any(sought.in_text(str(each)) for each in (told.min, told.max)):
                    yield f"statistics of {column.path_in_schema}"
        for batch in file.iter_batches(batch_size=_ROWS):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if any(sought.in_text(text) for text in _texts(column)):
                    yield f"column {name}"


def _texts(column: pa.Array) -> Iterator[str]:
    """Everything in an Arrow array as text, whatever it is nested in."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary
        kind = column.type
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _texts(column.field(place))
    elif pa.types.is_map(kind):
        yield from _texts(column.keys)
        yield from _texts(column.items)
    elif hasattr(column, "flatten") and pa.types.is_nested(kind):
        yield from _texts(column.flatten())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield "\n".join(each for each in column.to_pylist() if each is not None)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield from (_as_text(each) for each in column.to_pylist() if each is not None)
    elif not pa.types.is_null(kind):
        yield "\n".join(str(each) for each in pc.drop_null(column).to_pylist())


def _has_free_blocks(path: Path) -> bool:
    with path.open("rb") as file:
        if _decoder(file.read(32)) is not _duckdb:
            return False
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        row = connection.execute("SELECT free_blocks FROM pragma_database_size()").fetchone()
    return row is not None and row[0] > 0


def _duckdb(path: Path, sought: Sought) -> Iterator[str]:
    """Every table of a DuckDB file, comments and views included."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        for schema, table in tables:
            name = f'"{schema}"."{table}"'
            read = connection.execute(f"SELECT CAST(t AS VARCHAR) FROM {name} AS t")
            if _any_row(read, sought):
                yield f"table {table}"
        described = connection.execute(
            "SELECT CAST(t AS VARCHAR) FROM duckdb_tables() AS t UNION ALL "
            "SELECT CAST(v AS VARCHAR) FROM duckdb_views() AS v UNION ALL "
            "SELECT CAST(c AS VARCHAR) FROM duckdb_columns() AS c"
        )
        if _any_row(described, sought):
            yield "definitions"


def _sqlite(path: Path, sought: Sought) -> Iterator[str]:
    """Every table of a SQLite database, with what its write-ahead log holds."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            table = name.decode()
            rows = connection.execute(f'SELECT * FROM "{table}"')
            if _any_row(rows, sought):
                yield f"table {table}"


def _any_row(cursor: Any, sought: Sought) -> bool:
    while rows := cursor.fetchmany(_ROWS):
        if sought.in_text("\n".join(_as_text(each) for row in rows for each in row)):
            return True
    return False


def _as_text(value: object) -> str:
    """A value as text; bytes that are compressed are decompressed."""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    if value[:1] in (b"\x78", b"\x1f"):
        with suppress(zlib.error):
            value = zlib.decompress(value, wbits=47)
    return value.decode("utf-8", errors="replace")


def _resolved(text: str) -> str:
    """A text with JSON's escapes resolved, those of escaped JSON as well."""
    for _ in range(3):
        before = text
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        text = _BLANK.sub(" ", text).replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\")
        if text == before:
            break
    return text
