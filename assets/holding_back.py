"""Accounts whose new versions are held back.

Belongs here: whose new state somebody has accepted, and noting in the ledger when an account begins
and ceases to be held back: alerts and `orderloom status` go by that. Does not belong here: what
holds back (`resources/warehouse_checks.py`), and publishing (`assets/publish.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from assets.workshop import Workshop
from resources.errors import ConfigurationError
from resources.lake import AccountKey
from resources.ledger import PUBLISH, Freshness
from resources.warehouse import Publication


def note(workshop: Workshop, made: Publication, run_id: str) -> None:
    """Note of which accounts a publication begins or ceases to hold back new versions.

    Of an account that is as it was before nothing is noted, so that history does not grow with
    every publication. `run_id`: the run that published, or what else tells it apart.
    """
    ledger = workshop.ledger
    before = ledger.freshness(PUBLISH)
    for account in workshop.accounts:
        own = (account.source, account.name)
        fault = made.faults.get(own)
        if (fault is not None) == before.get(account.key, Freshness()).is_failing:
            continue
        run = ledger.start_run(account.key, PUBLISH, run_id=f"{run_id}/{PUBLISH}/{account.key}")
        error = f"new versions are held back: {fault.line(own)}" if fault else None
        ledger.finish_run(run, "failed" if fault else "succeeded", error=error)


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
