"""How fresh accounts are, as Dagster shows it.

Belongs here: the freshness policies of assets, and the check of each account. Does not belong here:
freshness itself (`resources/ledger.py`), when it is looked at (`pipelines/freshness.py`).

Dagster's policies judge an asset by its newest materialisation, whatever its partition: one account
that syncs hides all others of its source that do not. So the policy says whether anything of a
source syncs at all, and a check by partition says it of each account, from the ledger.
"""

import warnings
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.partitions import account_key, accounts_of
from assets.pull import CHANGES
from assets.workshop import Workshop
from resources.accounts import Account
from resources.ledger import Freshness
from resources.warehouse_accounts import OUT_OF_DATE

# Dagster 1.13 marks partitioned checks as a preview; without them the result of one account would
# take the place of the others'.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*AssetCheckSpec.*")

IS_FRESH = "is_fresh"


def policy(accounts: Iterable[Account], source: str | None = None) -> dg.FreshnessPolicy | None:
    """Fails when nothing was materialised for as long as the most patient account allows.

    `source`: its accounts alone; None: all, and the time that a publication may be late. None where
    no account is asked.
    """
    hours = [
        each.settings.stale_after_hours
        for each in accounts
        if not each.settings.paused and source in (None, each.source)
    ]
    if not hours:
        return None
    late = timedelta(0) if source else OUT_OF_DATE
    window = timedelta(hours=max(hours)) + late
    return dg.FreshnessPolicy.time_window(fail_window=max(window, timedelta(minutes=1)))


def is_stale(account: Account, seen: Freshness, now: datetime) -> bool:
    """Whether an account that was synced once has not been for too long. A paused one is not."""
    stale_at = seen.stale_at(account.settings.stale_after_hours)
    return not account.settings.paused and stale_at is not None and stale_at <= now


def check(source: str) -> dg.AssetChecksDefinition:
    """The check of each account of a source."""

    @dg.asset_check(
        asset=[source, CHANGES],
        name=IS_FRESH,
        partitions_def=accounts_of(source),
        description="The account's last successful run is younger than its stale_after_hours.",
    )
    def is_fresh(
        context: dg.AssetCheckExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.AssetCheckResult:
        account = workshop.accounts.get(account_key(source, context.partition_key))
        seen = workshop.ledger.freshness().get(account.key, Freshness())
        return result(account, seen, datetime.now(UTC))

    return is_fresh


def result(account: Account, seen: Freshness, now: datetime) -> dg.AssetCheckResult:
    """What the check says of an account."""
    metadata: dict[str, dg.MetadataValue] = {"account": dg.MetadataValue.text(account.key)}
    stale_at = seen.stale_at(account.settings.stale_after_hours)
    for name, moment in (("last success", seen.last_success), ("stale at", stale_at)):
        if moment is not None:
            metadata[name] = dg.MetadataValue.timestamp(moment)
    if seen.is_failing:
        metadata["last error"] = dg.MetadataValue.text(seen.error or "")
    stale = is_stale(account, seen, now)
    since = f"{account.key} is stale since {stale_at:%Y-%m-%d %H:%M} UTC" if stale else None
    return dg.AssetCheckResult(
        passed=not stale,
        severity=dg.AssetCheckSeverity.ERROR,
        description=since,
        metadata=metadata,
    )


def evaluation(account: Account, seen: Freshness, now: datetime) -> dg.AssetCheckEvaluation:
    """The same, to be told by a run that is not the check's own."""
    found = result(account, seen, now)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([account.source, CHANGES]),
        check_name=IS_FRESH,
        partition=account.name,
        passed=found.passed,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )
