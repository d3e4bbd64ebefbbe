"""When the next request of an account may go.

Belongs here: every wait of the HTTP client, and interrupting it. Does not belong here: how long an
API wants us to wait (the source's dialect) and counting requests (`budget.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from resources.budget import Budget

BUDGET = "request budget"
THROTTLE = "throttled by the API"
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
        self._closed_until = clock.now()
        self._closed_for = THROTTLE
        self.waited = 0.0
        """Seconds waited for budget and throttling, added up over all threads."""

    def turn(self, stop: threading.Event) -> None:
        """Return when a request may go. Raises Stopped, and whatever the budget raises."""
        self._raise_if(stop)
        while (seconds := self._closed_until - self._clock.now()) > 0:
            self._wait(seconds, self._closed_for, stop)
        while (seconds := self._budget.take()) > 0:
            self._wait(seconds, BUDGET, stop)

    def close_for(self, seconds: float, reason: str) -> None:
        """Let no request of this account through for so many seconds."""
        with self._lock:
            until = self._clock.now() + seconds
            if until > self._closed_until:
                self._closed_until, self._closed_for = until, reason

    def rest(self, seconds: float, stop: threading.Event) -> None:
        """Wait before trying again what failed. Raises Stopped."""
        self._report(RETRY, seconds)
        self._clock.sleep(seconds, stop)
        self._raise_if(stop)

    def _wait(self, seconds: float, reason: str, stop: threading.Event) -> None:
        self._report(reason, seconds)
        start = self._clock.now()
        self._clock.sleep(seconds, stop)
        with self._lock:
            self.waited += self._clock.now() - start
        self._raise_if(stop)

    @staticmethod
    def _raise_if(stop: threading.Event) -> None:
        if stop.is_set():
            raise Stopped
