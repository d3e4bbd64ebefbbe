"""Telling the UI which accounts are stale, though nothing of them runs.

Belongs here: the sensor, which remembers in its cursor what it had said, and the job that says it.
Does not belong here: what stale means (`assets/freshness.py`).

A run is started where an account became stale or fresh, and only then. Dagster takes results of
checks from a sensor, without a run, too, but of each partition only once in its life: its unique
index on asset, check, run and partition, where the run is empty, refuses the second. A job that
selects a partitioned check alone gets no partitions, so that the job is one of an op.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.freshness import evaluation, is_stale
from assets.partitions import plainly
from assets.run_tags import KIND
from assets.workshop import Workshop
from resources.errors import OrderloomError
from resources.ledger import Freshness

NAME = "freshness"
OP = "tell_freshness"


class Told(dg.Config):
    """Which accounts to tell of."""

    accounts: list[str]


@dg.op(name=OP, description="Evaluate the check is_fresh of these accounts.")
def tell_op(
    context: dg.OpExecutionContext, config: Told, workshop: dg.ResourceParam[Workshop]
) -> None:
    """From the ledger, as it is now."""
    with plainly():
        fresh = workshop.ledger.freshness()
        for key in config.accounts:
            account = workshop.accounts.get(key)
            seen = fresh.get(key, Freshness())
            said = evaluation(account, seen, datetime.now(UTC))
            context.log_event(said)  # type: ignore[arg-type]  # Dagster's own code takes it


@dg.job(name=NAME, tags={KIND: NAME}, description="Shows accounts that became stale or fresh.")
def freshness_job() -> None:
    """See the op."""
    tell_op()


def build() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name=NAME,
        job_name=NAME,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says by the check is_fresh of SOURCE/changes which accounts are stale.",
    )
    def looking(
        context: dg.SensorEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            states = dict(_states(workshop, now))
        except OrderloomError as fault:
            return dg.SkipReason(str(fault))
        known: dict[str, bool] = json.loads(context.cursor or "{}")
        changed = [key for key, stale in states.items() if known.get(key) != stale]
        stale = sorted(key for key, is_so in states.items() if is_so)
        return dg.SensorResult(
            run_requests=[_request(changed, now)] if changed else [],
            skip_reason=None if changed else f"stale: {', '.join(stale) or 'no account'}",
            cursor=json.dumps(states),
        )

    return looking


def _states(workshop: Workshop, now: datetime) -> Iterator[tuple[str, bool]]:
    """Of each account that was synced once whether it is stale."""
    fresh = workshop.ledger.freshness()
    for account in workshop.accounts:
        seen = fresh.get(account.key)
        if seen is not None and seen.last_success is not None:
            yield account.key, is_stale(account, seen, now)


def _request(accounts: list[str], now: datetime) -> dg.RunRequest:
    config = {"ops": {OP: {"config": {"accounts": accounts}}}}
    return dg.RunRequest(run_key=now.isoformat(), run_config=config)
