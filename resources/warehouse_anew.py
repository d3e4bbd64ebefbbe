"""Fills a file that is new on two connections at a time.

Belongs here: what of it does not need the rest. Does not belong here: each step
(`resources/warehouse_build.py`, `resources/warehouse_fill.py`), the two connections
(`resources/warehouse_aside.py`).

DuckDB compresses what it writes in the thread that writes it, and this is most of the work. Two
threads of one connection were seen to cost nearly twice the time of the processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resources.warehouse_build import Build
from resources.warehouse_fill import CURRENT, Touched
from resources.warehouse_plan import Step
from schemas.published import GRAINS

ASIDE = CURRENT[1:]
"""Tables that are filled aside: together they take about as long as the orders and what follows
from them."""


def fill(
    build: Build,
    steps: Sequence[Step],
    accounts: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
) -> Touched:
    """Make the tables but the marts, and fill them; `build` has begun an empty file."""
    build.create_tables(ASIDE)
    with build.beside(lambda other: other.insert(ASIDE, steps)):
        build.create_tables(name for name in GRAINS if name not in ASIDE)
        build.create_rest()
        build.show_sources()
        zones = build.take_over(accounts, runs)
        return build.bring_up_to_date(steps, zones, but=ASIDE)
