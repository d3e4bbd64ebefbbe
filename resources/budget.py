"""How many requests a minute an account may make, counted across processes.

Belongs here: counting. Does not belong here: waiting (`pauses.py`) and what an API itself says of
its limits (the source's dialect).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pyrate_limiter import (
    AbstractBucket,
    Duration,
    Rate,
    RateItem,
    SQLiteBucket,
    StateBucket,
    TokenBucket,
)

from resources.errors import OrderloomError

SHARED_BELOW = 10_000
"""Requests a minute. From here on the count is kept in this process: no API allows that many, so
it is a simulated one, and a file would cost more than the request."""

_TIDY_EVERY = 100
"""Requests after which what has left the window is deleted from the file."""


class BudgetError(OrderloomError):
    """The file in which requests are counted cannot be used."""


class Budget:
    """A limit of requests in any 60 seconds, shared by all who give the same folder and key.

    Accounts with one budget key may be pulled by several processes at a time; each asks here
    before each request. `requests_per_minute=None` is no limit. Thread safe.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        requests_per_minute: int | None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`key` names the file; `now` gives seconds since 1970, the same for all who share it."""
        self._now = now
        self._key = key
        self._path = folder / f"{key}.sqlite"
        self._lock = threading.Lock()
        self._taken = 0
        self._bucket: AbstractBucket | None = None
        if requests_per_minute is not None:
            rate = Rate(requests_per_minute, Duration.MINUTE)
            shared = requests_per_minute < SHARED_BELOW
            self._bucket = self._open(rate) if shared else StateBucket([rate], TokenBucket())

    @classmethod
    def unlimited(cls) -> Budget:
        """A budget that never makes anybody wait."""
        return cls(Path(), "unlimited", None)

    def take(self) -> float:
        """0 if a request may go now, and counts it; else seconds after which to ask again.

        Raises BudgetError.
        """
        if self._bucket is None:
            return 0.0
        try:
            with self._lock:
                return self._take(self._bucket)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file. The count stays, for others and for later."""
        with self._lock:
            if self._bucket is not None:
                self._bucket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, bucket: AbstractBucket) -> float:
        item = RateItem(self._key, int(self._now() * 1000))
        if not bucket.put(item):
            wait = bucket.waiting(item)
            assert isinstance(wait, int)
            if wait <= Duration.MINUTE + 1:
                return max(wait, 1) / 1000
            # Only requests stamped in the future block for longer than the window: the clock
            # was set back. What was counted by the old clock means nothing by the new one.
            bucket.flush()
            bucket.put(item)
        self._taken += 1
        if self._taken % _TIDY_EVERY == 0:
            bucket.leak(item.timestamp)
        return 0.0

    def _open(self, rate: Rate) -> SQLiteBucket:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return SQLiteBucket.init_from_file(
                [rate], table="requests", db_path=str(self._path), use_file_lock=True
            )
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> BudgetError:
        return BudgetError(
            f"requests cannot be counted: {error}",
            str(self._path),
            "check that the folder can be written to; the file itself may be deleted",
        )
