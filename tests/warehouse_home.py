"""A home folder with a lake and a warehouse, for tests.

Belongs here: publishing and asking in one line. Does not belong here: expectations.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from canonical_rows import ACME, START, TWELVE, order, order_row, party

from resources.lake import Lake
from resources.lake_files import DataFile
from resources.places import Places
from resources.warehouse import AccountReference, Mart, Publication, Reference, Warehouse

COUNT = Mart(
    "order_count",
    "SELECT source_account, COUNT(*) AS orders FROM orders GROUP BY source_account",
    "One row per account.",
    {"source_account": "name of the account", "orders": "orders"},
)
ACCOUNTS = Reference(
    accounts=[
        AccountReference(*ACME, timezone="Europe/London", currency="GBP"),
        AccountReference(*TWELVE, timezone="Europe/Berlin", currency="EUR", paused=True),
    ]
)


class WatchedLake(Lake):
    """Notes which files are opened."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.opened: list[DataFile] = []

    def read_files(
        self, con: duckdb.DuckDBPyConnection, table: str, files: list[DataFile]
    ) -> duckdb.DuckDBPyRelation:
        self.opened += files
        return super().read_files(con, table, files)


class Home:
    """A home folder with a lake and a warehouse."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder, str(folder / "lake"), "", folder / "accounts.toml")
        self.lake = WatchedLake(self.places.lake)
        self.warehouse = Warehouse(self.places, self.lake)
        self.files = folder

    def publish(self, **options: Any) -> Publication:
        return self.warehouse.publish([COUNT], ACCOUNTS, **options)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.open() as con:
            return con.execute(sql).fetchall()

    def names(self) -> set[str]:
        return {path.name for path in self.files.iterdir() if path.name.startswith("marts")}


def whole(
    order_id: str, seq: int, account: tuple[str, str] = ACME, **values: Any
) -> dict[str, Any]:
    """An order with one row and one party, ready for `land`."""
    return {
        "orders": [order(order_id, seq, account, **values)],
        "order_rows": [order_row(order_id, seq, account=account)],
        "order_parties": [party(order_id, seq, account)],
    }


def at(minutes: int) -> datetime:
    return (START + timedelta(minutes=minutes)).replace(tzinfo=None)


def contents(path: Path) -> dict[str, list[str]]:
    """Every row of every table but the one about the file itself, as sorted text."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY ALL"
        ).fetchall()
        return {
            name: sorted(map(repr, con.execute(f"SELECT * FROM {name}").fetchall()))
            for (name,) in names
            if name != "orderloom.build"
        }
