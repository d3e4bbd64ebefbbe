"""Schedules, ticked by Dagster's own scheduler on a real instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from assets.sources import accounts
from resources.places import Places
from tests.ticking import Service, serving

ACCOUNT = """
[brightpearl.{name}]
base_url = "https://api.example.com/{name}"
timezone = "Europe/London"
started_on = 2026-01-01
paused = {paused}
credentials = {{ app_ref = "{upper}_REF", account_token = "{upper}_TOKEN" }}
"""
SCHEDULE = """
[schedules.brightpearl]
cron = "*/15 * * * *"
accounts = ["acme", "beta", "idle"]
enabled = true
"""
NOON = datetime(2026, 11, 2, 12, 0, 5, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def write(path: Path, paused: tuple[str, ...], schedule: str = SCHEDULE) -> None:
    tables = [
        ACCOUNT.format(name=name, upper=name.upper(), paused=str(name in paused).lower())
        for name in ("acme", "beta", "idle", "other")
    ]
    path.write_text("".join(tables) + schedule, encoding="utf-8")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A home with four accounts, of which the schedule has three and one is paused."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERLOOM_HOME", str(folder / "var"))
        patch.setenv("ORDERLOOM_ACCOUNTS", str(folder / "accounts.toml"))
        for name in ("ORDERLOOM_LAKE", "ORDERLOOM_LEDGER"):
            patch.delenv(name, raising=False)
        write(folder / "accounts.toml", paused=("idle",))
        with serving(accounts(Places.from_environment())) as made:
            yield made


@pytest.fixture
def home(service: Service) -> Service:
    """The same, with no runs yet."""
    for run in service.instance.get_runs():
        service.instance.delete_run(run.run_id)
    return service


SYNCS = {"orderloom/kind": "changes"}


def queued(home: Service) -> list[str]:
    """The accounts of the runs of changes that a schedule queued, in order."""
    runs = home.instance.get_runs(dg.RunsFilter(tags=SYNCS))
    return sorted(run.tags["orderloom/account"] for run in runs)


def finish(home: Service, account: str) -> None:
    """Let the run of an account end."""
    (run,) = home.instance.get_runs(dg.RunsFilter(tags={**SYNCS, "orderloom/account": account}))
    home.instance.report_run_canceled(run)


def test_a_schedule_switched_on_in_the_file_gives_one_run_per_account(home: Service) -> None:
    home.schedules(NOON)
    assert queued(home) == [], "nothing is due at once"
    home.schedules(NOON + QUARTER)
    assert queued(home) == ["brightpearl.acme", "brightpearl.beta"]
    for run in home.instance.get_runs(dg.RunsFilter(tags=SYNCS)):
        assert run.tags["orderloom/source"] == "brightpearl"
        assert run.tags["orderloom/kind"] == "changes"
        assert f"brightpearl.{run.tags['dagster/partition']}" == run.tags["orderloom/account"]
    tick = home.ticks("brightpearl_sync")[0]
    assert tick.status == TickStatus.SUCCESS
    log = home.log(tick)
    assert "brightpearl.idle is paused" in log
    assert "brightpearl.other is not among the schedule's accounts" in log
    states = {state.instigator_name for state in home.instance.all_instigator_state()}
    assert {"brightpearl_sync", "brightpearl_sweep"} <= states
    assert "quotevine_sync" not in states, "the others stay off"


def test_an_account_is_left_out_until_its_last_run_has_ended(home: Service) -> None:
    now = NOON + timedelta(days=1)
    home.schedules(now)
    for number in range(1, 5):
        home.schedules(now + number * QUARTER)
    assert queued(home) == ["brightpearl.acme", "brightpearl.beta"], "they do not pile up"
    newest, *_ = home.ticks("brightpearl_sync")
    assert newest.status == TickStatus.SKIPPED
    assert newest.skip_reason is not None
    assert "brightpearl.acme: run" in newest.skip_reason
    assert "is still queued" in newest.skip_reason
    finish(home, "brightpearl.acme")
    home.schedules(now + 5 * QUARTER)
    assert queued(home).count("brightpearl.acme") == 2
    assert queued(home).count("brightpearl.beta") == 1
    assert "brightpearl.beta: run" in home.log(home.ticks("brightpearl_sync")[0])


def test_after_a_day_without_a_scheduler_each_account_gets_one_run(home: Service) -> None:
    now = NOON + timedelta(days=2)
    home.schedules(now)
    for account in queued(home):
        finish(home, account)
    home.schedules(now + timedelta(days=1))
    assert queued(home) == sorted(2 * ["brightpearl.acme", "brightpearl.beta"])
    newest, before, *_ = home.ticks("brightpearl_sync")
    assert newest.timestamp == (now + timedelta(days=1)).replace(second=0).timestamp()
    assert before.timestamp == now.replace(second=0).timestamp(), "none in between"


@pytest.mark.nightly
def test_a_backfill_of_the_account_holds_up_no_sync(home: Service) -> None:
    now = NOON + timedelta(days=4)
    home.schedules(now)
    for run in home.instance.get_runs():
        home.instance.delete_run(run.run_id)
    tags = {
        "orderloom/source": "brightpearl",
        "orderloom/account": "brightpearl.acme",
        "orderloom/kind": "history",
    }
    status = dg.DagsterRunStatus.STARTED
    home.instance.add_run(dg.DagsterRun(job_name="brightpearl_history", status=status, tags=tags))
    home.schedules(now + QUARTER)
    assert queued(home) == ["brightpearl.acme", "brightpearl.beta"]


def test_a_bad_accounts_file_is_the_reason_of_a_skipped_tick(
    home: Service,
) -> None:
    now = NOON + timedelta(days=5)
    home.schedules(now)
    path = home.places.accounts
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "\n[alert]\n", encoding="utf-8")
    try:
        home.schedules(now + QUARTER)
    finally:
        path.write_text(good, encoding="utf-8")
    tick = home.ticks("brightpearl_sync")[0]
    assert tick.status == TickStatus.SKIPPED
    assert "did you mean alerts?" in str(tick.skip_reason)
