"""Small Arrow tables of the lake's schemas, for tests.

Belongs here: rows with plain defaults. Does not belong here: expectations.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from resources.lake import Lake
from schemas.canonical import LAKE, SCHEMA_VERSION
from schemas.keys import order_key, order_row_key, version_id
from schemas.status import DIMENSIONS

Record = dict[str, Any]

ACME = ("brightpearl", "acme")
TWELVE = ("tastyigniter", "12")
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def identity(account: tuple[str, str], order_id: str, seq: int) -> Record:
    """The columns that orders, rows, parties and raw have in common."""
    key = order_key(*account, order_id)
    return {
        "source_system": account[0],
        "source_account": account[1],
        "order_key": key,
        "source_order_id": order_id,
        "version_id": version_id(key, seq),
        "landing_seq": seq,
        "run_id": "run-1",
        "schema_version": SCHEMA_VERSION,
    }


def order(order_id: str, seq: int, account: tuple[str, str] = ACME, **values: Any) -> Record:
    """One version of an order, placed 1 March 2026, received `seq` minutes after."""
    seen = START + timedelta(minutes=seq)
    record: Record = {
        **identity(account, order_id, seq),
        "order_number": f"N{order_id}",
        "order_type": "sales_order",
        "placed_at": START,
        "created_at": START,
        "currency": "GBP",
        "net_amount": "100.0000",
        "tax_amount": "20.0000",
        "gross_amount": "120.0000",
        "amounts_basis": "as_received",
        "totals_check": "ok",
        "order_status": "open",
        "payment_status": "unpaid",
        "shipping_status": "not_shipped",
        "allocation_status": "not_allocated",
        "fulfilment_status": "none",
        "fulfilment_method": "unknown",
        "invitation_status": "not_applicable",
        "content_hash": f"hash-{order_id}-{seq}",
        "rows_state": "complete",
        "row_count": 1,
        "is_deleted": False,
        "first_seen_at": START,
        "last_seen_at": seen,
    }
    record |= {f"{dimension}_basis": "source" for dimension in DIMENSIONS}
    return record | values


def order_row(
    order_id: str, seq: int, row_id: str = "1", account: tuple[str, str] = ACME, **values: Any
) -> Record:
    """One order row: two of product P1, 100.00 net in all."""
    key = identity(account, order_id, seq)
    return {
        **key,
        "order_row_key": order_row_key(key["order_key"], row_id),
        "source_row_id": row_id,
        "row_no": int(row_id) if row_id.isdigit() else 1,
        "row_kind": "product",
        "product_id": "P1",
        "sku": "SKU-1",
        "quantity": "2",
        "unit_price": "50",
        "net_amount": "100",
        "tax_amount": "20",
        "currency": "GBP",
        "amount_basis": "row_total",
        "is_deleted": False,
        "content_hash": f"row-{order_id}-{row_id}",
    } | values


def party(order_id: str, seq: int, account: tuple[str, str] = ACME, **values: Any) -> Record:
    """The customer of an order."""
    return {
        **identity(account, order_id, seq),
        "role": "customer",
        "full_name": "Jane Doe",
        "email": "jane@example.com",
    } | values


def quarantined(order_id: str, seq: int, account: tuple[str, str] = ACME, **values: Any) -> Record:
    """One field that could not be read."""
    return {
        **identity(account, order_id, seq),
        "field": "total.net",
        "reason": "not a number",
        "value": "abc",
        "is_held": True,
        "fetched_at": START + timedelta(minutes=seq),
    } | values


def raw(order_id: str, seq: int, account: tuple[str, str] = ACME, **values: Any) -> Record:
    """One raw record."""
    return {
        **identity(account, order_id, seq),
        "kind": "read",
        "endpoint": "/order",
        "body": '{"email": "jane@example.com"}',
        "content_hash": f"hash-{order_id}-{seq}",
        "fetched_at": START + timedelta(minutes=seq),
        "first_seen_at": START,
    } | values


def table(name: str, records: Iterable[Record]) -> pa.Table:
    """The records as an Arrow table of a lake schema; columns that are not given are NULL.

    Amounts may be given as text, so that no float comes near them.
    """
    schema = LAKE[name]
    kept = [{field.name: record.get(field.name) for field in schema} for record in records]
    texts = pa.schema(
        [pa.field(f.name, pa.string() if pa.types.is_decimal(f.type) else f.type) for f in schema]
    )
    loose = pa.Table.from_pylist(kept, schema=texts)
    return loose.cast(schema)


def land(
    lake: Lake,
    orders: Iterable[Record] = (),
    order_rows: Iterable[Record] = (),
    order_parties: Iterable[Record] = (),
    quarantine: Iterable[Record] = (),
) -> None:
    """Commit the records as one batch per account, an order's rows and parties before the order."""
    given = {
        "order_rows": list(order_rows),
        "order_parties": list(order_parties),
        "quarantine": list(quarantine),
        "orders": list(orders),
    }
    everything = [record for records in given.values() for record in records]
    accounts = {(record["source_system"], record["source_account"]) for record in everything}
    for account in sorted(accounts):
        for name, records in given.items():
            own = [r for r in records if (r["source_system"], r["source_account"]) == account]
            if own:
                last = max(record["landing_seq"] for record in own)
                stage = f"normalise:{'.'.join(account)}"
                assert lake.append(name, table(name, own), stage=stage, batch=last)
