"""What is deleted of old runs, and what must stay."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from assets.workshop import Workshop
from pipelines import retention
from pipelines.definitions import build_definitions
from pipelines.running import Runner
from resources.ledger import Ledger
from sandbox.server import Sandbox
from tests.home import point_at

REVIEWS = "feedback_company.reviews"
CHANGES = dg.AssetKey(["feedback_company", "changes"])
ORDERS = dg.AssetKey(["marts", "orders"])


class Home:
    """A home that was synced three times: its instance, and the runs in their order."""

    def __init__(self, workshop: Workshop, instance: dg.DagsterInstance, runs: list[str]) -> None:
        self.workshop = workshop
        self.instance = instance
        self.runs = runs
        self.definitions = build_definitions(workshop)
        self._cursor: AssetDaemonCursor | None = None

    def automation(self) -> int:
        """How many asset partitions automation runs now, after what it saw the last time."""
        seen = dg.evaluate_automation_conditions(
            self.definitions,
            instance=self.instance,
            asset_selection=dg.AssetSelection.all(),
            cursor=self._cursor,
        )
        self._cursor = seen.cursor
        return seen.total_requested

    def delete(self, days: int = 0) -> int:
        """Delete what ended before now."""
        return retention.delete_runs(
            self.instance,
            retention.needed_runs(self.instance, self.checks),
            successful_days=days,
            failed_days=days,
            most_seconds=60,
        )

    @property
    def checks(self) -> list[dg.AssetCheckKey]:
        return list(self.definitions.resolve_asset_graph().asset_check_keys)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(lifted=True, sources=("feedback_company",)) as box,
    ):
        for name in ("ORDERLOOM_LAKE", "ORDERLOOM_LEDGER"):
            patch.delenv(name, raising=False)
        workshop = point_at(box, folder, patch)
        with Runner(workshop) as runner:
            account = workshop.accounts.get(REVIEWS)
            runs = [runner.sync(account).run_id for _ in range(2)]
            runs.append(runner.publish().run_id)
            runs.append(runner.sync(account).run_id)
            with dg.DagsterInstance.from_config(str(workshop.places.dagster)) as instance:
                yield Home(workshop, instance, runs)


def test_what_holds_the_newest_of_a_partition_stays_and_nothing_fires_again(home: Home) -> None:
    first, second, published, newest = home.runs
    materialised = home.instance.get_materialized_partitions(CHANGES)
    home.automation()
    events = Path(home.workshop.places.dagster) / "history/runs"
    assert (events / f"{first}.db").exists()
    assert home.delete(days=1) == 0, "none is a day old"
    assert home.delete() == 2
    kept = {run.run_id for run in home.instance.get_runs()}
    assert kept == {published, newest}
    for gone in (first, second):
        assert not list(events.glob(f"{gone}.db*"))
        assert not (Path(home.instance.storage_directory()) / gone).exists()
    assert home.instance.get_materialized_partitions(CHANGES) == materialised == {"reviews"}
    event = home.instance.get_latest_materialization_event(ORDERS)
    assert event is not None
    assert event.run_id == published
    assert home.automation() == 0
    with closing(sqlite3.connect(events.parent / "runs.db")) as connection:
        tagged = connection.execute("SELECT DISTINCT run_id FROM run_tags").fetchall()
    assert {run_id for (run_id,) in tagged} <= kept
    assert home.delete() == 0


def test_the_job_deletes_by_the_days_of_the_accounts_file_and_says_what(home: Home) -> None:
    storage = Path(home.instance.storage_directory())
    old = time.time() - 40 * 86400
    tick = storage / "__repository__" / "brightpearl_sync" / "17"
    orphan = storage / "00000000-0000-0000-0000-000000000000"
    for folder in (tick, orphan):
        folder.mkdir(parents=True)
        os.utime(folder, (old, old))
    os.utime(tick.parent.parent, (old, old))
    job = home.definitions.resolve_job_def("housekeeping")
    made = job.execute_in_process(instance=home.instance)
    assert made.output_for_node("delete_what_is_old") == {
        "runs": 0,
        "results of checks": 0,
        "folders of logs": 2,
        "files of the lake": 0,
        "rows of run history": 0,
    }
    assert not tick.exists()
    assert not orphan.exists()


def test_the_newest_result_of_each_check_stays(home: Home) -> None:
    def results() -> list[tuple[str, int]]:
        path = Path(home.workshop.places.dagster) / "history/runs/index.db"
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(
                "SELECT check_name, COUNT(*) FROM asset_check_executions"
                " GROUP BY asset_key, check_name, partition"
            ).fetchall()

    before = results()
    assert max(count for _, count in before) > 1
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert retention.delete_check_results(home.instance, tomorrow) > 0
    assert [name for name, _ in results()] == [name for name, _ in before]
    assert {count for _, count in results()} == {1}


def test_a_database_of_free_pages_shrinks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(home.workshop.places.dagster) / "history/runs/index.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(4000000) AS bytes")
        connection.execute("DROP TABLE filler")
        connection.commit()
    before = path.stat().st_size
    assert retention.shrink(home.instance) == [], "few bytes are left alone"
    monkeypatch.setattr(retention, "_SPARE_BYTES", 2**20)
    assert retention.shrink(home.instance) == ["history/runs/index.db"]
    assert path.stat().st_size < before - 3_000_000


def test_run_history_keeps_what_freshness_and_the_alarm_rest_on(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    clock = [now]
    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", now=lambda: clock[0]) as ledger:

        def run(days_ago: float, outcome: str = "succeeded", **numbers: int) -> str:
            clock[0] = now - timedelta(days=days_ago)
            run_id = ledger.start_run("brightpearl.acme", "changes")
            ledger.finish_run(run_id, outcome, **numbers)
            return run_id

        ancient = run(500, received=5, new=5)
        failed = run(300, "failed")
        silent = run(200, received=0)
        brought = run(100, received=9, new=1)
        idle = [run(50 - n / 10, received=9) for n in range(30)]
        fresh = run(1, received=9)
        clock[0] = now
        before = ledger.freshness()["brightpearl.acme"]
        deleted = ledger.forget_runs(idle_days=14, any_days=400)
        kept = {each["run_id"] for each in ledger.runs(limit=None)}
        assert deleted == 1 + 11, "the ancient one, and idle ones but for the newest twenty runs"
        assert ancient not in kept
        assert {failed, silent, brought, fresh, *idle[-19:]} == kept
        assert ledger.freshness()["brightpearl.acme"] == before
        assert not ledger.always_received("brightpearl.acme", "changes", 10)
        assert ledger.forget_runs(idle_days=14, any_days=400) == 0
