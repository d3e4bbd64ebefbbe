"""Pulling one account: ask, land, move the cursor, and keep count.

Belongs here: the order in which these happen, the same for every source, in and out of Dagster.
Does not belong here: how each is done (sources, landing), normalising, publishing, Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Any

from assets.erased import Erased
from assets.known import Landed
from assets.landing import Counts, Landing
from assets.sources import source as source_of
from assets.sources.base import Batch, Until
from assets.sweeping import PRESENCE, Sweeper, Swept, require_sweep
from resources.accounts import Account
from resources.api import Api, Clock, Progress
from resources.budget import WINDOW, Budget
from resources.errors import ConfigurationError, OrderloomError
from resources.lake import Lake
from resources.ledger import RECEIVED_NOTHING, Lease, Ledger
from resources.memory import give_back
from resources.places import Places

CHANGES = "changes"
HISTORY = "history"
EXCLUSIVE = frozenset({CHANGES, PRESENCE})
"""Kinds of which an account has one run at a time."""
DAYS_PER_STEP = 31
"""Days asked for at once in a backfill; a finished step is not lost where a later one fails."""
RUNS_BEFORE_SILENCE_IS_ODD = 10
"""An account with fewer runs may well be one in which little happens."""


class ReceivedNothing(OrderloomError):
    """A run received nothing, and listed nothing, where every run before it had."""


@dataclass
class Pull:
    """One pull of one account, under way or done. The window is text, as shown to people."""

    account: Account
    kind: str
    run_id: str
    counts: Counts = field(default_factory=Counts)
    window: tuple[str | None, str | None] = (None, None)
    requests: int = 0
    least_requests: int = 0
    announced: int | None = None
    listed: int | None = None
    warnings: list[str] = field(default_factory=list)
    """What may be missing although nothing failed, a line each."""
    waited_seconds: float = 0.0
    seconds: float = 0.0
    swept: Swept | None = None
    """What a sweep found out; None for the other kinds."""

    def numbers(self) -> dict[str, Any]:
        """What the run history keeps of it."""
        counts = self.counts
        return {
            "window_from": self.window[0],
            "window_to": self.window[1],
            "requests": self.requests,
            "least_requests": self.least_requests,
            "announced": self.announced,
            "listed": self.listed,
            "warnings": "; ".join(self.warnings) or None,
            "received": counts.received,
            "new": counts.new,
            "changed": counts.changed,
            "unchanged": counts.unchanged,
            "bytes": counts.bytes,
            "seconds": self.seconds,
            "waited_seconds": self.waited_seconds,
        }


Ask = Callable[[Api, Pull, Callable[[Batch], None]], None]
Finished = Callable[[date, date], None]
"""Told of the first and the last of the days that are done."""


@dataclass(frozen=True)
class Puller:
    """Pulls accounts into the lake of one home."""

    places: Places
    lake: Lake
    ledger: Ledger
    asking: Callable[[Progress], None] | None = None
    """Told of every request and every wait."""
    landed: Callable[[Pull], None] | None = None
    """Told after every landing commit."""
    budget_window: float = WINDOW
    """Seconds in which an account's requests are counted."""
    clock: Clock | None = None
    """What waits are measured by; None for the clock on the wall."""

    def changes(self, account: Account, run_id: str) -> Pull:
        """What changed since the account's cursor, which moves as batches are durable.

        Exclusive per account: raises LeaseHeld where another run is at it.
        """
        with self.ledger.lease(account.key, CHANGES) as lease:

            def ask(api: Api, pull: Pull, land: Callable[[Batch], None]) -> None:
                self._ask_changes(api, pull, land, lease)

            return self._pull(Pull(account, CHANGES, run_id), ask)

    def history(
        self,
        account: Account,
        first_day: date,
        last_day: date,
        run_id: str,
        finished: Finished | None = None,
    ) -> Pull:
        """What was created in these days, in the account's zone. Never moves the cursor.

        The window is walked in steps of DAYS_PER_STEP; `finished` is told of each one whose orders
        are durable. Days before the account's `started_on` are empty. Raises ConfigurationError for
        a source without a date window.
        """
        require_history(account)
        source = source_of(account.source)
        started_on = account.settings.started_on

        def ask(api: Api, _: Pull, land: Callable[[Batch], None]) -> None:
            for first, last in _steps(first_day, last_day):
                if last >= started_on:
                    for batch in source.history(api, max(first, started_on), last):
                        land(batch)
                if finished is not None:
                    finished(first, last)

        window = (first_day.isoformat(), last_day.isoformat())
        return self._pull(Pull(account, HISTORY, run_id, window=window), ask)

    def presence(
        self, account: Account, run_id: str, *, accept_mass_deletion: bool = False
    ) -> Pull:
        """What of the account's known orders is still there? Tombstones are landed in `raw`.

        Exclusive per account: raises LeaseHeld where another sweep is at it. Raises
        ConfigurationError for a source that cannot tell, SweepError where what it found is not to
        be believed without a person's look.
        """
        require_sweep(account)
        with self.ledger.lease(account.key, PRESENCE) as lease:

            def ask(api: Api, pull: Pull, _: Callable[[Batch], None]) -> None:
                sweeper = Sweeper(account, self.lake, self.ledger, run_id, lease)
                pull.swept = sweeper.sweep(api, accept_mass_deletion=accept_mass_deletion)
                moved = len(pull.swept.marks)
                pull.counts = Counts(
                    received=pull.swept.there, changed=moved, unchanged=pull.swept.known - moved
                )

            return self._pull(Pull(account, PRESENCE, run_id), ask)

    def _ask_changes(
        self, api: Api, pull: Pull, land: Callable[[Batch], None], lease: Lease
    ) -> None:
        account = pull.account
        source = source_of(account.source)
        cursor = reached = self.ledger.cursor(account.key, CHANGES)
        pull.window = (self._asked_until(account), None)
        until = Until(api, source.margin)
        for batch in source.changes(api, cursor, until):
            land(batch)
            reached = batch.cursor or reached
            if pull.counts.received and reached is not None and reached != cursor:
                self.ledger.move_cursor(account.key, CHANGES, reached, pull.run_id, lease)
                cursor = reached
        pull.window = (pull.window[0], until.moment.isoformat())
        if not (pull.counts.received or api.listed):
            self._refuse_silence(account)
        if reached is not None and reached != cursor:
            self.ledger.move_cursor(account.key, CHANGES, reached, pull.run_id, lease)

    def _asked_until(self, account: Account) -> str:
        """Up to when the last run that succeeded had asked; of the first, its `started_on`."""
        began = datetime.combine(account.settings.started_on, clock_time.min, account.zone)
        return self.ledger.last_window(account.key, CHANGES) or began.isoformat()

    def _refuse_silence(self, account: Account) -> None:
        """Raise ReceivedNothing for an account that never before received nothing.

        The cursor has not moved then: what the silence may have hidden is asked for again.
        """
        if self.ledger.always_received(account.key, CHANGES, RUNS_BEFORE_SILENCE_IS_ODD):
            raise ReceivedNothing(
                "received nothing, though every run so far had received something",
                where=account.key,
                remedy="see that the credentials still may read orders, then sync again; this is "
                "said once, the next run that receives nothing succeeds",
            )

    def _pull(self, pull: Pull, ask: Ask) -> Pull:
        """Ask, with one row of run history around it."""
        began = time.monotonic()
        self.ledger.start_run(pull.account.key, pull.kind, run_id=pull.run_id)
        if pull.kind in EXCLUSIVE:
            self.ledger.close_abandoned(pull.account.key, pull.kind, pull.run_id)
        try:
            with self._api(pull.account) as api:
                try:
                    self._land_all(api, pull, ask)
                finally:
                    pull.requests = api.requests
                    pull.least_requests = api.least_requests
                    pull.announced, pull.listed = api.announced, api.listed
                    pull.warnings = api.warnings
                    pull.waited_seconds = api.waited
                    pull.seconds = time.monotonic() - began
            self.ledger.finish_run(pull.run_id, "succeeded", **pull.numbers())
        except BaseException as fault:
            is_stop = not isinstance(fault, Exception)
            error = "interrupted" if is_stop else str(fault) or type(fault).__name__
            alarm = RECEIVED_NOTHING if isinstance(fault, ReceivedNothing) else None
            self.ledger.finish_run(
                pull.run_id, "failed", error=error, alarm=alarm, **pull.numbers()
            )
            raise
        return pull

    def _land_all(self, api: Api, pull: Pull, ask: Ask) -> None:
        account = pull.account
        erased = Erased(account.source, account.key, self.ledger.erasures)
        erased.refresh()
        api.known = known = Landed(self.lake, account, erased)
        landing = Landing(source_of(account.source), account, self.lake, self.ledger, pull.run_id)

        def land(batch: Batch) -> None:
            pull.counts.add(landing.land(batch.records))
            if self.landed is not None:
                self.landed(pull)

        try:
            ask(api, pull, land)
        finally:
            known.close()
            landing.close()
            give_back()

    def _api(self, account: Account) -> Api:
        source = source_of(account.source)
        allowed = account.settings.requests_per_minute or source.requests_per_minute
        window = self.budget_window
        budget = Budget(self.places.budgets, account.budget_key, allowed, window=window)
        return Api(account, source, budget=budget, progress=self.asking, clock=self.clock)


def require_history(account: Account) -> None:
    """Raise ConfigurationError for an account whose source cannot be asked by date."""
    source = source_of(account.source)
    if HISTORY not in source.ways:
        raise ConfigurationError(
            f"{source.title} has no date window to backfill by",
            where=account.key,
            remedy=f"use `orderloom sync {account.key}`, which reads everything there is",
        )


def _steps(first_day: date, last_day: date) -> Iterator[tuple[date, date]]:
    """A window in parts of at most DAYS_PER_STEP days, first and last day of each included."""
    while first_day <= last_day:
        last = min(last_day, first_day + timedelta(days=DAYS_PER_STEP - 1))
        yield first_day, last
        first_day = last + timedelta(days=1)
