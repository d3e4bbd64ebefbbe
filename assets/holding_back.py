"""Accounts whose new versions are held back.

Belongs here: whose new state somebody has accepted. Does not belong here: what holds back
(`resources/warehouse_checks.py`), and publishing (`assets/publish.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from assets.workshop import Workshop
from resources.errors import ConfigurationError
from resources.lake import AccountKey


def accepted(workshop: Workshop, keys: Iterable[str]) -> frozenset[AccountKey]:
    """The accounts SOURCE.NAME, which may be unlike before.

    Raises ConfigurationError for one that is neither in accounts.toml nor in the lake.
    """
    return frozenset(_known(workshop, key) for key in keys)


def _known(workshop: Workshop, key: str) -> AccountKey:
    source, _, name = key.partition(".")
    try:
        workshop.accounts.get(key)
    except ConfigurationError:
        if (source, name) not in workshop.lake.accounts("orders"):
            raise
    return source, name
