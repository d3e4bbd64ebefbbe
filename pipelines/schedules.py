"""When each source is synced, and swept.

Belongs here: one schedule per source and job, one run per account and tick, and which accounts a
tick leaves out. Does not belong here: jobs, what accounts.toml may say (`resources/service.py`).

After an hour without a scheduler Dagster evaluates the newest tick alone: these jobs have no
partition set of their own that would be caught up with.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from assets.partitions import accounts_of
from assets.pull import CHANGES
from assets.run_tags import ACCOUNT, KIND, SOURCE, tags
from assets.sources import SOURCES, source
from assets.sweeping import PRESENCE, SWEEP
from assets.workshop import Workshop
from pipelines.jobs import sweep_job, sync_job
from pipelines.unfinished import unfinished
from resources.accounts import Account
from resources.errors import ConfigurationError
from resources.service import ScheduleSettings, Service

PRIORITY = {"dagster/priority": "1"}
"""Before the runs of a backfill, which have none."""


@dataclass(frozen=True)
class Due:
    """What a tick found: accounts to start, and why the others are left out."""

    accounts: list[Account]
    left_out: list[str]


def build(service: Service) -> list[dg.ScheduleDefinition]:
    """The schedules, off until somebody switches them on in the UI or accounts.toml says so."""
    made = []
    for name in SOURCES:
        settings = service.schedule(name)
        made.append(_schedule(name, sync_job(name), CHANGES, settings.cron, settings))
        if SWEEP in source(name).ways:
            made.append(_schedule(name, sweep_job(name), PRESENCE, settings.sweep_cron, settings))
    return made


def _schedule(
    name: str, job: str, kind: str, cron: str, settings: ScheduleSettings
) -> dg.ScheduleDefinition:
    status = dg.DefaultScheduleStatus
    is_running = settings.enabled

    @dg.schedule(
        name=job,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=settings.timezone,
        default_status=status.RUNNING if is_running else status.STOPPED,
        description="One run for each account that is neither paused nor still at its last run. "
        "The log of a tick names those left out.",
    )
    def starting(
        context: dg.ScheduleEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        moment = context.scheduled_execution_time.isoformat()
        try:
            found = due(context.instance, workshop, name, kind)
        except ConfigurationError as fault:
            yield dg.SkipReason(str(fault))
            return
        for reason in found.left_out:
            context.log.info(reason)
        if not found.accounts:
            yield dg.SkipReason("; ".join(found.left_out))
        for account in found.accounts:
            yield dg.RunRequest(
                run_key=f"{account.key}/{moment}",
                partition_key=account.name,
                tags=tags(name, account.name, kind) | PRIORITY,
            )

    return starting


def due(instance: dg.DagsterInstance, workshop: Workshop, name: str, kind: str) -> Due:
    """The accounts of a source to start now. Raises ConfigurationError for a bad accounts file."""
    accounts = workshop.accounts
    chosen = accounts.service.schedule(name).accounts
    known = instance.get_dynamic_partitions(str(accounts_of(name).name))
    busy = _busy(instance, name, kind)
    found = Due([], [])
    for account in accounts.of_source(name):
        if chosen is not None and account.name not in chosen:
            found.left_out.append(f"{account.key} is not among the schedule's accounts")
        elif account.settings.paused:
            found.left_out.append(f"{account.key} is paused")
        elif account.name not in known:
            found.left_out.append(f"{account.key} is not registered yet: the sensor accounts does")
        elif account.key in busy:
            found.left_out.append(f"{account.key}: {busy[account.key]}")
        else:
            found.accounts.append(account)
    if not found.accounts and not found.left_out:
        found.left_out.append(f"accounts.toml has no account of {name}")
    return found


def _busy(instance: dg.DagsterInstance, name: str, kind: str) -> dict[str, str]:
    """Accounts with a run of that kind that has not ended, or is about to be tried again."""
    return {
        run.tags[ACCOUNT]: f"run {run.run_id[:8]} {state}"
        for run, state in unfinished(instance, {SOURCE: name, KIND: kind})
        if ACCOUNT in run.tags
    }
