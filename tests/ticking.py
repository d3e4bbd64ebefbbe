"""Dagster's own scheduler and sensor daemon, run tick by tick at moments that a test chooses.

Belongs here: a home with our instance, its workspace, one iteration of a daemon. Does not belong
here: assertions. Runs that a tick asks for are queued and stay so: no coordinator takes them on.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import CodeLocationOrigin, InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from pipelines.registration import register
from pipelines.running import instance as instance_of
from resources.accounts import Accounts
from resources.places import Places

_LOADED = """from pipelines.definitions import build_definitions
defs = build_definitions()
"""
_LOGGER = logging.getLogger("tests.ticking")


class _InThisProcess(WorkspaceLoadTarget):
    def __init__(self, home: Path) -> None:
        """A file of the home's own: Dagster remembers what it loaded by the file's name."""
        self._file = home / "loaded.py"
        self._file.write_text(_LOADED, encoding="utf-8")

    def create_origins(self) -> Sequence[CodeLocationOrigin]:
        target = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(self._file))
        return [InProcessCodeLocationOrigin(target, location_name="orderloom")]


@dataclass
class Service:
    """A home as a running service sees it."""

    places: Places
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    _scheduled: dict[str, Any] = field(default_factory=dict)

    def schedules(self, moment: datetime) -> None:
        """One iteration of the scheduler."""
        with freeze_time(moment):
            for fault in launch_scheduled_runs(
                self.workspace, _LOGGER, end_datetime_utc=moment, iteration_times=self._scheduled
            ):
                assert fault is None, fault

    def sensors(self, moment: datetime) -> None:
        """One iteration of the sensor daemon: every sensor that runs and is due."""
        with freeze_time(moment):
            for fault in execute_sensor_iteration(
                self.workspace, _LOGGER, threadpool_executor=None, submit_threadpool_executor=None
            ):
                assert fault is None, fault

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a sensor as a person does in the UI: each that is on makes a tick slower."""
        context = self.workspace.create_request_context()
        location = context.get_code_location("orderloom")
        sensor = location.get_repository("__repository__").get_sensor(name)
        if on:
            self.instance.start_sensor(sensor)
        else:
            self.instance.stop_sensor(sensor.get_remote_origin_id(), sensor.selector_id, sensor)

    def ticks(self, name: str) -> Sequence[InstigatorTick]:
        """The ticks of a schedule or sensor, the newest first."""
        state = next(s for s in self.instance.all_instigator_state() if s.instigator_name == name)
        return self.instance.get_ticks(state.instigator_origin_id, state.selector_id)

    def log(self, tick: InstigatorTick) -> str:
        """What a tick logged, as the UI shows it."""
        key = tick.log_key
        assert key is not None
        data = self.instance.compute_log_manager.get_log_data(key).stderr
        return (data or b"").decode()


@contextmanager
def serving(accounts: Accounts) -> Iterator[Service]:
    """The home that the environment names, its accounts registered."""
    places = Places.from_environment()
    instance = instance_of(places)
    with instance, warnings.catch_warnings():
        # Dagster reads deprecated properties itself when it makes snapshots.
        warnings.simplefilter("ignore", DeprecationWarning)
        register(instance, accounts)
        with create_test_daemon_workspace_context(
            _InThisProcess(places.home), instance
        ) as workspace:
            yield Service(places, instance, workspace)
