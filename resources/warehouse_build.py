"""Fills one DuckDB file, that nobody else sees yet, from the lake.

Belongs here: creating and filling the published tables. Does not belong here:
what is pending and where the file goes (`resources/warehouse.py`, `resources/publication.py`),
what the columns mean (`schemas`), mart SQL (`assets/marts`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from resources.errors import WarehouseError
from resources.lake import AccountKey, Lake
from resources.lake_files import DataFile
from resources.warehouse_checks import CONDITIONS, Fault, Mart, find
from resources.warehouse_describe import comments_of, describe, literal, published, source_views
from resources.warehouse_plan import Reach, Step
from schemas.lake import LAKE
from schemas.published import (
    GRAINS,
    INTERNAL,
    INTERNAL_GRAINS,
    MACROS,
    PUBLISHED,
    PUBLISHED_VERSION,
)
from schemas.status import DIMENSIONS, HISTORY_DIMENSIONS, MEANINGS

CURRENT = ("orders", "order_rows", "order_parties")
"""Lake tables of which the newest version of each order is published."""

ITEMS = {
    "order_invoices": "invoices",
    "order_totals": "totals",
    "order_custom_fields": "custom_fields",
}
"""Published tables that hold the items of a list column of orders."""

OF_ORDERS = (*CURRENT, "quarantine", *ITEMS, "order_status_history", "schema_drift")
"""Tables of the schema main that follow the orders."""

_SALES = {"sales_order", "sales_credit", "service_order", "lease_order"}
_PURCHASES = {"purchase_order", "purchase_credit"}
_CREDITS = {"sales_credit", "purchase_credit"}


class Build:
    """One connection to the file being built."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
        """`con`: the only connection to the file. One thread: two were seen to be slower."""
        self._con = con
        self._lake = lake
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET threads TO 1")
        con.execute("SET preserve_insertion_order = false")

    def create(self) -> None:
        """Make the tables but the marts, empty in an empty file, and the status dimensions."""
        self._con.execute("BEGIN")
        self._con.execute("CREATE SCHEMA orderloom")
        for name, schema in INTERNAL.items():
            self._create(f"orderloom.{name}", schema, INTERNAL_GRAINS[name])
        for name, grain in GRAINS.items():
            self._create(name, published(name), grain)
        for dimension in DIMENSIONS:
            self._load(f"dim_{dimension}", PUBLISHED[f"dim_{dimension}"], _codes(dimension))
        for name, (select, grain, comments) in source_views().items():
            self._con.execute(f"CREATE VIEW {name} AS {select}")
            describe(self._con, name, grain, comments, view=True)
        self._show_versions()
        self._con.execute("COMMIT")

    def bring_up_to_date(self, steps: Sequence[Step]) -> dict[AccountKey, int]:
        """Put the newest versions in the old ones' place; the orders touched per account."""
        self._con.execute("BEGIN")
        self._clear([step.account for step in steps if step.since == Reach()])
        self._attach(steps)
        self._con.execute(_sql("pending"))
        self._supersede()
        for name in CURRENT:
            self._insert(name, f"lake_{name}", "SEMI JOIN newest USING (version_id)")
        self._fill_items()
        for name in ("order_status_history", "order_status_events"):
            self._con.execute(_sql(name))
        self._insert(
            "quarantine",
            "lake_quarantine",
            "JOIN pending AS p USING (source_system, source_account)"
            " WHERE landing_seq > p.quarantine_after AND landing_seq <= p.quarantine_seq",
        )
        self._con.execute(_sql("quarantine"))
        self._con.execute(_sql("schema_drift"))
        touched = self._touched()
        self._con.execute("COMMIT")
        return touched

    def derive(
        self, accounts: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
    ) -> None:
        """Fill the table of runs and the dimensions of accounts and dates anew.

        The days on which orders count follow the accounts' zones.
        """
        self._con.execute("BEGIN")
        for name, records in (("dim_account", accounts), ("runs", runs)):
            self._con.execute(f"DELETE FROM {name}")
            self._load(name, PUBLISHED[name], records)
        self._con.execute(_sql("business_dates"))
        self._con.execute("DELETE FROM dim_date")
        self._con.execute(_sql("dim_date"))
        self._con.execute("COMMIT")

    def make(self, marts: Sequence[Mart]) -> None:
        """Make every mart anew, and drop those that are no more.

        Raises WarehouseError for SQL that fails and for columns without a comment.
        """
        self._con.execute("BEGIN")
        for (name,) in self._con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary"
        ).fetchall():
            if name not in GRAINS:
                self._con.execute(f'DROP TABLE "{name}"')
        for mart in marts:
            self._make(mart)
        self._con.execute("COMMIT")

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

    def faults(
        self, before: Path | None, accepted: Collection[AccountKey]
    ) -> dict[AccountKey, Fault]:
        """The accounts of which something does not hold, and what.

        `before`: the file published before, to compare with; None to compare with nothing.
        `accepted`: accounts that may be unlike it.
        """
        return find(self._con, CONDITIONS, before, accepted=accepted)

    def faults_of_marts(
        self, marts: Sequence[Mart], pending: Collection[AccountKey]
    ) -> dict[AccountKey, Fault]:
        """The pending accounts of which something does not hold in a mart, and what."""
        conditions = [condition for mart in marts for condition in mart.conditions]
        return find(self._con, conditions, only=pending)

    def _make(self, mart: Mart) -> None:
        where = f"mart {mart.name}"
        if mart.name in GRAINS:
            raise WarehouseError("the name is taken", where, "give the mart another name")
        try:
            self._con.execute(f'CREATE TABLE "{mart.name}" AS {mart.sql}')
        except duckdb.Error as error:
            raise WarehouseError(
                str(error).splitlines()[0], where, "mend its SQL, then publish again"
            ) from error
        columns = self._con.table(mart.name).columns
        odd = sorted(set(columns) ^ set(mart.comments))
        if odd:
            raise WarehouseError(
                f"column without comment, or comment without column: {', '.join(odd)}",
                where,
                "give every column of the SELECT one line `-- column: meaning`",
            )
        describe(self._con, f'"{mart.name}"', mart.grain, mart.comments)

    def _create(self, name: str, schema: pa.Schema, grain: str) -> None:
        types = _types(self._con, schema)
        columns = ", ".join(
            f'"{field.name}" {types[field.name]}{"" if field.nullable else " NOT NULL"}'
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
        table = pa.Table.from_pylist([dict(record) for record in records], schema=schema)
        self._con.register("loaded", table)
        self._con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM loaded")
        self._con.unregister("loaded")

    def _clear(self, accounts: Iterable[AccountKey]) -> None:
        """Take out accounts that will be published from their first version on."""
        for name in (*OF_ORDERS, "orderloom.superseded"):
            for account in accounts:
                self._con.execute(
                    f"DELETE FROM {name} WHERE source_system = ? AND source_account = ?", account
                )

    def _attach(self, steps: Sequence[Step]) -> None:
        """Show the lake's tables, as far as they may hold anything pending, as temporary views."""
        self._con.execute(
            "CREATE TEMP TABLE pending (source_system VARCHAR, source_account VARCHAR,"
            " orders_after BIGINT, orders_seq BIGINT, quarantine_after BIGINT,"
            " quarantine_seq BIGINT, drift_after BIGINT, drift_seq BIGINT)"
        )
        for step in steps:
            since, until = step.since, step.until
            self._con.execute(
                "INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *step.account,
                    since.orders_seq,
                    until.orders_seq,
                    since.quarantine_seq,
                    until.quarantine_seq,
                    since.drift_seq,
                    until.drift_seq,
                ],
            )
        for name in (*CURRENT, "quarantine", "drift"):
            seq = "orders_seq" if name in CURRENT else f"{name}_seq"
            after = {step.account: int(getattr(step.since, seq)) for step in steps}
            wanted = [file for file in self._lake.files(name) if _is_wanted(file, after)]
            self._con.register(f"lake_{name}", self._lake.read_files(self._con, name, wanted))

    def _supersede(self) -> None:
        """Move what the status history needs of older versions aside, then delete those."""
        columns = _of_versions(INTERNAL["superseded"].names)
        for relation in (
            "lake_orders SEMI JOIN (SELECT version_id FROM fresh WHERE NOT is_newest)"
            " USING (version_id)",
            "orders SEMI JOIN newest USING (order_key)",
        ):
            self._con.execute(
                f"INSERT INTO orderloom.superseded BY NAME SELECT {columns} FROM {relation}"
            )
        for name in (*CURRENT, *ITEMS, "order_status_history"):
            self._con.execute(
                f"DELETE FROM {name} WHERE order_key IN (SELECT order_key FROM newest)"
            )

    def _insert(self, name: str, relation: str, rest: str) -> None:
        types = _types(self._con, LAKE[name])
        columns = ", ".join(
            f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in types.items()
        )
        self._con.execute(f"INSERT INTO {name} BY NAME SELECT {columns} FROM {relation} {rest}")

    def _fill_items(self) -> None:
        for name, column in ITEMS.items():
            fields = ", ".join(
                f'item."{field.name}"' for field in LAKE["orders"].field(column).type.value_type
            )
            self._con.execute(
                f"INSERT INTO {name} BY NAME"
                f" SELECT source_system, source_account, order_key, position, {fields} FROM ("
                f"SELECT source_system, source_account, order_key, UNNEST({column}) AS item,"
                f" GENERATE_SUBSCRIPTS({column}, 1) AS position"
                f" FROM orders SEMI JOIN newest USING (order_key) WHERE LEN({column}) > 0)"
            )

    def _show_versions(self) -> None:
        """Make the view of all versions, and the macros that ask about a moment."""
        coded = {*HISTORY_DIMENSIONS, *HISTORY_DIMENSIONS.values()}
        schema = pa.schema([f for f in INTERNAL["superseded"] if f.name not in coded])
        codes = ", ".join(
            f"{{'dimension': '{name}', 'code': {name}, 'source_code': {source_code}}}"
            for name, source_code in HISTORY_DIMENSIONS.items()
        )
        selects = (
            f"SELECT {columns}, [{codes}] AS codes FROM {table}"
            for table, columns in (
                ("orders", _of_versions(schema.names)),
                ("orderloom.superseded", ", ".join(schema.names)),
            )
        )
        self._con.execute(_sql("versions") + " UNION ALL ".join(selects))
        comments = comments_of(schema) | {"codes": "the version's code of every status dimension"}
        grain = "One row per version of an order, the newest of each and those before."
        describe(self._con, "orderloom.versions", grain, comments, view=True)
        self._con.execute(_sql("point_in_time"))
        for name, meaning in MACROS.items():
            self._con.execute(f"COMMENT ON MACRO TABLE {name} IS {literal(meaning)}")

    def _touched(self) -> dict[AccountKey, int]:
        return {
            (system, account): count
            for system, account, count in self._con.execute(
                "SELECT source_system, source_account, COUNT(*) FROM orders"
                " SEMI JOIN newest USING (order_key) GROUP BY source_system, source_account"
            ).fetchall()
        }


