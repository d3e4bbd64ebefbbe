"""Asset checks of a source's canonical tables: of the versions that one run normalised.

Belongs here: their names, and asking the lake about the newest versions of one account. Does not
belong here: checks of what is published (`assets/checks.py`), of a run that pulls
(`assets/run_checks.py`).

A check is evaluated for the account that the run normalised: accounts are partitions here, too.
Dagster 1.13 wants every check of a step evaluated, so a run that normalised nothing looks at the
newest batch again. What fails with ERROR is held back when it comes to publishing
(`resources/warehouse_checks.py`); WARN only says so.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import duckdb

from assets.normalise import Normalised
from assets.partitions import accounts_of
from assets.workshop import Workshop
from resources.accounts import Account
from resources.lake import AccountKey, Lake

# Dagster 1.13 marks partitioned checks as a preview; without them the result of one account would
# take the place of the others'.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*AssetCheckSpec.*")

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN


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
    Check(
        "fields_are_known",
        "orders",
        "fields that nobody names, or that changed their type",
        "SELECT DISTINCT field FROM drift WHERE kind IN ('unknown_field', 'changed_type')",
        WARN,
    ),
)
_READ = ("orders", "order_rows", "order_parties", "quarantine", "drift")


def specs(source: str) -> list[dg.AssetCheckSpec]:
    """The checks of a source's canonical tables."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=[source, check.table],
            partitions_def=accounts_of(source),
            description=f"The versions normalised in a run hold no {check.counted}. "
            + ("They are not published." if check.severity is ERROR else "Warns."),
        )
        for check in CHECKS
    ]


def results(
    workshop: Workshop, account: Account, made: Normalised
) -> Iterator[dg.AssetCheckResult]:
    """What the checks find in what a run made; of a run that made nothing, in the newest batch."""
    own = (account.source, account.name)
    after = made.after if made.has_any else _before_newest(workshop.lake, own)
    with duckdb.connect() as con:
        for table in _READ:
            workshop.lake.read(con, table, account=own, after=after).create_view(table)
        for check in CHECKS:
            faults = [str(key) for (key,) in con.execute(check.faults).fetchall()]
            yield _result(account, check, faults)


def _before_newest(lake: Lake, account: AccountKey) -> int:
    """The landing sequence after which the newest file of an account's orders begins."""
    reached = sorted(file.last_seq for file in lake.files("orders", account=account))
    return reached[-2] if len(reached) > 1 else 0


def _result(account: Account, check: Check, faults: list[str]) -> dg.AssetCheckResult:
    example = {"example": faults[0]} if faults else {}
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([account.source, check.table]),
        check_name=check.name,
        passed=not faults,
        severity=check.severity,
        description=f"{account.key}: {len(faults)} {check.counted}" if faults else None,
        metadata={"account": account.key, "found": len(faults), **example},
    )
