"""Where mappings run: DuckDB in memory, with the macros.

Belongs here: what every mapper's connection has, and how Arrow's records get into it. Does not
belong here: the tables and statements of a mapping (`assets/mapping.py`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from assets.mapping_sections import with_values
from resources.accounts import Account
from resources.lazily import lazily

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
else:
    duckdb = lazily("duckdb")

_OPTIMIZERS_OFF = ("build_side_probe_side", "statistics_propagation")
"""Joins are written with the wide table first; a sub-select's size is not guessed well. And plans
are kept from chunk to chunk, but DuckDB does not plan anew where what statistics told it then (that
a column has no NULL, that a table is empty) no longer holds: it gives wrong results."""


def mapping_connection(account: Account) -> duckdb.DuckDBPyConnection:
    """A connection to a database of its own that has the macros and no table."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET disabled_optimizers = '{','.join(_OPTIMIZERS_OFF)}'")
    connection.execute(with_values(_macros(), account))
    return connection


def shown(connection: duckdb.DuckDBPyConnection, records: pa.Table) -> duckdb.DuckDBPyRelation:
    """Arrow's records, to be read once.

    As a stream of Arrow's C interface: at the sight of anything else DuckDB imports pandas, a fifth
    of a second, to see whether it is a DataFrame.
    """
    return connection.from_arrow(records.__arrow_c_stream__())


@cache
def _macros() -> str:
    return files("assets.sources").joinpath("macros.sql").read_text(encoding="utf-8")
