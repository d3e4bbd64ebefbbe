"""The Dagster assets of each source, built from SOURCES.

Belongs here: changes, history and the canonical tables of a source, and what each says of itself.
Does not belong here: how pulling and normalising are done, the marts (`assets/publish.py`), jobs
and schedules (`pipelines/`).
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from assets import freshness, presence, run_checks
from assets.normalise import Normalised
from assets.partitions import account_key, accounts_of, plainly
from assets.pull import CHANGES, HISTORY, Pull
from assets.push import PUSH
from assets.run_tags import mark
from assets.run_tags import tags as tags
from assets.sources import source as source_of
from assets.sources.base import Source
from assets.sweeping import PRESENCE, SWEEP
from assets.workshop import Workshop
from resources.accounts import Account
from schemas.canonical import LAKE

# Dagster 1.13 marks backfill policies as beta; there is no other way to make one run of many days.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")

NORMALISE = "normalise"
CANONICAL = ("orders", "order_rows", "order_parties")
REGISTRATIONS = "registrations"
"""Asset of a source that takes orders: what it accepted, landed. The job that pushes tells of its
materialisations, and nothing starts that job by itself."""
ACCOUNT = "account"
DAY = "day"
DAYS_PER_RUN = 100
"""A backfill of more days of an account becomes several runs."""
DAYS_PER_WINDOW = 31
"""Days asked for at once in a backfill; each finished window is recorded."""
FIRST_DAY = date(2015, 1, 1)
"""Where partitions by day begin when no account says otherwise."""


def days_of(source: str, first_day: date) -> dg.MultiPartitionsDefinition:
    """Account by civil day."""
    days = dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), end_offset=1)
    return dg.MultiPartitionsDefinition({ACCOUNT: accounts_of(source), DAY: days})


def build(
    source_name: str, first_day: date | None = None, accounts: Sequence[Account] = ()
) -> list[dg.AssetsDefinition]:
    """Every asset of one source; `first_day` is the first that its history can be asked for.

    `accounts`: those known when Dagster loads its definitions.
    """
    source = source_of(source_name)
    made = [_changes(source, accounts)]
    if "history" in source.ways:
        made.append(_history(source, first_day or FIRST_DAY))
    if SWEEP in source.ways:
        made.append(presence.build(source))
    if PUSH in source.ways:
        made.append(_registrations(source))
    made.append(_canonical(source))
    return made


def _changes(source: Source, accounts: Sequence[Account]) -> dg.AssetsDefinition:
    @dg.asset(
        key=[source.name, "changes"],
        group_name=source.name,
        partitions_def=accounts_of(source.name),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        description=f"What changed in {source.title} since the account's cursor, landed untouched.",
        kinds={"json"},
        tags={"orderloom/kind": "changes"},
        check_specs=run_checks.specs(source.name),
        freshness_policy=freshness.policy(accounts, source.name),
    )
    def changes(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        key = account_key(source.name, context.partition_key)
        mark(context, CHANGES, source.name, [context.partition_key])
        with plainly():
            account = workshop.active(key)
            if PUSH in source.ways:  # what a push that died left accepted but not landed
                workshop.pusher.settle(account, context.run.run_id)
            try:
                pull = workshop.puller.changes(account, context.run.run_id)
            except run_checks.FAULTS as fault:
                yield run_checks.failed(source.name, key, fault)
                raise
        yield dg.MaterializeResult(
            metadata=pull_metadata(pull),
            check_results=run_checks.passed(pull),
        )

    return changes


def _history(source: Source, first_day: date) -> dg.AssetsDefinition:
    @dg.asset(
        key=[source.name, "history"],
        group_name=source.name,
        partitions_def=days_of(source.name, first_day),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_PER_RUN),
        description=(
            f"What was created in {source.title} on the chosen days, landed untouched. "
            "Never moves the cursor of changes."
        ),
        kinds={"json"},
        tags={"orderloom/kind": "history"},
    )
    def history(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.MaterializeResult[None]:
        metadata: dict[str, Any] = {}
        by_account = _days_by_account(context.partition_keys)
        mark(context, HISTORY, source.name, [name for name, _ in by_account])
        with plainly():
            for name, days in by_account:
                account = workshop.active(account_key(source.name, name))
                for first, last in windows(days):
                    pull = workshop.puller.history(
                        account, first, last, f"{context.run.run_id}/{name}/{first}"
                    )
                    for day in _each_day(first, last):
                        workshop.ledger.mark_day(account.key, day, context.run.run_id)
                    metadata = pull_metadata(pull)
        return dg.MaterializeResult(metadata=metadata)

    return history


def _registrations(source: Source) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        key=[source.name, REGISTRATIONS],
        group_name=source.name,
        partitions_def=accounts_of(source.name),
        description=f"Orders that {source.title} accepted from the job `push`, as they were sent.",
        kinds={"json"},
    )
    return dg.AssetsDefinition(specs=[spec])


def _canonical(source: Source) -> dg.AssetsDefinition:
    landed = [dg.AssetKey([source.name, "changes"])]
    if "history" in source.ways:
        landed.append(dg.AssetKey([source.name, "history"]))
    if SWEEP in source.ways:
        landed.append(dg.AssetKey([source.name, PRESENCE]))
    if PUSH in source.ways:
        landed.append(dg.AssetKey([source.name, REGISTRATIONS]))
    # On one table: all of them run together, and Dagster keeps every evaluation for a month.
    condition = (
        dg.AutomationCondition.any_deps_updated().since_last_handled()
        & ~dg.AutomationCondition.in_progress()
    )
    specs = [
        dg.AssetSpec(
            key=[source.name, table],
            deps=landed,
            group_name=source.name,
            automation_condition=condition if table == CANONICAL[0] else None,
            kinds={"deltalake"},
            description=f"Lake table `{table}`: every version of {source.title}'s orders.",
            metadata={"dagster/column_schema": column_schema(table)},
        )
        for table in CANONICAL
    ]

    @dg.multi_asset(
        name=f"{source.name}_canonical",
        specs=specs,
        partitions_def=accounts_of(source.name),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    )
    def canonical(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.MaterializeResult[None]]:
        key = account_key(source.name, context.partition_key)
        mark(context, NORMALISE, source.name, [context.partition_key])
        with plainly():
            made = _normalise(workshop, key, context.run.run_id)
        counts = {"orders": made.orders, "order_rows": made.order_rows, "order_parties": None}
        for table in CANONICAL:
            metadata: dict[str, Any] = {"quarantined": made.quarantined, **made.drift_counts}
            if counts[table] is not None:
                metadata["rows_written"] = counts[table]
            yield dg.MaterializeResult(asset_key=[source.name, table], metadata=metadata)

    return canonical


def _normalise(workshop: Workshop, key: str, run_id: str) -> Normalised:
    """Drain one account, with a row of run history where there was something to drain."""
    normaliser = workshop.normaliser(workshop.accounts.get(key))
    if normaliser.is_drained:
        return Normalised()
    run = workshop.ledger.start_run(key, NORMALISE, run_id=f"{run_id}/{NORMALISE}")
    began = time.monotonic()
    try:
        made = normaliser.drain()
        seconds = time.monotonic() - began
        workshop.ledger.finish_run(run, "succeeded", quarantined=made.quarantined, seconds=seconds)
    except BaseException as fault:
        workshop.ledger.finish_run(run, "failed", error=str(fault) or type(fault).__name__)
        raise
    return made


def column_schema(table: str) -> dg.TableSchema:
    """A lake table's columns as the UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                type=str(field.type),
                description=(field.metadata or {}).get(b"comment", b"").decode(),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in LAKE[table]
        ]
    )


