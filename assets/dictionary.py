"""The data dictionary, docs/marts.md: `make docs`, that is `python -m assets.dictionary`.

Belongs here: how the page is made of what an empty published file says of itself. Does not belong
here: any meaning (`schemas`, the headers in `assets/marts`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from assets.marts import KEY, MARTS
from resources.lake import Lake
from resources.warehouse import Mart
from resources.warehouse_build import Build
from resources.warehouse_describe import source_views
from schemas.published import GRAINS, MACRO_COLUMNS, MACROS

PAGE = Path("docs/marts.md")

INTRODUCTION = """\
# The data dictionary

<!-- Made by `make docs` from the comments in the published file. Do not edit. -->

What `marts.duckdb` holds: every table, dimension, mart, view and macro, what one row of it is,
and every column. The file says the same of itself: `SELECT * FROM duckdb_columns()` has the
comments. [Questions](questions.md) shows the tables at work,
[what was true, and what did we believe](history.md) the status history.

What holds everywhere:

- A moment is a `TIMESTAMP` in UTC, whatever its column is called. A `DATE` is a civil date;
  `order_date` and `business_date` are in the account's zone (`dim_account.timezone`).
- An amount is a `DECIMAL` in the currency of its row. Never sum over currencies: group by
  `currency`. An amount that nobody knows is NULL, not 0.
- In `orders` and `order_rows` amounts stand as received; the marts count credits negative
  (`dim_order_type.order_sign`).
- `orders` and `order_rows` keep what the source has deleted, with `is_deleted` true; the marts
  leave it out.
- A status is never NULL: `unknown` is a code, `not_applicable` another.
- Components of a bundle are rows of their own beside the bundle's (`order_rows.row_kind`): count
  one or the other.
- A review registration is an order of type `review_registration`, and no revenue.

How the tables join:

- What belongs to an order joins `orders` by `order_key`. Join one table of many rows an order at a
  time, or sum it up by order first: two at once multiply.
- A column `x_status`, `order_type` or `fulfilment_method` joins the dimension `dim_` and its name
  by the column of the same name. Every code is there, so an inner join loses nothing.
- `source_system` and `source_account` together join `dim_account`; a date joins
  `dim_date.date_key`; `run_id` joins `runs`, which has the runs that were known when the file
  was made.
"""

_GROUPS = {
    "Marts": "Made anew with each publication, of all orders or of those touched. Their SQL is in"
    " `assets/marts`.",
    "Facts": "The orders, what belongs to them, and what happened on the way.",
    "Dimensions": "What facts and marts join.",
    "Views": "The orders and order rows of one source, with the fields that only it has.",
    "Macros": "They answer like tables, about moments.",
}

_LINKS = {
    "order_key": "orders",
    "parent_order_key": "orders.order_key",
    "parent_row_key": "order_rows.order_row_key",
    "source_account": "dim_account",
    "account": "dim_account.account",
    "run_id": "runs",
}
"""What a column of that name leads to, in any table but that one."""

_READ = ("orders", "order_status_history")
"""Tables that the macros read, so that their columns mean the same; the last one is right."""


@dataclass(frozen=True)
class Column:
    """One column of the file."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Relation:
    """One table, view or macro of the file."""

    name: str
    call: str
    """The name, with its arguments where there are any."""
    meaning: str
    columns: tuple[Column, ...]
    base: str = ""
    """The table of which it has every column."""
    codes: tuple[tuple[str, str], ...] = ()
    """What a dimension holds: code and meaning."""


