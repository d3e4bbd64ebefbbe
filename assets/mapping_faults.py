"""What is wrong with mapped records, and the quarantine of it.

Belongs here: finding out whether there is any fault, collecting the faults that sections tell and
those of which no source may have any. Does not belong here: what is a fault of a field (NAME.sql).

Most chunks have none, which their columns tell without a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from assets.mapping_connection import shown
from resources.lazily import lazily
from resources.literal import literal
from schemas.lake import SCHEMA_VERSION

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pc = lazily("pyarrow.compute")

FOR_FAULTS = {
    "faults": "m.faults",
    "options": "cardinality(m.options) > 1 "  # readers of a MAP with a name twice refuse it
    "AND len(map_keys(m.options)) <> len(list_distinct(map_keys(m.options))) AS has_option_twice",
}
"""Columns beside the canonical ones, by the column that they are made of."""

_TOLD = {"version_id", "order_row_key", "faults", "has_option_twice"}
"""Columns of mapped records of which faults are made."""

NAMELESS = (
    "SELECT version_id, CASE WHEN source_order_id IS NULL "
    "THEN fault('id', 'required, but absent', NULL, TRUE) "
    "ELSE fault('body', 'not JSON', NULL, TRUE) END AS f "
    "FROM incoming WHERE NOT is_readable"
)
"""The faults of records that no section reads."""

_ROW_TWICE = (
    "SELECT DISTINCT version_id, fault('order rows', 'a row id occurs twice', NULL, TRUE) AS f "
    "FROM mapped_order_rows GROUP BY version_id, order_row_key HAVING COUNT(*) > 1"
)
_OPTION_TWICE = (
    "SELECT version_id, fault('options', 'a name occurs twice', NULL, TRUE) AS f "
    "FROM mapped_order_rows WHERE has_option_twice"
)


def unmappable(reason: str) -> str:
    """The faults of records that stop the mapping: every one of `incoming` has this one."""
    told = literal(f"cannot be mapped: {reason}")
    return f"SELECT version_id, fault('body', {told}, NULL, TRUE) AS f FROM incoming"


def may_have_faults(made: Mapping[str, pa.Table]) -> bool:
    """Whether any mapped record may be at fault. `made`: by lake table, what sections tell added.

    Rows of one order with the same id have the same key; so have rows of two versions of it.
    """
    for records in made.values():
        is_told = "faults" in records.column_names
        if is_told and pc.max(pc.list_value_length(records["faults"])).as_py():
            return True
    rows = made["order_rows"]
    if "has_option_twice" in rows.column_names and pc.any(rows["has_option_twice"]).as_py():
        return True
    return bool(pc.count_distinct(rows["order_row_key"]).as_py() < rows.num_rows)


def quarantine(
    connection: duckdb.DuckDBPyConnection, made: Mapping[str, pa.Table], more: Sequence[str]
) -> pa.Table:
    """Every fault of mapped records, and those that `more` selects, by landing sequence."""
    faults = list(more)
    for table, records in made.items():
        if not records.num_rows:
            continue
        told = [name for name in records.column_names if name in _TOLD]
        shown(connection, records.select(told)).create(f"mapped_{table}")
        if "faults" in records.column_names:
            faults.append(
                f"SELECT version_id, unnest(faults) AS f FROM mapped_{table} WHERE len(faults) > 0"
            )
        if table == "order_rows":
            faults.append(_ROW_TWICE)
            if "has_option_twice" in records.column_names:
                faults.append(_OPTION_TWICE)
    try:
        return connection.execute(_collected(faults)).to_arrow_table()
    finally:
        for table in made:
            connection.execute(f"DROP TABLE IF EXISTS mapped_{table}")


def _collected(faults: Sequence[str]) -> str:
    return (
        "SELECT v.source_system, v.source_account, v.order_key, v.source_order_id, "
        "v.version_id, v.landing_seq, q.f.field AS field, q.f.reason AS reason, "
        "q.f.value AS value, q.f.is_held AS is_held, v.fetched_at, v.run_id, "
        f"CAST({SCHEMA_VERSION} AS SMALLINT) AS schema_version "
        f"FROM ({' UNION ALL '.join(faults)}) AS q "
        "JOIN incoming AS v ON v.version_id = q.version_id "
        "ORDER BY v.landing_seq, field, reason, value"
    )
