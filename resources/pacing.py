"""When the next request of an account may go.

Belongs here: every wait of the HTTP client, and interrupting it. Does not belong here: how long an
API wants us to wait (the source's dialect) and counting requests (`budget.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from resources.budget import Budget
from resources.told import BUDGET, THROTTLE, Told, Wait

__all__ = ["BUDGET", "RETRY", "THROTTLE", "Clock", "Pacer", "Stopped"]

RETRY = "retry after a fault"


class Stopped(Exception):
    """The wait was called off, because nobody needs its outcome any more."""


class Clock:
    """Time as the HTTP client sees it. Tests give one that need not be waited for."""

    def now(self) -> float:
        """Seconds; only differences mean anything."""
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return after so many seconds, or as soon as `stop` is set."""
        stop.wait(seconds)


class Pacer:
    """Lets one account's requests through, one by one. Thread safe."""

    def __init__(self, budget: Budget, clock: Clock, report: Callable[[str, float], None]) -> None:
        """`report` is told of each wait before it begins: for what, and how many seconds."""
        self._budget = budget
        self._clock = clock
        self._report = report
        self._lock = threading.Lock()
        self._told = Told()
        self._under_way = 0
        self.waited = 0.0
        """Seconds waited for budget and throttling, added up over all threads."""

    def turn(self, stop: threading.Event) -> None:
        """Return when a request may go. Raises Stopped, and whatever the budget raises.

        Every request that goes is to be reported by `answered`.
        """
        self._raise_if(stop)
        while (wait := self._take()).seconds > 0:
            self._wait(wait, stop)

    def answered(self, spare: tuple[int, float] | None = None) -> None:
        """A request has its answer, or never will. Raises whatever the budget raises.

        `spare`: requests left and seconds until the API counts afresh, where the answer tells.
        """
        with self._lock:
            self._under_way -= 1
            if spare is not None:
                self._told.hear(self._clock.now(), *spare)
        self._budget.answered(spare)

    def close_for(self, seconds: float, reason: str) -> None:
        """Let no request through for so many seconds, of whoever shares this budget."""
        with self._lock:
            self._told.close(self._clock.now(), seconds, reason)
        self._budget.close_for(seconds, reason)

    def rest(self, seconds: float, stop: threading.Event) -> None:
        """Wait before trying again what failed. Raises Stopped."""
        self._report(RETRY, seconds)
        self._clock.sleep(seconds, stop)
        self._raise_if(stop)

    def _take(self) -> Wait:
        """The API's own word is kept here too: a budget without a limit keeps none."""
        with self._lock:
            wait = self._told.wait(self._clock.now(), self._under_way)
            if wait.seconds <= 0:
                wait = self._budget.take()
            if wait.seconds <= 0:
                self._under_way += 1
            return wait

    def _wait(self, wait: Wait, stop: threading.Event) -> None:
        self._report(wait.reason, wait.seconds)
        start = self._clock.now()
        self._clock.sleep(wait.seconds, stop)
        with self._lock:
            self.waited += self._clock.now() - start
        self._raise_if(stop)

    @staticmethod
    def _raise_if(stop: threading.Event) -> None:
        if stop.is_set():
            raise Stopped
