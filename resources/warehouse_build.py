"""Fills one DuckDB file, that nobody else sees yet, from the lake.

Belongs here: creating and filling the published tables. Does not belong here:
what is pending and where the file goes (`resources/warehouse.py`, `resources/publication.py`),
what the columns mean (`schemas`), mart SQL (`assets/marts`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from resources.errors import WarehouseError
from resources.lake import AccountKey, Lake
from resources.literal import literal
from resources.warehouse_aside import aside
from resources.warehouse_checks import CONDITIONS, Fault, Mart, find
from resources.warehouse_columns import type_of
from resources.warehouse_describe import (
    are_apart,
    comments_of,
    describe,
    published,
    source_views,
)
from resources.warehouse_fill import (
    EVERYTHING,
    Filling,
    Touched,
    Zones,
    sql,
    version_schema,
    versions,
)
from resources.warehouse_literal import rows_as_sql
from resources.warehouse_plan import Reach, Step
from resources.warehouse_storage import (
    BLOCK,
    ROW_GROUP,
    STORAGE_VERSION,
    TEXT,
    UNIQUE,
    UNIQUE_TEXT,
    compression,
)
from resources.warehouse_told import show_told
from schemas.lake import LAKE
from schemas.published import (
    GRAINS,
    INTERNAL,
    INTERNAL_GRAINS,
    MACROS,
    PUBLISHED,
    PUBLISHED_VERSION,
)
from schemas.status import DIMENSIONS, MEANINGS

SETTINGS = (
    "TimeZone = 'UTC'",
    "threads = 1",
    "preserve_insertion_order = false",
    "memory_limit = '640MB'",
    "wal_autocheckpoint = '1TB'",
)
"""One thread: two were seen to be slower, two connections side by side are faster. Memory is what
both may hold, the rest is spilled: 400 MB are too little for a million orders, 480 enough. The file
is nobody's until it is finished: what was committed is written by the checkpoint at the end."""

_SALES = {"sales_order", "sales_credit", "service_order", "lease_order"}
_PURCHASES = {"purchase_order", "purchase_credit"}
_CREDITS = {"sales_credit", "purchase_credit"}


Faults = Mapping[AccountKey, Fault]


