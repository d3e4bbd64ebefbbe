"""Outages that last, loads that are broken off, and orders that cannot be shown.

Belongs here: what a run leaves behind for the next one. Does not belong here: what one request does
about a fault (test_faults.py).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from assets.sources import source as source_of
from pipelines.cli import main
from sandbox.server import Sandbox
from tests.faults_case import SOURCES, case_of, thin
from tests.home import point_at
from tests.test_truth import alive

KINDS = ("unavailable", "reset", "html", "error", "truncated")


@pytest.mark.parametrize(("source", "kind"), list(zip(SOURCES, KINDS, strict=True)))
def test_an_api_that_is_down_for_two_days_is_caught_up_with(
    source: str, kind: str, tmp_path: Path
) -> None:
    with case_of(source, tmp_path) as case:
        case.sync()
        case.arm(kind, times=None)
        for _ in range(4):
            case.later(hours=12)
            case.edit()
            complaint = case.failing_sync()
            assert "\n" not in complaint
            assert case.account in complaint
        case.clear()
        case.sync()
        assert case.wrong() == {}


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_landed_is_not_fetched_again(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load is broken off by a rejection in the middle; the next run goes on from there."""
    monkeypatch.setattr(type(source_of(source)), "batch_size", 10)
    monkeypatch.setattr("assets.sources.quotevine.RELATIONSHIPS_PER_BATCH", 5)
    with case_of(source, tmp_path) as case:
        whole = {
            "brightpearl": ("order/", 2), "tastyigniter": ("page=", 4),
            "efiling": ("orderlines", 25), "quotevine": ("orders/", 12),
            "feedback_company": ("/invitations", 3),
        }  # fmt: skip
        path, after = whole[source]
        case.arm("forbidden", times=None, after=after, path=path)
        case.failing_sync()
        raw = case.pulls.workshop.lake
        with duckdb.connect() as connection:
            count = raw.read(connection, "raw").count("*").fetchall()[0][0]
        assert 0 < count < len(alive(case.box, case.account))
        case.clear()
        resumed = case.sync()
        assert resumed.counts.new == len(alive(case.box, case.account)) - count
        if source not in ("quotevine", "feedback_company"):  # which read those before as well
            assert resumed.counts.unchanged <= 10
        assert case.wrong() == {}


def test_one_broken_order_hides_no_other_of_its_page(tmp_path: Path) -> None:
    with case_of("tastyigniter", tmp_path) as case:
        broken = list(alive(case.box, case.account))[20]
        case.arm("broken_order", times=None, order_id=broken)
        case.sync()
        case.home.publish()
        found = case.home.orders("tastyigniter", ("order_status",))
        assert found.keys() == alive(case.box, case.account).keys() - {broken}
        held = case.home.rows("SELECT source_order_id FROM quarantine WHERE is_held")
        assert held == [{"source_order_id": None}]
        case.clear()
        case.later(days=7)
        case.sync()
        assert case.wrong() == {}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resources.pacing.Clock.sleep", lambda *_: None)
    return Sandbox()


def test_one_account_down_is_one_failed_run_and_the_others_publish(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with box:
        for account in box.accounts:
            thin(box, account)
        workshop = point_at(box, tmp_path, monkeypatch)
        box.fault("efiling.formations", "unavailable", times=None)
        result = CliRunner().invoke(main, ["sync"])
        assert result.exit_code == 1
        (line,) = [each for each in result.stdout.splitlines() if "FAILED" in each]
        assert "efiling.formations FAILED" in line
        assert "503" in result.output
        assert "run again later" in " ".join(result.output.split())
        runs = [run for run in workshop.ledger.runs() if run["kind"] == "changes"]
        failed = [run["account"] for run in runs if run["outcome"] == "failed"]
        assert failed == ["efiling.formations"]
        published = workshop.warehouse.read_arrow("SELECT DISTINCT source_system FROM orders")
        assert len(published) == 4
        box.clear_faults()
        box.clock.advance(timedelta(days=2))
        assert CliRunner().invoke(main, ["sync"]).exit_code == 0
        published = workshop.warehouse.read_arrow("SELECT DISTINCT source_system FROM orders")
        assert len(published) == 5
