"""A clock that is set, forward or back, ends no lease early or late and mixes up no runs.

Budgets, landing and publication under such a clock: test_budget, test_landing, test_publication.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.ledger import LeaseHeld, LeaseLost, Ledger

ACME = "brightpearl.acme"


class Time:
    """The time of day, and the seconds since the host was started."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 2, 7, tzinfo=UTC)
        self.up = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.up += seconds

    def set(self, by: timedelta) -> None:
        self.moment += by


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def ledger(tmp_path: Path, now: Time) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with Ledger(url, now=lambda: now.moment, uptime=lambda: now.up) as opened:
        yield opened


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_lease(
    ledger: Ledger, now: Time, jump: timedelta
) -> None:
    with ledger.lease(ACME, "changes") as slow:
        now.set(jump)
        with pytest.raises(LeaseHeld), ledger.lease(ACME, "changes"):
            pass
        slow.check()
        now.set(-jump)
        now.pass_by(59)
        with pytest.raises(LeaseHeld), ledger.lease(ACME, "changes"):
            pass
        now.set(jump)
        now.pass_by(2)
        with ledger.lease(ACME, "changes"), pytest.raises(LeaseLost):
            slow.check()


def test_the_lease_of_another_host_runs_out_by_the_time_of_day(
    ledger: Ledger, now: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("resources.leases.this_process", lambda: "other-boot/1/2/3")
        held = ledger.lease(ACME, "changes")
        held.__enter__()
    now.up += 1000
    with pytest.raises(LeaseHeld), ledger.lease(ACME, "changes"):
        pass
    now.set(timedelta(seconds=61))
    with ledger.lease(ACME, "changes"):
        pass


def test_runs_keep_their_order_when_the_clock_is_set_back(ledger: Ledger, now: Time) -> None:
    for number in range(4):
        ledger.start_run(ACME, "changes", run_id=f"run {number}")
        outcome = "failed" if number % 2 == 0 else "succeeded"
        ledger.finish_run(f"run {number}", outcome, error="went wrong")
        now.set(timedelta(days=-1))
    assert [run["run_id"] for run in ledger.runs()] == ["run 3", "run 2", "run 1", "run 0"]
    fresh = ledger.freshness()[ACME]
    assert fresh.last_success is not None
    assert fresh.last_failure is not None
    assert fresh.last_success < fresh.last_failure
    assert not fresh.is_failing
