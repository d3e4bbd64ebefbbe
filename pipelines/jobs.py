"""Jobs: which assets run together.

Belongs here: selections, names and tags of jobs, and the automation sensor. Does not belong here:
assets, schedules.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from assets.ingest import CANONICAL
from assets.sources import SOURCES, source
from assets.sweeping import PRESENCE, SWEEP

PUBLISH = "publish"


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
    made = [dg.define_asset_job(PUBLISH, dg.AssetSelection.groups("marts"))]
    for name in SOURCES:
        canonical = dg.AssetSelection.assets(*([name, table] for table in CANONICAL))
        changes = dg.AssetSelection.assets([name, "changes"])
        kind = {"orderloom/source": name}
        made.append(dg.define_asset_job(sync_job(name), changes | canonical, tags=kind))
        made.append(dg.define_asset_job(normalise_job(name), canonical, tags=kind))
        if "history" in source(name).ways:
            history = dg.AssetSelection.assets([name, "history"])
            made.append(dg.define_asset_job(history_job(name), history, tags=kind))
        if SWEEP in source(name).ways:
            presence = dg.AssetSelection.assets([name, PRESENCE])
            made.append(dg.define_asset_job(sweep_job(name), presence, tags=kind))
    return made


def automation() -> dg.AutomationConditionSensorDefinition:
    """Normalises after backfills and publishes after canonical tables changed."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
    )
