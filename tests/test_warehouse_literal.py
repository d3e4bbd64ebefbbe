"""What Python knows reaches a table as it is, and without pandas."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from resources.warehouse_literal import rows_as_sql

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.int64()),
        ("seconds", pa.float64()),
        ("is_so", pa.bool_()),
        ("day", pa.date32()),
        ("moment", pa.timestamp("us", tz="UTC")),
    ]
)
MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
ROW: dict[str, Any] = {
    "text": 'it\'s "so" \\ \n\0 größer \U0001f600',
    "number": 2**63 - 1,
    "seconds": 0.1,
    "is_so": False,
    "day": date(1, 1, 1),
    "moment": MOMENT,
}


def test_every_value_arrives_as_it_is() -> None:
    with duckdb.connect() as con:
        found = con.execute(rows_as_sql(SCHEMA, [ROW, {"text": ""}])).fetchall()
        types = [str(kind) for _, kind, *_ in con.description or ()]
    moment = MOMENT.astimezone(UTC).replace(tzinfo=None)
    assert found == [(*list(ROW.values())[:-1], moment), ("", *[None] * 5)]
    assert types == ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"]


def test_what_does_not_suit_its_column_is_refused() -> None:
    with duckdb.connect() as con, pytest.raises(duckdb.Error):
        con.execute(rows_as_sql(SCHEMA, [{"number": "many"}]))
    with pytest.raises(TypeError, match="bytes"):
        rows_as_sql(SCHEMA, [{"text": b"x"}])


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, duckdb, pyarrow as pa\n"
        "from resources.warehouse_literal import rows_as_sql\n"
        "sql = rows_as_sql(pa.schema([('a', pa.string())]), [{'a': 'x'}])\n"
        "assert duckdb.execute(sql).fetchall() == [('x',)]\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
