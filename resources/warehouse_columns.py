"""The columns of the lake's tables, as the published file has them.

Belongs here: DuckDB's type of a column, and selecting it with that type. Does not belong here:
which rows are selected (`resources/warehouse_fill.py`), which columns there are (`schemas`).
"""

from __future__ import annotations

import pyarrow as pa

from schemas.lake import LAKE


def columns_of(name: str) -> str:
    """The columns of a lake table, as published: moments without their zone."""
    return ", ".join(
        f'CAST("{field.name}" AS TIMESTAMP) AS "{field.name}"'
        if pa.types.is_timestamp(field.type)
        else f'CAST("{field.name}" AS {type_of(field.type)}) AS "{field.name}"'
        if _holds_moments(field.type)
        else f'"{field.name}"'
        for field in LAKE[name]
    )


def nothing(name: str) -> str:
    """A SELECT without rows that has the columns of a lake table."""
    columns = ", ".join(
        f'CAST(NULL AS {type_of(field.type)}) AS "{field.name}"' for field in LAKE[name]
    )
    return f"SELECT {columns} WHERE FALSE"


def type_of(kind: pa.DataType) -> str:
    """DuckDB's type of a column, moments without their zone."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_map(kind):
        return f"MAP({type_of(kind.key_type)}, {type_of(kind.item_type)})"
    if pa.types.is_list(kind):
        return f"{type_of(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{each.name}" {type_of(each.type)}' for each in kind)
        return f"STRUCT({fields})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    return _TYPES[str(kind)]


_TYPES = {"string": "VARCHAR", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
          "bool": "BOOLEAN", "double": "DOUBLE", "date32[day]": "DATE"}  # fmt: skip


def _holds_moments(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _holds_moments(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_holds_moments(each.type) for each in kind)
    return bool(pa.types.is_timestamp(kind))
