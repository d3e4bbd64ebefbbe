"""`orderloom query`.

Belongs here: asking one question, choosing where its answer goes, saying what is wrong with its
SQL. Does not belong here: opening the marts (`resources/warehouse.py`), how an answer looks
(`pipelines/answer_table.py`, `pipelines/answer_formats.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import duckdb

from pipelines import answer_formats
from pipelines.answer import Answer
from pipelines.answer_table import show
from resources.durable import replaced
from resources.errors import ConfigurationError
from resources.places import Places
from resources.warehouse import error_line, open_marts

Rows = list[tuple[object, ...]]

TABLE = "table"
SUFFIXES = {".csv": "csv", ".json": "json", ".md": "markdown", ".parquet": "parquet"}
"""What the name of --output says of the format, where --format says nothing."""

FIRST = 40
"""Rows of a table that are shown where neither --limit nor --all is given."""


@dataclass(frozen=True)
class Wish:
    """How somebody wants an answer."""

    style: str | None = None
    """TABLE or a value of SUFFIXES; None: as the suffix of `output` says, else a table."""
    output: Path | None = None
    """File to write; None: standard output."""
    limit: int | None = None
    """At most so many rows; None: FIRST of a table, all in other formats."""
    everything: bool = False
    """True: a table, too, has all rows."""


def answer(sql: str, wish: Wish) -> int:
    """Ask, print or write, and return the exit code. `sql` may be `-`: standard input."""
    style = _style(wish)
    if sql == "-":
        sql = sys.stdin.read()
    with asked(Places.from_environment(), sql) as found:
        if style == TABLE:
            show(found, limit=None if wish.everything else wish.limit or FIRST)
        elif wish.output is None:
            answer_formats.write(style, found, sys.stdout.buffer, wish.limit)
        else:
            click.echo(
                f"{_keep(found, style, wish.output, wish.limit):,} rows written to {wish.output}"
            )
    return 0


def ask(places: Places, sql: str) -> tuple[list[str], Rows]:
    """Column names and rows. Raises ConfigurationError for SQL that the marts do not understand."""
    with asked(places, sql) as found:
        return found.columns, [row for batch in found.batches() for row in batch]


@contextmanager
def asked(places: Places, sql: str) -> Iterator[Answer]:
    """The answer to a question, to be fetched inside; only what is fetched is in memory.

    Raises ConfigurationError for SQL that the marts do not understand; WarehouseError where there
    are no marts.
    """
    with open_marts(places) as connection:
        connection.execute("SET enable_progress_bar = false")
        try:
            found = connection.execute(sql)
            if found is None:
                raise ConfigurationError(
                    "there is no question", "SQL", 'write one: orderloom query "SHOW TABLES"'
                )
            yield Answer(found)
        except duckdb.Error as fault:
            raise _explained(error_line(fault), places.marts) from None


def _keep(found: Answer, style: str, output: Path, limit: int | None) -> int:
    """Write an answer to a file, whole or not at all; the number of rows."""
    try:
        with replaced(output) as file:
            return answer_formats.write(style, found, file, limit)
    except OSError as fault:
        raise ConfigurationError(
            f"cannot write: {fault.strerror}", str(output), "choose another place for it"
        ) from None


def _style(wish: Wish) -> str:
    """The format that is meant. Raises ConfigurationError for one that cannot go there."""
    suffix = wish.output.suffix.lower() if wish.output else ""
    style = wish.style or SUFFIXES.get(suffix, TABLE)
    if style == TABLE and wish.output is not None:
        raise ConfigurationError(
            "a table is for looking at", str(wish.output), "choose --format csv, json, markdown or"
            " parquet, or a name that ends in .csv, .json, .md or .parquet"
        )  # fmt: skip
    if style == "parquet" and wish.output is None and sys.stdout.isatty():
        raise ConfigurationError(
            "Parquet is binary and this is a terminal",
            "--format parquet",
            "name a file with --output FILE, or send standard output into one",
        )
    return style


def _explained(what: str, marts: Path) -> ConfigurationError:
    """What DuckDB says, and what to try."""
    if "read-only mode" in what:
        what = f"the marts are read-only, this statement writes ({what})"
        remedy = "SELECT from them; to keep an answer use --output FILE, or CREATE TEMP TABLE"
    elif what.startswith("Parser Error"):
        remedy = "SQL is DuckDB's; DESCRIBE orders shows the columns, SHOW TABLES the tables"
    else:
        remedy = "DESCRIBE orders shows the columns, SHOW TABLES the tables"
    return ConfigurationError(what, where=str(marts), remedy=remedy)
