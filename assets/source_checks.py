"""Asset checks of a source's canonical tables: of the versions that one run normalised.

Belongs here: their names, and asking the lake about the newest versions of one account. Does not
belong here: checks of what is published (`assets/checks.py`), of a run that pulls
(`assets/run_checks.py`).

A check is evaluated for the account that the run normalised: accounts are partitions here, too. A
run that normalised nothing says again what the run before it said, so that the last word stands.
What fails with ERROR is held back when it comes to publishing (`resources/warehouse_checks.py`);
WARN only says so.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import duckdb
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets.normalise import Normalised
from assets.partitions import accounts_of
from assets.workshop import Workshop
from resources.accounts import Account

# Dagster 1.13 marks partitioned checks as a preview; without them the result of one account would
# take the place of the others'.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*AssetCheckSpec.*")

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN
DRIFT = "fields_are_known"


@dataclass(frozen=True)
class Check:
    """One check: SELECT of a key, one row a fault, over the new rows of the lake's tables."""

    name: str
    table: str
    counted: str
    faults: str
    severity: dg.AssetCheckSeverity


CHECKS = (
    Check(
        "every_version_is_unique",
        "orders",
        "versions of orders that occur twice",
        "SELECT version_id FROM orders GROUP BY version_id HAVING COUNT(*) > 1",
        ERROR,
    ),
    Check(
        "every_order_has_its_rows",
        "orders",
        "versions of orders that lack some of their rows",
        "SELECT o.version_id FROM orders AS o"
        " LEFT JOIN (SELECT version_id, COUNT(*) AS found FROM order_rows GROUP BY version_id)"
        " AS r USING (version_id) WHERE NOT o.is_deleted AND o.row_count <> COALESCE(r.found, 0)",
        ERROR,
    ),
    Check(
        "order_row_key_is_unique",
        "order_rows",
        "order rows that occur twice in one version",
        "SELECT order_row_key FROM order_rows GROUP BY version_id, order_row_key"
        " HAVING COUNT(*) > 1",
        ERROR,
    ),
    Check(
        "every_row_has_its_order",
        "order_rows",
        "order rows of a version that is not there",
        "SELECT order_row_key FROM order_rows ANTI JOIN orders USING (version_id)",
        ERROR,
    ),
    Check(
        "every_party_has_its_order",
        "order_parties",
        "parties of a version that is not there",
        "SELECT order_key FROM order_parties ANTI JOIN orders USING (version_id)",
        ERROR,
    ),
    Check(
        "totals_agree",
        "orders",
        "orders whose header and rows disagree",
        "SELECT order_key FROM orders WHERE totals_check = 'mismatch' AND NOT is_deleted",
        WARN,
    ),
    Check(
        "codes_are_mapped",
        "orders",
        "orders with a code that nothing maps",
        "SELECT order_key FROM orders WHERE NOT is_deleted"
        " AND len(list_filter(quality_flags, lambda f: starts_with(f, 'unmapped_code'))) > 0",
        WARN,
    ),
    Check(
        "nothing_is_quarantined",
        "orders",
        "fields that could not be read",
        "SELECT order_key FROM quarantine",
        WARN,
    ),
)
_EVALUATED = {
    AssetCheckExecutionRecordStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED,
}
_READ = ("orders", "order_rows", "order_parties", "quarantine")


def specs(source: str) -> list[dg.AssetCheckSpec]:
    """The checks of a source's canonical tables."""
    told = [(check.name, check.table, check.counted, check.severity) for check in CHECKS]
    told.append((DRIFT, "orders", "fields that nobody names, or that changed their type", WARN))
    return [
        dg.AssetCheckSpec(
            name,
            asset=[source, table],
            partitions_def=accounts_of(source),
            description=f"The versions normalised in a run hold no {counted}. "
            + ("They are not published." if severity is ERROR else "Warns."),
        )
        for name, table, counted, severity in told
    ]


def results(
    instance: dg.DagsterInstance, workshop: Workshop, account: Account, made: Normalised
) -> Iterator[dg.AssetCheckResult]:
    """What the checks find in what a run made; of a run that made nothing, what was found last."""
    if made.orders or made.quarantined:
        yield from _found(workshop, account, made)
        return
    for spec in specs(account.source):
        yield _said_before(instance, account, spec.key)


def _found(workshop: Workshop, account: Account, made: Normalised) -> Iterator[dg.AssetCheckResult]:
    own = (account.source, account.name)
    with duckdb.connect() as con:
        for table in _READ:
            relation = workshop.lake.read(con, table, account=own, after=made.after)
            relation.create_view(table)
        for check in CHECKS:
            faults = [str(key) for (key,) in con.execute(check.faults).fetchall()]
            yield _result(account, check.name, check.table, check.counted, faults, check.severity)
    fields = sorted({str(noted[1]) for noted in made.drift if noted[0] != "unmapped_code"})
    counted = "fields that nobody names, or that changed their type"
    yield _result(account, DRIFT, "orders", counted, fields, WARN)


def _said_before(
    instance: dg.DagsterInstance, account: Account, key: dg.AssetCheckKey
) -> dg.AssetCheckResult:
    """The newest evaluation of an account's check; Dagster demands one of every run."""
    found = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=_EVALUATED, partition_filter=PartitionKeyFilter(key=account.name)
    )
    if not found or found[0].evaluation is None:
        return _result(account, key.name, key.asset_key.path[-1], "", [], WARN)
    said = found[0].evaluation
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=said.passed,
        severity=said.severity,
        description=said.description,
        metadata=said.metadata,
    )


def _result(
    account: Account,
    name: str,
    table: str,
    counted: str,
    faults: list[str],
    severity: dg.AssetCheckSeverity,
) -> dg.AssetCheckResult:
    example = {"example": faults[0]} if faults else {}
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([account.source, table]),
        check_name=name,
        passed=not faults,
        severity=severity,
        description=f"{account.key}: {len(faults)} {counted}" if faults else None,
        metadata={"account": account.key, "found": len(faults), **example},
    )
