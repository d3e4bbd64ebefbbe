"""The rule of a push in accounts.toml, and every limit that the document sets to an order."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.push_choice import Choice
from assets.sources import source
from assets.sources.base import Outgoing, PublishedOrder, Unfit
from assets.sources.feedback_company_order import is_gtin13, is_url
from assets.sources.feedback_company_rule import PushRule, Wait
from resources.accounts import Account, AccountsError, load_accounts
from resources.ledger import Ledger
from sandbox.feedback_company_checks import complaints

ACCOUNTS = """
[feedback_company.reviews]
base_url = "https://www.feedbackcompany.com/api/v2"
timezone = "Europe/Amsterdam"
started_on = 2026-01-01
[feedback_company.reviews.credentials]
client_id = "REVIEWS_ID"
client_secret = "REVIEWS_SECRET"
[feedback_company.reviews.push]
from_accounts = ["brightpearl.acme"]
"""
SOURCE = source("feedback_company")
NOW = datetime(2026, 11, 2, 7, tzinfo=UTC)


def account(tmp_path: Path, *lines: str) -> Account:
    """An account whose rule has these further lines."""
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS + "\n".join(lines), encoding="utf-8")
    return load_accounts(path, {SOURCE.name: SOURCE.kind()}).get("feedback_company.reviews")


def rule(**values: Any) -> PushRule:
    given = {"delay": "7 days", "product_url": "https://shop.example/p/{sku}", **values}
    return PushRule(from_accounts=["brightpearl.acme"], **given)


PRODUCT: dict[str, str | None] = {
    "product_id": "1001",
    "product_name": "Chair",
    "sku": "CH 1/2",
    "gtin": "0075678164125",
    "product_url": None,
    "image_url": "https://shop.example/i/1.jpg",
}
ORDER = PublishedOrder(
    "brightpearl:acme:1", "A1", date(2026, 10, 1), "ann@example.com", "Ann", "complete", [PRODUCT]
)


def sent(order: PublishedOrder = ORDER, **values: Any) -> Outgoing:
    from assets.sources.feedback_company_order import outgoing

    return outgoing(rule(**values), order)


def body(order: PublishedOrder = ORDER, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sent(order, **values).body)
    return found


def with_product(**values: str | None) -> PublishedOrder:
    return replace(ORDER, products=[{**PRODUCT, **values}])


# accounts.toml.


def test_a_rule_needs_accounts_and_a_delay_and_little_else(tmp_path: Path) -> None:
    found: PushRule = account(tmp_path, 'delay = "7 days"').settings.push  # type: ignore[attr-defined]
    assert found.delay == Wait(unit="days", amount=7)
    assert (found.shipping_statuses, found.order_types) == (["delivered"], ["sales_order"])
    assert (found.max_age_days, found.reminder, found.filtercode) == (30, None, None)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", ("push.delay", "missing")),
        ('delay = "soon"', ("push.delay", "7 days")),
        ("delay = 7", ("push.delay", "7 days")),
        ('delay = "-1 days"', ("push.delay", "7 days")),
        ('delay = "7 weeks"', ("push.delay", "weekdays")),
        ('delay = "7 days"\nreminder = "191 hours"', ("key push", "24 hours")),
        ('delay = "7 days"\nreminder = "7 days"', ("key push", "24 hours")),
        ('delay = "5 weekdays"\nreminder = "191 hours"', ("key push", "24 hours")),
        ('delay = "1 days"\nreminder = "90 days"', ("reread_days",)),
        ('delay = "7 days"\nremainder = "9 days"', ("push.remainder", "did you mean reminder?")),
        ('delay = "7 days"\nshipping_statuses = ["sent"]', ("shipping_statuses", "delivered")),
        ('delay = "7 days"\nshipping_statuses = ["cancelled"]', ("shipping_statuses",)),
        ('delay = "7 days"\nshipping_statuses = []', ("shipping_statuses",)),
        ('delay = "7 days"\norder_statuses = ["cancelled"]', ("order_statuses",)),
        ('delay = "7 days"\norder_types = ["sales_credit"]', ("order_types", "sales_order")),
        ('delay = "7 days"\nplaced_after = "2026-01-01"', ("placed_after", "without quotes")),
        ('delay = "7 days"\nmax_age_days = 0', ("max_age_days",)),
        ('delay = "7 days"\nmax_age_days = "30"', ("max_age_days",)),
        (f'delay = "7 days"\nfiltercode = "{"f" * 251}"', ("filtercode",)),
        ('delay = "7 days"\nfiltercode = ""', ("filtercode",)),
        ('delay = "7 days"\nproduct_url = "shop.example/{sku}"', ("product_url", "https://")),
        ('delay = "7 days"\nproduct_url = "https://shop.example/{name}"', ("product_url", "{sku}")),
        ('delay = "7 days"\nproduct_url = "https://shop.example/"', ("product_url", "{sku}")),
        ('delay = "7 days"\nwith_products = "yes"', ("with_products",)),
        ('delay = "7 days"\n[feedback_company.reviews.push.more]', ("push.more",)),
    ],
)
def test_a_mistake_in_a_rule_is_one_line_that_names_it(
    tmp_path: Path, line: str, named: tuple[str, ...]
) -> None:
    with pytest.raises(AccountsError) as caught:
        account(tmp_path, line)
    told = str(caught.value)
    assert "\n" not in told
    assert all(word in told for word in ("feedback_company.reviews", *named)), told


@pytest.mark.parametrize(
    ("delay", "reminder"),
    [
        ("7 days", "8 days"),
        ("0 minutes", "1440 minutes"),
        ("24 hours", "2 days"),
        ("5 weekdays", "6 weekdays"),
        ("5 weekdays", "10 days"),
        ("2 days", "3 weekdays"),
    ],
)
def test_a_reminder_a_day_later_is_taken_whenever_it_is_sent(delay: str, reminder: str) -> None:
    order = body(delay=delay, reminder=reminder)
    for hours in range(0, 24 * 14, 5):
        assert complaints(order, NOW + timedelta(hours=hours)) == {}


@pytest.mark.parametrize("weekdays", range(16))
def test_weekdays_never_take_longer_or_shorter_than_thought(weekdays: int) -> None:
    from sandbox.feedback_company_checks import after

    wait = Wait(unit="weekdays", amount=weekdays)
    for day in range(14):
        start = NOW + timedelta(days=day)
        taken = after(start, {"unit": "weekdays", "amount": weekdays}) - start
        assert wait.shortest <= taken <= wait.longest


# What is sent.


def test_every_property_of_the_document_is_sent() -> None:
    assert body(reminder="14 days", filtercode="shop") == {
        "external_id": "brightpearl:acme:1",
        "customer": {"email": "ann@example.com", "fullname": "Ann"},
        "products": [
            {
                "external_id": "1001",
                "name": "Chair",
                "url": "https://shop.example/p/CH%201%2F2",
                "sku": "CH 1/2",
                "gtin": "0075678164125",
                "image_url": "https://shop.example/i/1.jpg",
            }
        ],
        "invitation": {
            "delay": {"unit": "days", "amount": 7},
            "reminder": {"unit": "days", "amount": 14},
        },
        "filtercode": "shop",
    }
    assert complaints(body(reminder="14 days", filtercode="shop"), NOW) == {}


def test_what_is_optional_and_absent_is_left_out() -> None:
    bare = dict.fromkeys(("sku", "gtin", "image_url"))
    order = replace(with_product(**bare, product_url="https://x.example/1"), full_name="  ")
    assert body(order) == {
        "external_id": "brightpearl:acme:1",
        "customer": {"email": "ann@example.com"},
        "products": [{"external_id": "1001", "name": "Chair", "url": "https://x.example/1"}],
        "invitation": {"delay": {"unit": "days", "amount": 7}},
    }
    assert "products" not in body(with_products=False)
    assert "products" not in body(replace(ORDER, products=[], rows_state="not_supplied"))


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (replace(ORDER, email=None), "no e-mail"),
        (replace(ORDER, email=" "), "no e-mail"),
        (replace(ORDER, email="ann"), "not valid"),
        (replace(ORDER, email="ann@example"), "not valid"),
        (replace(ORDER, email="a b@example.com"), "not valid"),
        (replace(ORDER, email="a@b@example.com"), "not valid"),
        (replace(ORDER, email="ann@example.com\nbcc: x@y.example"), "not valid"),
        (replace(ORDER, email=f"{'a' * 239}@example.com"), "not valid"),
        (replace(ORDER, order_key=f"brightpearl:acme:{'1' * 234}"), "longer than 250"),
        (replace(ORDER, order_key="invitation/1"), "invitation/"),
        (replace(ORDER, rows_state="stale"), "rows are stale"),
        (replace(ORDER, rows_state="missing"), "rows are missing"),
        (with_product(product_id=None, sku=None), "neither id nor sku"),
        (with_product(product_id="1" * 251), "longer than 250"),
        (with_product(product_name=None), "no name"),
        (with_product(product_name="n" * 251), "no name of 1 to 250"),
        (with_product(sku=None), "no sku, which product_url needs"),
        (with_product(product_url="ftp://shop.example/1"), "url of product 1001 is not valid"),
        (with_product(product_url=f"https://x.example/{'1' * 2000}"), "longer than 2000"),
    ],
)
def test_an_order_that_lacks_what_is_required_is_not_sent(
    order: PublishedOrder, reason: str
) -> None:
    with pytest.raises(Unfit, match=reason) as caught:
        sent(order)
    assert "ann" not in str(caught.value)


def test_without_a_template_a_product_without_a_page_is_told() -> None:
    with pytest.raises(Unfit, match="set product_url"):
        sent(product_url=None)


@pytest.mark.parametrize(
    ("order", "key"),
    [
        (with_product(gtin="0075678164124"), "gtin"),
        (with_product(gtin="75678164125"), "gtin"),
        (with_product(image_url="no picture"), "image_url"),
        (with_product(sku="s" * 251, product_url="https://x.example/1"), "sku"),
    ],
)
def test_an_optional_value_that_is_not_fit_is_left_out_and_noted(
    order: PublishedOrder, key: str
) -> None:
    assert key not in body(order)["products"][0]
    (note,) = sent(order).notes
    assert note.startswith(key)


def test_values_at_their_limits_are_taken() -> None:
    email = f"{'a' * 238}@example.com"
    assert len(email) == 250
    order = replace(
        with_product(
            product_id="1" * 250,
            product_name="n" * 250,
            sku="s" * 250,
            product_url=f"https://x.example/{'1' * 1982}",
        ),
        email=email,
        full_name="f" * 250,
        order_key=f"brightpearl:acme:{'1' * 233}",
    )
    made = body(order, filtercode="f" * 250)
    assert complaints(made, NOW) == {}
    assert len(made["products"][0]["url"]) == 2000
    assert sent(order).notes == ()
    assert "fullname" not in body(replace(order, full_name="f" * 251))["customer"]


def test_a_product_that_stands_in_two_rows_is_named_once_and_freight_not_at_all() -> None:
    freight = {**PRODUCT, "product_id": "1000", "sku": None}
    order = replace(ORDER, products=[PRODUCT, freight, PRODUCT])
    named = [each["external_id"] for each in body(order, exclude_products=["1000"])["products"]]
    assert named == ["1001"]


def test_gtins_and_urls() -> None:
    assert is_gtin13("4006381333931")
    assert not [
        each for each in ("4006381333932", "400638133393", "٤٠٠٦٣٨١٣٣٣٩٣١") if is_gtin13(each)
    ]
    assert is_url("https://shop.example")
    assert not [
        each
        for each in ("", "https://", "shop.example", "https://[x", "https://x y")
        if is_url(each)
    ]


# Which orders.


def chosen(tmp_path: Path, *lines: str) -> tuple[list[str], dict[str, int]]:
    """Of a few published orders, those that a rule chooses, and why not the others."""
    import duckdb

    marts = duckdb.connect()
    marts.execute(
        "CREATE TABLE orders (order_key VARCHAR, source_system VARCHAR, source_account VARCHAR, "
        "order_number VARCHAR, order_type VARCHAR, order_status VARCHAR, shipping_status VARCHAR, "
        "placed_at TIMESTAMP, placed_on DATE, created_at TIMESTAMP, is_deleted BOOLEAN, "
        "rows_state VARCHAR)"
    )
    marts.execute(
        "CREATE TABLE order_parties (order_key VARCHAR, role VARCHAR, email VARCHAR, "
        "full_name VARCHAR, first_name VARCHAR, last_name VARCHAR)"
    )
    marts.execute(
        "CREATE TABLE order_rows (order_key VARCHAR, row_no INTEGER, row_kind VARCHAR, "
        "quantity DECIMAL(18, 4), product_id VARCHAR, product_name VARCHAR, sku VARCHAR, "
        "gtin VARCHAR, product_url VARCHAR, image_url VARCHAR)"
    )
    good = {
        "source_system": "brightpearl", "source_account": "acme", "order_number": "n",
        "order_type": "sales_order", "order_status": "completed", "shipping_status": "delivered",
        "placed_on": date(2026, 10, 20), "is_deleted": False, "rows_state": "not_supplied",
    }  # fmt: skip
    unlike: dict[str, dict[str, Any]] = {
        "good": {},
        "other account": {"source_account": "beta"},
        "deleted": {"is_deleted": True},
        "credit": {"order_type": "sales_credit"},
        "purchase": {"order_type": "purchase_order"},
        "registration": {"order_type": "review_registration"},
        "cancelled": {"order_status": "cancelled"},
        "returned": {"order_status": "returned"},
        "shipped": {"shipping_status": "shipped"},
        "open": {"order_status": "open"},
        "undated": {"placed_on": None},
        "old": {"placed_on": date(2026, 10, 1)},
        "eve": {"placed_on": date(2026, 10, 2)},
        # 23:30 UTC is the next day in Amsterdam.
        "night": {"placed_on": None, "created_at": datetime(2026, 10, 2, 23, 30)},  # noqa: DTZ001
    }
    schema = {"placed_at": None, "created_at": None, **good}
    rows = [{**schema, **changes, "order_key": key} for key, changes in unlike.items()]
    marts.register("given", pa.Table.from_pylist(rows))
    marts.execute("INSERT INTO orders BY NAME SELECT * FROM given")
    marts.execute("INSERT INTO order_parties BY NAME SELECT order_key, 'customer' AS role, "
                  "order_key || '@example.com' AS email FROM orders")  # fmt: skip
    choice = Choice(SOURCE, account(tmp_path, *lines), marts, date(2026, 11, 1))
    return [each.order.order_key for each in choice.orders({})], dict(choice.skipped)


def test_only_delivered_sales_of_the_window_are_chosen(tmp_path: Path) -> None:
    keys, skipped = chosen(tmp_path, 'delay = "1 days"')
    assert keys == ["eve", "night", "good", "open"]
    assert skipped == {
        "deleted": 1,
        "order type sales_credit": 1,
        "order type purchase_order": 1,
        "order type review_registration": 1,
        "order status cancelled": 1,
        "order status returned": 1,
        "shipping status shipped": 1,
        "no day of placing": 1,
        "placed before 2026-10-02": 1,
    }


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("max_age_days = 29", ["night", "good", "open"]),
        ("placed_after = 2026-10-02", ["night", "good", "open"]),
        ("placed_after = 2026-10-03", ["good", "open"]),
        ('order_statuses = ["completed"]', ["eve", "night", "good"]),
        ('shipping_statuses = ["shipped"]', ["shipped"]),
    ],
)
def test_a_rule_narrows_and_widens(tmp_path: Path, line: str, keys: list[str]) -> None:
    assert chosen(tmp_path, 'delay = "1 days"', line)[0] == keys


# What must not be forgotten.


def test_an_intent_is_on_the_disk_before_anything_is_sent(tmp_path: Path) -> None:
    """SQLite then waits for the disk at the commit (synchronous = FULL is 2, NORMAL 1)."""
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        for durable, level in ((True, 2), (False, 1), (True, 2)):
            with ledger._store.writing(durable=durable) as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
