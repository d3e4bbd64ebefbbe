"""totals_check at its borders, in every source that has a header and rows."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from assets.mapping import Mapper
from tests.document_bodies import body_of
from tests.mapping_harness import Outcome, account_of, outcome

Amount = str | None


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    """One in which the macros are defined."""
    return Mapper(account_of("brightpearl")).connection


@pytest.mark.parametrize(
    ("header", "rows", "count", "expected"),
    [
        ("10.00", "10.00", 1, "ok"),
        ("10.00", "10.01", 1, "ok"),
        ("10.00", "9.99", 1, "ok"),
        ("10.00", "10.0101", 1, "rounding"),
        ("10.00", "10.0150", 1, "rounding"),
        ("10.00", "10.0151", 1, "mismatch"),
        ("10.00", "9.9850", 1, "rounding"),
        ("10.00", "9.9849", 1, "mismatch"),
        ("10.00", "10.0200", 2, "rounding"),
        ("10.00", "10.0201", 2, "mismatch"),
        ("100.00", "100.5100", 100, "rounding"),
        ("100.00", "100.5101", 100, "mismatch"),
        ("-10.00", "-10.01", 1, "ok"),
        ("-10.00", "-10.0150", 1, "rounding"),
        ("-10.00", "10.00", 1, "mismatch"),
        ("0.00", "0.00", 1, "ok"),
        (None, "10.00", 1, "not_checkable"),
        ("10.00", None, 1, "not_checkable"),
        ("10.00", None, 0, "not_checkable"),
        ("0.00", "0.00", 0, "not_checkable"),
        ("10.00", None, None, "not_checkable"),
    ],
)
def test_the_borders(
    connection: duckdb.DuckDBPyConnection,
    header: Amount,
    rows: Amount,
    count: int | None,
    expected: str,
) -> None:
    found = connection.execute(
        "SELECT totals_check_of(CAST(? AS DECIMAL(18, 4)), CAST(? AS DECIMAL(38, 4)), "
        "CAST(? AS BIGINT))",
        [header, rows, count],
    ).fetchall()
    assert found == [(expected,)]


def brightpearl(net: Amount, tax: Amount, *rows: tuple[Amount, Amount], **more: Any) -> Outcome:
    """An order with these totals and rows of net and tax."""
    body = body_of("brightpearl") | more
    body["totalValue"] = {"net": net, "taxAmount": tax}
    plain = body["orderRows"]["154"]
    body["orderRows"] = {}
    for number, (row_net, row_tax) in enumerate(rows, 1):
        row = deepcopy(plain)
        row["rowValue"]["rowNet"]["value"] = row_net
        row["rowValue"]["rowTax"]["value"] = row_tax
        row["composition"]["bundleParent"] = len(rows) > 1 and number == 1
        row["composition"]["bundleChild"] = number > 1
        body["orderRows"][str(number)] = row
    return outcome("brightpearl", body)


def check(found: Outcome) -> str:
    assert found.order is not None, found.faults
    return str(found.order["totals_check"])


@pytest.mark.parametrize(
    ("net", "tax", "rows", "expected"),
    [
        ("10.00", "2.00", [("10.00", "2.00")], "ok"),
        ("10.00", "2.00", [("10.01", "2.01")], "ok"),
        ("10.00", "2.00", [("10.0101", "2.00")], "rounding"),
        ("10.00", "2.00", [("10.00", "2.0150")], "rounding"),
        ("10.00", "2.00", [("10.00", "2.0151")], "mismatch"),
        ("10.00", "2.00", [("10.02", "2.00")], "mismatch"),
        ("10.00", "2.00", [("10.02", "2.00"), ("0.00", "0.00")], "rounding"),
        ("10.00", "2.00", [("10.0201", "2.00"), ("0.00", "0.00")], "mismatch"),
        ("50.00", "10.00", [("104.1666", "27.50")], "mismatch"),
        ("0.00", "0.00", [("10.00", "2.00")], "mismatch"),
        ("10.00", "2.00", [], "not_checkable"),
        ("0.00", "0.00", [], "not_checkable"),
        (None, None, [("10.00", "2.00")], "not_checkable"),
        ("10.00", "2.00", [(None, None)], "not_checkable"),
        ("10.00", "2.00", [("10.00", "2.00"), (None, None)], "not_checkable"),
        ("10.00", None, [("10.00", "2.00")], "ok"),
        ("10.00", None, [("12.00", "2.00")], "mismatch"),
        ("-10.00", "-2.00", [("-10.00", "-2.00")], "ok"),
        ("-10.00", "-2.00", [("10.00", "2.00")], "mismatch"),
    ],
)
def test_brightpearl(
    net: Amount, tax: Amount, rows: list[tuple[Amount, Amount]], expected: str
) -> None:
    assert check(brightpearl(net, tax, *rows)) == expected


def test_a_credit_is_compared_as_received() -> None:
    found = brightpearl("10.00", "2.00", ("10.00", "2.00"), orderTypeCode="SC")
    assert check(found) == "ok"
    assert found.order is not None
    assert found.order["order_type"] == "sales_credit"


def test_neither_header_nor_rows_are_put_right() -> None:
    found = brightpearl("50.00", "10.00", ("104.1666", "27.50"))
    assert found.order is not None
    assert (found.order["net_amount"], found.order["tax_amount"]) == (Decimal(50), Decimal(10))
    assert [row["net_amount"] for row in found.rows] == [Decimal("104.1666")]
    assert found.faults == []


@pytest.mark.parametrize(
    ("net", "tax", "is_flagged"),
    [
        ("8.3333", "1.6667", False),
        ("8.3333", "1.6776", False),
        ("8.3333", "1.68", True),
        ("8.3333", "8.33", True),
        ("-8.3333", "-1.67", False),
        ("-8.3333", "1.67", True),
    ],
)
def test_a_row_whose_tax_contradicts_its_rate_is_flagged(
    net: str, tax: str, is_flagged: bool
) -> None:
    """Document 004, row 148: net 8.3333 and tax 8.33 at 20 %."""
    found = brightpearl(net, tax, (net, tax))
    assert found.order is not None
    assert ("row_tax" in (found.order["quality_flags"] or [])) is is_flagged
    assert check(found) == "ok"


def efiling(net: Any, gross: Any, *lines: tuple[Any, Any, Any], state: str = "complete") -> str:
    """An order with these totals and lines of price, quantity and tax."""
    body = body_of("efiling")
    plain = body["orderlines"][0]
    body["order"] |= {"net": net, "gross": gross}
    body["orderlines"] = [
        plain | {"price": price, "quantity": quantity, "tax": tax} for price, quantity, tax in lines
    ]
    body["orderlines_state"] = state
    return check(outcome("efiling", body, "123"))


@pytest.mark.parametrize(
    ("net", "gross", "lines", "expected"),
    [
        (10, 12, [(5, 2, 2)], "ok"),
        (10.01, 12.01, [(5, 2, 2)], "ok"),
        (10.0101, 12.0101, [(5, 2, 2)], "rounding"),
        (10.02, 12.02, [(5, 1, 1), (5, 1, 1)], "rounding"),
        (10.0201, 12.0201, [(5, 1, 1), (5, 1, 1)], "mismatch"),
        (17.98, 19.58, [(2.0, 1, 1.0)], "mismatch"),
        (10, 12, [], "not_checkable"),
        (None, None, [(5, 2, 2)], "not_checkable"),
        (10, None, [(5, 2, 2)], "ok"),
        (10, 12, [(None, 2, None)], "not_checkable"),
        (10, 12, [(None, 2, 2)], "ok"),
    ],
)
def test_efiling(net: Any, gross: Any, lines: list[tuple[Any, Any, Any]], expected: str) -> None:
    assert efiling(net, gross, *lines) == expected


@pytest.mark.parametrize("state", ["stale", "missing"])
def test_efiling_lines_of_another_time_are_not_compared(state: str) -> None:
    assert efiling(10, 12, (99, 1, 1), state=state) == "not_checkable"


def tastyigniter(total: Any, lines: list[Any], totals: list[tuple[str, Any, bool]]) -> str:
    """An order with this total, menu lines of these subtotals, and further totals."""
    menus = [
        {"menu_id": n, "name": f"dish {n}", "quantity": 1, "price": each, "subtotal": each}
        for n, each in enumerate(lines, 1)
    ]
    sums = [
        {"code": code, "title": code, "value": value, "priority": n, "is_summable": summable}
        for n, (code, value, summable) in enumerate(totals)
    ]
    body = body_of("tastyigniter") | {"order_menus": menus, "order_totals": sums}
    return check(outcome("tastyigniter", body | {"order_total": total}))


@pytest.mark.parametrize(
    ("total", "lines", "totals", "expected"),
    [
        (24, [20, 4], [("total", 24, False)], "ok"),
        (24, [20, 4.01], [("total", 24.01, False)], "ok"),
        (24, [20, 4.02], [], "rounding"),
        (24, [20, 4.0201], [], "mismatch"),
        (24, [20, 4], [("total", 0, False)], "mismatch"),
        (24, [20], [("delivery", 5, True), ("coupon", -1, True), ("tax", 3, False)], "ok"),
        (0, [5], [("coupon", -9, True)], "ok"),
        (24, [], [], "not_checkable"),
        (24, [None], [], "not_checkable"),
        (24, [20, None], [("delivery", 4, True)], "not_checkable"),
        (24, [], [("delivery", 24, True)], "not_checkable"),
        (24, [], [("subtotal", 20, False), ("delivery", 4, True)], "ok"),
        (24, [], [("total", 24, False)], "ok"),
        (None, [24], [], "not_checkable"),
    ],
)
def test_tastyigniter(
    total: Any, lines: list[Any], totals: list[tuple[str, Any, bool]], expected: str
) -> None:
    assert tastyigniter(total, lines, totals) == expected


@pytest.mark.parametrize("source", ["quotevine", "feedback_company"])
def test_without_amounts_there_is_nothing_to_compare(source: str) -> None:
    found = outcome(source, body_of(source), "7/4" if source == "quotevine" else "08b747cb")
    assert check(found) == "not_checkable"
