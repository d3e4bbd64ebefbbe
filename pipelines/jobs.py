"""Jobs: which assets run together.

Belongs here: selections, names and tags of jobs, and the automation sensors. Does not belong here:
assets, schedules.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from assets.freshness import IS_FRESH
from assets.ingest import CANONICAL, NORMALISE
from assets.pull import CHANGES, HISTORY
from assets.run_tags import KIND, SOURCE
from assets.sources import SOURCES, source
from assets.sweeping import PRESENCE, SWEEP
from resources.ledger import PUBLISH as PUBLISH

MAX_RUNTIME = "dagster/max_runtime"
"""Tag of a run: seconds after which it is ended. Runs without it: see `dagster.yaml`."""
PUBLISH_SECONDS = "7200"
"""Publishing keeps every other publication waiting, so that it has less time than a sync."""


def sync_job(name: str) -> str:
    """The job that pulls the changes of one account of a source and normalises them."""
    return f"{name}_sync"


def history_job(name: str) -> str:
    """The job that backfills days of a source."""
    return f"{name}_history"


def sweep_job(name: str) -> str:
    """The job that looks which known orders of one account are still there."""
    return f"{name}_sweep"


def normalise_job(name: str) -> str:
    """The job that normalises what was landed of one account."""
    return f"{name}_normalise"


def build() -> list[UnresolvedAssetJobDefinition]:
    """Every job."""
    made = [_publish_job()]
    for name in SOURCES:
        canonical = dg.AssetSelection.assets(*([name, table] for table in CANONICAL))
        changes = dg.AssetSelection.assets([name, "changes"])
        synced = (changes | canonical) - _is_fresh(name)
        made.append(_job(sync_job(name), synced, name, CHANGES))
        made.append(_job(normalise_job(name), canonical, name, NORMALISE))
        if "history" in source(name).ways:
            history = dg.AssetSelection.assets([name, "history"])
            made.append(_job(history_job(name), history, name, HISTORY))
        if SWEEP in source(name).ways:
            presence = dg.AssetSelection.assets([name, PRESENCE])
            made.append(_job(sweep_job(name), presence, name, PRESENCE))
    return made


def _is_fresh(name: str) -> dg.AssetSelection:
    return dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey([name, "changes"]), IS_FRESH))


def _job(
    name: str, selection: dg.AssetSelection, source_name: str, kind: str
) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(name, selection, tags={SOURCE: source_name, KIND: kind})


def _publish_job() -> UnresolvedAssetJobDefinition:
    limited = {KIND: PUBLISH, MAX_RUNTIME: PUBLISH_SECONDS}
    return dg.define_asset_job(PUBLISH, dg.AssetSelection.groups("marts"), tags=limited)


def automation() -> list[dg.AutomationConditionSensorDefinition]:
    """Normalises after backfills, and publishes after canonical tables changed.

    Two sensors, so that the runs of each say by a tag what they are for.
    """
    marts = dg.AssetSelection.groups("marts")
    wanted = {
        "automation": (dg.AssetSelection.all() - marts, {KIND: NORMALISE}),
        "publishing": (marts, {KIND: PUBLISH, MAX_RUNTIME: PUBLISH_SECONDS}),
    }
    return [
        dg.AutomationConditionSensorDefinition(
            name,
            target=target,
            run_tags=tags,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=10,
        )
        for name, (target, tags) in wanted.items()
    ]
