"""Builds one file from beginning to end, that nobody else sees yet.

Belongs here: in which order a file is filled, checked and written. Does not belong here: each of
those steps (`resources/warehouse_build.py`, `resources/warehouse_fill.py`,
`resources/warehouse_checks.py`), which file is built and where it goes (`resources/warehouse.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resources import publication
from resources.lake import AccountKey, Lake
from resources.warehouse_accounts import Reference, rows_of
from resources.warehouse_checks import Fault, Mart
from resources.warehouse_plan import Plan

if TYPE_CHECKING:
    from resources.warehouse_build import Build
    from resources.warehouse_fill import Touched

Faults = Mapping[AccountKey, Fault]


@dataclass(frozen=True)
class Content:
    """What goes into a file beside the orders, and the hashes by which a change of it is seen."""

    marts: Sequence[Mart]
    reference: Reference
    layout: str
    fingerprint: str
    pending: frozenset[AccountKey]
    """Accounts that can be held back."""
    before: Path | None
    """The file published before, which what is new may not be unlike."""
    accepted: frozenset[AccountKey]
    """Accounts that may be unlike it."""


@dataclass(frozen=True)
class Built:
    """What building a file came to."""

    touched: Mapping[AccountKey, int]
    orders: int
    order_rows: int
    faults: Mapping[AccountKey, Fault]


def build_file(building: Path, lake: Lake, plan: Plan, content: Content) -> Built:
    """Build one file; nothing is written, and it is not to be published, where there are faults."""
    # A run in which nothing changed does without.
    from resources.warehouse_aside import opened
    from resources.warehouse_build import Build

    if plan.base is not None:
        publication.copy(plan.base.path, building)
    with opened(building) as con:
        build = Build(con, lake)
        build.begin()
        touched, faults = (_fill if plan.base is None else _renew)(build, plan, content)
        orders, order_rows = build.count("orders"), build.count("order_rows")
        if not faults:
            build.note(
                plan.reaches,
                publication_id=building.stem,
                published_at=datetime.now(UTC),
                layout=content.layout,
                fingerprint=content.fingerprint,
                orders=orders,
                order_rows=order_rows,
                rebuilt_bytes=plan.base.rebuilt_size if plan.base else 0,
            )
            build.finish()
    return Built(touched.counts, orders, order_rows, faults)


def _fill(build: Build, plan: Plan, content: Content) -> tuple[Touched, Faults]:
    """Fill an empty file."""
    from resources import warehouse_anew

    accounts = rows_of(content.reference, plan.reaches)
    touched = warehouse_anew.fill(build, plan.steps, accounts, content.reference.runs)
    faults = build.derive(
        content.marts, judge=lambda: build.faults(content.before, content.accepted)
    )
    return touched, faults or build.faults_of_marts(content.marts, content.pending)


def _renew(build: Build, plan: Plan, content: Content) -> tuple[Touched, Faults]:
    """Bring a copy of the last file up to date."""
    assert plan.base is not None, "it is what was copied"
    accounts = rows_of(content.reference, plan.reaches)
    zones = build.take_over(accounts, content.reference.runs)
    touched = build.bring_up_to_date(plan.steps, zones)
    has_marts = plan.base.fingerprint == content.fingerprint
    at_marts = touched if has_marts else replace(touched, is_little=False)
    faults = build.derive(
        content.marts, at_marts, lambda: build.faults(content.before, content.accepted, touched)
    )
    return touched, faults or build.faults_of_marts(content.marts, content.pending, at_marts)
