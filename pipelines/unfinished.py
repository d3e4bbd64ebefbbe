"""Runs that are not over.

Belongs here: which these are. Does not belong here: what follows from it (`pipelines/schedules.py`,
`pipelines/alerts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

_STATES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_WILL_RETRY = "dagster/will_retry"
_RETRIED_AS = "dagster/auto_retry_run_id"
_SOON = timedelta(minutes=10)
"""Dagster's daemon starts a retry within seconds; one that never came is not waited for longer."""


def unfinished(
    instance: dg.DagsterInstance, tags: Mapping[str, str]
) -> Iterator[tuple[dg.DagsterRun, str]]:
    """Runs with these tags that wait or work, or died and are about to be tried again; and which.

    A retry that has begun is a run of its own.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_STATES, tags=dict(tags))):
        yield run, f"is still {run.status.value.lower()}"
    died = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE],
        tags={**tags, _WILL_RETRY: "true"},
        updated_after=datetime.now(UTC) - _SOON,
    )
    for run in instance.get_runs(died):
        if is_retried(run) and _RETRIED_AS not in run.tags:
            yield run, "died and is about to be tried again"


def is_retried(run: dg.DagsterRun) -> bool:
    """Whether Dagster tries a failed run again.

    It says so of a command's run, too, which it cannot start: that has no origin.
    """
    return run.tags.get(_WILL_RETRY) == "true" and run.remote_job_origin is not None