def pull_metadata(pull: Pull) -> dict[str, Any]:
    """What a pull says of itself: numbers that the UI plots, and no personal data."""
    counts = pull.counts
    return {
        "window": f"{pull.window[0] or 'the start'} to {pull.window[1] or 'now'}",
        "requests": pull.requests,
        "least_requests": pull.least_requests,
        **{
            name: number
            for name, number in (("announced", pull.announced), ("listed", pull.listed))
            if number is not None
        },
        **({"warnings": "; ".join(pull.warnings)} if pull.warnings else {}),
        "received": counts.received,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "bytes": counts.bytes,
        "seconds": round(pull.seconds, 3),
        "seconds_waited_for_budget": round(pull.waited_seconds, 3),
    }


def windows(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Contiguous days as windows of at most DAYS_PER_WINDOW, first and last day included."""
    ordered = sorted(set(days))
    start = previous = ordered[0]
    for day in ordered[1:]:
        if day != previous + timedelta(days=1) or (day - start).days >= DAYS_PER_WINDOW:
            yield start, previous
            start = day
        previous = day
    yield start, previous


def _days_by_account(partitions: Sequence[str]) -> list[tuple[str, list[date]]]:
    """The days asked for, by account. Multi-partition keys order their parts by name."""
    found: dict[str, list[date]] = {}
    for partition in partitions:
        keys = partition.keys_by_dimension if isinstance(partition, dg.MultiPartitionKey) else {}
        found.setdefault(keys[ACCOUNT], []).append(date.fromisoformat(keys[DAY]))
    return sorted(found.items())


def _each_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