def layout() -> Iterable[str]:
    """Everything that shapes the tables that are kept, as text, to tell whether it has changed."""
    for schema in (*LAKE.values(), *PUBLISHED.values(), *INTERNAL.values()):
        yield schema.to_string(show_field_metadata=True)
    for entry in sorted(
        files("resources").joinpath("warehouse_sql").iterdir(), key=lambda e: e.name
    ):
        yield entry.read_text(encoding="utf-8")
    yield repr((PUBLISHED_VERSION, source_views(), MEANINGS, MACROS))


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


def _of_versions(columns: Iterable[str]) -> str:
    """Columns of the table of older versions, as selected from whole versions."""
    own = {"status_events": "orderloom.status_events_of(events) AS status_events"}
    return ", ".join(own.get(name, f'"{name}"') for name in columns)


def _is_wanted(file: DataFile, after: Mapping[AccountKey, int]) -> bool:
    return file.account in after and file.last_seq > after[file.account]


def _types(con: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """DuckDB's type of each column, moments without their zone."""
    empty = con.from_arrow(schema.empty_table())
    return {
        name: str(kind).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")
        for name, kind in zip(empty.columns, empty.types, strict=True)
    }


def _sql(name: str) -> str:
    return files("resources").joinpath("warehouse_sql", f"{name}.sql").read_text(encoding="utf-8")
