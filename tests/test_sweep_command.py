"""`orderloom sweep` and its assets: what is told, published, and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from assets.ingest import CANONICAL
from assets.known import Landed
from assets.pull import PRESENCE, Pull
from assets.sources import SOURCES, source
from assets.sweeping import SWEEP
from assets.telling import presence_metadata
from pipelines.cli import main
from pipelines.definitions import build_definitions
from pipelines.running import instance as instance_of
from sandbox.server import Sandbox
from tests.home import Pulls
from tests.test_sweep import KEY, pointed, synced

__all__ = ["synced"]

NIGHT = datetime(2026, 11, 3, 3, 40, tzinfo=UTC)


def orderloom(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def box(synced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    shutil.copytree(synced / "var", tmp_path / "var")
    sources = ("brightpearl", "feedback_company")
    with Sandbox(lifted=True, sources=sources) as sandbox:
        pointed(tmp_path, sandbox, monkeypatch)
        yield sandbox


@pytest.fixture
def ids(box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    pulls: Pulls = pointed(tmp_path, box, monkeypatch)
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    found = sorted(known.ids())
    known.close()
    return found


def asked(sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(orderloom("query", sql, "--format", "json").stdout)
    return found


QUALITY = (
    "SELECT orders, deleted_orders, suspected_deletions FROM data_quality "
    "WHERE source_system = 'brightpearl'"
)


def test_two_sweeps_take_an_order_out_of_the_marts(box: Sandbox, ids: list[str]) -> None:
    box.api(KEY).delete(ids[3])
    first = orderloom("sweep")
    assert first.exit_code == 0, first.output
    assert "feedback_company" not in first.output
    [known] = asked(QUALITY)
    assert known == {"orders": len(ids), "deleted_orders": 0, "suspected_deletions": 1}
    second = orderloom("sweep", KEY)
    assert second.exit_code == 0, second.output
    assert "1 / 1" in second.stdout
    [known] = asked(QUALITY)
    assert known == {"orders": len(ids) - 1, "deleted_orders": 1, "suspected_deletions": 0}
    [run] = asked(
        "SELECT outcome, requests, least_requests, changed FROM runs "
        "WHERE kind = 'presence' ORDER BY started_at DESC LIMIT 1"
    )
    assert run == {"outcome": "succeeded", "requests": 1, "least_requests": 1, "changed": 1}


def test_a_mass_deletion_needs_a_person(box: Sandbox, ids: list[str]) -> None:
    for order_id in ids[: len(ids) // 2]:
        box.api(KEY).delete(order_id)
    stopped = orderloom("sweep")
    assert stopped.exit_code == 1
    assert "--accept-mass-deletion" in stopped.stderr
    assert f"{KEY} FAILED" in stopped.stdout
    accepted = orderloom("sweep", "--accept-mass-deletion")
    assert accepted.exit_code == 0, accepted.output
    [known] = asked(QUALITY)
    assert known["suspected_deletions"] == len(ids) // 2


def test_an_account_that_cannot_be_swept_is_refused_before_any_request(box: Sandbox) -> None:
    refused = orderloom("sweep", KEY, "feedback_company.reviews")
    assert refused.exit_code == 2
    assert "feedback_company.reviews" in refused.stderr
    assert box.requests(KEY) == 0


def test_sources_that_can_be_swept_have_an_asset_a_job_and_a_schedule() -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    for name in SOURCES:
        key = dg.AssetKey([name, PRESENCE])
        assert (SWEEP in source(name).ways) == (key in graph.get_all_asset_keys())
        if SWEEP not in source(name).ways:
            continue
        assert definitions.resolve_job_def(f"{name}_sweep")
        schedule = definitions.resolve_schedule_def(f"{name}_sweep")
        assert schedule.job_name == f"{name}_sweep"
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        for table in CANONICAL:
            assert key in graph.get(dg.AssetKey([name, table])).parent_keys


def test_the_schedule_sweeps_every_active_account(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workshop = pointed(tmp_path, box, monkeypatch).workshop
    definitions = build_definitions(workshop)
    with instance_of(workshop.places) as instance:
        instance.add_dynamic_partitions("brightpearl_accounts", ["acme"])
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=NIGHT, resources={"workshop": workshop}
        )
        [request] = list(definitions.resolve_schedule_def("brightpearl_sweep")(context))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "acme"
    assert request.tags["orderloom/kind"] == PRESENCE


def test_a_pull_of_another_kind_says_nothing_of_presence(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = pointed(tmp_path, box, monkeypatch).account(KEY)
    assert presence_metadata(Pull(account, "changes", "run")) == {}
