"""Keys of orders, order rows and versions.

Belongs here: how a key is put together, in Python. The SQL mappings are handed finished order keys
and append row ids to them with the macros of `assets/sources/macros.sql`.
Does not belong here: where an id is found in a source's reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

NAMELESS = "!"
"""Starts the id part of a record whose source gave no id; percent-encoded ids never hold it."""


def encode(part: str) -> str:
    """One part of a key, percent-encoded: readable, and free of the separators `:`, `#` and `@`."""
    if part.isascii() and part.isalnum():  # most are: nothing in them needs to be encoded
        return part
    return quote(part, safe="")


def order_key(source_system: str, source_account: str, source_order_id: str) -> str:
    """`system:account:id`, each part percent-encoded, so that no two orders share a key."""
    return f"{encode(source_system)}:{encode(source_account)}:{encode(source_order_id)}"


def order_keys(source_system: str, source_account: str, ids: Sequence[str]) -> list[str]:
    """As `order_key`, of many orders of one account."""
    prefix = order_key(source_system, source_account, "")
    together = "".join(ids)
    if together.isascii() and together.isalnum():  # nothing in any of them needs to be encoded
        return [prefix + source_order_id for source_order_id in ids]
    return [prefix + encode(source_order_id) for source_order_id in ids]


def nameless_key(source_system: str, source_account: str, content_hash: str) -> str:
    """The key under which a record without an order id is landed and quarantined."""
    return f"{encode(source_system)}:{encode(source_account)}:{NAMELESS}{content_hash}"


def order_row_key(key: str, source_row_id: str) -> str:
    """An order key, `#` and the row's id: row ids are unique within one order only."""
    return f"{key}#{encode(source_row_id)}"


def version_id(key: str, landing_seq: int) -> str:
    """An order key, `@` and the landing sequence: A, B, A again are three versions."""
    return f"{key}@{landing_seq}"
