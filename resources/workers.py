"""Many requests at a time, answered in order.

Belongs here: threads, and ending them. Does not belong here: what they do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakSet

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """The threads of one account's client, and the signals that call off what they wait for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._stops: set[threading.Event] = set()
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._pools: WeakSet[ThreadPoolExecutor] = WeakSet()

    def in_order(
        self, tasks: Iterable[Task], do: Callable[[Task, threading.Event], Result], at_once: int
    ) -> Iterator[Result]:
        """`do(task, stop)` for each task, `at_once` at a time; results in the tasks' order.

        `tasks` is drawn from as results are taken, at most `2 * at_once` ahead. The first error
        ends it; `stop` is then set, and tasks not yet begun are dropped. An error in drawing a
        task comes after the results of those drawn before.
        """
        stop = self.new_stop()
        pool = ThreadPoolExecutor(at_once, self._name, initializer=self._remember_thread)
        with self._lock:
            self._pools.add(pool)
        ahead: deque[Future[Result]] = deque()
        faults: list[Exception] = []
        try:
            for task in _until_fault(tasks, faults):
                ahead.append(pool.submit(do, task, stop))
                if len(ahead) == 2 * at_once:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
            for fault in faults:
                raise fault
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            with self._lock:
                self._stops.discard(stop)

    def begin(self, do: Callable[[threading.Event], Result]) -> Callable[[], Result]:
        """Start `do(stop)` in a thread of its own; what is returned waits for its result."""
        stop = self.new_stop()
        pool = ThreadPoolExecutor(1, self._name, initializer=self._remember_thread)
        with self._lock:
            self._pools.add(pool)
        future = pool.submit(do, stop)
        pool.shutdown(wait=False)

        def result() -> Result:
            try:
                return future.result()
            finally:
                with self._lock:
                    self._stops.discard(stop)

        return result

    def new_stop(self) -> threading.Event:
        """A signal that `stop_all` sets."""
        stop = threading.Event()
        with self._lock:
            self._stops.add(stop)
        return stop

    def stop_all(self) -> None:
        """Signal every task under way to give up, and let go of threads that wait for one.

        Results that nobody drew to the end keep their pool: a traceback may hold them for long.
        """
        with self._lock:
            stops, pools = list(self._stops), list(self._pools)
        for stop in stops:
            stop.set()
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Return when every thread has ended; `stop_all` comes first."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _remember_thread(self) -> None:
        with self._lock:
            self._threads.add(threading.current_thread())


def _until_fault(tasks: Iterable[Task], faults: list[Exception]) -> Iterator[Task]:
    """The tasks up to an error in drawing one, which is put in `faults` then."""
    try:
        yield from tasks
    except Exception as fault:  # noqa: BLE001  (raised by who gave `faults`)
        faults.append(fault)
