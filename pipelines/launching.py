"""Dagster's run launcher, and telling whether a run's worker still lives.

Belongs here: what run monitoring asks of it. Does not belong here: what a run does. `dagster.yaml`
names this module, so Dagster's web server and daemon import it: it stays small.

Dagster's own launcher cannot tell (its `supports_check_run_worker_health` is False): a run whose
code server was stopped with it, as by a power cut or `kill -9`, would count as running until its
longest run time is over, and its account would not be synced until then.
"""

from __future__ import annotations

from dagster import DagsterError, DagsterRun, DefaultRunLauncher
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.base import LaunchRunContext
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from assets.run_tags import PROCESS
from resources.processes import is_gone, shares_our_clock


class Launcher(DefaultRunLauncher):
    """Starts runs as Dagster's own launcher does, and tells of those that died."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks for every run that has started."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run. A retry has taken over its parent's tags, the dead process among them."""
        if context.dagster_run.tags.get(PROCESS):
            self._instance.add_run_tags(context.dagster_run.run_id, {PROCESS: ""})
        super().launch_run(context)

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """FAILED for a run whose process, or whose code server, has certainly ended."""
        process = run.tags.get(PROCESS)
        if process and is_gone(process):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process has ended")
        if process and not shares_our_clock(process):
            return CheckRunHealthResult(WorkerStatus.FAILED, "the host was restarted since")
        if process or self._is_known(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "its code server knows it no more")

    def _is_known(self, run: DagsterRun) -> bool:
        """Whether the code server that started the run still executes it."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # not started by a code server, or finished by now
            return True
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterError:
            return False
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel
