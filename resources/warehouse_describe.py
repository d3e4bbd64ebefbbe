"""Comments on the published tables, and the views that show one source's own fields.

Belongs here: COMMENT statements, view SQL made from `schemas/field_map.csv`, which tables a mart's
SQL names. Does not belong here: the meanings themselves (`schemas`, `assets/marts`).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from resources.literal import literal
from schemas.lake import LAKE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

View = tuple[str, str, dict[str, str]]
"""SELECT, grain, column -> meaning."""

_PREFIX = "source_fields."


def comments_of(schema: pa.Schema) -> dict[str, str]:
    """Column -> meaning."""
    return {field.name: field.metadata[b"comment"].decode() for field in schema}


def describe(
    con: duckdb.DuckDBPyConnection,
    name: str,
    grain: str,
    comments: Mapping[str, str],
    *,
    view: bool = False,
) -> None:
    """Put a COMMENT on a table or view and on each of its columns; `name` is quoted if need be."""
    kind = "VIEW" if view else "TABLE"
    con.execute(
        f"COMMENT ON {kind} {name} IS {literal(grain)};"
        + ";".join(
            f'COMMENT ON COLUMN {name}."{column}" IS {literal(meaning)}'
            for column, meaning in comments.items()
        )
    )


def published(table: str) -> pa.Schema:
    """The schema of a published table that is not a mart."""
    from schemas.published import PUBLISHED

    return PUBLISHED[table] if table in PUBLISHED else LAKE[table]


@cache
def source_views() -> dict[str, View]:
    """View name -> view, for `orders` of every source and `order_rows` where it has own fields."""
    own = _own_fields()
    sources = sorted({source for source, _ in own})
    views = {}
    for source in sources:
        for table, what in (("orders", "order"), ("order_rows", "order row")):
            fields = own.get((source, table), {})
            if fields or table == "orders":
                views[f"{source}_{table}"] = _view(source, table, what, fields)
    return views


def _view(source: str, table: str, what: str, fields: Mapping[str, tuple[str, str]]) -> View:
    structure = {name: _structure(kind) for name, (kind, _) in fields.items()}
    shown = "".join(f', own_fields."{name}" AS "{name}"' for name in fields)
    select = (
        f"SELECT * EXCLUDE (own_fields){shown} FROM (SELECT *,"
        f" json_transform(source_fields, {literal(json.dumps(structure))}) AS own_fields"
        f" FROM {table} WHERE source_system = {literal(source)} AND NOT is_deleted)"
    )
    if not fields:
        select = f"SELECT * FROM {table} WHERE source_system = {literal(source)} AND NOT is_deleted"
    grain = f"One row per {what} of {source} that is not deleted, with the source's own fields."
    return (
        select,
        grain,
        comments_of(published(table)) | {name: meaning for name, (_, meaning) in fields.items()},
    )


def _structure(kind: str) -> str | list[str]:
    return [kind.removesuffix("[]")] if kind.endswith("[]") else kind


def _own_fields() -> dict[tuple[str, str], dict[str, tuple[str, str]]]:
    """(source, table) -> name -> (type, meaning), of all fields kept in source_fields."""
    text = files("schemas").joinpath("field_map.csv").read_text(encoding="utf-8")
    found: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for line in csv.DictReader(text.splitlines()):
        found.setdefault((line["source"], "orders"), {})
        column = line["canonical_column"]
        if line["disposition"] != "extension" or not column.startswith(_PREFIX):
            continue
        rule = f"; {line['rule']}" if line["rule"] else ""
        meaning = f"the source's field {line['source_field']}{rule}"
        fields = found.setdefault((line["source"], line["canonical_table"]), {})
        fields.setdefault(column.removeprefix(_PREFIX), (line["type"], meaning))
    return found


def are_apart(marts: Iterable[tuple[str, str]]) -> bool:
    """Whether no SQL of named ones names another, which would have to be there before it.

    It says so only where that is certain.
    """
    sqls = dict(marts)
    names = re.compile(rf"\b({'|'.join(map(re.escape, sqls))})\b", re.IGNORECASE)
    return not any(names.search(_COMMENT.sub("", sql)) for sql in sqls.values())


_COMMENT = re.compile(r"^\s*--.*", re.MULTILINE)
