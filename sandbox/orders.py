"""Reads the committed sample.

Belongs here: finding and reading the files of sandbox/data, and delays that are invented.
Does not belong here: what an API makes of an order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from sandbox.people import chance

DATA = Path(__file__).parent / "data"


def sample(name: str) -> list[dict[str, Any]]:
    """The rows of a sample file, e.g. `olist`. Stamps in them are naive local times."""
    rows: list[dict[str, Any]] = pq.read_table(DATA / f"{name}.parquet").to_pylist()
    return rows


def utc(local: datetime, zone: ZoneInfo) -> datetime:
    """A naive local time as UTC; the earlier of the two in the hour that autumn repeats."""
    return local.replace(tzinfo=zone).astimezone(UTC)


class Dice:
    """Invented details of one order: they look random and are the same in every run."""

    def __init__(self, key: str) -> None:
        self.key = key

    def draw(self, what: str, below: int) -> int:
        """A whole number from 0 to below - 1."""
        return chance(self.key, what) % below

    def one_in(self, what: str, cases: int) -> bool:
        """True for about one order in so many."""
        return self.draw(what, cases) == 0

    def delay(self, what: str, low: float, high: float) -> timedelta:
        """A delay between two numbers of hours, in whole seconds."""
        span = int((high - low) * 3600)
        return timedelta(seconds=int(low * 3600) + self.draw(what, max(span, 1)))
