"""Awkward but plausible bodies through every mapping: right to the last digit, or told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from assets.exact_numbers import exact_numbers, with_exact_numbers
from tests.document_bodies import Path, body_of, id_of, put, take
from tests.mapping_harness import Outcome, outcome, outcomes, read_extra

MENU_LINE = {
    "menu_id": 1, "name": "Puff", "quantity": 3, "price": 4.99, "subtotal": 14.97, "comment": "hot",
    "menu_options": {"Drinks": [{"order_option_name": "Coke", "quantity": 2}]},
}  # fmt: skip
TOTALS = [
    {"code": "subtotal", "title": "Sub", "value": 14.97, "priority": 0, "is_summable": False},
    {"code": "total", "title": "All", "value": 15.0449, "priority": 1, "is_summable": False},
]


def full_body(source: str) -> dict[str, Any]:
    """A body in which every field that is read has a value."""
    body = body_of(source)
    if source == "tastyigniter":
        body |= {"order_menus": [MENU_LINE], "order_totals": TOTALS, "currency": "GBP"}
        body |= {"processed": True, "notify": True}
    if source == "quotevine":
        stamps = ("cancellation_date", "creation_date", "last_update_date")
        body["order"] |= dict.fromkeys(stamps, "2022-08-05") | {"cancellation_reason": "late"}
    return deepcopy(body)


# Nothing is lost without a word.

ODD = ["odd", 12.5, [1], ["x", {"y": 1}], 10**25, "2021-13-45"]
TELLS_NOTHING = {
    "brightpearl": {"id"},
    "tastyigniter": {"order_id", "ip_address", "hash", "user_agent"},
    "efiling": {"order", "id"},
    "quotevine": {"relationship_id", "order", "order_id"},
    "feedback_company": {"registration", "response", "customer"},
}
"""Fields that say under which id the order was landed, that are dropped, or whose absence is told
in the same words."""


def paths_in(value: Any, path: Path | None = None) -> Iterator[Path]:
    """The way to everything that stands in a body."""
    path = path or []
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, held in items:
        if isinstance(held, dict | list):
            yield from paths_in(held, [*path, key])
        else:
            yield [*path, key]


def told(found: Outcome) -> str:
    """All that is said of an order, but for keys and hashes."""
    ours = {"content_hash", "landing_seq", "version_id", "order_key", "order_row_key"}
    ours |= {"source_row_id", "source_order_id"}

    def plain(record: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in ours}

    records = [found.order or {}, *found.rows, *found.parties]
    faults = sorted((fault["field"], fault["reason"]) for fault in found.faults)
    return repr([*map(plain, records), faults])


@pytest.mark.parametrize("source", sorted(TELLS_NOTHING))
def test_what_cannot_be_read_is_told(source: str) -> None:
    plain = full_body(source)
    order_id = id_of(source, plain)
    paths = [p for p in paths_in(plain) if p[-1] not in TELLS_NOTHING[source]]
    bodies = []
    for path in paths:
        for odd in ODD:
            bodies.append(deepcopy(plain))
            put_at(bodies[-1], path, odd)
        bodies.append(deepcopy(plain))
        take(bodies[-1], path)
    found = [told(each) for each in outcomes(source, [(order_id, body) for body in bodies])]
    lost = [
        (path, odd)
        for place, path in enumerate(paths)
        for odd, said in zip(ODD, found[place * (len(ODD) + 1) :], strict=False)
        if said == found[place * (len(ODD) + 1) + len(ODD)]
    ]
    assert lost == []


def put_at(body: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        body = body[part]
    body[path[-1]] = value


# Stamps.


def brightpearl(*changes: dict[str, Any]) -> list[Outcome]:
    """The document's Brightpearl order once with each of these changes."""
    bodies = [(str(place), body_of("brightpearl") | each) for place, each in enumerate(changes)]
    return outcomes("brightpearl", bodies)


STAMPS: dict[str, tuple[tuple[int, int, int], int | None]] = {
    "2021-07-01T10:00:00.000+0530": ((1, 4, 30), 330),
    "2021-07-01T10:00:00+05": ((1, 5, 0), 300),
    "2021-07-01T10:00:00-05": ((1, 15, 0), -300),
    "2021-07-01T10:00+01:00": ((1, 9, 0), 60),
    "2021-07-01 10:00:00 +0100": ((1, 9, 0), 60),
    "2021-07-01T23:30:00.000-02:00": ((2, 1, 30), -120),
    "2021-07-01T10:00:00Z": ((1, 10, 0), 0),
    "2021-07-01T10:00:00z": ((1, 10, 0), 0),
    "2021-07-01 10:00:00 UTC": ((1, 10, 0), 0),
    "2021-07-01 10:00:00": ((1, 9, 0), None),
    "2021-07-01T10:00": ((1, 9, 0), None),
    "2021-7-1 9:05:00": ((1, 8, 5), None),
}
"""Day, hour and minute in UTC in July 2021, and minutes of the offset; naive ones are London's."""


