"""What the marts say of accounts and runs.

Belongs here: turning accounts.toml and the ledger into the reference that a publication takes. Does
not belong here: building tables (`resources/warehouse.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, overload

from assets.workshop import Workshop
from resources.ledger import Freshness, Ledger
from resources.warehouse import AccountReference, Reference


def reference(workshop: Workshop) -> Reference:
    """The accounts of accounts.toml with their freshness, and every run."""
    fresh = workshop.ledger.freshness()
    accounts = []
    for account in workshop.accounts:
        seen = fresh.get(account.key, Freshness())
        accounts.append(
            AccountReference(
                source_system=account.source,
                source_account=account.name,
                timezone=account.settings.timezone,
                currency=account.settings.currency,
                started_on=account.settings.started_on,
                paused=account.settings.paused,
                last_success_at=seen.last_success,
                last_failure_at=seen.last_failure,
                last_error=(seen.error or "") if seen.is_failing else None,
                stale_after_hours=account.settings.stale_after_hours,
            )
        )
    return Reference(accounts=accounts, runs=_Runs(workshop.ledger))


class _Runs(Sequence[Mapping[str, Any]]):
    """Every run, read from the ledger when the first is asked for: where nothing is new, never."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @cached_property
    def _all(self) -> list[dict[str, Any]]:
        return self._ledger.runs(limit=None)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, place: int | slice) -> Any:
        return self._all[place]

    def __len__(self) -> int:
        return len(self._all)
