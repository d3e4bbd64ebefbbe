"""Short cuts of the mapping: what they take for plain is what the long way would say, too.

Belongs here: forms that are told without comparing digits, and faults that are looked for before
they are collected. Does not belong here: what a field becomes (`test_field_map.py`).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.mapping import Mapper
from tests.document_bodies import body_of
from tests.mapping_harness import account_of, outcome, outcomes

KINDS = {
    "money_of": "DECIMAL(18, 4)",
    "rate_of": "DECIMAL(18, 8)",
    "percent_of": "DECIMAL(9, 4)",
    "whole_of": "BIGINT",
}
DIGITS = st.text("0123456789", min_size=0, max_size=22)
NUMBERS = st.builds(
    "{}{}{}{}{}".format, st.sampled_from(["", "-", "+", " "]), DIGITS,
    st.sampled_from(["", ".", ".."]), DIGITS, st.sampled_from(["", "e2", "E-3", "_1", " ", "\n"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    """One in which the macros are defined."""
    return Mapper(account_of("brightpearl")).connection


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(NUMBERS | st.text(max_size=8), min_size=1, max_size=60))
def test_a_plain_number_is_what_comparing_all_digits_says(
    connection: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    columns = ", ".join(
        f"{macro}(x) IS NOT DISTINCT FROM "
        f"CASE WHEN exact(x) = TRY_CAST(x AS {kind}) THEN TRY_CAST(x AS {kind}) END"
        for macro, kind in KINDS.items()
    )
    texts += ["99999999999999.9999", "999999999999999", "-0.0", "99999.9999", "9" * 18, "9" * 19]
    found = connection.execute(
        f"SELECT x, {columns} FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS x)", [texts]
    ).fetchall()
    assert [told for told in found if not all(told[1:])] == []


def test_a_fault_in_any_one_table_is_found() -> None:
    """Where nothing is found to be at fault, nothing is collected: each place must be looked at."""
    plain = body_of("brightpearl")

    def changed(change: Any) -> dict[str, Any]:
        body = deepcopy(plain)
        change(body, body["orderRows"]["154"])
        return body

    fields = {
        "placedOn": changed(lambda body, _: body.update(placedOn="soon")),
        "currency": changed(lambda body, _: body.update(currency="GBP")),
        "orderRows": changed(lambda body, _: body.update(orderRows=None)),
        "rowValue.taxClassId": changed(lambda _, row: row["rowValue"].update(taxClassId="x")),
        "itemCost": changed(lambda _, row: row.update(itemCost=4)),
    }
    assert outcome("brightpearl", plain).faults == []
    for field, body in fields.items():
        assert [fault["field"] for fault in outcome("brightpearl", body).faults] == [field]


def test_records_that_no_section_reads_are_told_beside_those_that_are_read() -> None:
    bodies = [("1", body_of("brightpearl")), ("2", "{"), (None, body_of("brightpearl"))]
    read, broken, nameless = outcomes("brightpearl", bodies)
    assert (read.order is not None, read.faults) == (True, [])
    assert (broken.order, broken.reasons()) == (None, {("body", True)})
    assert (nameless.order, nameless.reasons()) == (None, {("id", True)})
