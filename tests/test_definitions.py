"""Dagster's definitions: what is there, and that loading them needs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.history import windows
from assets.ingest import CANONICAL
from assets.marts import MARTS
from assets.sources import SOURCES
from assets.workshop import Workshop
from pipelines.definitions import build_definitions
from tests.home import open_sandbox, point_at

ROOT = Path(__file__).parents[1]


def test_definitions_load_with_no_variable_and_no_accounts_file(tmp_path: Path) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", "from pipelines.definitions import defs; "
         "defs.resolve_all_job_defs(); import os; print(os.listdir())"],
        cwd=tmp_path, env=bare | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]", "loading makes no file"


def test_every_source_has_its_assets_job_and_schedule() -> None:
    definitions = build_definitions()
    keys = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
    for name in SOURCES:
        assert {f"{name}/changes", *(f"{name}/{table}" for table in CANONICAL)} <= keys
        assert definitions.resolve_schedule_def(f"{name}_sync").job_name == f"{name}_sync"
    assert {f"marts/{mart.name}" for mart in MARTS} <= keys


def test_every_job_says_by_its_tags_what_it_is_for() -> None:
    definitions = build_definitions()
    for job in definitions.resolve_all_job_defs():
        if not job.name.startswith("__"):
            assert "orderloom/kind" in job.tags, job.name
            source = next((name for name in SOURCES if job.name.startswith(f"{name}_")), None)
            assert job.tags.get("orderloom/source") == source


def test_sensors_run_by_default() -> None:
    definitions = build_definitions()
    for name in ("accounts", "alerts", "automation", "freshness", "publishing"):
        sensor = definitions.resolve_sensor_def(name)
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_the_sensor_registers_the_accounts_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sandbox() as box, dg.DagsterInstance.ephemeral() as instance:
        workshop = point_at(box, tmp_path, monkeypatch)
        definitions = build_definitions(workshop)
        context = dg.build_sensor_context(instance=instance, resources={"workshop": workshop})
        found = definitions.resolve_sensor_def("accounts")(context)
        assert isinstance(found, dg.SensorResult)
        asked = {each.partitions_def_name: each.partition_keys
                 for each in found.dynamic_partitions_requests or []}  # fmt: skip
        assert asked["brightpearl_accounts"] == ["acme"]
        assert len(asked) == len(SOURCES)


def test_the_sensor_says_how_to_make_an_accounts_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(tmp_path / "none.toml"))
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path))
    definitions = build_definitions()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"workshop": Workshop()})
        skipped = definitions.resolve_sensor_def("accounts")(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "orderloom sandbox" in str(skipped.skip_message)


def test_contiguous_days_become_one_window_and_gaps_part_them() -> None:
    from datetime import date, timedelta

    start = date(2026, 1, 1)
    days = [start + timedelta(days=n) for n in (0, 1, 2, 10, 11)]
    assert list(windows(days)) == [(days[0], days[2]), (days[3], days[4])]
