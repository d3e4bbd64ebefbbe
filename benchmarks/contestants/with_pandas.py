"""What somebody writes in an afternoon: httpx, json_normalize, an upsert into DuckDB, Parquet.

Belongs here: the usual way, at its usual quality: amounts as floating point, all tables written
anew, nothing saved where a request fails. Does not belong here: anything to make it look bad.

    python with_pandas.py URL FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pandas as pd

SEARCH = "/order-service/order-search"
STAMPS = ("createdOn", "updatedOn")
AMOUNTS = ("quantity_magnitude", "itemCost_value", "rowValue_rowNet_value", "rowValue_rowTax_value")


def main(url: str, folder: Path) -> None:
    """Pull what is new since the last run, and merge it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "state.json"
    since = dict.fromkeys(STAMPS, "2020-01-01T00:00:00.000+00:00")
    if file.exists():
        since = json.loads(file.read_text(encoding="utf-8"))
    client = httpx.Client(base_url=url, timeout=60)
    ids: dict[int, None] = {}
    for column in STAMPS:
        for found in search(client, column, since[column]):
            ids[found["orderId"]] = None
            since[column] = max(since[column], found[column])
    orders = fetch(client, list(ids))
    if orders:
        load(orders, folder)
    file.write_text(json.dumps(since), encoding="utf-8")


def search(client: httpx.Client, column: str, since: str) -> list[dict[str, Any]]:
    """All rows of a search, a dictionary each."""
    rows: list[dict[str, Any]] = []
    while True:
        asked: dict[str, str | int] = {column: f"{since}/", "sort": f"{column}.ASC"}
        asked |= {"pageSize": 500, "firstResult": len(rows) + 1}
        page = client.get(SEARCH, params=asked).raise_for_status().json()["response"]
        names = [each["name"] for each in page["metaData"]["columns"]]
        rows += [dict(zip(names, row, strict=True)) for row in page["results"]]
        if len(rows) >= page["metaData"]["resultsAvailable"]:
            return rows


def fetch(client: httpx.Client, ids: list[int]) -> list[dict[str, Any]]:
    """The orders themselves, 200 a request."""
    orders: list[dict[str, Any]] = []
    for first in range(0, len(ids), 200):
        id_set = ",".join(map(str, ids[first : first + 200]))
        orders += client.get(f"/order-service/order/{id_set}").raise_for_status().json()["response"]
    return orders


def load(orders: list[dict[str, Any]], folder: Path) -> None:
    """Two flat tables: merged into DuckDB, and written as Parquet."""
    rows = [
        {"order_id": order["id"], "row_id": int(row_id), **row}
        for order in orders
        for row_id, row in order["orderRows"].items()
    ]
    for order in orders:
        del order["orderRows"]
        order["invoices"] = json.dumps(order["invoices"])
    flat, flat_rows = pd.json_normalize(orders, sep="_"), pd.json_normalize(rows, sep="_")
    for name in ("placedOn", *STAMPS):
        flat[name] = pd.to_datetime(flat[name]) if name in flat else pd.NaT
    for name in [each for each in flat.columns.astype(str) if each.startswith("totalValue_")]:
        flat[name] = pd.to_numeric(flat[name])
    for name in AMOUNTS:
        flat_rows[name] = pd.to_numeric(flat_rows[name])
    with duckdb.connect(str(folder / "db.duckdb")) as con:
        merge(con, "orders", "id", flat, folder)
        merge(con, "order_rows", "order_id", flat_rows, folder)


def merge(
    con: duckdb.DuckDBPyConnection, table: str, key: str, new: pd.DataFrame, folder: Path
) -> None:
    """Delete and insert by key, then write all of it as Parquet."""
    con.register("new", new)
    con.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM new LIMIT 0")
    con.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM new)")
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM new")
    everything = con.execute(f"SELECT * FROM {table}").df()
    everything.to_parquet(folder / f"{table}.parquet", compression="zstd")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
