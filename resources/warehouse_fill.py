"""Brings the published tables that follow the orders up to date with the lake.

Belongs here: which versions are new, and putting them in the old ones' place. Does not belong here:
creating tables, dimensions and marts (`resources/warehouse_build.py`), what is pending
(`resources/warehouse_plan.py`), how a status history is told (`resources/warehouse_sql`).

On one thread a join of wide rows costs more than reading them, so none is made where nothing can be
left out: where every row of the files is to be published, and every version is the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow as pa

from resources.lake import AccountKey, Lake
from resources.lake_files import DataFile
from resources.literal import literal
from resources.warehouse_columns import columns_of, nothing
from resources.warehouse_plan import Reach, Step
from schemas.lake import LAKE
from schemas.published import INTERNAL
from schemas.status import HISTORY_DIMENSIONS

if TYPE_CHECKING:
    import duckdb

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

_MOST = 4
"""Where more than one in so many orders is touched, looking at all of them costs less."""

UTC = "UTC"
"""The zone of accounts that have none."""

Zones = Mapping[AccountKey, str]
"""IANA zone by account; UTC where it is not named."""


@dataclass(frozen=True)
class Touched:
    """What bringing the tables up to date has touched."""

    counts: Mapping[AccountKey, int]
    """Orders of which a version was new, per account."""
    is_little: bool
    """Whether most of the file is as before: then there are the temporary tables of
    `resources/warehouse_sql/touched.sql`, which show what is not."""


EVERYTHING = Touched({}, is_little=False)
"""For a file of which nothing is known to hold."""


@dataclass
class _Files:
    """The files of one lake table that may hold something pending."""

    is_whole: bool = True
    """Whether all that they hold is pending."""
    after: int = 0
    """No record up to this landing sequence is pending, whatever the account."""
    found: list[DataFile] = field(default_factory=list)


class Filling:
    """One run of it, in a transaction of the caller's."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, lake: Lake, steps: Sequence[Step], zones: Zones
    ) -> None:
        """`con`: to the file being built, by UTC. Leaves temporary tables behind, among them
        `newest`: one row per order touched."""
        self._con = con
        self._lake = lake
        self._steps = steps
        self._zones = zones
        self._files: dict[str, _Files] = {}

    def insert(self, names: Iterable[str]) -> Iterator[None]:
        """Fill nothing but these of CURRENT, which are empty, one after the other."""
        overtaken = self._show_newest(CURRENT)
        for name in names if self._exists("newest") else ():
            self._insert_newest(name, overtaken=overtaken)
            yield

    def fill(self, but: Collection[str] = ()) -> Touched:
        """Put the newest versions in the old ones' place; `but`: tables that `insert` fills."""
        anew = [step.account for step in self._steps if step.since == Reach()]
        is_cleared = self._clear(anew, but)
        overtaken = self._show_newest((*CURRENT, "quarantine", "drift"))
        counts = self._count_newest()
        is_little = not is_cleared and _MOST * sum(counts.values()) < self._count_orders()
        is_first = not self._exists("orders")
        if is_little:
            self._con.execute(sql("affected"))
        if counts:
            self._supersede(overtaken=overtaken)
            self._show_new(overtaken=overtaken, is_first=is_first, is_little=is_little)
            for name in CURRENT[1:]:
                if name not in but:
                    self._insert_newest(name, overtaken=overtaken)
            self._fill_items()
            self._con.execute(f"CREATE TEMP VIEW touched_versions AS {self._versions()}")
            self._con.execute(sql("order_status_history"))
            if self._exists("told_dimensions"):
                self._con.execute(sql("order_status_events"))
        self._insert_faults()
        if is_little:
            self._con.execute(sql("touched"))
        return Touched(counts, is_little)

    def _show_newest(self, names: Iterable[str]) -> bool:
        """Show the lake's tables and which versions are newest; whether others are overtaken."""
        self._attach(names)
        self._con.execute(sql("pending"))
        overtaken = self._exists("overtaken")
        newest = "SELECT * FROM fresh" + " ANTI JOIN overtaken USING (version_id)" * overtaken
        kind = "TABLE" if overtaken else "VIEW"
        self._con.execute(f"CREATE TEMP {kind} newest AS {newest}")
        return overtaken

    def _clear(self, accounts: Iterable[AccountKey], but: Collection[str]) -> bool:
        """Take out accounts that will be published from their first version on; if any was in."""
        gone = 0
        for name in (*OF_ORDERS, "orderloom.superseded"):
            for account in accounts if name not in but and self._exists(name) else ():
                where = f"(source_system, source_account) = {_pair(account)}"
                self._con.execute(f"DELETE FROM {name} WHERE {where}")
                gone += self._con.fetchall()[0][0]
        return gone > 0

    def _attach(self, names: Iterable[str]) -> None:
        """Show the lake's tables, as far as they may hold anything pending, as temporary views."""
        self._con.execute(
            "CREATE TEMP TABLE pending (source_system VARCHAR, source_account VARCHAR,"
            " orders_after BIGINT, orders_seq BIGINT, quarantine_after BIGINT,"
            " quarantine_seq BIGINT, drift_after BIGINT, drift_seq BIGINT)"
        )
        for step in self._steps:
            since, until = step.since, step.until
            bounds = (
                since.orders_seq,
                until.orders_seq,
                since.quarantine_seq,
                until.quarantine_seq,
                since.drift_seq,
                until.drift_seq,
            )
            numbers = ", ".join(f"{bound:d}" for bound in bounds)
            self._con.execute(
                f"INSERT INTO pending VALUES ({', '.join(map(literal, step.account))}, {numbers})"
            )
        for name in names:
            wanted = self._files[name] = self._wanted(name)
            if wanted.found:
                relation = self._lake.read_files(self._con, name, wanted.found)
                self._con.register(f"lake_{name}", relation)
            else:  # Nothing as an Arrow table would import pandas.
                self._con.execute(f"CREATE TEMP VIEW lake_{name} AS {nothing(name)}")

    def _wanted(self, name: str) -> _Files:
        seq = _seq(name)
        bounds = {
            step.account: (int(getattr(step.since, seq)), int(getattr(step.until, seq)))
            for step in self._steps
        }
        wanted = _Files(after=min((after for after, _ in bounds.values()), default=0))
        for file in self._lake.files(name):
            after, until = bounds.get(file.account, (0, 0))
            if file.account in bounds and file.last_seq > after:
                wanted.found.append(file)
                if after or file.last_seq > until:
                    wanted.is_whole = False
        return wanted

    def _pending(self, name: str) -> str:
        """The end of a SELECT from a table of the lake, that leaves out what is not pending."""
        wanted = self._files[name]
        if wanted.is_whole:
            return ""
        prefix = _seq(name).removesuffix("_seq")
        # The first bound is a number, so that DuckDB can leave out parts of a file by it.
        return (
            " JOIN pending AS p USING (source_system, source_account)"
            f" WHERE landing_seq > {wanted.after:d} AND landing_seq > p.{prefix}_after"
            f" AND landing_seq <= p.{prefix}_seq"
        )

    def _supersede(self, *, overtaken: bool) -> None:
        """Move what the status history needs of older versions aside, then delete those."""
        columns = of_versions(INTERNAL["superseded"].names)
        relations = ["lake_orders SEMI JOIN overtaken USING (version_id)"] * overtaken
        if self._exists("orders"):
            relations.append("orders SEMI JOIN newest USING (order_key)")
        for relation in relations:
            self._con.execute(
                f"INSERT INTO orderloom.superseded BY NAME SELECT {columns} FROM {relation}"
            )
        for name in (*CURRENT, *ITEMS, "order_status_history"):
            if self._exists(name):
                self._con.execute(
                    f"DELETE FROM {name} WHERE order_key IN (SELECT order_key FROM newest)"
                )

    def _show_new(self, *, overtaken: bool, is_first: bool, is_little: bool) -> None:
        """Insert the newest version of each order, and show what was inserted as `new_orders`.

        Where it is little it is read from memory, since finding a few wide rows again in a table
        costs as much as reading all of it.
        """
        select = self._newest("orders", overtaken=overtaken)
        dated = f"SELECT *, {_business_dates(self._zones)} FROM ({select}) AS undated"
        if is_little:
            self._con.execute(f"CREATE TEMP TABLE new_orders AS {dated}")
            self._con.execute("INSERT INTO orders BY NAME SELECT * FROM new_orders")
            return
        rest = "" if is_first else " SEMI JOIN newest USING (order_key)"
        self._con.execute(f"INSERT INTO orders BY NAME {dated}")
        self._con.execute(f"CREATE TEMP VIEW new_orders AS SELECT * FROM orders{rest}")

    def _versions(self) -> str:
        """Every version of the orders touched, the newest of each and those before."""
        older = "(SELECT * FROM orderloom.superseded SEMI JOIN newest USING (order_key)) AS older"
        return versions("new_orders", older)

    def _insert_newest(self, name: str, *, overtaken: bool) -> None:
        select = self._newest(name, overtaken=overtaken)
        self._con.execute(f"INSERT INTO {name} BY NAME {select}")

    def _newest(self, name: str, *, overtaken: bool) -> str:
        """The rows of a table of the lake that belong to the newest versions, as published."""
        rest = self._pending(name)
        if overtaken or rest or (name != "orders" and self._has_strangers(name)):
            after = self._files[name].after
            rest = f" SEMI JOIN newest USING (version_id) WHERE landing_seq > {after:d}"
        return f"SELECT {columns_of(name)} FROM lake_{name}{rest}"

    def _has_strangers(self, name: str) -> bool:
        """Whether a table of the lake holds rows of versions that are not to be published."""
        return self._exists(f"lake_{name} ANTI JOIN newest USING (version_id)")

    def _insert_faults(self) -> None:
        if self._files["quarantine"].found:
            rest = self._pending("quarantine")
            self._con.execute(
                f"INSERT INTO quarantine BY NAME SELECT {columns_of('quarantine')}"
                f" FROM lake_quarantine{rest}"
            )
        if self._exists("quarantine"):
            self._con.execute(sql("quarantine"))
        if self._files["drift"].found:
            self._con.execute(sql("schema_drift"))

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
                f" FROM new_orders WHERE LEN({column}) > 0)"
            )

    def _count_orders(self) -> int:
        ((count,),) = self._con.execute("SELECT COUNT(*) FROM orders").fetchall()
        return int(count)

    def _count_newest(self) -> dict[AccountKey, int]:
        return {
            (system, account): count
            for system, account, count in self._con.execute(
                "SELECT source_system, source_account, COUNT(*) FROM newest"
                " GROUP BY source_system, source_account"
            ).fetchall()
        }

    def _exists(self, relation: str) -> bool:
        return bool(self._con.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchall())


