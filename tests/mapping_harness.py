"""Raw records put through a source's own mapping, for tests.

Belongs here: making raw records of bodies, and finding again what became of each. Does not belong
here: bodies (`document_bodies.py`), and what is expected of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from assets.mapping import Mapper
from resources.accounts import Account, AccountSettings
from schemas.canonical import LAKE, SCHEMA_VERSION
from schemas.keys import nameless_key, order_key

ACCOUNT = "acme"
FETCHED_AT = datetime(2026, 11, 2, 7, tzinfo=UTC)


@dataclass
class Outcome:
    """What one raw record became; `order` is None where it was held back."""

    order: dict[str, Any] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    parties: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def party(self, role: str) -> dict[str, Any]:
        """The party of a role; empty where there is none."""
        found = [party for party in self.parties if party["role"] == role]
        return found[0] if found else {}

    @property
    def extra(self) -> dict[str, Any]:
        """The order's source_fields, read."""
        return read_extra(self.order)

    def reasons(self) -> set[tuple[str, bool]]:
        """Fields at fault, and whether the order was held back for them."""
        return {(fault["field"], fault["is_held"]) for fault in self.faults}


def read_extra(record: dict[str, Any] | None) -> dict[str, Any]:
    """The source_fields of an order or an order row, read."""
    return json.loads((record or {}).get("source_fields") or "{}")


def account_of(source: str, **settings: Any) -> Account:
    """An account in London that counts in pounds."""
    chosen = {"timezone": "Europe/London", "currency": "GBP", **settings}
    plain = AccountSettings(base_url="https://example.com", started_on=date(2020, 1, 1), **chosen)
    return Account(source, ACCOUNT, plain, {})


def outcomes(
    source: str, bodies: Sequence[tuple[str | None, Any]], *, kind: str = "read", **settings: Any
) -> list[Outcome]:
    """What the source's mapping makes of each (order id, body); a text is taken as it is."""
    records = [
        _record(source, place, order_id, body, kind)
        for place, (order_id, body) in enumerate(bodies, 1)
    ]
    with Mapper(account_of(source, **settings)) as mapper:
        mapped = mapper.map(pa.Table.from_pylist(records, schema=LAKE["raw"]))
    found = [Outcome() for _ in bodies]
    for order in mapped.tables["orders"].to_pylist():
        found[order["landing_seq"] - 1].order = order
    for table, kept in (("order_rows", "rows"), ("order_parties", "parties")):
        for record in mapped.tables[table].to_pylist():
            getattr(found[record["landing_seq"] - 1], kept).append(record)
    for fault in mapped.tables["quarantine"].to_pylist():
        found[fault["landing_seq"] - 1].faults.append(fault)
    return found


def outcome(source: str, body: Any, order_id: str | None = "1", **settings: Any) -> Outcome:
    """What the source's mapping makes of one body."""
    return outcomes(source, [(order_id, body)], **settings)[0]


def _record(source: str, seq: int, order_id: str | None, body: Any, kind: str) -> dict[str, Any]:
    digest = f"hash{seq}"
    key = (
        nameless_key(source, ACCOUNT, digest)
        if order_id is None
        else order_key(source, ACCOUNT, order_id)
    )
    return {
        "source_system": source,
        "source_account": ACCOUNT,
        "order_key": key,
        "source_order_id": order_id,
        "landing_seq": seq,
        "kind": kind,
        "endpoint": "/orders",
        "body": body if isinstance(body, str) else json.dumps(body),
        "content_hash": digest,
        "fetched_at": FETCHED_AT,
        "first_seen_at": FETCHED_AT,
        "run_id": "run",
        "schema_version": SCHEMA_VERSION,
    }
