"""Asset checks: what must hold of canonical tables and marts.

Belongs here: checks that the UI shows beside the assets. Does not belong here: the checks that keep
a broken file from being published (`resources/warehouse.py`).

Each finds accounts: how much is wrong there, and one order as an example.
Orders are named by their keys, which hold no personal data. A check fails with severity ERROR where
analysts would be misled by what is published, with WARN where it says so itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.pull import CHANGES
from assets.workshop import Workshop
from resources.ledger import RECEIVED_NOTHING
from resources.warehouse import open_marts

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN
MOST_ACCOUNTS = 50
"""Accounts that a check lists one by one."""

_ACCOUNT = "source_system || '.' || source_account"
Found = list[tuple[str, int, str]]
"""Account, how many, an example: of accounts where a check fails."""


@dataclass(frozen=True)
class Check:
    """One check. What it looks for is SQL over the marts, or a question to the workshop."""

    name: str
    table: str
    counted: str
    found: str | Callable[[Workshop], Found]
    severity: dg.AssetCheckSeverity


def _short(workshop: Workshop) -> Found:
    """Accounts whose newest run's listings held fewer orders than announced.

    Asked of the ledger, since a run that brought nothing is in no published file.
    """
    return [
        (run["account"], run["announced"] - run["listed"], f"run {run['run_id']}")
        for run in workshop.ledger.newest_runs(CHANGES)
        if run["announced"] is not None and run["listed"] < run["announced"]
    ]


def _silent(workshop: Workshop) -> Found:
    """Accounts whose newest run was the first to receive nothing."""
    return [
        (run["account"], 1, f"run {run['run_id']}")
        for run in workshop.ledger.newest_runs(CHANGES)
        if run["alarm"] == RECEIVED_NOTHING
    ]


CHECKS = (
    Check(
        "order_key_is_unique",
        "orders",
        "orders that occur twice",
        f"SELECT ANY_VALUE({_ACCOUNT}), COUNT(*) - 1, order_key FROM orders "
        "GROUP BY order_key HAVING COUNT(*) > 1",
        ERROR,
    ),
    Check(
        "order_row_key_is_unique",
        "order_rows",
        "order rows that occur twice",
        f"SELECT ANY_VALUE({_ACCOUNT}), COUNT(*) - 1, order_row_key FROM order_rows "
        "GROUP BY order_row_key HAVING COUNT(*) > 1",
        ERROR,
    ),
    Check(
        "every_row_has_its_order",
        "order_rows",
        "order rows without an order",
        "SELECT r.source_system || '.' || r.source_account, COUNT(*), MIN(r.order_row_key) "
        "FROM order_rows AS r LEFT JOIN orders AS o ON o.order_key = r.order_key "
        "WHERE o.order_key IS NULL GROUP BY r.source_system, r.source_account",
        ERROR,
    ),
    Check(
        "one_current_status",
        "order_status_history",
        "orders with several current codes in one dimension, or none",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM (SELECT source_system, source_account, "
        "order_key FROM order_status_history GROUP BY source_system, source_account, order_key, "
        "dimension HAVING COUNT(CASE WHEN is_current THEN 1 END) <> 1) AS odd "
        "GROUP BY source_system, source_account",
        ERROR,
    ),
    Check(
        "totals_agree",
        "orders",
        "orders whose header and rows disagree",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM orders "
        "WHERE totals_check = 'mismatch' AND NOT is_deleted "
        "GROUP BY source_system, source_account",
        WARN,
    ),
    Check(
        "codes_are_mapped",
        "orders",
        "orders with a code that nothing maps",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM orders WHERE NOT is_deleted "
        "AND len(list_filter(quality_flags, lambda f: starts_with(f, 'unmapped_code'))) > 0 "
        "GROUP BY source_system, source_account",
        WARN,
    ),
    Check(
        "nothing_is_quarantined",
        "orders",
        "faults in quarantine",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM quarantine "
        "GROUP BY source_system, source_account",
        WARN,
    ),
    Check(
        "fields_are_known",
        "data_quality",
        "fields that nobody names, or that changed their type",
        f"SELECT {_ACCOUNT}, COUNT(DISTINCT field), MIN(example_order_key) FROM schema_drift "
        "WHERE kind <> 'unmapped_code' GROUP BY source_system, source_account",
        WARN,
    ),
    Check(
        "as_many_orders_as_announced",
        "data_quality",
        "orders that the newest runs' listings announced and did not hold",
        _short,
        WARN,
    ),
    Check(
        "runs_receive_something",
        "data_quality",
        "accounts whose newest run received nothing, though every run before it had",
        _silent,
        WARN,
    ),
)


def build() -> list[dg.AssetChecksDefinition]:
    """Every check."""
    return [_definition(check) for check in CHECKS]


def _definition(check: Check) -> dg.AssetChecksDefinition:
    return dg.asset_check(
        asset=dg.AssetKey(["marts", check.table]),
        name=check.name,
        description=f"No {check.counted}.",
    )(_running(check))


def _running(check: Check) -> Callable[..., dg.AssetCheckResult]:
    def run(workshop: dg.ResourceParam[Workshop]) -> dg.AssetCheckResult:
        return result(check, workshop)

    return run


def result(check: Check, workshop: Workshop) -> dg.AssetCheckResult:
    """What a check finds now."""
    found = _look(check, workshop)
    return dg.AssetCheckResult(
        passed=not found,
        severity=check.severity,
        description=_line(check, found),
        metadata={check.counted: sum(count for _, count, _ in found), **_by_account(found)},
    )


def _look(check: Check, workshop: Workshop) -> Found:
    if callable(check.found):
        return check.found(workshop)
    if not workshop.places.marts.exists():
        return []
    with open_marts(workshop.places) as connection:
        return connection.execute(check.found).fetchall()


def _line(check: Check, found: Found) -> str | None:
    """What is wrong where, in one line."""
    if not found:
        return None
    accounts = sorted({account for account, _, _ in found})
    shown = ", ".join(accounts[:5]) + (", ..." if len(accounts) > 5 else "")
    return f"{sum(count for _, count, _ in found)} {check.counted}: {shown}"


def _by_account(found: Found) -> dict[str, Any]:
    counts: dict[str, tuple[int, str]] = {}
    for account, count, example in sorted(found):
        before = counts.get(account, (0, example))
        counts[account] = (before[0] + count, before[1])
    return {
        account: f"{count}, for example {example}"
        for account, (count, example) in list(counts.items())[:MOST_ACCOUNTS]
    }
