"""Volume unlike before: what alarms, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import duckdb

from assets import volume

UTC = ZoneInfo("UTC")
LAST = date(2026, 11, 22)
"""A Sunday, complete."""


def told(orders_on: Callable[[date], int], weeks: int = 12) -> list[str]:
    """What is said of an account whose orders of each day are given."""
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE orders (source_system VARCHAR, source_account VARCHAR,"
            " business_date DATE, is_deleted BOOLEAN, order_type VARCHAR)"
        )
        for ago in range(7 * weeks):
            day = LAST - timedelta(days=ago)
            con.execute(
                "INSERT INTO orders SELECT 'efiling', 'a', ?, FALSE, 'sales_order' FROM RANGE(?)",
                [day, orders_on(day)],
            )
        return [str(each) for each in volume.unlike(con, [("efiling", "a", LAST)])]


def days_ago(day: date) -> int:
    return (LAST - day).days


def test_a_steady_shop_that_is_closed_on_sundays_is_as_before() -> None:
    assert told(lambda day: 0 if day.isoweekday() == 7 else 40) == []


def test_a_day_without_orders_is_told_where_that_weekday_always_had_some() -> None:
    said = told(lambda day: 0 if day == LAST else 40)
    assert said == ["2026-11-22: 0 orders, 40 to 40 in the weeks before"]


def test_a_week_of_a_third_is_told() -> None:
    said = told(lambda day: 13 if days_ago(day) < 7 else 40)
    assert said == ["7 days to 2026-11-22: 91 orders, 280 to 280 in the weeks before"]


def test_a_jump_is_told() -> None:
    said = told(lambda day: 200 if day == LAST else 10)
    assert said == [
        "2026-11-22: 200 orders, 10 to 10 in the weeks before",
        "7 days to 2026-11-22: 260 orders, 70 to 70 in the weeks before",
    ]


def test_a_bad_week_within_what_there_was_is_not_told() -> None:
    assert told(lambda day: 15 if days_ago(day) // 7 in (0, 3) else 40) == []


def test_quiet_and_young_accounts_are_not_judged() -> None:
    assert told(lambda day: 1 if days_ago(day) % 3 else 0) == []
    assert told(lambda day: 0 if day == LAST else 2) == []
    assert told(lambda day: 0 if days_ago(day) < 7 else 40, weeks=4) == []
    assert told(lambda _: 0) == []


def test_an_old_order_does_not_make_a_new_shop_an_old_one() -> None:
    assert told(lambda day: 30 if days_ago(day) < 7 else int(days_ago(day) == 80)) == []


def test_a_day_that_goes_on_where_the_account_is_is_not_complete() -> None:
    runs = [{"account": "efiling.a", "outcome": "succeeded", "window_to": "2026-11-24T00:15:00Z"}]
    west = ZoneInfo("America/Los_Angeles")
    assert volume.asked_until(runs, {"efiling.a": west}) == [("efiling", "a", LAST)]


def test_the_last_complete_day_is_taken_from_runs_that_succeeded() -> None:
    runs = [
        {"account": "efiling.a", "outcome": "succeeded", "window_to": "2026-11-23T06:58:00+00:00"},
        {"account": "efiling.b", "outcome": "failed", "window_to": "2026-11-23T06:58:00+00:00"},
        {"account": "efiling.c", "outcome": "succeeded", "window_to": None},
    ]
    zones = {"efiling.a": ZoneInfo("Europe/Paris"), "efiling.b": UTC, "efiling.c": UTC}
    assert volume.asked_until(runs, zones) == [("efiling", "a", LAST)]
    assert volume.asked_until(runs, {}) == [], "an account that nobody configures any more"
    with duckdb.connect() as con:
        assert volume.unlike(con, []) == []
