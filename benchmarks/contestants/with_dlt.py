"""dlt as its documentation leads to: a search resource, and a parallelised transformer that gets
the orders; merged on the primary key into DuckDB, loaded as Parquet.

Belongs here: dlt at its best for this API: both searches, each order asked for once, 200 a request.
Does not belong here: its default loader of inserts, which is several times slower.

    python with_dlt.py URL FOLDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
from dlt.sources.helpers.rest_client import RESTClient

SEARCH = "/order-service/order-search"
STAMPS = ("createdOn", "updatedOn")


def main(url: str, folder: Path) -> None:
    """Pull what is new since the last run, and merge it."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    client = RESTClient(base_url=url)

    def order_search() -> Iterator[list[int]]:
        """Ids of orders created or updated since the last run, 200 at a time."""
        state = dlt.current.resource_state()
        marks: dict[str, str] = state.setdefault("marks", {})
        at_mark: list[list[Any]] = state.setdefault("at_mark", [])
        seen = {(each[0], each[1]) for each in at_mark}
        at_mark.clear()
        ids: dict[int, None] = {}
        for column in STAMPS:
            rows = search(client, column, marks.get(column, "2020-01-01T00:00:00.000+00:00"))
            fresh = [n for n, stamp in rows if (n, stamp) not in seen]
            ids |= dict.fromkeys(fresh)
            marks[column] = max(stamp for _, stamp in rows)
            at_mark += [[n, stamp] for n, stamp in rows if stamp == marks[column]]
        wanted = list(ids)
        yield from (wanted[first : first + 200] for first in range(0, len(wanted), 200))

    def orders(ids: list[int]) -> Iterator[list[dict[str, Any]]]:
        """The orders themselves, their rows as a list."""
        reply = client.get(f"/order-service/order/{','.join(map(str, ids))}")
        found: list[dict[str, Any]] = reply.json()["response"]
        for order in found:
            rows = order["orderRows"].items()
            order["orderRows"] = [{"row_id": int(row_id), **row} for row_id, row in rows]
        yield found

    searching = dlt.resource(order_search, name="order_search", selected=False)
    getting = dlt.transformer(
        orders, data_from=searching, name="orders", primary_key="id", write_disposition="merge",
        parallelized=True,
    )  # fmt: skip
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "db.duckdb")),
        dataset_name="raw",
    )
    pipeline.run([searching, getting], loader_file_format="parquet")


def search(client: Any, column: str, since: str) -> list[tuple[int, str]]:
    """Id and stamp of all rows of a search."""
    found: list[tuple[int, str]] = []
    while True:
        asked = {column: f"{since}/", "sort": f"{column}.ASC"}
        asked |= {"pageSize": "500", "firstResult": str(len(found) + 1)}
        page = client.get(SEARCH, params=asked).json()["response"]
        names = [each["name"] for each in page["metaData"]["columns"]]
        place, stamp = names.index("orderId"), names.index(column)
        found += [(row[place], row[stamp]) for row in page["results"]]
        if len(found) >= page["metaData"]["resultsAvailable"]:
            return found


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