def test_a_stamp_is_read_with_the_offset_that_it_has() -> None:
    found = [each.order for each in brightpearl(*({"createdOn": stamp} for stamp in STAMPS))]
    read = {
        stamp: order and (order["created_at"], order["created_offset_min"])
        for stamp, order in zip(STAMPS, found, strict=True)
    }
    assert read == {
        stamp: (datetime(2021, 7, *utc, tzinfo=UTC), minutes)
        for stamp, (utc, minutes) in STAMPS.items()
    }
    bases = [order and order["created_tz_basis"] for order in found]
    assert bases == ["explicit"] * 9 + ["configured"] * 3


NO_STAMPS = [
    "epoch", "infinity", "today", "2021-07-01 10:00:00 CET", "2021-07-01T10:00:00[Europe/Paris]",
    "01/07/2021 10:00", "2021-06-31", "1625133600", 1625133600, "0021-07-01", True, {"at": "now"},
    "-000001-11-30T00:01:15.000000Z", "2021-07-01T10:00:00+5",
]  # fmt: skip


def test_what_is_no_stamp_holds_the_order() -> None:
    found = brightpearl(*({"createdOn": stamp} for stamp in NO_STAMPS))
    assert [each.order for each in found] == [None] * len(NO_STAMPS)
    assert all(("createdOn", True) in each.reasons() for each in found)


DATES = {
    "2022-08-05": date(2022, 8, 5),
    "2022-08-05 00:00:00": date(2022, 8, 5),
    "2022-08-05T00:00:00Z": date(2022, 8, 5),
    "2022-08-05 or later": None,
    "epoch": None,
    "15-08-2022": None,
}


def test_a_date_is_a_date_alone() -> None:
    bodies = [body_of("quotevine") for _ in DATES]
    for body, text in zip(bodies, DATES, strict=True):
        put(body, ["order", "order_date"], text)
    found = outcomes("quotevine", [("7/4", body) for body in bodies])
    assert [each.order and each.order["placed_on"] for each in found] == list(DATES.values())
    faults = [("order_date", False) in each.reasons() for each in found]
    assert faults == [day is None for day in DATES.values()]


# Numbers.

AMOUNTS = {
    "12345678901234.5678": "12345678901234.5678",
    "99999999999999.9999": "99999999999999.9999",
    '"99999999999999.9999"': "99999999999999.9999",
    "19.579999999999998": "19.58",
    "1.958e1": "19.58",
    '"1.958E+1"': "19.58",
    "-0.0": "0",
    '" 19.58 "': "19.58",
    "9007199254740993.0": None,
    '"1,958.00"': None,
    '"19,58"': None,
    '"£19.58"': None,
    "19.58001": None,
    "NaN": None,
    "1E400": None,
    "true": None,
    "[19.58]": None,
}
"""What stands for the gross, as JSON, and the amount that it is; None: the order is held."""


def test_an_amount_is_exact_or_holds_the_order() -> None:
    text = json.dumps(body_of("efiling"))
    found = outcomes("efiling", [("123", text.replace("19.58", each, 1)) for each in AMOUNTS])
    read = [each.order and each.order["gross_amount"] for each in found]
    assert read == [amount and Decimal(amount) for amount in AMOUNTS.values()]
    assert all(("gross", True) in each.reasons() for each in found if each.order is None)


def test_only_numbers_that_a_double_would_change_are_quoted() -> None:
    body = '{"a": 12345678901234.5678, "12345678901234.5678": "\\" : 12345678901234.5678", "b": '
    rest = "[1.10, 12345678901234567890, 100000000000000.50, 0.1000000000000000055]}"
    quoted = body.replace("12345678901234.5678", '"12345678901234.5678"', 1)
    assert exact_numbers(body + rest) == quoted + rest


# Brightpearl.


def rows_of(*rows: Any, **first: Any) -> dict[str, Any]:
    """The document's row with changes, and these rows beside it."""
    row = body_of("brightpearl")["orderRows"]["154"] | first
    return {"orderRows": {"154": row} | {str(155 + place): row for place, row in enumerate(rows)}}


def test_an_order_without_rows_is_loaded() -> None:
    for found in brightpearl({"orderRows": {}}, {"orderRows": []}):
        assert found.order is not None
        assert (found.order["row_count"], found.order["totals_check"]) == (0, "not_checkable")
        assert found.faults == []


