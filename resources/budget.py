"""How many requests a minute an account may make, counted across processes.

Belongs here: what may go under one budget key. Does not belong here: the file (`budget_file.py`),
waiting (`pacing.py`) and what an API's headers mean (the source's dialect).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from resources.budget_file import BudgetFile
from resources.errors import OrderloomError
from resources.lazily import lazily
from resources.told import GO, Wait

if TYPE_CHECKING:
    import pyrate_limiter as limiter
else:
    limiter = lazily("pyrate_limiter")

WINDOW = 60.0
"""Seconds: all budgets are so many requests a minute."""

SHARED_BELOW = 10_000
"""Requests a minute. From here on the count is kept in this process: no API allows that many, so
it is a simulated one, and a file would cost more than the request."""


class BudgetError(OrderloomError):
    """The file in which requests are counted cannot be used."""


class Budget:
    """A limit of requests in any minute, shared by all who give the same folder and key.

    Accounts with one budget key may be pulled by several processes at a time; each asks here before
    each request and tells of each answer, so that what one of them learns holds for all. Kept by a
    clock that is never set. `requests_per_minute=None` is no limit. Thread safe.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        requests_per_minute: int | None,
        *,
        window: float = WINDOW,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`key` names the file; `now` gives seconds, alike in all processes of this host.

        `window`: seconds in which so many requests may go, for APIs that count otherwise.
        """
        self._now = now
        self._key = key
        self._path = folder / f"{key}.sqlite"
        self._lock = threading.Lock()
        self._file: BudgetFile | None = None
        self._own: limiter.StateBucket | None = None
        if requests_per_minute is not None:
            rate = limiter.Rate(requests_per_minute, int(window * 1000))
            if requests_per_minute < SHARED_BELOW:
                with self._plainly():
                    self._file = BudgetFile(self._path, rate)
            else:
                self._own = limiter.StateBucket([rate], limiter.TokenBucket())

    @classmethod
    def unlimited(cls) -> Budget:
        """A budget that never makes anybody wait."""
        return cls(Path(), "unlimited", None)

    def take(self) -> Wait:
        """No wait if a request may go now, and counts it; else when to ask again, and why.

        Every request that was let go is to be reported by `answered`. Raises BudgetError.
        """
        with self._plainly():
            if self._file is not None:
                return self._file.take(self._now())
            return GO if self._own is None else self._take(self._own)

    def answered(self, spare: tuple[int, float] | None = None) -> None:
        """A request has its answer, or never will. Raises BudgetError.

        `spare`: requests left and seconds until the API counts afresh, where the answer tells.
        """
        with self._plainly():
            if self._file is not None:
                self._file.answered(self._now(), spare)

    def close_for(self, seconds: float, reason: str) -> None:
        """Let nobody's request through for so many seconds. Raises BudgetError."""
        with self._plainly():
            if self._file is not None:
                self._file.close_for(self._now(), seconds, reason)

    def close(self) -> None:
        """Close the file. The count stays, for others and for later."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, bucket: limiter.StateBucket) -> Wait:
        item = limiter.RateItem(self._key, int(self._now() * 1000))
        if bucket.put(item):
            return GO
        wait = bucket.waiting(item)
        assert isinstance(wait, int)
        return Wait(max(wait, 1) / 1000)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """One thread at a time; what the file raises becomes one line."""
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as error:
            raise BudgetError(
                f"requests cannot be counted: {error}",
                str(self._path),
                "check that the folder can be written to; the file itself may be deleted",
            ) from error
