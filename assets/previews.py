"""Rows shown in the UI, without personal data.

Belongs here: which columns may be shown, and fetching a few rows. Does not belong here: how Dagster
is told (`assets/telling.py`).

Numbers, dates, moments and booleans may be shown; a text only if its column is named here. So a new
column of text is not shown before somebody has judged it.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from resources.lake import AccountKey, Lake
from schemas.canonical import PARTITION_COLUMNS, PERSONAL

ROWS = 5
"""Rows of a preview: it is stored with every materialisation."""
COLUMNS = 6
"""Columns of a preview of a mart: more do not fit beside one another."""
MOST_CHARACTERS = 999
"""Dagster 1.13 shows longer Markdown only on a click (`mdStr.length<1e3`, its web application)."""

TEXTS = frozenset(
    {
        *("source_system", "source_account", "order_key", "order_row_key", "order_number", "sku"),
        *("source_order_id", "order_type", "order_status", "payment_status", "shipping_status"),
        *("allocation_status", "fulfilment_status", "fulfilment_method", "invitation_status"),
        *("payment_status_basis", "changed_at_basis", "dimension", "code", "previous_code"),
        *("currency", "exposure", "kind", "role", "row_kind", "waits_for"),
    }
)
"""Columns of text that hold no personal data, whatever the table: keys and codes."""

NEWEST = {
    "raw": ("order_key", "kind", "landing_seq", "fetched_at"),
    "orders": ("order_key", "placed_on", "order_status", "payment_status", "currency",
               "gross_amount"),
    "order_rows": ("order_row_key", "row_kind", "sku", "quantity", "net_amount", "currency"),
    "order_parties": ("order_key", "role"),
}  # fmt: skip
"""Columns shown of lake tables."""

_ACCOUNT = "source_system || '.' || source_account"
_TOO_LITTLE = {*PARTITION_COLUMNS, "is_sale", "is_purchase", "order_number"}
"""Columns of marts that others beside them tell as well."""

Shown = str | int | float | bool | None
_PLAIN = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "DOUBLE", "DATE", "TIMESTAMP",
          "BOOLEAN")  # fmt: skip
"""What the names of DuckDB's types begin with that hold no text."""


def newest(lake: Lake, table: str, account: AccountKey) -> list[dict[str, Shown]]:
    """The newest rows of an account's lake table. Opens only the file that holds the newest."""
    files = [file for file in lake.files(table) if file.account == account and file.rows]
    if not files:
        return []
    last = max(files, key=lambda file: file.last_seq)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        relation = lake.read_files(con, table, [last])
        return _records(relation.order("landing_seq DESC"), NEWEST[table])


def of_mart(con: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Shown]]:
    """Some rows of a published table, of the columns that may be shown: the latest, where dated."""
    relation = con.table(name)
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    if name in NEWEST:
        return _records(relation.order("landing_seq DESC"), NEWEST[name])
    if set(PARTITION_COLUMNS) <= set(kinds):
        relation = relation.project(f"{_ACCOUNT} AS account, *")
        kinds = {"account": "VARCHAR", **kinds}
    shown = [column for column, kind in kinds.items() if may_show(name, column, kind)]
    shown = [column for column in shown if column not in _TOO_LITTLE][:COLUMNS]
    dated = next((column for column in shown if kinds[column] in ("DATE", "TIMESTAMP")), None)
    if dated is not None:
        relation = relation.order(f'"{dated}" DESC NULLS LAST')
    return _records(relation, shown) if shown else []


def as_markdown(records: Sequence[dict[str, Shown]]) -> str:
    """Records as a table in Markdown, of as many rows as are shown in place; needs one."""
    names = list(records[0])
    right = {name for name in names if isinstance(records[0][name], int | float)}
    lines = [_line(names), _line(["--:" if name in right else "---" for name in names])]
    for record in records:
        lines.append(_line(["" if v is None else str(v) for v in record.values()]))
        if sum(map(len, lines)) + len(lines) > MOST_CHARACTERS and len(lines) > _ONE_ROW:
            return "\n".join(lines[:-1])
    return "\n".join(lines)


_ONE_ROW = 3
"""Lines of a table of one row."""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_MARKUP.sub(' ', cell) for cell in cells)} |"


_MARKUP = re.compile(r"[|<>`\[\] \t\r\n]+")
"""What would make a value something else than a value in Markdown."""


def may_show(table: str, column: str, kind: str) -> bool:
    """Whether a column of a table may be shown, being of this DuckDB type."""
    if column in PERSONAL.get(table, frozenset()):
        return False
    return column in {"account", *TEXTS} or kind.startswith(_PLAIN)


def _records(relation: duckdb.DuckDBPyRelation, columns: Sequence[str]) -> list[dict[str, Shown]]:
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    chosen = ", ".join(
        f'CAST("{name}" AS TIMESTAMP) AS "{name}"' if "TIME ZONE" in kinds[name] else f'"{name}"'
        for name in columns
    )
    return [
        {name: _plain(value) for name, value in zip(columns, row, strict=True)}
        for row in relation.project(chosen).limit(ROWS).fetchall()
    ]


def _plain(value: Any) -> Shown:
    """A value as it is shown: amounts keep their digits, dates and moments stay in one line."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}".replace("-", "\u2011").replace(" ", "\u00a0")
    if isinstance(value, date):
        return value.isoformat().replace("-", "\u2011")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