def versions(newest: str, older: str) -> str:
    """A SELECT of versions with the columns of the view orderloom.versions, of two relations."""
    names = version_schema().names
    codes = ", ".join(
        f"{{'dimension': '{name}', 'code': {name}, 'source_code': {source_code}}}"
        for name, source_code in HISTORY_DIMENSIONS.items()
    )
    return " UNION ALL ".join(
        f"SELECT {columns}, [{codes}] AS codes FROM {relation}"
        for relation, columns in ((newest, of_versions(names)), (older, ", ".join(names)))
    )


def version_schema() -> pa.Schema:
    """The columns of the view orderloom.versions but `codes`."""
    coded = {*HISTORY_DIMENSIONS, *HISTORY_DIMENSIONS.values()}
    return pa.schema([f for f in INTERNAL["superseded"] if f.name not in coded])


def of_versions(columns: Iterable[str]) -> str:
    """Columns of the table of older versions, as selected from whole versions."""
    own = {"status_events": "orderloom.status_events_of(events) AS status_events"}
    return ", ".join(own.get(name, f'"{name}"') for name in columns)


def sql(name: str) -> str:
    """The text of a file of `resources/warehouse_sql`."""
    return files("resources").joinpath("warehouse_sql", f"{name}.sql").read_text(encoding="utf-8")


