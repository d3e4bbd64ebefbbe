"""The job that deletes what nobody needs any more, and its schedule.

Belongs here: the op, and when it runs. Does not belong here: what may go (`pipelines/retention.py`,
`resources/ledger_trim.py`, `assets/upkeep.py`), for how long things are kept
(`resources/service.py`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.partitions import plainly
from assets.run_tags import KIND
from assets.upkeep import Upkeep
from assets.workshop import Workshop
from pipelines import retention

JOB = "housekeeping"
OP = "delete_what_is_old"
EVERY_NIGHT = "20 2 * * *"
MOST_SECONDS = 1800.0
"""Half an hour is enough for ten thousand runs; what is left goes the next night."""


def job(checks: Sequence[dg.AssetCheckKey]) -> dg.JobDefinition:
    """The job; `checks`: all there are."""

    @dg.op(name=OP, description="Delete old runs, their logs, and old run history.")
    def delete_what_is_old(
        context: dg.OpExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> dict[str, int]:
        with plainly():
            needed = retention.needed_runs(context.instance, checks)
            deleted = _delete(context.instance, workshop, needed)
            retention.delete_evaluations(context.instance)
            for name in retention.shrink(context.instance):
                context.log.info("%s was written anew, without its free pages", name)
        context.add_output_metadata({**deleted, "runs needed": len(needed)})
        return deleted

    @dg.job(name=JOB, tags={KIND: JOB}, description="Deletes what is older than [retention] says.")
    def housekeeping() -> None:
        delete_what_is_old()

    return housekeeping


def _delete(
    instance: dg.DagsterInstance, workshop: Workshop, needed: frozenset[str]
) -> dict[str, int]:
    """How much was deleted, by what it is."""
    kept = workshop.accounts.service.retention
    kept_since = datetime.now(UTC) - timedelta(days=kept.successful_runs_days)
    return {
        "runs": retention.delete_runs(
            instance,
            needed,
            successful_days=kept.successful_runs_days,
            failed_days=kept.failed_runs_days,
            most_seconds=MOST_SECONDS,
        ),
        "results of checks": retention.delete_check_results(instance, kept_since),
        "folders of logs": retention.delete_orphaned_logs(instance),
        "files of the lake": Upkeep(
            workshop.lake, workshop.ledger, days=kept.replaced_files_days
        ).delete_what_is_old(),
        "rows of run history": workshop.ledger.forget_runs(
            idle_days=kept.successful_runs_days, any_days=kept.run_history_days
        ),
    }


def schedule() -> dg.ScheduleDefinition:
    """Every night, running unless somebody switches it off in the UI."""
    return dg.ScheduleDefinition(
        name=JOB,
        job_name=JOB,
        cron_schedule=EVERY_NIGHT,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
