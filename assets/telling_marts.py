"""What the published tables and marts say of themselves on each publication.

Belongs here: row counts, columns, previews and numbers of the file just published. Does not belong
here: pictures (`assets/charts.py`), which columns a preview may show (`assets/previews.py`), the
assets (`assets/publish.py`).

No personal data is told, and nothing is summed across currencies.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import duckdb

from assets import charts, previews
from assets.telling import Metadata
from resources.warehouse import Publication
from resources.warehouse_columns import type_of
from schemas.canonical import LAKE
from schemas.published import PUBLISHED

COLUMNS = "dagster/column_schema"
HELD_BACK = "held_back"
"""Under this name a publication says which accounts' new versions it left out, and why."""

SUMMED = {
    "daily_orders": ("orders", "draft_orders", "cancelled_orders"),
    "data_quality": ("held_orders", "unread_fields", "totals_mismatch", "unknown_fields",
                     "changed_types", "unmapped_codes", "deleted_orders", "suspected_deletions"),
    "payment_exposure": ("orders_without_amount", "delivered_orders"),
    "sales_by_month": ("orders", "credits"),
}  # fmt: skip
"""Columns of marts whose sums are told, so that Dagster plots them over time. Counts only."""


def held_back(publication: Publication) -> str:
    """The accounts whose new versions failed the checks, each with its fault and the way out."""
    return "; ".join(
        f"{'.'.join(account)} is held back: {fault.line(account)}"
        for account, fault in sorted(publication.faults.items())
    )


def published_metadata(
    con: duckdb.DuckDBPyConnection, name: str, publication: Publication, log: Any
) -> Metadata:
    """What one table of the file just published says of itself.

    `log`: told where a picture cannot be drawn; a publication does not fail for it.
    """
    said: Metadata = {
        "dagster/row_count": _count(con, name),
        "dagster/relation_identifier": f"marts.main.{name}",
        "dagster/uri": publication.path.as_uri(),
        "file": dg.MetadataValue.path(str(publication.path)),
        "seconds": round(publication.seconds, 3),
        "orders_new_or_changed": sum(publication.touched.values()),
        "accounts_held_back": len(publication.faults),
        **_sums(con, name),
    }
    if not has_defined_columns(name):
        said[COLUMNS] = _columns(con, name)
    if publication.faults:
        said[HELD_BACK] = held_back(publication)
    if rows := previews.of_mart(con, name):
        said["preview"] = dg.MetadataValue.md(previews.as_markdown(rows))
    if picture := charts.picture(con, name, log):
        said["chart"] = dg.MetadataValue.md(picture)
    return said


def has_defined_columns(name: str) -> bool:
    """Whether a table's columns are known without its file: then they are told once, defined."""
    return name in LAKE or name in PUBLISHED


def defined_columns(name: str) -> dg.TableSchema:
    """The columns of such a table, in the types of the published file."""
    schema = PUBLISHED[name] if name in PUBLISHED else LAKE[name]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                type_of(field.type).replace('"', ""),
                field.metadata[b"comment"].decode(),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    ((count,),) = con.execute(f'SELECT COUNT(*) FROM "{name}"').fetchall()
    return int(count)


def _columns(con: duckdb.DuckDBPyConnection, name: str) -> dg.TableSchema:
    """The columns as the published file has them, with their comments."""
    found = con.execute(
        "SELECT column_name, data_type, COALESCE(comment, ''), is_nullable FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND table_name = ? ORDER BY column_index",
        [name],
    ).fetchall()
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column, kind, comment, constraints=dg.TableColumnConstraints(nullable=nullable)
            )
            for column, kind, comment, nullable in found
        ]
    )


def _sums(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, int]:
    columns: Sequence[str] = SUMMED.get(name, ())
    if not columns:
        return {}
    sums = ", ".join(f"CAST(COALESCE(SUM({column}), 0) AS BIGINT)" for column in columns)
    (row,) = con.execute(f"SELECT {sums} FROM {name}").fetchall()
    return dict(zip(columns, map(int, row), strict=True))
