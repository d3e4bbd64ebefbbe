"""The Dagster asset of a source that can tell which orders are still there.

Belongs here: the asset and its configuration. Does not belong here: what a sweep says of itself
(`assets/telling.py`), how absence becomes a tombstone (`assets/sweeping.py`), the other assets of a
source (`assets/ingest.py`), jobs and schedules (`pipelines/`).
"""

import dagster as dg

from assets import telling
from assets.partitions import account_key, accounts_of, plainly
from assets.run_tags import mark
from assets.sources.base import Source
from assets.sweeping import PRESENCE
from assets.workshop import Workshop


class PresenceConfig(dg.Config):
    """How to sweep."""

    accept_mass_deletion: bool = False
    """True: somebody has looked, and more than a fifth of the known orders may be marked."""


def build(source: Source) -> dg.AssetsDefinition:
    """The asset of one source that has `sweep` among its ways."""

    @dg.asset(
        key=[source.name, PRESENCE],
        group_name=source.name,
        partitions_def=accounts_of(source.name),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        description=(
            f"Which of the known orders {source.title} still has; what is missing twice in "
            "separate runs becomes a tombstone."
        ),
        kinds={"json"},
        tags={"orderloom/kind": PRESENCE},
    )
    def presence(
        context: dg.AssetExecutionContext,
        config: PresenceConfig,
        workshop: dg.ResourceParam[Workshop],
    ) -> dg.MaterializeResult[None]:
        key = account_key(source.name, context.partition_key)
        mark(context, PRESENCE, source.name, [context.partition_key])
        with plainly():
            pull = workshop.puller.presence(
                workshop.active(key),
                context.run.run_id,
                accept_mass_deletion=config.accept_mass_deletion,
            )
        said = telling.presence_metadata(pull) | telling.landed(workshop.lake, [pull])
        return dg.MaterializeResult(metadata=said)

    return presence
