"""The Dagster assets of each source, built from SOURCES.

Belongs here: changes and the canonical tables of a source. Does not belong here: history
(`assets/history.py`), what each says of itself (`assets/telling.py`), how pulling and normalising
are done, the marts
(`assets/publish.py`), jobs and schedules (`pipelines/`).
"""

import time
from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from assets import freshness, history, presence, run_checks, source_checks, telling
from assets.normalise import Normalised
from assets.partitions import account_key, accounts_of, plainly
from assets.pull import CHANGES
from assets.push import PUSH
from assets.run_tags import mark
from assets.sources import source as source_of
from assets.sources.base import Source
from assets.sweeping import PRESENCE, SWEEP
from assets.workshop import Workshop
from resources.accounts import Account

NORMALISE = "normalise"
CANONICAL = ("orders", "order_rows", "order_parties")
REGISTRATIONS = "registrations"
"""Asset of a source that takes orders: what it accepted, landed. The job that pushes tells of its
materialisations, and nothing starts that job by itself."""


def build(
    source_name: str, first_day: date | None = None, accounts: Sequence[Account] = ()
) -> list[dg.AssetsDefinition]:
    """Every asset of one source; `first_day` is the first that its history can be asked for.

    `accounts`: those known when Dagster loads its definitions.
    """
    source = source_of(source_name)
    made = [_changes(source, accounts)]
    if "history" in source.ways:
        made.append(history.build(source, first_day or history.FIRST_DAY))
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
            metadata=telling.pull_metadata(pull) | telling.landed(workshop.lake, [pull]),
            check_results=run_checks.passed(pull),
        )

    return changes


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
        # once when the account's backfill is through, not once for each of its runs
        & ~dg.AutomationCondition.any_deps_in_progress()
    )
    specs = [
        dg.AssetSpec(
            key=[source.name, table],
            deps=landed,
            group_name=source.name,
            automation_condition=condition if table == CANONICAL[0] else None,
            kinds={"deltalake"},
            description=f"Lake table `{table}`: every version of {source.title}'s orders.",
            metadata={"dagster/column_schema": telling.column_schema(table)},
        )
        for table in CANONICAL
    ]

    @dg.multi_asset(
        name=f"{source.name}_canonical",
        specs=specs,
        check_specs=source_checks.specs(source.name),
        partitions_def=accounts_of(source.name),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    )
    def canonical(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        key = account_key(source.name, context.partition_key)
        mark(context, NORMALISE, source.name, [context.partition_key])
        with plainly():
            made = _normalise(workshop, key, context.run.run_id)
            account = workshop.accounts.get(key)
            told = {
                table: telling.normalised_metadata(workshop, account, table, made)
                for table in CANONICAL
            }
        for table in CANONICAL:
            yield dg.MaterializeResult(asset_key=[source.name, table], metadata=told[table])
        yield from source_checks.results(workshop, account, made)

    return canonical


def _normalise(workshop: Workshop, key: str, run_id: str) -> Normalised:
    """Drain one account, with a row of run history where there was something to drain.

    Also where a replay drained what an earlier run failed at: the account would count as failing.
    """
    normaliser = workshop.normaliser(workshop.accounts.get(key))
    if normaliser.is_drained and workshop.ledger.failing_since(key, NORMALISE) is None:
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
