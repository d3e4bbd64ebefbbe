"""A text in SQL.

Belongs here: writing one value. Does not belong here: whole rows
(`resources/warehouse_literal.py`).
"""

from __future__ import annotations


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
