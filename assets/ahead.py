"""Normalising what a pull has landed so far, while it goes on landing.

Belongs here: when that is done, and what the step that normalises afterwards is told of it. Does
not belong here: how a batch is normalised (`assets/normalise.py`).

It is help, not a promise: whatever is left, and whatever went wrong, is left to the step that
normalises the account after the pull. A mapping that fails therefore fails there, never the pull.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

from assets.mappers import Mappers
from assets.normalise import LEASE as NORMALISE
from assets.normalise import Normalised, Normaliser
from assets.pull import Pull, Puller
from assets.workshop import Workshop
from resources.accounts import Account
from resources.errors import LedgerError
from resources.lake import Lake
from resources.leases import LeaseHeld
from resources.ledger import Ledger

ENOUGH = 4000
"""Orders landed and not yet normalised for which it is worth beginning."""


@contextmanager
def normalising(workshop: Workshop, account: Account, run_id: str) -> Iterator[Puller]:
    """A puller, and somebody who normalises what it lands of the account.

    What was made so is handed over in `workshop.ahead`; the run history has it besides, as the
    part of the run that normalises.
    """
    puller = workshop.puller
    lake = Lake(workshop.places.lake)  # of its own: whoever lands does not wait for its commits
    ahead = Ahead(Normaliser(account, lake, workshop.ledger), account, workshop.ledger, run_id)
    try:
        yield replace(puller, landed=_both(puller.landed, ahead.landed))
    finally:
        made = ahead.close()
        if made is not None:
            handed = workshop.ahead.setdefault((run_id, account.key), made)
            if handed is not made:  # the pull was tried before in this run
                handed.add(made)


def _both(one: Callable[[Pull], None] | None, other: Callable[[Pull], None]) -> Callable[..., None]:
    def told(pull: Pull) -> None:
        if one is not None:
            one(pull)
        other(pull)

    return told


class Ahead:
    """Normalises one account in a thread, from when there is enough until it is closed."""

    def __init__(
        self, normaliser: Normaliser, account: Account, ledger: Ledger, run_id: str
    ) -> None:
        """Start nothing yet. `run_id`: of the run in which the account is normalised afterwards."""
        self._normaliser = normaliser
        self._account = account
        self._ledger = ledger
        self._run = f"{run_id}/{NORMALISE}"
        self._made: Normalised | None = None
        self._landed = self._taken = 0
        self._is_over = False
        self._news = threading.Condition()
        self._thread = ThreadPoolExecutor(1, "ahead")
        self._work: Future[None] | None = None

    def landed(self, pull: Pull) -> None:
        """Take note of how much is landed."""
        with self._news:
            self._landed = pull.counts.new + pull.counts.changed
            self._news.notify()
        if self._work is None and self._landed >= ENOUGH:
            self._work = self._thread.submit(self._normalise)

    def close(self) -> Normalised | None:
        """Finish what is under way; what was made of all that was landed, None for nothing."""
        with self._news:
            self._is_over = True
            self._news.notify()
        self._thread.shutdown()
        if self._work is None or self._made is None:
            return None
        fault = self._work.exception()  # met again by whoever normalises the rest, and raised there
        with suppress(LedgerError):  # what cannot be noted is met again, too, and fails no pull
            self._ledger.finish_run(
                self._run,
                "succeeded" if fault is None else "failed",
                error=None if fault is None else str(fault) or type(fault).__name__,
                quarantined=self._made.quarantined,
                seconds=self._made.seconds,
            )
        return self._made

    def _normalise(self) -> None:
        with Mappers(self._account, side_by_side=1) as mappers:
            while self._wait():
                with suppress(LeaseHeld):  # somebody else normalises the account
                    self._go_on(mappers)

    def _wait(self) -> bool:
        """Wait until there is enough to do; False where it is over."""
        with self._news:
            self._news.wait_for(lambda: self._is_over or self._landed >= self._taken + ENOUGH)
            self._taken = self._landed
            return not self._is_over

    def _go_on(self, mappers: Mappers) -> None:
        with self._ledger.lease(self._account.key, NORMALISE) as lease:
            if self._made is None:
                self._ledger.start_run(self._account.key, NORMALISE, run_id=self._run)
                self._made = Normalised()
            began = time.monotonic()
            self._normaliser.go_ahead(mappers, lease, self._made, lambda: self._is_over)
            self._made.seconds += time.monotonic() - began
