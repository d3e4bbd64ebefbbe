"""Reading TastyIgniter: recorded replies and the document's order through the mapping."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.mapping_harness import Outcome, outcome, outcomes, read_extra

PAGES = Path(__file__).parent / "pages" / "tastyigniter"
NO_DATE = "-000001-11-30T00:01:15.000000Z"


def page(name: str) -> Any:
    return json.loads((PAGES / f"{name}.json").read_text(encoding="utf-8"))


RECORDED: dict[str, Any] = {
    item["id"]: item
    for number in (1, 2, 3, 4)
    for item in page(f"orders_limit5_page0{number}")["data"]
}
DOCUMENTED: dict[str, Any] = page("order_documented")


def read(order_id: str, /, **changes: Any) -> Outcome:
    """A recorded order with some attributes changed, read."""
    body = deepcopy(RECORDED[order_id])
    settings = {name: changes.pop(name) for name in list(changes) if name in SETTINGS}
    body["attributes"] |= changes
    return outcome("tastyigniter", body, order_id, **settings)


SETTINGS = ("order_status", "shipping_status", "fulfilment_method", "currency", "timezone")


def order(found: Outcome) -> dict[str, Any]:
    assert found.order is not None, found.faults
    return found.order


@pytest.fixture(scope="module")
def recorded() -> dict[str, Outcome]:
    found = outcomes("tastyigniter", list(RECORDED.items()))
    return dict(zip(RECORDED, found, strict=True))


def test_every_recorded_order_is_read_without_a_fault(recorded: dict[str, Outcome]) -> None:
    assert len(recorded) == 20
    assert [found.faults for found in recorded.values() if found.faults] == []
    assert all(found.order for found in recorded.values())


def test_recorded_totals_agree_with_lines_and_totals(recorded: dict[str, Outcome]) -> None:
    assert {order(found)["totals_check"] for found in recorded.values()} == {"ok"}


def test_money_keeps_its_digits_and_only_gross_is_known(recorded: dict[str, Outcome]) -> None:
    six = order(recorded["6"])
    assert six["gross_amount"] == Decimal("59.8855")
    assert (six["net_amount"], six["tax_amount"]) == (None, None)
    assert (six["amounts_basis"], six["price_mode"]) == ("gross_only", "EXC")
    assert [each["code"] for each in six["totals"]] == [
        "subtotal", "delivery", "coupon", "tax", "total"
    ]  # fmt: skip
    assert six["totals"][2]["value"] == Decimal("-5.6")


def test_menu_lines_become_order_rows(recorded: dict[str, Outcome]) -> None:
    six = recorded["6"]
    assert (order(six)["rows_state"], order(six)["row_count"]) == ("complete", 3)
    assert {row["row_kind"] for row in six.rows} == {"menu_item"}
    assert sum(row["net_amount"] for row in six.rows) == Decimal("53.0055")
    first = min(six.rows, key=lambda row: row["row_no"])
    assert (first["product_id"], first["product_name"]) == ("3", "ATA RICE")
    assert (first["quantity"], first["unit_price"], first["net_amount"]) == (
        Decimal(1),
        Decimal(12),
        Decimal("21.95"),
    )
    assert dict(first["options"]) == {"Sides": "Fish", "Size": "Large"}
    assert first["amount_basis"] == "row_total"


def saved_again(body: dict[str, Any]) -> dict[str, Any]:
    """The order as it is after its lines were saved: other ids, another order of lines."""
    again = deepcopy(body)
    lines = again["attributes"]["order_menus"]
    for line in lines:
        line["order_menu_id"] += 1000
        for chosen in line["menu_options"].values() if line["menu_options"] else ():
            for option in chosen:
                option["order_option_id"] += 1000
                option["order_option_category"] = "renamed"
                option["menu_option"]["option_name"] = "renamed"
    lines.reverse()
    return again


def test_a_row_keeps_its_key_when_its_lines_are_saved_again(recorded: dict[str, Outcome]) -> None:
    again = outcome("tastyigniter", saved_again(RECORDED["6"]), "6")
    assert {row["order_row_key"] for row in again.rows} == {
        row["order_row_key"] for row in recorded["6"].rows
    }
    assert all(row["source_row_id"].endswith("~1") for row in again.rows)


def test_equal_lines_are_told_apart_and_edited_ones_get_a_new_key() -> None:
    line = RECORDED["11"]["attributes"]["order_menus"][0]
    twice = read("11", order_menus=[line, line])
    one, two = sorted(row["source_row_id"] for row in twice.rows)
    assert (one[:12], one[12:], two[12:]) == (two[:12], "~1", "~2")
    edited = read("11", order_menus=[line | {"comment": "without onions"}])
    assert edited.rows[0]["source_row_id"][:12] != one[:12]
    assert edited.rows[0]["description"] == "without onions"


def test_version_3_writes_prices_as_text_and_options_as_a_list() -> None:
    line = deepcopy(RECORDED["6"]["attributes"]["order_menus"][0])
    plain = read("6", order_menus=[line])
    line |= {"price": "12.0000", "subtotal": "21.9500"}
    line["menu_options"] = [each for chosen in line["menu_options"].values() for each in chosen]
    older = read("6", order_menus=[line])
    assert older.rows[0]["source_row_id"] == plain.rows[0]["source_row_id"]
    assert older.rows[0]["options"] == plain.rows[0]["options"]


def test_prices_with_tax_in_them_are_no_net_amounts() -> None:
    totals = [
        {"code": "tax", "title": "VAT 20% included", "value": 2, "priority": 1, "is_summable": 0},
        {"code": "total", "title": "Total", "value": 12, "priority": 2, "is_summable": 0},
    ]
    line = {"menu_id": 1, "name": "Pie", "quantity": 1, "price": 12, "subtotal": 12}
    found = read("6", order_menus=[line], order_totals=totals, order_total=12)
    assert (order(found)["price_mode"], order(found)["totals_check"]) == ("INC", "ok")
    assert (found.rows[0]["net_amount"], found.rows[0]["amount_basis"]) == (None, "none")
    assert read_extra(found.rows[0])["subtotal"] == "12.0000"


def test_totals_that_disagree_are_a_mismatch() -> None:
    assert order(read("6", order_total=60))["totals_check"] == "mismatch"


def test_a_total_with_further_keys_is_kept_whole() -> None:
    extra = {"code": "tip", "value": 1, "is_summable": True, "given_to": "Ann"}
    kept = order(read("6", order_totals=[extra]))["totals"][0]
    assert json.loads(kept["value_json"]) == extra
    assert kept["value"] == Decimal(1)


def test_the_documents_order_is_read_in_the_accounts_zone() -> None:
    found = outcome("tastyigniter", DOCUMENTED, "1")
    one = order(found)
    assert one["created_at"] == datetime(2020, 5, 24, 11, 58, 43, tzinfo=UTC)
    assert (one["created_tz_basis"], one["created_offset_min"]) == ("configured", None)
    assert one["requested_delivery_at"] == datetime(2020, 5, 24, 12, 13, tzinfo=UTC)
    assert one["requested_delivery_on"] == date(2020, 5, 24)
    assert one["gross_amount"] == Decimal("15.0449")
    assert (one["rows_state"], found.rows) == ("not_supplied", [])
    assert one["invoices"][0]["invoiced_at"] == one["created_at"]
    assert found.party("customer")["first_name"] == "Tucker"


def test_a_slots_day_is_that_of_the_site_not_of_utc(recorded: dict[str, Outcome]) -> None:
    eleven = order(recorded["11"])
    assert eleven["requested_delivery_on"] == date(2026, 6, 11)
    assert eleven["requested_delivery_at"] == datetime(2026, 6, 10, 23, 46, tzinfo=UTC)
    without = order(read("11", order_date_time=None))
    assert without["requested_delivery_at"] == eleven["requested_delivery_at"]
    assert without["requested_delivery_tz_basis"] == "configured"


def test_an_order_without_a_date_is_loaded_without_it() -> None:
    found = read("8", order_date=NO_DATE, order_date_time=NO_DATE, order_time="00:00:00")
    one = order(found)
    assert (one["requested_delivery_at"], one["requested_delivery_on"]) == (None, None)
    assert found.reasons() == {("order_date", False), ("order_date_time", False)}


def test_a_naive_stamp_in_the_repeated_hour_is_flagged() -> None:
    body = DOCUMENTED | {"date_added": "2026-10-25 01:30:00"}
    one = order(outcome("tastyigniter", body, "1"))
    assert one["created_at"] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert "repeated_hour" in one["quality_flags"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status_id": 4, "status_name": "Delivery"}, ("in_transit", "account_map")),
        ({"status_id": 4, "status_name": "Baking"}, ("unknown", "default")),
        ({"status_id": 42, "status_name": "Baking"}, ("unknown", "default")),
        (
            {"status_id": 4, "status_name": "Baking", "order_status": {"4": "processing"}},
            ("processing", "account_map"),
        ),
        ({"status_id": 0, "status_name": None, "processed": None}, ("draft", "derived")),
        ({"status_id": None, "status_name": None, "processed": False}, ("draft", "derived")),
        ({"status_id": 0, "status_name": None, "processed": True}, ("unknown", "default")),
    ],
)
def test_a_status_means_what_its_name_confirms(
    changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    one = order(read("6", **changes))
    assert (one["order_status"], one["order_status_basis"]) == expected
    is_flagged = "unmapped_code:order_status" in one["quality_flags"]
    assert is_flagged == (one["order_status"] == "unknown" and bool(changes["status_id"]))


def test_without_a_name_a_stock_status_is_taken_as_such() -> None:
    assert order(outcome("tastyigniter", DOCUMENTED, "1"))["order_status"] == "processing"


@pytest.mark.parametrize(
    ("processed", "payment"), [(True, "paid"), (False, "failed"), (None, "unknown")]
)
def test_payment_is_what_processed_says(processed: bool | None, payment: str) -> None:
    one = order(read("6", processed=processed))
    assert one["payment_status"] == payment
    assert one["payment_status_basis"] == ("default" if processed is None else "documented_flag")


def test_shipping_comes_from_the_accounts_own_map_only(recorded: dict[str, Outcome]) -> None:
    assert order(recorded["2"])["shipping_status"] == "not_applicable"
    assert order(recorded["6"])["shipping_status"] == "unknown"
    mapped = order(read("6", shipping_status={"5": "delivered"}))
    assert (mapped["shipping_status"], mapped["shipping_status_basis"]) == (
        "delivered",
        "account_map",
    )


def test_the_sites_currency_yields_to_the_configured_one() -> None:
    configured = read("6", currency="EUR")
    assert order(configured)["currency"] == "EUR"
    assert {row["currency"] for row in configured.rows} == {"EUR"}
    assert "currency_not_as_configured" in order(configured)["quality_flags"]
    assert order(read("6", currency=None))["currency"] == "GBP"


@pytest.mark.parametrize(
    ("field", "value"),
    [("order_total", 1.23456), ("order_menus", 3), ("order_totals", "none"), ("created_at", "x")],
)
def test_what_cannot_be_read_holds_the_order_back(field: str, value: object) -> None:
    found = read("6", **{field: value})
    assert found.order is None
    assert (field, True) in found.reasons()


def test_an_odd_flag_is_reported_and_the_order_loaded() -> None:
    found = read("6", processed="perhaps")
    assert order(found)["payment_status"] == "unknown"
    assert found.reasons() == {("processed", False)}
