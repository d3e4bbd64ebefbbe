"""Dagster's instance in a home: its settings file, and runs whose process died."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from assets.run_tags import PROCESS
from pipelines import instance_settings
from pipelines.launching import Launcher
from pipelines.running import instance as instance_of
from resources.places import Places
from resources.processes import this_process

TEXT = files("pipelines").joinpath("dagster.yaml").read_bytes()


def test_settings_are_written_once_and_an_edited_file_is_kept(tmp_path: Path) -> None:
    assert instance_settings.provide(tmp_path)
    settings = tmp_path / "dagster.yaml"
    assert settings.read_bytes() == TEXT
    assert not instance_settings.provide(tmp_path)
    edited = TEXT.replace(b"max_concurrent_runs: 5", b"max_concurrent_runs: 9")
    settings.write_bytes(edited)
    assert not instance_settings.provide(tmp_path)
    assert settings.read_bytes() == edited


def test_settings_that_an_earlier_orderloom_wrote_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = b"telemetry:\n  enabled: false\n"
    (tmp_path / "dagster.yaml").write_bytes(earlier)
    assert not instance_settings.provide(tmp_path), "nobody of ours wrote that"
    written = {sha256(earlier).hexdigest()}
    monkeypatch.setattr(instance_settings, "WRITTEN_BEFORE", frozenset(written))
    assert instance_settings.provide(tmp_path)
    assert (tmp_path / "dagster.yaml").read_bytes() == TEXT
    assert sha256(TEXT).hexdigest() not in instance_settings.WRITTEN_BEFORE


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with our settings."""
    folder = tmp_path_factory.mktemp("home")
    places = Places(folder, str(folder / "lake"), "", folder / "accounts.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        with instance_of(places) as made:
            assert made.run_retries_enabled
            assert made.run_monitoring_enabled
            assert not made.run_retries_retry_on_asset_or_op_failure
            assert isinstance(made.run_launcher, Launcher)
            yield made


def _of(instance: dg.DagsterInstance, **tags: str) -> WorkerStatus:
    status = dg.DagsterRunStatus.STARTED
    run = dg.DagsterRun(job_name="publish", status=status, tags=tags)
    instance.add_run(run)
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_lives_as_long_as_its_process(instance: dg.DagsterInstance) -> None:
    alive = this_process()
    assert _of(instance, **{PROCESS: alive}) == WorkerStatus.RUNNING
    show = "from resources.processes import this_process; print(this_process())"
    root = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", show], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert _of(instance, **{PROCESS: ended}) == WorkerStatus.FAILED
    boot, _, rest = alive.partition("/")
    assert _of(instance, **{PROCESS: f"before-{boot}/{rest}"}) == WorkerStatus.FAILED
    assert _of(instance) == WorkerStatus.RUNNING, "of a run without a word nothing is known"


def test_a_run_whose_code_server_is_gone_has_died(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    gone = f'{{"host": "localhost", "socket": "{tmp_path / "gone.sock"}"}}'
    assert _of(instance, **{GRPC_INFO_TAG: gone}) == WorkerStatus.FAILED
