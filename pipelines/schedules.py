"""When each source is synced.

Belongs here: one schedule per source, one run per account and tick. Does not belong here: jobs.
"""

from collections.abc import Iterator

import dagster as dg

from assets.ingest import accounts_of, tags
from assets.sources import SOURCES
from assets.workshop import Workshop
from pipelines.jobs import sync_job
from resources.errors import ConfigurationError

EVERY_QUARTER_OF_AN_HOUR = "*/15 * * * *"


def build() -> list[dg.ScheduleDefinition]:
    """The schedules. They are off until somebody switches them on in the UI."""
    return [_sync(name) for name in SOURCES]


def _sync(name: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=sync_job(name),
        job_name=sync_job(name),
        cron_schedule=EVERY_QUARTER_OF_AN_HOUR,
        description="One run for each account that is not paused.",
    )
    def syncing(
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
                tags=tags(name, account.name, "changes"),
            )

    return syncing
