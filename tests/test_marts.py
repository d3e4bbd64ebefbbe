"""The marts: what they count, and that their files are documented and portable."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from canonical_rows import TWELVE, land, order, order_row, quarantined
from warehouse_home import ACCOUNTS, Home

from assets.marts import MARTS, parse
from resources.errors import ConfigurationError
from resources.warehouse import Mart

SHOP = ("feedback_company", "shop")
MARCH, LATE_MARCH = date(2026, 3, 1), date(2026, 3, 31)
NAMES = {mart.name: mart for mart in MARTS}

KEYS = {
    "allocation_shortfall": "source_system, source_account, product_id, sku",
    "daily_orders": "source_system, source_account, order_type, currency, order_date",
    "data_quality": "source_system, source_account",
    "fulfilment_lead_times": "order_key",
    "open_orders": "order_key",
    "order_changes": "order_key, dimension, changed_at_utc, observed_at_utc",
    "payment_exposure": "source_system, source_account, currency, payment_status,"
    " payment_status_basis, payment_method",
    "sales_by_month": "source_system, source_account, currency, month",
}

NOT_PORTABLE = re.compile(
    r"\b(QUALIFY|GROUP\s+BY\s+ALL|ORDER\s+BY\s+ALL|READ_PARQUET|READ_JSON|UNNEST|LIST_\w+|EXCLUDE"
    r"|STRUCT_\w+|ANTI\s+JOIN|SEMI\s+JOIN|ASOF|PIVOT|ARG_MAX|ANY_VALUE|FILTER|USING|ILIKE)\b"
    r"|::|\[|//|\borderloom\.",
    re.IGNORECASE,
)


def amounts(net: str | None, tax: str | None, gross: str | None) -> dict[str, str | None]:
    return {"net_amount": net, "tax_amount": tax, "gross_amount": gross}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("marts"))
    sale: dict[str, Any] = {"placed_on": MARCH}
    done = {"order_status": "completed", "shipping_status": "shipped"}
    spring = datetime(2026, 4, 1, 12, tzinfo=UTC)
    partial = {"payment_status": "partially_paid", "allocation_status": "partially_allocated"}
    stated = {"placed_at": None, "created_at": spring, "row_count": 0, "order_status": "problem"}
    orders = [
        order("1", 1, **sale, row_count=3),
        order("2", 2, **sale, **amounts("30", "6", "36"), order_type="sales_credit",
              payment_status="refunded", order_status="completed"),
        order("3", 3, **sale, **amounts("500", "100", "600"), order_type="purchase_order"),
        order("4", 4, **done, **amounts("10", "2", "12"), placed_on=LATE_MARCH, currency="EUR",
              payment_status="paid", allocation_status="allocated"),
        order("5", 5, **sale, order_status="draft"),
        order("6", 6, **sale, order_status="cancelled"),
        order("7", 7, **sale, is_deleted=True),
        order("8", 8, **stated, **partial, **amounts(None, None, "50"), totals_check="mismatch"),
        order("9", 9, SHOP, **sale, **amounts(None, None, None), order_type="review_registration",
              currency=None, order_status="not_applicable", payment_status="not_applicable"),
        order("1", 1, TWELVE, **sale, order_status="unknown", payment_status="unknown",
              currency=None, order_type="purchase_credit"),
    ]  # fmt: skip
    rows = [
        order_row("1", 1, "1", quantity="2"),
        order_row("1", 1, "2", row_kind="bundle_parent", sku="BUNDLE", quantity="1"),
        order_row("1", 1, "3", row_kind="bundle_component", quantity="5", net_amount="0"),
        *(order_row(str(number), number) for number in range(2, 8)),
        order_row("9", 9, account=SHOP),
        order_row("1", 1, account=TWELVE),
    ]
    land(home.lake, orders, rows, quarantine=[quarantined("90", 90), quarantined("91", 91)])
    later = order("1", 92, **sale, payment_status="paid", source_payment_status_code="PAID")
    land(home.lake, [later | {"row_count": 3}], [row | _version(later) for row in rows[:3]])
    home.warehouse.publish(MARTS, ACCOUNTS)
    return home


def _version(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("version_id", "landing_seq")}


def test_amounts_are_signed_and_never_mixed(home: Home) -> None:
    sql = (
        "SELECT order_date, order_type, currency, orders, draft_orders, cancelled_orders,"
        " net_amount, gross_amount FROM daily_orders WHERE source_account = 'acme' ORDER BY ALL"
    )
    assert home.rows(sql) == [
        (MARCH, "purchase_order", "GBP", 1, 0, 0, Decimal("500"), Decimal("600")),
        (MARCH, "sales_credit", "GBP", 1, 0, 0, Decimal("-30"), Decimal("-36")),
        (MARCH, "sales_order", "GBP", 1, 1, 1, Decimal("100"), Decimal("120")),
        (LATE_MARCH, "sales_order", "EUR", 1, 0, 0, Decimal("10"), Decimal("12")),
        (date(2026, 4, 1), "sales_order", "GBP", 1, 0, 0, None, Decimal("50")),
    ]
    sql = "SELECT source_account, is_purchase, net_amount FROM daily_orders WHERE currency IS NULL"
    assert home.rows(sql) == [("12", True, Decimal("-100"))]


def test_sales_leave_out_purchases_and_review_registrations(home: Home) -> None:
    sql = (
        "SELECT month, currency, orders, credits, ordered_net_amount, credited_net_amount,"
        " net_amount, tax_amount, units, orders_without_net_amount"
        " FROM sales_by_month ORDER BY month, currency DESC"
    )
    assert home.rows(sql) == [
        (MARCH, "GBP", 1, 1, *map(Decimal, ("100", "-30", "70", "14", "1")), 0),
        (MARCH, "EUR", 1, 0, Decimal("10"), None, *map(Decimal, ("10", "2", "2")), 0),
        (date(2026, 4, 1), "GBP", 1, 0, None, None, None, None, None, 1),
    ]


def test_open_orders_are_placed_and_unfinished(home: Home) -> None:
    sql = (
        "SELECT order_key, order_date, gross_amount, order_status_since_utc"
        " FROM open_orders ORDER BY order_key"
    )
    start = datetime(2026, 3, 1, 9)  # noqa: DTZ001  (marts hold UTC without a zone)
    assert home.rows(sql) == [
        ("brightpearl:acme:1", MARCH, Decimal("120"), start),
        ("brightpearl:acme:3", MARCH, Decimal("600"), start),
        ("brightpearl:acme:8", date(2026, 4, 1), Decimal("50"), datetime(2026, 3, 1, 9, 8)),  # noqa: DTZ001
        ("tastyigniter:12:1", MARCH, Decimal("-120"), start),
    ]


def test_exposure_is_what_sales_still_have_to_bring_in(home: Home) -> None:
    sql = (
        "SELECT payment_status, currency, exposure, orders, gross_amount, delivered_orders,"
        " delivered_gross_amount FROM payment_exposure ORDER BY ALL"
    )
    assert home.rows(sql) == [
        ("paid", "EUR", "none", 1, Decimal("12"), 1, Decimal("12")),
        ("paid", "GBP", "none", 1, Decimal("120"), 0, None),
        ("partially_paid", "GBP", "part", 1, Decimal("50"), 0, None),
        ("refunded", "GBP", "none", 1, Decimal("-36"), 1, Decimal("-36")),
    ]


def test_shortfall_counts_goods_and_not_their_bundles(home: Home) -> None:
    sql = (
        "SELECT sku, not_allocated_orders, partially_allocated_orders, not_allocated_quantity,"
        " partially_allocated_quantity, first_order_date FROM allocation_shortfall ORDER BY ALL"
    )
    assert home.rows(sql) == [
        ("SKU-1", 1, 0, Decimal("7"), None, MARCH),
        (None, 0, 1, None, None, date(2026, 4, 1)),
    ]


def test_changes_name_what_was_before(home: Home) -> None:
    sql = (
        "SELECT order_number, dimension, previous_code, code, previous_source_code, source_code,"
        " changed_at_basis FROM order_changes"
    )
    assert home.rows(sql) == [("N1", "payment_status", "unpaid", "paid", None, "PAID", "observed")]


def test_quality_is_counted_per_account(home: Home) -> None:
    sql = (
        "SELECT source_account, orders, deleted_orders, without_order_date, without_currency,"
        " totals_mismatch, unknown_order_status, unknown_payment_status, held_orders, unread_fields"
        " FROM data_quality ORDER BY source_account"
    )
    assert home.rows(sql) == [
        ("12", 1, 0, 0, 1, 0, 1, 1, 0, 0),
        ("acme", 7, 1, 0, 0, 1, 0, 0, 2, 2),
        ("shop", 1, 0, 0, 0, 0, 0, 0, 0, 0),
    ]


def test_every_mart_is_filled_and_keeps_its_grain(home: Home) -> None:
    assert KEYS.keys() == NAMES.keys()
    for name, key in KEYS.items():
        ((rows, grains),) = home.rows(f"SELECT COUNT(*), COUNT(DISTINCT ({key})) FROM {name}")
        assert rows == grains > 0, name


def test_every_mart_is_documented(home: Home) -> None:
    for mart in MARTS:
        assert mart.grain.startswith("One row per ")
        ((comment,),) = home.rows(
            f"SELECT comment FROM duckdb_tables() WHERE table_name = '{mart.name}'"
        )
        assert comment == mart.grain
    sql = (
        "SELECT table_name, column_name FROM duckdb_columns()"
        " WHERE NOT internal AND COALESCE(comment, '') = ''"
    )
    assert home.rows(sql) == []


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_mart_sql_is_portable(mart: Mart) -> None:
    code = "\n".join(line for line in mart.sql.splitlines() if not line.startswith("--"))
    assert NOT_PORTABLE.search(code) is None
    assert ";" not in code
    assert max(map(len, mart.sql.splitlines())) <= 100


def test_a_header_gives_grain_and_comments() -> None:
    header = "-- One row per order:\n--     two lines.\n-- a: first\n--     still first\n"
    text = f"{header}SELECT 1 AS a;\n"
    mart = parse("some", text)
    assert mart.grain == "One row per order: two lines."
    assert mart.comments == {"a": "first still first"}
    assert mart.sql.endswith("SELECT 1 AS a")
    for headless in ("SELECT 1 AS a", "-- a: first\nSELECT 1 AS a"):
        with pytest.raises(ConfigurationError, match=r"grain .assets/marts/some\.sql"):
            parse("some", headless)
