"""Looks for secrets in everything that a home holds.

Belongs here: reading every kind of file there is under ORDERLOOM_HOME, and the forms that a secret
may take. Does not belong here: putting secrets there. Shares no line with resources/redaction.py.
"""

from __future__ import annotations

import base64
import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import duckdb
import pyarrow.parquet as pq


def forms(secret: str) -> set[str]:
    """A secret raw, percent-encoded, escaped in JSON, and in base64 wherever it begins; in lower
    case, since percent-encoding has either."""
    found = {secret, quote(secret, safe=""), quote(secret), secret.replace("/", "\\/")}
    for before in range(3):
        text = base64.b64encode(b"x" * before + secret.encode()).decode().rstrip("=")
        inner = text[4 if before else 0 : -2]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form.lower() for form in found}


def leaks(secret: str, texts: dict[str, str]) -> list[str]:
    """Which of the named texts hold a secret in any form, and what stands around it."""
    found = []
    for name, text in texts.items():
        lowered = text.lower()
        places = (lowered.find(form) for form in forms(secret))
        found += [f"{name}: {text[max(0, p - 80) : p + 80]!r}" for p in places if p >= 0]
    return found


def texts_under(folder: Path) -> dict[str, str]:
    """The text of every file below a folder: its bytes, and what they hold once decoded."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found[str(path)] = content.decode("utf-8", errors="replace")
            if decoded := "\n".join(_decoded(path, content)):
                found[f"{path} (decoded)"] = decoded
    return found


def _decoded(path: Path, content: bytes) -> Iterator[str]:
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content).decode("utf-8", errors="replace")
    elif content.startswith(b"PAR1"):
        yield str(pq.read_table(path).to_pylist())
        yield str(pq.read_metadata(path).metadata)
    elif content.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            yield from connection.iterdump()
        connection.close()
    elif content[8:12] == b"DUCK":
        with duckdb.connect(str(path), read_only=True) as connection:
            named = "SELECT schema_name, table_name FROM duckdb_tables()"
            for schema, table in connection.execute(named).fetchall():
                text = f'SELECT CAST(t AS VARCHAR) FROM "{schema}"."{table}" AS t'
                rows = connection.execute(text)
                yield "\n".join(row for (row,) in rows.fetchall())