def _seq(name: str) -> str:
    """The column of `pending` that says how far a table of the lake is to be published."""
    return "orders_seq" if name in CURRENT else f"{name}_seq"


def _business_dates(zones: Zones) -> str:
    stamps = "placed_on, placed_at, created_at"
    zone = _zone(zones)
    return (
        f"business_date_of({stamps}, {zone}) AS business_date,"
        f" business_at_of({stamps}, {zone}) AS business_at,"
        f" business_at_basis_of({stamps}) AS business_at_basis"
    )


def _zone(zones: Zones) -> str:
    """The zone of an order's account, in SQL: one text where all accounts have the same."""
    by_zone: dict[str, list[AccountKey]] = {}
    for account, zone in sorted(zones.items()):
        by_zone.setdefault(zone, []).append(account)
    if not by_zone:
        return literal(UTC)
    most, *others = sorted(by_zone, key=lambda zone: -len(by_zone[zone]))
    cases = " ".join(
        f"WHEN (source_system, source_account) IN ({', '.join(map(_pair, by_zone[zone]))})"
        f" THEN {literal(zone)}"
        for zone in others
    )
    return f"CASE {cases} ELSE {literal(most)} END" if cases else literal(most)


def _pair(account: AccountKey) -> str:
    return f"({literal(account[0])}, {literal(account[1])})"