class Build:
    """One connection to the file being built."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, lake: Lake, settings: Iterable[str] = SETTINGS
    ) -> None:
        """`con`: to the file. `settings`: what SET is to say."""
        self._con = con
        self._lake = lake
        for setting in settings:
            con.execute(f"SET {setting}")

    def begin(self) -> None:
        """Begin what is in the file as a whole after `finish`, and else not at all."""
        self._con.execute("BEGIN")

    @contextmanager
    def beside(self, do: Callable[[Build], None]) -> Iterator[None]:
        """Meanwhile `do` it with another connection to the file, in a thread of its own.

        Both begin with what was done before, and see of each other nothing until the block ends.
        """
        self._con.execute("COMMIT")
        self.begin()
        # What a transaction sees of the file is settled by its first look at it, not by BEGIN.
        self._con.execute("SELECT 1 FROM order_rows LIMIT 0")
        with aside(self._con, lambda con: Build(con, self._lake, SETTINGS[:1])._do(do)):
            yield
            self._con.execute("COMMIT")
        self.begin()

    def _do(self, do: Callable[[Build], None]) -> None:
        self.begin()
        do(self)
        self._con.execute("COMMIT")

    def finish(self) -> None:
        """Write all that was done since `begin`."""
        self._con.execute("COMMIT")
        self._con.execute("CHECKPOINT")

    def create(self) -> None:
        """Make the tables but the marts, empty in an empty file, the views, and the dimensions."""
        self.create_tables(GRAINS)
        self.create_rest()
        self.show_sources()

    def create_tables(self, names: Iterable[str]) -> None:
        """Make published tables but marts, empty."""
        for name in names:
            self._create(name, published(name), GRAINS[name])

    def create_rest(self) -> None:
        """Make all that is not of one source and no published table, and fill the dimensions."""
        self._con.execute("CREATE SCHEMA orderloom")
        for name, schema in INTERNAL.items():
            self._create(f"orderloom.{name}", schema, INTERNAL_GRAINS[name])
        for dimension in DIMENSIONS:
            self._load(f"dim_{dimension}", PUBLISHED[f"dim_{dimension}"], _codes(dimension))
        self._show_versions()

    def show_sources(self) -> None:
        """Make the views that show one source's own fields."""
        for name, (select, grain, comments) in source_views().items():
            self._con.execute(f"CREATE VIEW {name} AS {select}")
            describe(self._con, name, grain, comments, view=True)

    def take_over(
        self, accounts: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
    ) -> Zones:
        """Fill the dimension of accounts and the table of runs anew; the accounts' zones.

        The days on which the orders in the file count follow the zones.
        """
        zones = "SELECT source_system, source_account, COALESCE(timezone, 'UTC') FROM dim_account"
        before = set(self._con.execute(zones).fetchall())
        for name, records in (("dim_account", accounts), ("runs", runs)):
            self._con.execute(f"DELETE FROM {name}")
            self._load(name, PUBLISHED[name], records)
        self._con.execute(sql("business_dates"))
        after = self._con.execute(zones).fetchall()
        if not before >= set(after):
            self._con.execute(sql("moved_zones"))
        return {(system, account): zone for system, account, zone in after}

    def insert(self, names: Collection[str], steps: Sequence[Step]) -> None:
        """Fill these tables of order rows and parties, which are empty, and nothing else.

        Each is committed for itself: while one connection commits, the other cannot.
        """
        for _ in Filling(self._con, self._lake, steps, {}).insert(names):
            self._con.execute("COMMIT")
            self.begin()

    def bring_up_to_date(
        self, steps: Sequence[Step], zones: Zones, but: Collection[str] = ()
    ) -> Touched:
        """Put the newest versions in the old ones' place.

        `zones`: of the accounts, as `take_over` gave them. `but`: tables that `insert` fills.
        """
        return Filling(self._con, self._lake, steps, zones).fill(but)

    def derive(
        self,
        marts: Sequence[Mart],
        touched: Touched = EVERYTHING,
        judge: Callable[[], Faults] = dict,
    ) -> Faults:
        """Make the dimension of dates and the marts anew, and drop those that are no more.

        `touched`: where it is little, marts that follow from each order alone are made anew for
        those orders; the others' rows must be there from the same SQL. Meanwhile `judge` is asked
        whether what they are made of holds; if not the file is not to be finished, and what went
        wrong with a mart may come from that. Raises WarehouseError for SQL that fails and for
        columns without a comment.
        """
        self._con.execute("DELETE FROM dim_date")
        self._con.execute(sql("dim_date"))
        kept = [mart for mart in marts if mart.follows and touched.is_little]
        self._drop_marts(but={mart.name for mart in kept})
        todo = deque(mart for mart in marts if mart not in kept)

        def aside(other: Build) -> None:
            if are_apart([(mart.name, mart.sql) for mart in marts]):
                other.make(todo)

        # Where little is touched, a second connection saves 0.04 s of 0.5: not worth its company.
        with suppress(_NotToBeFinished), nullcontext() if touched.is_little else self.beside(aside):
            faults = judge()
            if faults:
                raise _NotToBeFinished
            if kept and touched.counts:
                self._follow(kept)
            self._move(kept)
            self.make(todo)
        return faults

    def _drop_marts(self, but: Collection[str]) -> None:
        for (name,) in self._con.execute(
            "SELECT table_name FROM duckdb_tables()"
            " WHERE database_name = CURRENT_DATABASE() AND schema_name = 'main'"
        ).fetchall():
            if name not in GRAINS and name not in but:
                self._con.execute(f'DROP TABLE "{name}"')

    def make(self, todo: deque[Mart]) -> None:
        """Make marts until none is left to do; another connection may take some of them."""
        while True:
            try:
                mart = todo.popleft()
            except IndexError:
                return
            self._make(mart)

    def note(self, reaches: Mapping[AccountKey, Reach], **build: Any) -> None:
        """Write into the file how far publishing has come, and about the file itself.

        `build`: the columns of orderloom.build.
        """
        rows = [
            {"source_system": account[0], "source_account": account[1], **vars(reach)}
            for account, reach in sorted(reaches.items())
        ]
        for name, records in (("publication", rows), ("build", [build])):
            self._con.execute(f"DELETE FROM orderloom.{name}")
            self._load(f"orderloom.{name}", INTERNAL[name], records)

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        ((count,),) = self._con.execute(f"SELECT COUNT(*) FROM {table}").fetchall()
        return int(count)

    def faults(
        self, before: Path | None, accepted: Collection[AccountKey], touched: Touched = EVERYTHING
    ) -> dict[AccountKey, Fault]:
        """The accounts of which something does not hold, and what.

        `before`: the file published before, to compare with; None to compare with nothing.
        `accepted`: accounts that may be unlike it. `touched`: where it is little, all held before.
        """
        return find(self._con, CONDITIONS, before, accepted=accepted, touched=touched.is_little)

    def faults_of_marts(
        self, marts: Sequence[Mart], pending: Collection[AccountKey], touched: Touched = EVERYTHING
    ) -> dict[AccountKey, Fault]:
        """The pending accounts of which something does not hold in a mart, and what."""
        conditions = [condition for mart in marts for condition in mart.conditions]
        return find(self._con, conditions, only=pending, touched=touched.is_little)

    def _make(self, mart: Mart) -> None:
        where = f"mart {mart.name}"
        if mart.name in GRAINS:
            raise WarehouseError("the name is taken", where, "give the mart another name")
        try:
            shown = self._con.execute(f"DESCRIBE {mart.sql}").fetchall()
            columns = ", ".join(
                f'"{name}" {kind}{TEXT if kind == "VARCHAR" else ""}' for name, kind, *_ in shown
            )
            self._con.execute(f'CREATE TABLE "{mart.name}" ({columns})')
            self._con.execute(f'INSERT INTO "{mart.name}" {mart.sql}')
        except duckdb.Error as error:
            raise WarehouseError(
                str(error).splitlines()[0], where, "mend its SQL, then publish again"
            ) from error
        odd = sorted({name for name, *_ in shown} ^ set(mart.comments))
        if odd:
            raise WarehouseError(
                f"column without comment, or comment without column: {', '.join(odd)}",
                where,
                "give every column of the SELECT one line `-- column: meaning`",
            )
        describe(self._con, f'"{mart.name}"', mart.grain, mart.comments)

    def _follow(self, marts: Sequence[Mart]) -> None:
        """Make the rows of touched orders anew, by the marts' SQL over those orders alone."""
        file = self._con.execute("SELECT CURRENT_DATABASE()").fetchall()[0][0]
        for mart in marts:
            self._con.execute(
                f'DELETE FROM "{mart.name}" WHERE order_key IN (SELECT order_key FROM newest)'
            )
        # A temporary view goes before a table of the file.
        self._con.execute("CREATE TEMP VIEW orders AS SELECT * FROM new_orders")
        self._con.execute(
            "CREATE TEMP VIEW order_status_history AS SELECT * FROM touched_order_status_history"
        )
        for mart in marts:
            self._con.execute(f'INSERT INTO "{file}".main."{mart.name}" BY NAME {mart.sql}')
        for name in ("orders", "order_status_history"):
            self._con.execute(f"DROP VIEW temp.main.{name}")

    def _move(self, marts: Sequence[Mart]) -> None:
        """Bring up to date what changes with time alone, in the rows of all orders."""
        for mart in marts:
            for column in mart.moving:
                self._con.execute(
                    f'UPDATE "{mart.name}" AS kept SET {column} = made.{column}'
                    f" FROM (SELECT order_key, {column} FROM ({mart.sql})) AS made"
                    " WHERE made.order_key = kept.order_key"
                    f" AND made.{column} IS DISTINCT FROM kept.{column}"
                )

    def _create(self, name: str, schema: pa.Schema, grain: str) -> None:
        columns = ", ".join(
            f'"{field.name}" {type_of(field.type)}{"" if field.nullable else " NOT NULL"}'
            f"{compression(name, field.name) if field.type == pa.string() else ''}"
            for field in schema
        )
        self._con.execute(f"CREATE TABLE {name} ({columns})")
        describe(self._con, name, grain, comments_of(schema))

    def _load(self, name: str, schema: pa.Schema, records: Sequence[Mapping[str, Any]]) -> None:
        if not records:
            return
        odd = {key for record in records for key in record} - set(schema.names)
        if odd:
            raise WarehouseError(
                f"no such columns: {', '.join(sorted(odd))}",
                f"table {name}",
                "give the columns of schemas/published.py",
            )
        self._con.execute(f"INSERT INTO {name} BY NAME {rows_as_sql(schema, records)}")

    def _show_versions(self) -> None:
        """Make the view of all versions, and the macros that ask about a moment."""
        select = versions("orders", "orderloom.superseded")
        self._con.execute(sql("versions") + select)
        meanings = comments_of(version_schema())
        comments = meanings | {"codes": "the version's code of every status dimension"}
        grain = "One row per version of an order, the newest of each and those before."
        describe(self._con, "orderloom.versions", grain, comments, view=True)
        show_told(self._con)
        self._con.execute(sql("point_in_time"))
        for name, meaning in MACROS.items():
            self._con.execute(f"COMMENT ON MACRO TABLE {name} IS {literal(meaning)}")


def layout() -> Iterable[str]:
    """Everything that shapes the tables that are kept, and what was seen to hold of them, as text,
    to tell whether it has changed."""
    for schema in (*LAKE.values(), *PUBLISHED.values(), *INTERNAL.values()):
        yield schema.to_string(show_field_metadata=True)
    for entry in sorted(
        files("resources").joinpath("warehouse_sql").iterdir(), key=lambda e: e.name
    ):
        yield entry.read_text(encoding="utf-8")
    shaped = PUBLISHED_VERSION, source_views(), MEANINGS, MACROS, CONDITIONS
    yield repr((*shaped, STORAGE_VERSION, BLOCK, ROW_GROUP, TEXT, UNIQUE_TEXT, sorted(UNIQUE)))


class _NotToBeFinished(Exception):
    """There are faults."""


def _codes(dimension: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [
        {dimension: code, "meaning": meaning} for code, meaning in MEANINGS[dimension].items()
    ]
    if dimension == "order_type":
        for record in records:
            code = record[dimension]
            record["order_sign"] = -1 if code in _CREDITS else 1
            record["is_sale"] = record["is_revenue"] = code in _SALES
            record["is_purchase"] = code in _PURCHASES
    return records
