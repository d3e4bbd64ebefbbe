"""What becomes of a selection of accounts and days, on a real Dagster instance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from pipelines.definitions import build_definitions
from tests.backfills import ACME, BETA, Backfills, backfills, days

# Dagster's own code uses what Dagster calls deprecated, or beta.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`"),
    pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`"),
    pytest.mark.filterwarnings("ignore:Parameter `include_sources`"),
]


ACME_TOKEN = "BRIGHTPEARL_ACME_ACCOUNT_TOKEN"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfills]:
    """One home for all tests; each has days of its own."""
    folder = tmp_path_factory.mktemp("backfills")
    with pytest.MonkeyPatch.context() as monkeypatch, backfills(folder, monkeypatch) as made:
        yield made


def test_three_months_of_two_accounts_are_two_runs_with_one_window_each(home: Backfills) -> None:
    backfill = home.launch(["acme", "beta"], days(date(2026, 8, 1), date(2026, 10, 31)))
    assert home.finish(backfill) == ended("COMPLETED_SUCCESS", 184)
    runs = home.runs(backfill)
    assert len(runs) == 2
    assert home.windows(runs) == [
        (ACME, "2026-08-01", "2026-10-31", "succeeded"),
        (BETA, "2026-08-01", "2026-10-31", "succeeded"),
    ]
    assert {run.tags["orderloom/account"] for run in runs} == {ACME, BETA}
    assert home.workshop.ledger.cursor(ACME) is None, "a backfill never moves the cursor"
    assert home.shown("materialized") >= {
        (name, day.isoformat())
        for name in ("acme", "beta")
        for day in days(date(2026, 8, 1), date(2026, 10, 31))
    }


def test_a_gap_parts_the_days_of_each_account(home: Backfills) -> None:
    chosen = days(date(2026, 7, 1), date(2026, 7, 5)) + days(date(2026, 7, 10), date(2026, 7, 12))
    backfill = home.launch(["acme", "beta"], chosen)
    assert home.finish(backfill) == ended("COMPLETED_SUCCESS", 16)
    assert home.windows(home.runs(backfill)) == [
        (account, first, last, "succeeded")
        for account in (ACME, BETA)
        for first, last in (("2026-07-01", "2026-07-05"), ("2026-07-10", "2026-07-12"))
    ]


def test_the_failure_of_one_account_leaves_the_days_of_the_other_green(
    home: Backfills, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of fewer days than accounts Dagster makes one run for all accounts."""
    token = os.environ[ACME_TOKEN]
    monkeypatch.setenv(ACME_TOKEN, "wrong")
    backfill = home.launch(["acme", "beta"], [date(2026, 7, 20)])
    assert home.finish(backfill) == ended("COMPLETED_FAILED", 1, 1)
    assert home.shown("failed") == {("acme", "2026-07-20")}
    (run,) = home.runs(backfill)
    assert home.windows([run]) == [
        (ACME, "2026-07-20", "2026-07-20", "failed"),
        (BETA, "2026-07-20", "2026-07-20", "succeeded"),
    ]
    monkeypatch.setenv(ACME_TOKEN, token)
    again = home.retry(backfill)
    assert home.finish(again) == ended("COMPLETED_SUCCESS", 1)
    assert home.shown("failed") == set()
    assert home.windows(home.runs(again)) == [(ACME, "2026-07-20", "2026-07-20", "succeeded")]


def test_what_a_failed_run_had_finished_is_not_asked_for_again(home: Backfills) -> None:
    home.box.fault(ACME, "rejected", after=1, times=2)  # July is answered, August is not
    backfill = home.launch(["acme"], days(date(2026, 7, 1), date(2026, 8, 10)))
    assert home.finish(backfill) == ended("COMPLETED_FAILED", 31, 10)
    (failed,) = home.runs(backfill)
    resumed = home.reexecute(failed)
    home.work()
    assert home.windows([resumed]) == [(ACME, "2026-08-01", "2026-08-10", "failed")]
    again = home.retry(backfill)
    assert home.finish(again) == ended("COMPLETED_SUCCESS", 10)
    assert home.windows(home.runs(again)) == [(ACME, "2026-08-01", "2026-08-10", "succeeded")]


def test_a_cancelled_backfill_is_taken_up_where_it_was(home: Backfills) -> None:
    backfill = home.launch(["acme", "beta"], days(date(2026, 7, 14), date(2026, 7, 16)))
    home.look()
    home.work()  # one run at a time: the other one still waits
    home.cancel(backfill)
    assert home.finish(backfill) == ended("CANCELED", 3, 3)
    again = home.retry(backfill)
    assert home.finish(again) == ended("COMPLETED_SUCCESS", 3)
    asked = {window[0] for each in (backfill, again) for window in home.windows(home.runs(each))}
    assert asked == {ACME, BETA}


def test_what_was_landed_is_normalised_once_the_whole_backfill_is_through(home: Backfills) -> None:
    definitions = build_definitions(home.workshop)

    def tick(cursor: AssetDaemonCursor | None = None) -> dg.EvaluateAutomationConditionsResult:
        chosen = dg.AssetSelection.groups("brightpearl")
        return dg.evaluate_automation_conditions(
            definitions, home.instance, asset_selection=chosen, cursor=cursor
        )

    first = tick()
    backfill = home.launch(["acme", "beta"], days(date(2026, 9, 1), date(2026, 9, 3)))
    home.look()
    home.work()  # one of two runs
    during = tick(first.cursor)
    assert during.total_requested == 0
    home.finish(backfill)
    after = tick(during.cursor)
    assert after.get_requested_partitions(dg.AssetKey(["brightpearl", "orders"])) == {
        "acme",
        "beta",
    }
    assert tick(after.cursor).total_requested == 0


def ended(status: str, materialized: int, failed: int = 0) -> dict[str, int | str]:
    """How a backfill has ended."""
    return {"status": status, "materialized": materialized, "failed": failed}
