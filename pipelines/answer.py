"""The answer to a question, while it is fetched.

Belongs here: columns, their types, rows batch by batch, one row's values as JSON knows them. Does
not belong here: asking (`pipelines/asking.py`), how an answer looks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2_000
"""Rows that are in memory at a time."""

NUMBERS = {
    *("tinyint", "smallint", "integer", "bigint", "hugeint", "bignum", "decimal"),
    *("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint", "double", "float"),
}
"""DuckDB's types of numbers."""


class Answer:
    """What a connection has been asked and not yet told."""

    def __init__(self, found: duckdb.DuckDBPyConnection) -> None:
        """`found`: a connection that has executed something; used until the answer is at its end"""
        self._found = found
        described = found.description or []
        self.columns = distinct([column[0] for column in described])
        self.is_number = [column[1].id in NUMBERS for column in described]

    def batches(self, limit: int | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """The rows, at most `limit` of them, some at a time."""
        left = math.inf if limit is None else limit
        while left > 0 and (rows := self._found.fetchmany(int(min(BATCH, left)))):
            left -= len(rows)
            yield rows

    def arrow(self, rows: int) -> pa.RecordBatchReader:
        """The rows in Arrow types, some `rows` at a time."""
        return self._found.to_arrow_reader(rows)


def distinct(names: list[str]) -> list[str]:
    """The names, later ones of the same name numbered as DuckDB does: a, a_1, a_2."""
    made: list[str] = []
    for name in names:
        candidates = (name, *(f"{name}_{number}" for number in range(1, len(names))))
        made.append(next(each for each in candidates if each not in made))
    return made


def plain(value: Any) -> Any:
    """A value as JSON has it: amounts as exact text, days and moments as ISO 8601 text."""
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if isinstance(value, float) else str(value)


def as_text(value: Any) -> str:
    """A value but NULL, exact and whole; lists and structures as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dict | list | tuple):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(plain(value))
