"""The day on which an order counts: a civil date in the zone of its account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from canonical_rows import ACME, TWELVE, land, order
from warehouse_home import ACCOUNTS, Home

from assets.marts import MARTS
from resources.warehouse import Reference

LATE = datetime(2026, 7, 31, 23, 30, tzinfo=UTC)
"""In London and in Berlin it is August already."""
JULY, AUGUST = date(2026, 7, 31), date(2026, 8, 1)
SAME = "SELECT order_key, business_date, business_at, business_at_basis FROM orders ORDER BY 1"


def _orders() -> list[dict[str, Any]]:
    unknown: dict[str, Any] = {"placed_at": None, "created_at": None}
    none = {"row_count": 0, "net_amount": "100"}
    return [
        order("1", 1, ACME, **none, placed_at=LATE),
        order("2", 2, ACME, **none, **unknown | {"created_at": LATE}),
        order("3", 3, ACME, **none, placed_at=LATE, placed_on=JULY),
        order("4", 4, ACME, **none, **unknown),
        order("1", 1, TWELVE, **none, **unknown | {"placed_on": AUGUST}),
    ]


def _home(tmp_path: Any) -> Home:
    home = Home(tmp_path)
    land(home.lake, _orders())
    home.warehouse.publish(MARTS, ACCOUNTS)
    return home


def test_a_moment_counts_on_its_day_in_the_zone_of_the_account(tmp_path: Any) -> None:
    home = _home(tmp_path)
    late = LATE.replace(tzinfo=None)
    midnight = datetime(2026, 7, 31, 22)  # noqa: DTZ001  (marts hold UTC without a zone)
    assert home.rows(SAME) == [
        ("brightpearl:acme:1", AUGUST, late, "placed_at"),
        ("brightpearl:acme:2", AUGUST, late, "created_at"),
        ("brightpearl:acme:3", JULY, late, "placed_at"),
        ("brightpearl:acme:4", None, None, None),
        ("tastyigniter:12:1", AUGUST, midnight, "placed_on"),
    ]
    sql = "SELECT order_date, orders FROM daily_orders WHERE source_account = 'acme' ORDER BY ALL"
    assert home.rows(sql) == [(JULY, 1), (AUGUST, 2), (None, 1)]
    sql = "SELECT month, orders FROM sales_by_month WHERE source_account = 'acme' ORDER BY ALL"
    assert home.rows(sql) == [(date(2026, 7, 1), 1), (AUGUST, 2), (None, 1)]
    for table in ("daily_orders", "open_orders"):
        lost = f"SELECT * FROM {table} ANTI JOIN dim_date ON date_key = order_date"
        assert len(home.rows(lost)) == 1, "the one order without a date"


def test_another_zone_in_the_settings_moves_days_as_a_rebuild_does(tmp_path: Any) -> None:
    home = _home(tmp_path)
    acme, twelve = ACCOUNTS.accounts
    moved = Reference([replace(acme, timezone="America/New_York"), twelve])
    assert home.warehouse.publish(MARTS, moved).is_rebuilt is False
    days = home.rows("SELECT business_date FROM orders WHERE source_account = 'acme' ORDER BY ALL")
    assert days == [(JULY,), (JULY,), (JULY,), (None,)]
    kept = home.rows(SAME)
    assert home.warehouse.publish(MARTS, moved, rebuild=True).is_rebuilt
    assert home.rows(SAME) == kept
