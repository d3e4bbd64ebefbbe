"""The Dagster asset of a source that can tell which orders are still there.

Belongs here: the asset, its configuration, and what a sweep says of itself. Does not belong here:
how absence becomes a tombstone (`assets/sweeping.py`), the other assets of a source
(`assets/ingest.py`), jobs and schedules (`pipelines/`).
"""

from typing import Any

import dagster as dg

from assets.partitions import account_key, accounts_of, plainly
from assets.pull import Pull
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
        return dg.MaterializeResult(metadata=presence_metadata(pull))

    return presence


def presence_metadata(pull: Pull) -> dict[str, Any]:
    """What a sweep says of itself: numbers that the UI plots, and no personal data."""
    swept = pull.swept
    if swept is None:
        return {}
    return {
        "known": swept.known,
        "asked": swept.asked,
        "there": swept.there,
        "suspected": swept.suspected,
        "deleted": swept.deleted,
        "restored": swept.restored,
        "requests": pull.requests,
        "least_requests": pull.least_requests,
        "seconds": round(pull.seconds, 3),
        "seconds_waited_for_budget": round(pull.waited_seconds, 3),
    }
