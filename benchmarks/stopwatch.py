"""Times stages from inside the process that is measured.

Belongs here: what may be imported there without being seen in the figures. Does not belong here:
measuring from outside (`measure.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall and CPU seconds of the stages of this process, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self._began = _clocks()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A block that is a stage, and so is what passed since the last one, or since the start."""
        yield
        now = _clocks()
        self.seconds[name] = (now[0] - self._began[0], now[1] - self._began[1])
        self._began = now


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def peak() -> float:
    """Largest resident set so far, in megabytes of 2**20 bytes.

    Not ru_maxrss, which begins with what the process held that started this one.
    """
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
