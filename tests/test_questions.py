"""docs/questions.md: every question's SQL is run, and some answers are worked out by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from canonical_rows import START, TWELVE, land, order, order_row
from warehouse_home import ACCOUNTS, Home

from assets.marts import MARTS
from resources.warehouse import Warehouse
from schemas.canonical import PARTY_PERSONAL
from schemas.published import MACROS

PAGE = (Path(__file__).parents[1] / "docs/questions.md").read_text(encoding="utf-8")

COVERED = {
    *(mart.name for mart in MARTS), *MACROS, "order_rows", "order_parties", "order_invoices",
    "order_custom_fields", "quarantine", "schema_drift", "runs", "dim_date", "dim_account",
    "dim_order_type",
}  # fmt: skip
"""What some question must be about."""


@dataclass(frozen=True)
class Question:
    """One question of the page."""

    title: str
    sql: str
    answer: str
    """What it gives on the demo's data: names of the columns, then rows."""
    cautions: str


def _questions() -> dict[int, Question]:
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        number, _, title = heading.partition(". ")
        read = re.fullmatch(r"\n```sql\n(.+?)```\n\n```text\n(.+?)```\n\n(.+)", body, re.DOTALL)
        assert read, f"question {number} is not SQL, answer and cautions"
        found[int(number)] = Question(title, *read.groups())
    return found


QUESTIONS = _questions()


def test_there_are_twenty_about_everything_that_is_published() -> None:
    assert list(QUESTIONS) == list(range(1, 21))
    assert all(each.title.endswith("?") for each in QUESTIONS.values())
    words = set(re.findall(r"\w+", " ".join(each.sql for each in QUESTIONS.values())))
    assert words >= COVERED


@pytest.mark.parametrize("number", QUESTIONS)
def test_a_question_is_answered(number: int, small_marts: Warehouse) -> None:
    question = QUESTIONS[number]
    answer = small_marts.read_arrow(question.sql)
    assert answer.num_rows > 0
    assert question.answer.splitlines()[0].split() == answer.column_names
    assert all(re.fullmatch(r"[a-z_]+", name) for name in answer.column_names)
    assert answer.column(0).null_count < answer.num_rows


@pytest.mark.parametrize("number", QUESTIONS)
def test_no_answer_names_a_person(number: int, small_marts: Warehouse) -> None:
    question = QUESTIONS[number]
    answer = small_marts.read_arrow(question.sql)
    personal = {field.name for field in PARTY_PERSONAL} - {"country_code"}
    assert not personal & set(answer.column_names)
    assert "@" not in question.answer + str(answer.to_pydict())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Six orders in two currencies, all placed on Thursday, 17 September 2026."""
    home = Home(tmp_path_factory.mktemp("questions"))
    autumn = {"placed_at": START + timedelta(days=200), "placed_on": date(2026, 9, 17)}
    shipped = {"shipping_status": "shipped", "allocation_status": "allocated"}
    paid = {"payment_status": "paid"}
    orders = [
        order("1", 1, **autumn, row_count=3),
        order("2", 2, **autumn, **paid, order_type="sales_credit", net_amount="30",
              gross_amount="36"),
        order("3", 3, **autumn, order_type="purchase_order", fulfilment_status="none"),
        order("4", 4, **autumn, order_status="cancelled"),
        order("5", 5, **autumn, **paid, **shipped, currency="EUR", net_amount="7",
              gross_amount="8"),
        order("1", 1, TWELVE, **autumn, payment_status="partially_paid", net_amount=None),
    ]  # fmt: skip
    rows = [
        order_row("1", 1, "1", product_name="Tea", quantity="2", net_amount="60"),
        order_row("1", 1, "2", product_name="Set", quantity="1", net_amount="40",
                  row_kind="bundle_parent"),
        order_row("1", 1, "3", product_name="Tea", quantity="5", net_amount="0",
                  row_kind="bundle_component"),
        order_row("2", 2, product_name="Tea", quantity="1", net_amount="30"),
        *(order_row(str(n), n, product_name="Cup", currency="EUR", net_amount="7")
          for n in (3, 4, 5)),
        order_row("1", 1, account=TWELVE, product_name="Tea", net_amount=None),
    ]  # fmt: skip
    land(home.lake, orders, rows)
    later = order("1", 6, **autumn, **shipped, row_count=3) | {
        "updated_at": START + timedelta(days=203, hours=6),
        "last_seen_at": START + timedelta(days=204),
    }
    land(home.lake, [later], [r | _version(later) for r in rows[:3]])
    home.warehouse.publish(MARTS, ACCOUNTS)
    return home


def _version(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("version_id", "landing_seq")}


SEPTEMBER = date(2026, 9, 1)
WORKED_OUT: dict[int, list[tuple[Any, ...]]] = {
    1: [
        (SEPTEMBER, "EUR", 1, 0, Decimal(7), 0),
        (SEPTEMBER, "GBP", 2, 1, Decimal(70), 1),
    ],
    3: [("Thursday", 3, 100.0)],
    4: [
        ("Set", "GBP", 1, Decimal(1), Decimal(40)),
        ("Tea", "GBP", 3, Decimal(3), Decimal(30)),
        ("Cup", "EUR", 1, Decimal(2), Decimal(7)),
    ],
    8: [("acme", "GBP", 1, Decimal(100), date(2026, 9, 17))],
    9: [
        ("brightpearl", "GBP", "all", 1, Decimal(120), Decimal(120)),
        ("tastyigniter", "GBP", "part", 1, Decimal(120), None),
    ],
    10: [("SKU-1", "Tea", 1, Decimal(2), None, date(2026, 9, 17))],
    11: [("brightpearl", 1, 78.0, 1, 78.0, 78.0, 0, None)],
}
"""Answers by number of the question: three days and six hours to ship, a credit of 30, a bundle."""


@pytest.mark.parametrize("number", WORKED_OUT)
def test_an_answer_is_as_worked_out_by_hand(number: int, home: Home) -> None:
    assert home.rows(QUESTIONS[number].sql) == WORKED_OUT[number]
