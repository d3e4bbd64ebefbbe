"""How the columns of published tables are stored.

Belongs here: which columns of text hold few different values, and which hold keys. Does not belong
here: what they mean (`schemas`).

Left to itself, DuckDB tries every method on every column of every part of a table that it writes,
which is half the time of writing. A method that does not suit what a column holds after all costs
room, never a value; a text longer than 4096 bytes is stored as it is.
"""

from __future__ import annotations

_KEYS = frozenset(
    {
        *("order_key", "order_row_key", "version_id", "content_hash", "source_order_id"),
        *("order_number", "source_row_id", "parent_order_key", "parent_row_key"),
    }
)
"""Columns of text in which hardly two rows have the same value."""

_FREE = frozenset(
    {
        *("description", "source_fields", "value", "example", "full_name", "first_name"),
        *("last_name", "company_name", "address_line_1", "address_line_2", "address_line_3"),
        *("address_line_4", "postal_code", "telephone", "mobile_telephone", "email", "free_text"),
        *("source_party_id", "source_contact_id", "product_id", "product_name", "sku", "gtin"),
        *(
            "product_url",
            "image_url",
            "requested_delivery_text",
            "cancellation_reason",
            "error",
            "last_error",
        ),
    }
)
"""Columns of text of which nobody knows how often a value returns: DuckDB looks for itself."""


def compression(column: str) -> str:
    """What the definition of a column of text says of it; nothing where DuckDB is to choose."""
    if column in _FREE:
        return ""
    return f" USING COMPRESSION {'fsst' if column in _KEYS else 'dictionary'}"