class Reader:
    """Reads what a published file says of itself."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def table(self, name: str) -> Relation:
        """A table or view of the schema main, with its comments."""
        ((meaning,),) = self._con.execute(
            "SELECT comment FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = $1"
            " UNION ALL SELECT comment FROM duckdb_views()"
            " WHERE schema_name = 'main' AND view_name = $1",
            [name],
        ).fetchall()
        found = self._con.execute(
            "SELECT column_name, data_type || IF(is_nullable, '', ' NOT NULL'), comment"
            " FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ?"
            " ORDER BY column_index",
            [name],
        ).fetchall()
        return Relation(name, name, meaning, tuple(Column(*row) for row in found))

    def mart(self, mart: Mart) -> Relation:
        """A mart, with the columns that tell its rows apart."""
        found = self.table(mart.name)
        key = re.search(rf"^-- {KEY}: (.+(?:\n-- {{4,}}.+)*)", mart.sql, re.MULTILINE)
        if key is None:
            return found
        columns = ", ".join(f"`{column}`" for column in re.findall(r"\w+", key[1]))
        return replace(found, meaning=f"{found.meaning}\n\nKey: {columns}.")

    def view(self, name: str) -> Relation:
        """A view of one source, with the columns that the table behind it lacks."""
        base = next(table for table in ("order_rows", "orders") if name.endswith(f"_{table}"))
        known = {column.name for column in self.table(base).columns}
        own = self.table(name)
        return replace(own, base=base, columns=tuple(c for c in own.columns if c.name not in known))

    def dimension(self, name: str) -> Relation:
        """A dimension, with its codes where they are always the same."""
        found = self.table(name)
        if "meaning" not in (column.name for column in found.columns):
            return found
        code = name.removeprefix("dim_")
        codes = self._con.execute(f"SELECT {code}, meaning FROM {name}").fetchall()
        return replace(found, codes=tuple(codes))

    def macro(self, name: str) -> Relation:
        """A macro, with the columns of its answer."""
        ((arguments,),) = self._con.execute(
            "SELECT array_to_string(parameters, ', ') FROM duckdb_functions()"
            " WHERE function_name = ?",
            [name],
        ).fetchall()
        nulls = ", ".join("NULL" for _ in arguments.split(", "))
        found = self._con.execute(f"DESCRIBE SELECT * FROM {name}({nulls})").fetchall()
        meanings = {c.name: c.meaning for n in _READ for c in self.table(n).columns} | MACRO_COLUMNS
        columns = tuple(Column(column, kind, meanings[column]) for column, kind, *_ in found)
        return Relation(name, f"{name}({arguments})", MACROS[name], columns)


def render() -> str:
    """The page, of a file without orders."""
    with duckdb.connect() as con:
        build = Build(con, Lake("unused"))
        build.begin()
        build.create()
        build.derive(MARTS)
        reader = Reader(con)
        groups = {
            "Marts": [reader.mart(mart) for mart in MARTS],
            "Facts": [reader.table(n) for n in GRAINS if not n.startswith("dim_")],
            "Dimensions": [reader.dimension(n) for n in sorted(GRAINS) if n.startswith("dim_")],
            "Views": [reader.view(name) for name in source_views()],
            "Macros": [reader.macro(name) for name in MACROS],
        }
    dimensions = {each.name for each in groups["Dimensions"]}
    parts = [INTRODUCTION, "\n".join(_contents(groups))]
    for group, relations in groups.items():
        parts.append(f"## {group}\n\n{_GROUPS[group]}\n")
        parts += ["\n".join(_section(each, dimensions)) for each in relations]
    return "\n".join(parts)


def _contents(groups: dict[str, list[Relation]]) -> Iterator[str]:
    yield "## Contents\n"
    for group, relations in groups.items():
        links = ", ".join(f"[{each.name}](#{_anchor(each.call)})" for each in relations)
        yield f"- {group}: {links}"
    yield ""


def _section(each: Relation, dimensions: set[str]) -> Iterator[str]:
    yield f"### {each.call}\n\n{each.meaning}\n"
    if each.base:
        yield f"The columns of [{each.base}](#{each.base})" + (
            ", and:\n" if each.columns else ".\n"
        )
    elif joins := list(_joins(each, dimensions)):
        yield "Joins: " + "; ".join(joins) + ".\n"
    if each.columns:
        yield from _table(each.columns)
    if each.codes:
        yield "| code | means |\n|---|---|"
        yield from (f"| `{code}` | {meaning} |" for code, meaning in each.codes)
        yield ""


def _table(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | type | meaning |\n|---|---|---|"
    for each in columns:
        yield f"| `{each.name}` | `{each.kind}` | {each.meaning.replace('|', '&#124;')} |"
    yield ""


def _joins(each: Relation, dimensions: set[str]) -> Iterator[str]:
    """What the columns of a table lead to, by their names."""
    if each.name in dimensions:
        return
    for column in each.columns:
        target = _LINKS.get(column.name, "")
        if column.name == "dimension":
            yield "`code` to the table `dim_` and `dimension`"
        elif f"dim_{column.name}" in dimensions:
            yield f"`{column.name}` to `dim_{column.name}`"
        elif column.kind.startswith("DATE"):
            yield f"`{column.name}` to `dim_date.date_key`"
        elif target and target != each.name:
            pair = "`source_system` and " if target == "dim_account" else ""
            yield f"{pair}`{column.name}` to `{target}`"


def _anchor(title: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    kept = (c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return "".join(kept)


def main() -> None:
    """Write the page, into another file if one is given."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    page.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
