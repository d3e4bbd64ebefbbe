"""How the published file stores what is in it.

Belongs here: the format of the file, and how columns are compressed. Does not belong here: which
columns there are and what they mean (`schemas`).
"""

from __future__ import annotations

STORAGE_VERSION = "v1.4.0"
"""Format of the published file, named so that no later default shuts out readers of today. Every
release of DuckDB since 1.4 reads it; `python -m benchmarks.duckdb_versions` tries those of the
pinned minor version. It is the first that knows `dict_fsst`."""

ROW_GROUP = 61_440
"""Rows of a table that are compressed together; DuckDB's own default is twice that. A table with
more rows is compressed by the connection that fills it, one with less only by the last checkpoint,
which does one table after the other."""

BLOCK = 131_072
"""Bytes of a block; DuckDB's own default is twice that. A column of a part of a table takes
whole blocks, in the file and in memory: of 20,000 orders a quarter of the file was empty."""

TEXT = " USING COMPRESSION dict_fsst"
"""What the definition of a column of text says.

Left to itself, DuckDB tries every method on every column of every part of a table that it writes.
This one finds values that return, and what the others have in common, by itself: files are smaller
and take a third less to write than with the older methods, well chosen. A text that is too long
for it is stored as it is.
"""

UNIQUE_TEXT = " USING COMPRESSION zstd"
"""What it says instead for columns in which hardly a text returns, where looking for those that do
is lost time: a third to two thirds less to write, as fast to read, and JSON takes a seventh of the
room."""

UNIQUE = frozenset(
    {
        ("orders", "source_fields"),
        ("orders", "content_hash"),
        ("order_rows", "content_hash"),
        ("order_rows", "order_row_key"),
        ("order_rows", "source_row_id"),
        ("order_parties", "telephone"),
        ("order_parties", "email"),
    }
)
"""Table and column of those."""


def compression(table: str, column: str) -> str:
    """What the definition of a published column of text says of how it is stored."""
    return UNIQUE_TEXT if (table, column) in UNIQUE else TEXT