def test_rows_may_lack_anything_and_are_not_summed_where_one_has_no_amount() -> None:
    bare = {"rowValue": {"rowNet": {"value": "1.5"}, "rowTax": {"value": 0.3}}}
    bare_row, no_amount = brightpearl(rows_of(bare), rows_of({"productName": "no value"}))
    assert (bare_row.faults, no_amount.faults) == ([], [])
    row = next(row for row in bare_row.rows if row["source_row_id"] == "155")
    assert (row["product_id"], row["sku"], row["quantity"]) == (None, None, None)
    assert (row["net_amount"], row["tax_amount"]) == (Decimal("1.5"), Decimal("0.3"))
    assert bare_row.order is not None
    assert bare_row.order["totals_check"] == "mismatch"
    assert no_amount.order is not None
    assert no_amount.order["totals_check"] == "not_checkable"


def test_a_row_of_another_shape_holds_its_order_and_no_other() -> None:
    odd = [rows_of(row) for row in (5, "x", None, [1])]
    odd += [rows_of(quantity="2"), rows_of(itemCost="4.00"), rows_of(productPrice=[10])]
    odd += [rows_of(rowValue=10), rows_of(rowValue={"rowNet": "10.00"})]
    *held, loaded = brightpearl(*odd, {})
    assert [each.order for each in held] == [None] * len(odd)
    assert all(each.faults for each in held)
    assert loaded.order is not None


def test_an_empty_object_in_any_spelling_is_none() -> None:
    names = ("state", "tax", "delivery", "invoices", "currency", "assignment", "parties",
             "customFields", "nullCustomFields")  # fmt: skip
    for found in brightpearl(*(dict.fromkeys(names, empty) for empty in (None, "", [], {}))):
        assert found.order is not None
        assert (found.faults, found.parties) == ([], [])


def test_a_sequence_beyond_an_integer_does_not_hold_the_order() -> None:
    [found] = brightpearl(rows_of(orderRowSequence="99999999999"))
    assert found.rows[0]["row_no"] == 0
    assert found.reasons() == {("orderRowSequence", False)}


# TastyIgniter.

COKE = {"order_option_name": "Coke", "quantity": 2, "order_option_category": "Drinks"}
OPTIONS: list[tuple[Any, dict[str, str]]] = [
    ([COKE], {"Drinks": "2 x Coke"}),
    ({"Drinks": [COKE, COKE | {"order_option_name": "Tea", "quantity": 1}]},
     {"Drinks": "2 x Coke, Tea"}),
    ({"Drinks": {"1": COKE}}, {"Drinks": "2 x Coke"}),
    ({"": [{"order_option_name": "Coke", "quantity": "2.0"}]}, {"": "2 x Coke"}),
    ({"Drinks": [COKE | {"quantity": "1.5"}]}, {"Drinks": "1.5 x Coke"}),
    (["Coke"], {"": "Coke"}),
    ({"Drinks": "Coke"}, {"": "Coke"}),
    ([{"name": "Coke"}], {"": "Coke"}),
    ([], {}),
    ("", {}),
    (None, {}),
]  # fmt: skip


def test_options_in_every_shape_are_kept() -> None:
    plain = body_of("tastyigniter")
    lines = [MENU_LINE | {"menu_options": given} for given, _ in OPTIONS]
    bodies = [("1", plain | {"order_menus": [line]}) for line in lines]
    found = outcomes("tastyigniter", bodies)
    assert [each.faults for each in found] == [[]] * len(OPTIONS)
    read = [dict(each.rows[0]["options"] or []) for each in found]
    assert read == [expected for _, expected in OPTIONS]


def test_empty_texts_for_lists_are_none() -> None:
    body = body_of("tastyigniter") | {"order_menus": "", "order_totals": "", "processed": ""}
    found = outcome("tastyigniter", body)
    assert found.order is not None
    assert (found.order["rows_state"], found.order["totals"]) == ("not_supplied", None)
    assert found.order["source_payment_status_code"] is None
    assert found.faults == []


# eFiling.


def test_a_cancellation_is_a_stamp_however_it_is_written() -> None:
    bodies = [body_of("efiling") for _ in range(2)]
    for body, stamp in zip(bodies, (False, 20200102090000.0), strict=True):
        body["order"]["cancelled_at"] = stamp
    found = outcomes("efiling", [("123", body) for body in bodies])
    statuses = [each.order and each.order["order_status"] for each in found]
    assert statuses == ["unknown", "cancelled"]


def test_parts_of_a_line_that_are_no_objects_are_told() -> None:
    body = body_of("efiling")
    body["orderlines"][0] |= {"package": [], "officer": [], "product": "Company seal"}
    found = outcome("efiling", body, "123")
    assert found.reasons() == {("product", False)}
    assert read_extra(found.rows[0])["package_name"] is None


@pytest.mark.parametrize("before", range(5))
def test_a_long_number_is_found_wherever_it_stands(before: int) -> None:
    body = '{"' + "a" * before + '":12345678901234.567}'
    bodies = pa.table({"body": pa.array(["{}", "left out", body], pa.string())}).slice(2)
    found = with_exact_numbers(bodies)["body"].to_pylist()
    assert found == [body.replace("12345678901234.567", '"12345678901234.567"')]
