"""When each source is synced, and swept.

Belongs here: one schedule per source and job, one run per account and tick. Does not belong here:
jobs.
"""

from collections.abc import Iterator

import dagster as dg

from assets.partitions import accounts_of, tags
from assets.pull import CHANGES
from assets.sources import SOURCES, source
from assets.sweeping import PRESENCE, SWEEP
from assets.workshop import Workshop
from pipelines.jobs import sweep_job, sync_job
from resources.errors import ConfigurationError

EVERY_QUARTER_OF_AN_HOUR = "*/15 * * * *"
EVERY_NIGHT = "40 3 * * *"


def build() -> list[dg.ScheduleDefinition]:
    """The schedules. They are off until somebody switches them on in the UI."""
    syncs = [_schedule(name, sync_job(name), CHANGES, EVERY_QUARTER_OF_AN_HOUR) for name in SOURCES]
    swept = [name for name in SOURCES if SWEEP in source(name).ways]
    return syncs + [_schedule(name, sweep_job(name), PRESENCE, EVERY_NIGHT) for name in swept]


def _schedule(name: str, job: str, kind: str, every: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=job,
        job_name=job,
        cron_schedule=every,
        description="One run for each account that is not paused.",
    )
    def starting(
        context: dg.ScheduleEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        moment = context.scheduled_execution_time.isoformat()
        try:
            accounts = workshop.accounts.of_source(name)
        except ConfigurationError as fault:
            yield dg.SkipReason(str(fault))
            return
        known = context.instance.get_dynamic_partitions(str(accounts_of(name).name))
        active = [each for each in accounts if not each.settings.paused and each.name in known]
        if not active:
            yield dg.SkipReason(f"accounts.toml has no active, registered account of {name}")
        for account in active:
            yield dg.RunRequest(
                run_key=f"{account.key}/{moment}",
                partition_key=account.name,
                tags=tags(name, account.name, kind),
            )

    return starting
