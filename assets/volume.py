"""Whether an account has as many orders of late as in the weeks before.

Belongs here: the comparison, in SQL over the published orders. Does not belong here: telling of it
(`assets/checks.py`).

The newest complete day is compared with the same weekday of the weeks before, the newest seven
complete days with the seven days before them, and so on: so a Sunday is compared with Sundays. The
orders of an account with few orders, or with a short history, are not judged; nor is a jump where
the weeks before mostly had none: a new shop with one old order, or one that opens for its season.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

WEEKS = 8
"""Weeks that are looked back on."""
LEAST_WEEKS = 4
"""An account whose orders begin later is not judged."""
LEAST_ORDERS = 20
"""A stretch that has had fewer orders, by the median, is not judged."""
FACTORS = {1: 4, 7: 2}
"""Days of a stretch -> how many times more than ever before, or fewer, is odd."""


@dataclass(frozen=True)
class Unlike:
    """A stretch of an account that is unlike those before it."""

    account: str
    last_day: date
    days: int
    orders: int
    least: int
    most: int

    def __str__(self) -> str:
        stretch = f"{self.last_day}" if self.days == 1 else f"{self.days} days to {self.last_day}"
        return f"{stretch}: {self.orders} orders, {self.least} to {self.most} in the weeks before"


def asked_until(
    runs: Iterable[Mapping[str, Any]], zones: Mapping[str, ZoneInfo]
) -> list[tuple[str, str, date]]:
    """Source, account and the last complete day of each, from its newest runs in the ledger.

    A run's window ends at the API's own time; the day of that moment in the account's zone is not
    complete. `zones`: of the accounts in accounts.toml, by key; others are not judged.
    """
    found = []
    for run in runs:
        zone = zones.get(run["account"])
        if run["outcome"] == "succeeded" and run["window_to"] and zone is not None:
            system, account = run["account"].split(".", 1)
            day = datetime.fromisoformat(run["window_to"]).astimezone(zone).date()
            found.append((system, account, day - timedelta(days=1)))
    return found


_SQL = """
WITH asked (source_system, source_account, last_day) AS (VALUES {asked}),
dated AS (
    SELECT
        o.source_system,
        o.source_account,
        a.last_day,
        o.business_date AS order_date
    FROM orders AS o
    JOIN asked AS a
        ON a.source_system = o.source_system
        AND a.source_account = o.source_account
    WHERE NOT o.is_deleted
        AND o.order_type <> 'review_registration'
),
began AS (
    SELECT
        source_system,
        source_account,
        MIN(order_date) AS first_day
    FROM dated
    GROUP BY
        source_system,
        source_account
),
stretches AS (
    SELECT
        a.source_system,
        a.source_account,
        a.last_day,
        w.weeks_ago,
        a.last_day - CAST(7 * w.weeks_ago AS INTEGER) AS until,
        a.last_day - CAST(7 * w.weeks_ago + {days} - 1 AS INTEGER) AS since
    FROM asked AS a
    CROSS JOIN RANGE(0, {weeks} + 1) AS w (weeks_ago)
),
counted AS (
    SELECT
        s.source_system,
        s.source_account,
        s.last_day,
        s.weeks_ago,
        COUNT(d.order_date) AS orders
    FROM stretches AS s
    JOIN began AS b
        ON b.source_system = s.source_system
        AND b.source_account = s.source_account
        AND b.first_day <= s.since
    LEFT JOIN dated AS d
        ON d.source_system = s.source_system
        AND d.source_account = s.source_account
        AND d.order_date BETWEEN s.since AND s.until
    GROUP BY
        s.source_system,
        s.source_account,
        s.last_day,
        s.weeks_ago
),
compared AS (
    SELECT
        source_system,
        source_account,
        last_day,
        SUM(CASE WHEN weeks_ago = 0 THEN orders END) AS newest,
        COUNT(CASE WHEN weeks_ago > 0 THEN 1 END) AS weeks,
        MEDIAN(CASE WHEN weeks_ago > 0 THEN orders END) AS usual,
        MIN(CASE WHEN weeks_ago > 0 THEN orders END) AS least,
        MAX(CASE WHEN weeks_ago > 0 THEN orders END) AS most
    FROM counted
    GROUP BY
        source_system,
        source_account,
        last_day
)
SELECT
    source_system || '.' || source_account,
    last_day,
    {days},
    CAST(newest AS BIGINT),
    least,
    most
FROM compared
WHERE weeks >= {least_weeks}
    AND (
        (usual >= {least_orders} AND newest * {factor} < least)
        OR (usual > 0 AND newest >= {least_orders} * {factor} AND newest > most * {factor})
    )
"""


def unlike(con: duckdb.DuckDBPyConnection, asked: Sequence[tuple[str, str, date]]) -> list[Unlike]:
    """The stretches that are odd, of the accounts and last complete days in `asked`."""
    if not asked:
        return []
    rows = ", ".join("(?, ?, CAST(? AS DATE))" for _ in asked)
    given = [value for each in asked for value in each]
    found = []
    for days, factor in FACTORS.items():
        sql = _SQL.format(
            asked=rows, days=days, factor=factor, weeks=WEEKS, least_weeks=LEAST_WEEKS,
            least_orders=LEAST_ORDERS,
        )  # fmt: skip
        found += [Unlike(*row) for row in con.execute(sql, given).fetchall()]
    return sorted(found, key=lambda each: (each.account, each.days))
