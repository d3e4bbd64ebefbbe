"""The least that Python can do for this: what anything that does more is compared with.

Belongs here: fetch, split each reply into one order a line without touching its bytes, let DuckDB
read the lines with a given type and write two flat tables and Parquet. Does not belong here: what
makes a pipeline one can rely on: retries, validation, history, quarantine, checks, lineage.

    python limit.py URL FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

SEARCH = "/order-service/order-search"
ORDER = "/order-service/order/"
STAMPS = ("createdOn", "updatedOn")
PLACES = {"createdOn": 5, "updatedOn": 9}
"""Where a search's row has its stamps; its id comes first."""
IN_FLIGHT = 4
FILES = 8
State = dict[str, Any]


class Meta(msgspec.Struct):
    """How many results a search has."""

    resultsAvailable: int  # noqa: N815 - the API's name


class Page(msgspec.Struct):
    """A page of a search."""

    metaData: Meta  # noqa: N815 - the API's name
    results: list[list[Any]]


class Found(msgspec.Struct):
    """A reply to a search."""

    response: Page


class Orders(msgspec.Struct):
    """A reply of Order GET, the orders as they arrived."""

    response: list[msgspec.Raw]


READ_FOUND = msgspec.json.Decoder(Found)
READ_ORDERS = msgspec.json.Decoder(Orders)


def main(url: str, folder: Path) -> None:
    """Pull what is new since the last run, and merge it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "state.json"
    since: State = {"marks": dict.fromkeys(STAMPS, "2020-01-01T00:00:00.000+00:00"), "at_mark": []}
    if file.exists():
        since = json.loads(file.read_text(encoding="utf-8"))
    raw = folder / "raw" / str(time.time_ns())
    raw.mkdir(parents=True)
    count, reached = asyncio.run(pull(url, since, raw))
    if count:
        load(raw, folder)
        file.write_text(json.dumps(reached), encoding="utf-8")


async def pull(url: str, since: State, raw: Path) -> tuple[int, State]:
    """Land what is new as lines of JSON; how many orders, and where the next run begins."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get(path: str) -> bytes:
            async with session.get(url + path) as reply:
                reply.raise_for_status()
                body: bytes = await reply.read()
                return body

        both = await asyncio.gather(*(search(get, each, since["marks"][each]) for each in STAMPS))
        rows = dict(zip(STAMPS, both, strict=True))
        seen = {tuple(each) for each in since["at_mark"]}
        ids = sorted({n for found in both for n, stamp in found if (n, stamp) not in seen})
        marks = {
            column: max((stamp for _, stamp in found), default=since["marks"][column])
            for column, found in rows.items()
        }
        at_mark = [pair for column in STAMPS for pair in rows[column] if pair[1] == marks[column]]
        files = [(raw / f"{place}.json").open("wb") for place in range(FILES)]

        async def land(place: int, id_set: str) -> None:
            orders = READ_ORDERS.decode(await get(ORDER + id_set)).response
            files[place % FILES].write(b"\n".join(orders) + b"\n")

        sets = [id_text(ids[first : first + 200]) for first in range(0, len(ids), 200)]
        await asyncio.gather(*(land(place, each) for place, each in enumerate(sets)))
        for each in files:
            each.close()
    return len(ids), {"marks": marks, "at_mark": at_mark}


async def search(get: Callable[[str], Any], column: str, since: str) -> list[tuple[int, str]]:
    """Id and stamp of all rows of a search."""
    path = f"{SEARCH}?{column}={since.replace('+', '%2B')}/&pageSize=500&firstResult="
    page = READ_FOUND.decode(await get(f"{path}1")).response
    rows = page.results
    others = range(501, page.metaData.resultsAvailable + 1, 500)
    for reply in await asyncio.gather(*(get(f"{path}{first}") for first in others)):
        rows += READ_FOUND.decode(reply).response.results
    return [(row[0], row[PLACES[column]]) for row in rows]


def id_text(ids: list[int]) -> str:
    """Ascending ids as an id set, those in a row as a range."""
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in spans(ids))


