"""The Dagster assets of the published DuckDB file.

Belongs here: one multi-asset that publishes every mart and tells its checks. Does not belong here:
how the file is built (`resources/warehouse.py`), what a mart means (`assets/marts/`), what is said
of it (`assets/telling_marts.py`).
"""

from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from assets import checks
from assets.freshness import policy
from assets.holding_back import accepted, note
from assets.ingest import CANONICAL
from assets.marts import MARTS
from assets.partitions import plainly
from assets.reference import reference
from assets.run_tags import mark
from assets.sources import SOURCES
from assets.telling_marts import COLUMNS, defined_columns, published_metadata
from assets.upkeep import Upkeep
from assets.workshop import Workshop
from resources.accounts import Account
from resources.ledger import PUBLISH

TABLES = ("orders", "order_rows", "order_parties", "order_status_history")
"""Published tables that are shown as assets beside the marts."""


class PublishConfig(dg.Config):
    """How to publish."""

    rebuild: bool = False
    """True: build every table afresh from the lake instead of bringing the last file up to date."""
    accept_unlike_before: list[str] = Field(default_factory=list)
    """Accounts, SOURCE.NAME, whose orders that are gone or changed beyond belief somebody has
    looked at."""


def build(accounts: Sequence[Account] = ()) -> dg.AssetsDefinition:
    """The assets of the published file: its main tables and every mart.

    `accounts`: those known when Dagster loads its definitions.
    """
    # On one table, and looking at one table of each source: all of them run together, and Dagster
    # keeps every evaluation for a month, 0.1 MB each if every mart looks at every table.
    orders = dg.AssetSelection.assets(*([source, CANONICAL[0]] for source in SOURCES))
    condition = (
        dg.AutomationCondition.any_deps_updated().allow(orders).since_last_handled()
        & ~dg.AutomationCondition.in_progress()
    )
    canonical = [dg.AssetKey([source, table]) for source in SOURCES for table in CANONICAL]
    described = {name: f"Published table `{name}`, current state." for name in TABLES}
    described |= {mart.name: mart.grain for mart in MARTS}
    columns = {name: {COLUMNS: defined_columns(name)} for name in TABLES}
    specs = [
        dg.AssetSpec(
            key=["marts", name],
            deps=canonical,
            group_name="marts",
            automation_condition=condition if name == TABLES[0] else None,
            kinds={"duckdb"},
            skippable=True,
            freshness_policy=policy(accounts),
            description=meaning,
            metadata=columns.get(name, {}),
        )
        for name, meaning in described.items()
    ]

    @dg.multi_asset(name="publish_marts", specs=specs, check_specs=checks.specs())
    def publish(
        context: dg.AssetExecutionContext,
        config: PublishConfig,
        workshop: dg.ResourceParam[Workshop],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        mark(context, PUBLISH)
        with plainly():
            made = workshop.warehouse.publish(
                MARTS,
                reference(workshop),
                rebuild=config.rebuild,
                accept_unlike_before=accepted(workshop, config.accept_unlike_before),
            )
        if made.published:
            with workshop.warehouse.open() as con:
                for name in described:
                    said = published_metadata(con, name, made, context.log)
                    yield dg.MaterializeResult(asset_key=["marts", name], metadata=said)
        else:
            context.log.info("nothing is new: the published file stays as it is")
        with plainly():
            note(workshop, made, context.run.run_id)
        yield from checks.results(workshop, made.faults)
        if made.published or made.held_back:  # where nothing was landed nothing can be due
            with plainly():
                _tend_lake(context, workshop)

    return publish


def _tend_lake(context: dg.AssetExecutionContext, workshop: Workshop) -> None:
    """Merge the lake's small files where they are too many. The file published stands anyhow."""
    days = workshop.accounts.service.retention.replaced_files_days
    tended = Upkeep(workshop.lake, workshop.ledger, days=days).where_due()
    for line in tended.lines:
        context.log.info("lake: %s", line)
    if tended.merged:
        old, new = (sum(counts) for counts in zip(*tended.merged.values(), strict=True))
        said = {"lake_files_before": old, "lake_files_after": new, "tables": len(tended.merged)}
        context.log_event(dg.AssetObservation(asset_key=["marts", TABLES[0]], metadata=said))
