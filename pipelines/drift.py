"""What is said of schema drift on the command line.

Belongs here: one line per account from the published table `schema_drift`. Does not belong here:
what drift is (`assets/drift.py`).
"""

from __future__ import annotations

from resources.places import Places
from resources.warehouse import Warehouse

WORDS = {
    "unknown_field": ("field that nobody names", "fields that nobody names"),
    "changed_type": ("field of another type", "fields of another type"),
    "unmapped_code": ("code that nothing maps", "codes that nothing maps"),
}
"""Kind of drift -> what one, and what several are called."""


def lines(places: Places) -> list[str]:
    """One line for every account that has drift, as the published marts have it."""
    rows = Warehouse(places).drift()
    found: dict[str, list[str]] = {}
    for account, kind, count in rows:
        one, several = WORDS[kind]
        found.setdefault(account, []).append(f"{count} {one if count == 1 else several}")
    return [f"{account}: {', '.join(said)}; see schema_drift" for account, said in found.items()]
