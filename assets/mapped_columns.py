"""Where each canonical column of a mapped record comes from.

Belongs here: what a column holds that a source's mapping does not give: ours, and the defaults.
Does not belong here: what a mapping gives (NAME.sql), and how it is run (`assets/mapping.py`).
"""

from __future__ import annotations

from schemas.lake import SCHEMA_VERSION
from schemas.status import DIMENSIONS

_DEFAULTS: dict[str, dict[str, str]] = {
    "orders": {
        "order_type_basis": "'default'",
        "is_deleted": "v.kind = 'absent'",
        "deleted_detected_at": "CASE WHEN v.kind = 'absent' THEN v.fetched_at END",
        "deletion_basis": "CASE WHEN v.kind = 'absent' THEN v.endpoint END",
        "row_count": "0",  # filled in when the rows are made
        "amounts_basis": "'none'",
        "totals_check": "'not_checkable'",
        "rows_state": "'not_supplied'",
        "content_hash": "v.content_hash",
    }
    | dict.fromkeys(DIMENSIONS, "'not_applicable'")
    | {f"{name}_basis": "'default'" for name in DIMENSIONS},
    "order_rows": {
        "row_no": "0",
        "row_kind": "'product'",
        "is_deleted": "v.kind = 'absent'",
        "amount_basis": "'none'",
    },
    "order_parties": {},
}
"""What a column holds where a source's mapping does not give it."""

_ADDED: dict[str, dict[str, str]] = {
    "orders": {
        "events": "CASE v.kind WHEN 'absent' THEN [event_at('deleted', NULL, NULL, NULL)] "
        "WHEN 'present' THEN [event_at('restored', NULL, NULL, NULL)] END",
        "quality_flags": "CASE WHEN v.kind = 'suspected' THEN ['deletion_suspected'] END",
    },
}
"""What is appended to a list whatever a source's mapping says: what sweeps have found out."""

_OURS = {
    "source_system": "v.source_system",
    "source_account": "v.source_account",
    "source_order_id": "v.source_order_id",
    "landing_seq": "v.landing_seq",
    "first_seen_at": "v.first_seen_at",
    "last_seen_at": "v.fetched_at",
    "run_id": "v.run_id",
    "schema_version": str(SCHEMA_VERSION),
}
"""Columns that no mapping gives: they say where the version comes from."""


def expression(table: str, name: str, given: set[str]) -> str:
    """Where a canonical column comes from: us, the mapping, a default, or nowhere."""
    if name in _OURS:
        return _OURS[name]
    default = _DEFAULTS[table].get(name)
    if added := _ADDED.get(table, {}).get(name):
        own = f'm."{name}"'
        both = f"CASE WHEN {added} IS NULL THEN {own} ELSE list_concat({own}, {added}) END"
        return both if name in given else added
    if name in given:
        return f'COALESCE(m."{name}", {default})' if default else f'm."{name}"'
    return default or "NULL"