def spans(ids: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of those in a row."""
    first = last = ids[0]
    for each in ids[1:]:
        if each != last + 1:
            yield first, last
            first = each
        last = each
    yield first, last


def load(raw: Path, folder: Path) -> None:
    """Read the landed lines once, and merge them into two tables in one transaction."""
    import duckdb  # A run in which nothing changed does without.

    with duckdb.connect(str(folder / "db.duckdb")) as con:
        con.execute("SET preserve_insertion_order = false")
        con.execute(
            f"CREATE TEMP TABLE landed AS SELECT * FROM read_json('{raw}/*.json',"
            f" format = 'newline_delimited', maximum_object_size = 8000000, columns = {COLUMNS})"
        )
        con.execute("BEGIN")
        for table, key, sql in (("orders", "id", ORDERS), ("order_rows", "order_id", ROWS)):
            con.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {sql} LIMIT 0")
            con.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT id FROM landed)")
            con.execute(f"INSERT INTO {table} {sql}")
        con.execute("COMMIT")
        for table, key in (("orders", "id"), ("order_rows", "order_id")):
            con.execute(
                f"COPY (SELECT * FROM {table} WHERE {key} IN (SELECT id FROM landed))"
                f" TO '{folder}/{table}-{raw.name}.parquet' (COMPRESSION zstd)"
            )


PARTY = [
    *("contactId", "addressFullName", "companyName", "addressLine1", "addressLine2"),
    *("addressLine3", "addressLine4", "postalCode", "country", "countryIsoCode"),
    *("countryIsoCode3", "telephone", "mobileTelephone", "email"),
]
ROLES = ("customer", "supplier", "delivery", "billing")
TOTALS = ("net", "taxAmount", "baseNet", "baseTaxAmount", "baseTotal", "total")
MONEY = "DECIMAL(18, 4)"


def struct(fields: dict[str, str]) -> str:
    """A DuckDB type."""
    return "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in fields.items()) + ")"


TEXT = "VARCHAR"
PARTY_TYPE = struct({each: "BIGINT" if each == "contactId" else TEXT for each in PARTY})
ROW_TYPE = struct(
    {
        "orderRowSequence": TEXT,
        "productId": "BIGINT",
        "productName": TEXT,
        "productSku": TEXT,
        "quantity": struct({"magnitude": TEXT}),
        "itemCost": struct({"currencyCode": TEXT, "value": TEXT}),
        "rowValue": struct(
            {
                "taxRate": TEXT,
                "taxCode": TEXT,
                "rowNet": struct({"value": TEXT}),
                "rowTax": struct({"value": TEXT}),
            }
        ),
        "productOptions": "JSON",
        "nominalCode": TEXT,
        "composition": struct(
            {"bundleParent": "BOOLEAN", "bundleChild": "BOOLEAN", "parentOrderRowId": "BIGINT"}
        ),
    }
)
FIELDS = {
    "id": "BIGINT",
    "parentOrderId": "BIGINT",
    "orderTypeCode": TEXT,
    "reference": TEXT,
    "version": "BIGINT",
    "orderStatus": struct({"orderStatusId": "BIGINT", "name": TEXT}),
    "orderPaymentStatus": TEXT,
    "stockStatusCode": TEXT,
    "allocationStatusCode": TEXT,
    "shippingStatusCode": TEXT,
    "placedOn": TEXT,
    "createdOn": TEXT,
    "updatedOn": TEXT,
    "priceModeCode": TEXT,
    "currency": struct(dict.fromkeys(("accountingCurrencyCode", "orderCurrencyCode"), TEXT)),
    "totalValue": struct(dict.fromkeys(TOTALS, TEXT)),
    "invoices": "JSON",
    "warehouseId": "BIGINT",
    "isDropship": "BOOLEAN",
    "parties": struct(dict.fromkeys(ROLES, PARTY_TYPE)),
    "orderRows": f"MAP(VARCHAR, {ROW_TYPE})",
}
COLUMNS = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in FIELDS.items()) + "}"
SIMPLE = [name for name, kind in FIELDS.items() if kind in (TEXT, "BIGINT", "BOOLEAN", "JSON")]
ORDERS = "SELECT " + ", ".join(
    [
        *(f'"{each}"' for each in SIMPLE if each not in ("placedOn", *STAMPS)),
        *(f'CAST("{each}" AS TIMESTAMPTZ) AS "{each}"' for each in ("placedOn", *STAMPS)),
        '"orderStatus"."orderStatusId" AS status_id, "orderStatus".name AS status',
        'currency."accountingCurrencyCode" AS base_currency',
        'currency."orderCurrencyCode" AS currency',
        *(f'CAST("totalValue"."{each}" AS {MONEY}) AS "total_{each}"' for each in TOTALS),
        *(f'parties.{role}."{each}" AS "{role}_{each}"' for role in ROLES for each in PARTY),
    ]
)
ORDERS += " FROM landed"
ROWS = f"""
    SELECT
        id AS order_id,
        CAST(e.key AS BIGINT) AS row_id,
        e.value."orderRowSequence",
        e.value."productId",
        e.value."productName",
        e.value."productSku",
        CAST(e.value.quantity.magnitude AS {MONEY}) AS quantity,
        e.value."itemCost"."currencyCode" AS currency,
        CAST(e.value."itemCost"."value" AS {MONEY}) AS item_cost,
        CAST(e.value."rowValue"."taxRate" AS {MONEY}) AS tax_rate,
        e.value."rowValue"."taxCode" AS tax_code,
        CAST(e.value."rowValue"."rowNet"."value" AS {MONEY}) AS row_net,
        CAST(e.value."rowValue"."rowTax"."value" AS {MONEY}) AS row_tax,
        e.value."productOptions",
        e.value."nominalCode",
        e.value.composition."bundleParent" AS bundle_parent,
        e.value.composition."bundleChild" AS bundle_child,
        e.value.composition."parentOrderRowId" AS parent_row_id
    FROM (SELECT id, unnest(map_entries("orderRows")) AS e FROM landed)
"""


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
