"""`orderloom query`.

Belongs here: showing the answer to one SQL question. Does not belong here: opening the marts
(`resources/warehouse.py`).
"""

from __future__ import annotations

import csv
import json
import sys

import duckdb

from pipelines import console
from resources.errors import ConfigurationError
from resources.places import Places
from resources.warehouse import open_marts

Rows = list[tuple[object, ...]]


def answer(sql: str, style: str) -> int:
    """Ask, print, and return the exit code."""
    columns, rows = ask(Places.from_environment(), sql)
    if style == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    elif style == "json":
        json.dump([dict(zip(columns, row, strict=True)) for row in rows], sys.stdout, default=str)
        sys.stdout.write("\n")
    elif style == "markdown":
        lines = [columns, ["---"] * len(columns), *(map(console.shown, row) for row in rows)]
        sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    else:
        console.table("", columns, rows)
        console.out.print(f"{len(rows):,} rows")
    return 0


def ask(places: Places, sql: str) -> tuple[list[str], Rows]:
    """Column names and rows. Raises ConfigurationError for SQL that the marts do not understand."""
    with open_marts(places) as connection:
        try:
            found = connection.execute(sql)
            return [column[0] for column in found.description or ()], found.fetchall()
        except duckdb.Error as fault:
            raise ConfigurationError(
                " ".join(str(fault).split())[:500],
                where=str(places.marts),
                remedy="DESCRIBE orders shows the columns, SHOW TABLES the tables",
            ) from None
