"""Asset checks: what must hold of canonical tables and marts.

Belongs here: checks that the UI shows beside the assets. Does not belong here: the checks that keep
a broken file from being published (`resources/warehouse.py`).
"""

from collections.abc import Callable

import dagster as dg

from assets.workshop import Workshop
from resources.warehouse import open_marts

_CHECKS = {
    "order_key_is_unique": (
        "orders",
        "SELECT COUNT(*) - COUNT(DISTINCT order_key) FROM orders",
        "orders that occur twice",
    ),
    "every_row_has_its_order": (
        "order_rows",
        "SELECT COUNT(*) FROM order_rows AS r "
        "LEFT JOIN orders AS o ON o.order_key = r.order_key WHERE o.order_key IS NULL",
        "order rows without an order",
    ),
    "one_current_status": (
        "order_status_history",
        "SELECT COUNT(*) FROM (SELECT order_key FROM order_status_history WHERE is_current "
        "GROUP BY order_key, dimension HAVING COUNT(*) > 1) AS several",
        "orders with several current codes in one dimension",
    ),
}

_WARNINGS = {
    "totals_agree": (
        "orders",
        "SELECT COUNT(*) FROM orders WHERE totals_check = 'mismatch'",
        "orders whose header and rows disagree",
    ),
    "codes_are_mapped": (
        "orders",
        "SELECT COUNT(*) FROM orders WHERE len(list_filter(quality_flags, "
        "lambda f: starts_with(f, 'unmapped_code'))) > 0",
        "orders with a code that nothing maps",
    ),
    "nothing_is_quarantined": (
        "orders",
        "SELECT COUNT(*) FROM quarantine",
        "faults in quarantine",
    ),
}


def build() -> list[dg.AssetChecksDefinition]:
    """Every check."""
    errors = [_check(name, *how, dg.AssetCheckSeverity.ERROR) for name, how in _CHECKS.items()]
    warnings = [_check(name, *how, dg.AssetCheckSeverity.WARN) for name, how in _WARNINGS.items()]
    return errors + warnings


def _check(
    name: str, table: str, sql: str, counted: str, severity: dg.AssetCheckSeverity
) -> dg.AssetChecksDefinition:
    return dg.asset_check(
        asset=dg.AssetKey(["marts", table]), name=name, description=f"No {counted}."
    )(_counting(sql, counted, severity))


def _counting(
    sql: str, counted: str, severity: dg.AssetCheckSeverity
) -> Callable[..., dg.AssetCheckResult]:
    def check(workshop: dg.ResourceParam[Workshop]) -> dg.AssetCheckResult:
        if not workshop.places.marts.exists():
            return dg.AssetCheckResult(passed=True, metadata={"counted": 0}, severity=severity)
        with open_marts(workshop.places) as connection:
            found = connection.execute(sql).fetchall()[0][0]
        return dg.AssetCheckResult(passed=found == 0, metadata={counted: found}, severity=severity)

    return check
