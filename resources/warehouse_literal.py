"""Rows that Python holds, as SQL that selects them.

Belongs here: writing values so that DuckDB reads the same ones. Does not belong here: which rows go
into which table (`resources/warehouse_build.py`).

DuckDB imports pandas to look at a parameter of a statement, and Arrow to make an array of Python's
values: a quarter of a second, more than many a publication's own work. A text in the statement
needs neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from resources.literal import literal
from resources.warehouse_columns import type_of

if TYPE_CHECKING:
    import pyarrow as pa


def rows_as_sql(schema: pa.Schema, records: Sequence[Mapping[str, Any]]) -> str:
    """A SELECT of records, with the columns and types of a schema; what a record lacks is NULL.

    Moments are told in UTC without their zone, those that have none as they are. Values: text,
    whole numbers, floats, truth values, dates, moments, None. Raises TypeError for others; DuckDB
    raises where one does not suit its column.
    """
    rows = [{name: record.get(name) for name in schema.names} for record in records]
    types = {field.name: type_of(field.type) for field in schema}
    return (
        "SELECT UNNEST(record) FROM (SELECT UNNEST(from_json_strict("
        f"{literal(json.dumps(rows, default=_moment, allow_nan=False))},"
        f" {literal(json.dumps([types]))})) AS record)"
    )


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no such value in a table of the warehouse: {type(value).__name__}")
