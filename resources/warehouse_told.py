"""The view of what every version of an order says of every status dimension.

Belongs here: that view, made from the list of dimensions. Does not belong here: the macros that ask
it about a moment (`resources/warehouse_sql/point_in_time.sql`), filling tables
(`resources/warehouse_build.py`).
"""

from __future__ import annotations

import duckdb

from resources.warehouse_describe import comments_of, describe
from schemas.published import INTERNAL
from schemas.status import HISTORY_DIMENSIONS

VIEW = "orderloom.told"
KEPT = (
    "source_system",
    "source_account",
    "order_key",
    "version_id",
    "landing_seq",
    "last_seen_at",
    "run_id",
    "is_deleted",
)
"""Columns of a version that every row of it has."""

_COMMENTS = {
    "is_newest": "true: the newest version of its order",
    "dimension": "the status that it tells of",
    "code": "canonical code",
    "source_code": "the source's own code",
}


def show_told(con: duckdb.DuckDBPyConnection) -> None:
    """Make the view: a branch for each table and dimension.

    So of other dimensions nothing is read where one is asked for; taken apart from a list, all six
    of every version were made first.
    """
    branches = [
        f"SELECT {', '.join(KEPT)}, {is_newest} AS is_newest, '{name}' AS dimension,"
        f" {name} AS code, {source_code} AS source_code FROM {table}"
        for table, is_newest in (("orders", "TRUE"), ("orderloom.superseded", "FALSE"))
        for name, source_code in HISTORY_DIMENSIONS.items()
    ]
    con.execute(f"CREATE VIEW {VIEW} AS " + " UNION ALL ".join(branches))
    known = comments_of(INTERNAL["superseded"])
    comments = {name: known[name] for name in KEPT} | _COMMENTS
    describe(con, VIEW, "One row per version and status dimension.", comments, view=True)
