"""The sandbox's clock.

Belongs here: what time it is in the sandbox. Does not belong here: what happens at that time.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

OPENING = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
"""When the sandbox opens: a Monday morning with months of orders behind it and two weeks ahead."""


class Clock:
    """UTC time of the sandbox. It stands still unless told to tick, and moves forward only."""

    def __init__(self, start: datetime = OPENING, *, ticking: bool = False) -> None:
        self._start = start.astimezone(UTC)
        self._moved = timedelta(0)
        self._ticking = ticking
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The sandbox's present moment, UTC."""
        with self._lock:
            run = (
                timedelta(seconds=time.monotonic() - self._began) if self._ticking else timedelta(0)
            )
            return self._start + self._moved + run

    def advance(self, by: timedelta) -> datetime:
        """Move forward and return the new present. Raises ValueError for a negative step."""
        if by < timedelta(0):
            raise ValueError(f"the sandbox's clock moves forward only, not by {by}")
        with self._lock:
            self._moved += by
        return self.now()

    def advance_to(self, moment: datetime) -> datetime:
        """Move forward to a moment. Raises ValueError if it has passed."""
        return self.advance(moment.astimezone(UTC) - self.now())
