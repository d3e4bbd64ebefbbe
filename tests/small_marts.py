"""Marts of a small sandbox: every source, a few dozen orders each, two days of syncs.

Belongs here: building it once for several test modules. Does not belong here: expectations.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from canonical_rows import START, land, order, order_row, quarantined

from assets.marts import MARTS
from assets.reference import reference
from resources.lake import Lake
from resources.warehouse import Warehouse
from sandbox.server import Sandbox
from tests.home import Pulls, point_at

CLOSED = ("brightpearl", "closed")
"""An account that is in the lake alone, with what the sandbox has none of."""

MOST = 80
"""Orders kept of each account of the sandbox."""


def build(folder: Path) -> Warehouse:
    """Sync five accounts, a day later once more, and publish; the sandbox is gone afterwards."""
    with Sandbox(most=MOST) as box, pytest.MonkeyPatch.context() as patch:
        pulls = Pulls(point_at(box, folder, patch))
        for _ in range(2):
            for account in box.accounts:
                pulls.changes(account)
            box.clock.advance(timedelta(days=1))
        workshop = pulls.workshop
        _land_closed(workshop.lake)
        workshop.warehouse.publish(MARTS, reference(workshop))
        return workshop.warehouse


def _land_closed(lake: Lake) -> None:
    """An order whose statuses moved, a credit without a date, and two faults."""
    undated = {"placed_at": None, "created_at": None, "order_type": "sales_credit"}
    day = {"last_seen_at": START + timedelta(hours=25), "allocation_status": "allocated"}
    land(
        lake,
        [
            order("1", 1, CLOSED),
            order("2", 2, CLOSED, **undated, currency=None),
            order("1", 3, CLOSED, **day, shipping_status="shipped"),
        ],
        [order_row("1", 3, account=CLOSED), order_row("2", 2, account=CLOSED)],
        quarantine=[quarantined("2", 2, CLOSED, is_held=False), quarantined("90", 4, CLOSED)],
    )
