"""What a sync or a sweep did, account by account.

Belongs here: the figures of runs just made, and the table of them. Does not belong here: running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assets.sweeping import PRESENCE
from assets.workshop import Workshop
from pipelines import console
from pipelines.running import Ran
from resources.warehouse import open_marts

COLUMNS = ("account", "received", "new", "changed", "unchanged", "cancelled", "requests / least")
HELD = "held"
SWEPT = ("known", "asked", "there", "suspected", "deleted", "restored")
"""Figures of a sweep, as its asset says them and as the table heads its columns."""


@dataclass(frozen=True)
class Synced:
    """One account's run."""

    account: str
    ran: Ran


def print_syncs(workshop: Workshop, synced: Sequence[Synced], title: str = "") -> None:
    """Print one line per account."""
    cancelled = cancellations(workshop, [each.ran.run_id for each in synced])
    held = [each.ran.metadata.get("orders", {}).get("quarantined") or 0 for each in synced]
    rows = [_row(each, cancelled.get(each.account, 0)) for each in synced]
    columns: tuple[str, ...] = COLUMNS
    if any(held):
        columns = (*COLUMNS, HELD)
        rows = [(*row, count) for row, count in zip(rows, held, strict=True)]
    console.table(title, columns, rows)


def _row(each: Synced, cancelled: int) -> tuple[Any, ...]:
    if not each.ran.success:
        return (f"{each.account} FAILED", *(None for _ in COLUMNS[1:]))
    said = each.ran.metadata["changes"]
    counts = [said[name] for name in ("received", "new", "changed", "unchanged")]
    return each.account, *counts, cancelled, f"{said['requests']:,} / {said['least_requests']:,}"


def print_sweeps(swept: Sequence[Synced]) -> None:
    """Print one line per account swept."""
    rows: list[tuple[Any, ...]] = []
    for each in swept:
        if not each.ran.success:
            rows.append((f"{each.account} FAILED", *(None for _ in SWEPT), None))
            continue
        said = each.ran.metadata[PRESENCE]
        requests = f"{said['requests']:,} / {said['least_requests']:,}"
        rows.append((each.account, *(said[name] for name in SWEPT), requests))
    console.table("", ("account", *SWEPT, "requests / least"), rows)


def cancellations(workshop: Workshop, run_ids: Sequence[str]) -> dict[str, int]:
    """Orders that became cancelled in these runs, by account, as the published marts have it."""
    if not workshop.places.marts.exists():
        return {}
    with open_marts(workshop.places) as connection:
        rows = connection.execute(
            "SELECT o.source_system || '.' || o.source_account, COUNT(DISTINCT h.order_key) "
            "FROM order_status_history AS h JOIN orders AS o ON o.order_key = h.order_key "
            "WHERE h.dimension = 'order_status' AND h.code = 'cancelled' "
            "AND h.run_id IN (SELECT unnest(?)) GROUP BY 1",
            [list(run_ids)],
        ).fetchall()
    return dict(rows)
