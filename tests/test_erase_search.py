"""Who is found in what is landed, by what, and whose orders are left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.erase_search import Found, Person, Search
from assets.erased import Erased
from resources.lake import Lake
from resources.ledger import Ledger
from schemas.canonical import LAKE, SCHEMA_VERSION

ACCOUNT = "brightpearl.counter"
ANN = "ann@example.com"
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


def order(email: str, name: str, contact: int = 0, **said: str) -> dict[str, Any]:
    """One Brightpearl order with one party."""
    told = {"email": email, "addressFullName": name, "contactId": contact} | said
    return {"parties": {"customer": told}}


def key(number: int) -> str:
    return f"brightpearl:counter:{number}"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield ledger


@pytest.fixture
def find(tmp_path: Path, ledger: Ledger) -> Callable[..., Found]:
    """Land orders in a lake of their own, and find a person in it."""

    def found(person: Person, *orders: dict[str, Any]) -> Found:
        lake = Lake(str(tmp_path / "lake"))
        rows = [
            {
                "source_system": "brightpearl",
                "source_account": "counter",
                "order_key": key(number),
                "source_order_id": str(number),
                "landing_seq": number,
                "kind": "read",
                "endpoint": "/order",
                "body": json.dumps({"id": number} | each, ensure_ascii=False).replace("/", "\\/"),
                "content_hash": str(number),
                "fetched_at": MOMENT,
                "first_seen_at": MOMENT,
                "run_id": "run",
                "schema_version": SCHEMA_VERSION,
            }
            for number, each in enumerate(orders, 1)
        ]
        table = pa.Table.from_pylist(rows, schema=LAKE["raw"])
        lake.append("raw", table, stage=f"land:{ACCOUNT}", batch=len(rows), after=0)
        return Search(lake, ledger.erasures).find(person)

    return found


def blanked(found: Found, ledger: Ledger, *orders: dict[str, Any]) -> list[int]:
    """The numbers of the orders that the marks blank."""
    erased = Erased("brightpearl", ACCOUNT, ledger.erasures)
    erased.assume(found.marks)
    return [
        number
        for number, each in enumerate(orders, 1)
        if erased.apply(key(number), json.dumps({"id": number} | each)) is not None
    ]


def test_one_contact_for_all_counter_sales_is_nobodys_id(
    find: Callable[..., Found], ledger: Ledger
) -> None:
    orders = (
        order(ANN, "Ann Example", 4),
        order("", "Bob Other", 4),
        order("", "Carl Third", 4),
    )
    found = find(Person("email", ANN), *orders)
    assert found.orders == {ACCOUNT: {key(1): "customer"}}
    assert found.doubtful == {ACCOUNT: 2}
    assert blanked(found, ledger, *orders) == [1]


def test_what_is_blanked_by_the_customer_id_is_counted_before(
    find: Callable[..., Found], ledger: Ledger
) -> None:
    orders = (
        order(ANN, "Ann Example", 5),
        order("", "", 5, telephone="+44 117 496 0123"),
        order("", "ann example", 5),
        order("", "Bob Other", 6),
    )
    found = find(Person("email", ANN), *orders)
    assert set(found.orders[ACCOUNT]) == {key(1), key(2), key(3)}
    assert found.records == {ACCOUNT: 3}
    assert found.values >= {ANN, "+44 117 496 0123"}
    assert found.doubtful == {}
    assert blanked(found, ledger, *orders) == [1, 2, 3]


def test_who_received_a_present_does_not_make_a_stranger(find: Callable[..., Found]) -> None:
    """The order is the person's and goes as a whole, under whatever name it was delivered."""
    gift = order(ANN, "Ann Example", 7)
    gift["parties"]["delivery"] = {"addressFullName": "Bob Other", "contactId": 7}
    found = find(Person("email", ANN), gift, order("", "", 7))
    assert set(found.orders[ACCOUNT]) == {key(1), key(2)}
    assert found.doubtful == {}


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("Weiß", "Weiß"),
        ("Hans Weiss", "HANS WEIẞ"),
        ("Jörg Strauß", "Jörg Strauss"),
        ("Ann Fi\u017fcher-Af\ufb02eck", "Ann Fischer Affleck"),
        ("Ann Fischer-Affleck", "Ann Fi\u017fcher A\ufb04eck"),
    ],
)
def test_a_name_is_found_whatever_becomes_of_its_letters(
    find: Callable[..., Found], asked: str, written: str
) -> None:
    found = find(Person("name", asked), order("", written), order("", "Bob Other"))
    assert found.orders == {ACCOUNT: {key(1): "customer"}}


@pytest.mark.parametrize("asked", ["gross@weiß.de", "Gross@Weiss.de", "groß@weiss.de"])
def test_an_address_is_found_whatever_becomes_of_its_letters(
    find: Callable[..., Found], asked: str
) -> None:
    found = find(Person("email", asked), order("Groß@weiß.de", "Ann"), order(ANN, "Ann"))
    assert found.orders == {ACCOUNT: {key(1): "customer"}}


def test_what_json_escapes_is_found(find: Callable[..., Found]) -> None:
    mine = {"parties": {"customer": {"contactId": "SHOP/7"}}}
    found = find(Person("customer_id", "SHOP/7", ACCOUNT), mine, order(ANN, "Ann"))
    assert found.orders == {ACCOUNT: {key(1): "customer"}}


def test_a_value_is_shared_however_others_write_it(find: Callable[..., Found]) -> None:
    mine = order(ANN, "Ann Weiß-Example")
    found = find(Person("email", ANN), mine, order("w@example.com", "ANN/WEISS, EXAMPLE"))
    assert found.shared == 1
    assert found.values == {ANN}


@pytest.mark.parametrize(
    "placeholder",
    [
        "123456",
        "000000",
        "0000000000",
        "(121) 221-2121",
        "----------",
        "Delivery",
        "COUNTER",
        "Unpaid",
    ],
)
def test_what_stands_everywhere_is_not_searched_for(
    find: Callable[..., Found], placeholder: str
) -> None:
    mine = order(ANN, "Ann Example", telephone=placeholder, addressLine1=placeholder)
    found = find(Person("email", ANN), mine)
    assert found.values == {ANN, "Ann Example"}
    assert found.left_out == 1


def test_what_was_asked_for_is_always_searched_for(find: Callable[..., Found]) -> None:
    found = find(Person("name", "Delivery"), order("", "Delivery", telephone="0117 4960123"))
    assert found.values == {"Delivery", "0117 4960123"}
    assert found.left_out == 0
