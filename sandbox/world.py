"""What exists in the sandbox: orders as dated versions, per account.

Belongs here: which body an order has at a moment. Does not belong here: how an API words it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sandbox.clock import Clock

Body = dict[str, Any]
T = TypeVar("T")
NEVER = datetime.max.replace(tzinfo=UTC)


class UnknownOrderError(KeyError):
    """No order of this id exists at the present moment, so it cannot be edited or deleted."""

    def __init__(self, order_id: str) -> None:
        super().__init__(order_id)
        self.order_id = order_id

    def __str__(self) -> str:
        return f"no order {self.order_id!r} exists now; GET /truth/ACCOUNT lists those that do"


@dataclass
class Timeline(Generic[T]):
    """The versions of one order, oldest first. A version without a body is a deletion."""

    moments: list[datetime] = field(default_factory=list)
    bodies: list[T | None] = field(default_factory=list)

    def put(self, at: datetime, body: T | None) -> None:
        """Say what the order is from a moment on."""
        place = bisect_right(self.moments, at)
        self.moments.insert(place, at)
        self.bodies.insert(place, body)

    def at(self, moment: datetime) -> T | None:
        """The order's body at a moment, or None before it exists and after its deletion."""
        place = bisect_right(self.moments, moment)
        return self.bodies[place - 1] if place else None

    def begun(self, moment: datetime) -> bool:
        """Whether the order existed at or before a moment, deleted or not."""
        return bool(self.moments) and self.moments[0] <= moment

    def change(self, at: datetime, alter: Callable[[T], T]) -> None:
        """Alter the order from a moment on: what it is then, and every version that follows."""
        place = bisect_right(self.moments, at)
        later = [body if body is None else alter(body) for body in self.bodies[place - 1 :]]
        self.bodies[place:] = later
        self.moments.insert(place, at)

    def end(self, at: datetime) -> None:
        """Delete the order at a moment; what would have followed does not happen."""
        place = bisect_right(self.moments, at)
        self.moments[place:] = [at]
        self.bodies[place:] = [None]


class Shelf(Generic[T]):
    """The orders of one account, kept under their id and seen at the clock's present moment."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.timelines: dict[str, Timeline[T]] = {}
        self._lock = threading.RLock()
        self._moments: list[datetime] = []
        self._holds_until: datetime | None = None
        self._present: dict[str, T] = {}

    def put(self, order_id: str, at: datetime, body: T | None) -> None:
        """Say what an order is from a moment on; a body of None deletes it."""
        with self._lock:
            self.timelines.setdefault(order_id, Timeline()).put(at, body)
            self._holds_until = None

    def change(self, order_id: str, alter: Callable[[T], T]) -> None:
        """Alter an order from now on, later versions included. Raises UnknownOrderError."""
        with self._lock:
            self._existing(order_id).change(self.clock.now(), alter)
            self._holds_until = None

    def delete(self, order_id: str) -> None:
        """Delete an order now, with what would have followed. Raises UnknownOrderError."""
        with self._lock:
            self._existing(order_id).end(self.clock.now())
            self._holds_until = None

    def thin(self, most: int) -> None:
        """Keep so many orders at most, evenly chosen from the first put to the last."""
        with self._lock:
            ids = list(self.timelines)
            step = max(1.0, (len(ids) - 1) / max(1, most - 1))
            kept = [ids[round(place * step)] for place in range(min(most, len(ids)))]
            self.timelines = {order_id: self.timelines[order_id] for order_id in kept}
            self._holds_until = None

    def present(self) -> dict[str, T]:
        """Every order that exists now, by id, in the order in which they were first put.

        It is the same object for as long as nothing has changed, by hand or by time.
        """
        now = self.clock.now()
        with self._lock:
            if self._holds_until is None:
                self._moments = sorted(set(self.moments()))
            if self._holds_until is None or now >= self._holds_until:
                seen = ((key, line.at(now)) for key, line in self.timelines.items())
                self._present = {key: body for key, body in seen if body is not None}
                place = bisect_right(self._moments, now)
                self._holds_until = (*self._moments[place : place + 1], NEVER)[0]
            return self._present

    def ever(self) -> dict[str, T | None]:
        """Every order that exists or existed, by id; None for those deleted by now."""
        now = self.clock.now()
        with self._lock:
            lines = self.timelines.items()
            return {key: line.at(now) for key, line in lines if line.begun(now)}

    def get(self, order_id: str) -> T | None:
        """One order as it is now, or None."""
        return self.present().get(order_id)

    def moments(self) -> Iterator[datetime]:
        """Every moment at which something happens, in no particular order."""
        lines = {id(line): line for line in self.timelines.values()}
        for line in lines.values():
            yield from line.moments

    def _existing(self, order_id: str) -> Timeline[T]:
        line = self.timelines.get(order_id)
        if line is None or line.at(self.clock.now()) is None:
            raise UnknownOrderError(order_id)
        return line
