"""The Dagster assets of the published DuckDB file.

Belongs here: one multi-asset that publishes every mart, and what it says of itself. Does not belong
here: how the file is built (`resources/warehouse.py`), what a mart means (`assets/marts/`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.freshness import policy
from assets.ingest import CANONICAL
from assets.marts import MARTS
from assets.partitions import plainly
from assets.reference import reference
from assets.run_tags import mark
from assets.sources import SOURCES
from assets.workshop import Workshop
from resources.accounts import Account
from resources.warehouse import Publication

TABLES = ("orders", "order_rows", "order_parties", "order_status_history")
"""Published tables that are shown as assets beside the marts."""


PUBLISH = "publish"
HELD_BACK = "held_back"
"""Under this name a publication says which accounts' new versions it left out, and why."""


class PublishConfig(dg.Config):
    """How to publish."""

    rebuild: bool = False
    """True: build every table afresh from the lake instead of bringing the last file up to date."""


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
        )
        for name, meaning in described.items()
    ]

    @dg.multi_asset(name="publish_marts", specs=specs)
    def publish(
        context: dg.AssetExecutionContext,
        config: PublishConfig,
        workshop: dg.ResourceParam[Workshop],
    ) -> Iterator[dg.MaterializeResult[None]]:
        mark(context, PUBLISH)
        with plainly():
            made = workshop.warehouse.publish(MARTS, reference(workshop), rebuild=config.rebuild)
        if not made.published:
            if made.faults:
                raise dg.Failure(description=held_back(made), allow_retries=False)
            context.log.info("nothing is new: the published file stays as it is")
            return
        counts = workshop.warehouse.row_counts()
        for name in described:
            metadata: dict[str, Any] = {
                "file": dg.MetadataValue.path(str(made.path)),
                "seconds": round(made.seconds, 3),
            }
            if made.faults:
                metadata[HELD_BACK] = held_back(made)
            if name in counts:
                metadata["dagster/row_count"] = counts[name]
            yield dg.MaterializeResult(asset_key=["marts", name], metadata=metadata)

    return publish


def held_back(publication: Publication) -> str:
    """The accounts whose new versions failed the checks, each with its fault."""
    return "; ".join(
        f"{system}.{account} is held back: {fault}"
        for (system, account), fault in sorted(publication.faults.items())
    )
