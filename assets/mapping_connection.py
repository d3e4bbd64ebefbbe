"""Where mappings run: DuckDB in memory, with the macros.

Belongs here: what every mapper's connection has, whatever the account. Does not belong here: an
account's variables and a chunk's tables (`assets/mapping.py`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING

from resources.lazily import lazily

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = lazily("duckdb")

_ONE_AT_A_TIME = Lock()


def mapping_connection() -> duckdb.DuckDBPyConnection:
    """A connection of its own to a database in memory that has the macros and no table.

    Its temporary tables and views and its variables are seen by nobody else and go with it. The
    database is kept for the process, since reading the macros takes as long as 50 orders.
    """
    with _ONE_AT_A_TIME:
        return _database().cursor()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(config={"threads": 1})
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    # Joins are written with the wide table first; a sub-select's size is not guessed well.
    database.execute("SET GLOBAL disabled_optimizers = 'build_side_probe_side'")
    macros = files("assets.sources").joinpath("macros.sql").read_text(encoding="utf-8")
    database.execute(macros)
    return database
