"""Asset checks of what is published: each finds accounts, how much is wrong there, and an example.

Belongs here: the checks that the UI shows beside the published tables and marts, and evaluating
them with every publication. Does not belong here: what keeps new versions from being published
(`resources/warehouse_checks.py`, `assets/mart_conditions.py`: they are told here), checks of one
run of a source (`assets/run_checks.py`), volume (`assets/volume.py`).

Orders are named by their keys, which hold no personal data. A check of severity ERROR holds back
the new versions of an account that fails it, since analysts would be misled; WARN says so itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb

from assets import volume
from assets.marts import MARTS
from assets.pull import CHANGES
from assets.workshop import Workshop
from resources.lake import AccountKey
from resources.ledger import RECEIVED_NOTHING
from resources.warehouse_checks import CONDITIONS, Condition, Fault, ask

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN
MOST_ACCOUNTS = 50
"""Accounts that a check lists one by one."""

_ACCOUNT = "source_system || '.' || source_account"
Found = list[tuple[str, int, str]]
"""Account, how many, an example: of accounts where a check fails."""
Question = str | Callable[[Workshop, duckdb.DuckDBPyConnection], Found]
"""SQL over the published file, or a function of the workshop and that file."""


@dataclass(frozen=True)
class Check:
    """One check that warns."""

    name: str
    table: str
    counted: str
    found: Question


@dataclass(frozen=True)
class Guard:
    """Conditions of one name, that were asked before publishing as well."""

    name: str
    table: str
    conditions: tuple[Condition, ...]


def _short(workshop: Workshop, _: duckdb.DuckDBPyConnection) -> Found:
    """Accounts whose newest run's listings held fewer orders than announced.

    Asked of the ledger, since a run that brought nothing is in no published file.
    """
    return [
        (run["account"], run["announced"] - run["listed"], f"run {run['run_id']}")
        for run in workshop.ledger.newest_runs(CHANGES)
        if run["announced"] is not None and run["listed"] < run["announced"]
    ]


def _silent(workshop: Workshop, _: duckdb.DuckDBPyConnection) -> Found:
    """Accounts whose newest run was the first to receive nothing."""
    return [
        (run["account"], 1, f"run {run['run_id']}")
        for run in workshop.ledger.newest_runs(CHANGES)
        if run["alarm"] == RECEIVED_NOTHING
    ]


def _unlike_before(workshop: Workshop, con: duckdb.DuckDBPyConnection) -> Found:
    """Accounts with far fewer or far more orders of late than in the weeks before."""
    known = con.execute("SELECT account, timezone FROM dim_account WHERE timezone IS NOT NULL")
    zones = {account: ZoneInfo(name) for account, name in known.fetchall()}
    asked = volume.asked_until(workshop.ledger.newest_runs(CHANGES), zones)
    return [(each.account, each.orders, str(each)) for each in volume.unlike(con, asked)]


CHECKS = (
    Check(
        "totals_agree",
        "orders",
        "orders whose header and rows disagree",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM orders "
        "WHERE totals_check = 'mismatch' AND NOT is_deleted "
        "GROUP BY source_system, source_account",
    ),
    Check(
        "codes_are_mapped",
        "orders",
        "orders with a code that nothing maps",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM orders WHERE NOT is_deleted "
        "AND len(list_filter(quality_flags, lambda f: starts_with(f, 'unmapped_code'))) > 0 "
        "GROUP BY source_system, source_account",
    ),
    Check(
        "nothing_is_quarantined",
        "orders",
        "faults in quarantine",
        f"SELECT {_ACCOUNT}, COUNT(*), MIN(order_key) FROM quarantine "
        "GROUP BY source_system, source_account",
    ),
    Check(
        "fields_are_known",
        "data_quality",
        "fields that nobody names, or that changed their type",
        f"SELECT {_ACCOUNT}, COUNT(DISTINCT field), MIN(example_order_key) FROM schema_drift "
        "WHERE kind <> 'unmapped_code' GROUP BY source_system, source_account",
    ),
    Check(
        "as_many_orders_as_announced",
        "data_quality",
        "orders that the newest runs' listings announced and did not hold",
        _short,
    ),
    Check(
        "runs_receive_something",
        "data_quality",
        "accounts whose newest run received nothing, though every run before it had",
        _silent,
    ),
    Check(
        "volume_is_as_before",
        "daily_orders",
        "orders where far more or far fewer were to be expected",
        _unlike_before,
    ),
)
"""Checks that warn."""


def _guards() -> tuple[Guard, ...]:
    conditions = [*CONDITIONS, *(each for mart in MARTS for each in mart.conditions)]
    ordered = sorted(conditions, key=lambda each: (each.table, each.name))
    return tuple(
        Guard(name, table, tuple(group))
        for (table, name), group in groupby(ordered, key=lambda each: (each.table, each.name))
    )


GUARDS = _guards()
"""Checks that hold back."""


def specs() -> list[dg.AssetCheckSpec]:
    """Every check, as the assets of the published file declare it."""
    holding = [
        dg.AssetCheckSpec(
            guard.name,
            asset=["marts", guard.table],
            description=f"No {' and no '.join(each.what for each in guard.conditions[:1])}. Holds "
            "back the new versions of an account that fails it.",
        )
        for guard in GUARDS
    ]
    warning = [
        dg.AssetCheckSpec(
            check.name, asset=["marts", check.table], description=f"No {check.counted}. Warns."
        )
        for check in CHECKS
    ]
    return [*holding, *warning]


def results(
    workshop: Workshop, held_back: Mapping[AccountKey, Fault]
) -> Iterator[dg.AssetCheckResult]:
    """What every check finds now; `held_back`: what was found before publishing, and left out."""
    if not workshop.places.marts.exists():
        return
    with workshop.warehouse.open() as con:
        for guard in GUARDS:
            yield _held(guard, con, held_back)
        for check in CHECKS:
            yield warned(check, workshop, con)


def warned(check: Check, workshop: Workshop, con: duckdb.DuckDBPyConnection) -> dg.AssetCheckResult:
    """What a check that warns finds in a published file."""
    if callable(check.found):
        found = check.found(workshop, con)
    else:
        found = con.execute(check.found).fetchall()
    return _result(check.name, check.table, check.counted, found, WARN)


def _held(
    guard: Guard, con: duckdb.DuckDBPyConnection, held_back: Mapping[AccountKey, Fault]
) -> dg.AssetCheckResult:
    """What a condition found before publishing, and what it finds in the file all the same."""
    found: Found = []
    what = guard.conditions[0].what
    for (system, account), fault in held_back.items():
        if (fault.check, fault.table) == (guard.name, guard.table):
            found.append((f"{system}.{account}", fault.count, fault.example or "unnamed"))
            what = f"{fault.what} (held back)"
    for condition in guard.conditions:
        if condition.needs_before:
            continue
        for system, account, count, example in ask(con, condition):
            found.append((f"{system}.{account}", count, example or "unnamed"))
            what = condition.what
    return _result(guard.name, guard.table, what, found, ERROR)


def _result(
    name: str, table: str, counted: str, found: Found, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(["marts", table]),
        check_name=name,
        passed=not found,
        severity=severity,
        description=_line(counted, found),
        metadata={"found": sum(count for _, count, _ in found), **_by_account(found)},
    )


def _line(counted: str, found: Found) -> str | None:
    """What is wrong where, in one line."""
    if not found:
        return None
    accounts = sorted({account for account, _, _ in found})
    shown = ", ".join(accounts[:5]) + (", ..." if len(accounts) > 5 else "")
    return f"{sum(count for _, count, _ in found)} {counted}: {shown}"


def _by_account(found: Found) -> dict[str, Any]:
    counts: dict[str, tuple[int, str]] = {}
    for account, count, example in sorted(found):
        before = counts.get(account, (0, example))
        counts[account] = (before[0] + count, before[1])
    return {
        account: f"{count}, for example {example}"
        for account, (count, example) in list(counts.items())[:MOST_ACCOUNTS]
    }
