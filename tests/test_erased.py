"""What goes of one order when somebody in it is erased, source by source, and what stays."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.blanking import UNREADABLE, blanked, leaves
from assets.erased import Erased
from assets.persons import EMAIL, NAME, normal_email, normal_name
from resources.erasures import EVERYWHERE, PHRASE, Mark
from resources.ledger import Ledger
from schemas.canonical import PERSONAL
from schemas.known_fields import known_fields
from schemas.personal import KEY, TEXT, personal_fields
from tests.document_bodies import body_of, id_of, path_of, put
from tests.mapping_harness import outcome

FIELDS = Path(__file__).parent.parent / "schemas" / "field_map.csv"
OURS = {"landing_seq", "run_id", "order_key", "version_id"}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with Ledger(f"sqlite:///{path}") as ledger:
        yield ledger


def erased(ledger: Ledger, source: str, **who: str) -> Erased:
    """An account in which a person was erased: by `email` or `name`, with a `phrase` of theirs."""
    normal = {EMAIL: normal_email, NAME: normal_name, PHRASE: normal_name}
    found = Erased(source, f"{source}.acme", ledger.erasures)
    found.assume(
        Mark("1", kind, EVERYWHERE, ledger.erasures.digest(kind, EVERYWHERE, normal[kind](text)))
        for kind, text in who.items()
    )
    return found


def after(who: Erased, body: Any) -> dict[str, Any] | None:
    """The body without the person; None where it concerns nobody."""
    found = who.apply("a:b:1", json.dumps(body))
    if found is None:
        return None
    again = who.apply("a:b:1", found.body)
    assert again is None or again.fields == 0, "blanked twice it is blanked further"
    read: dict[str, Any] = json.loads(found.body)
    return read


def personal_lines() -> list[tuple[str, str, str]]:
    """Source, field and column of all that field_map.csv sends into a party."""
    with FIELDS.open(encoding="utf-8", newline="") as file:
        return [
            (line["source"], line["source_field"], line["canonical_column"])
            for line in csv.DictReader(file)
            if line["canonical_table"] == "order_parties"
        ]


@pytest.mark.parametrize(("source", "field", "column"), personal_lines())
def test_every_field_of_a_party_is_known_as_personal(source: str, field: str, column: str) -> None:
    body = json.loads(json.dumps(body_of(source)))  # in which parties are objects of their own
    put(body, path_of(source, field), "planted value")
    [leaf] = [
        each for each in leaves(json.dumps(body), source) or () if each.value == "planted value"
    ]
    assert leaf.field.column == column
    assert column in PERSONAL["order_parties"]


@pytest.mark.parametrize("source", ["brightpearl", "tastyigniter", "efiling", "quotevine"])
def test_personal_fields_are_known_fields(source: str) -> None:
    for field, personal in personal_fields(source).items():
        known = known_fields(source)
        for part in field.replace("[]", ".[]").split("."):
            assert known is not None
            inner = known.item if part == "[]" else known.fields.get(part)
            known = known.any_key if part.startswith("{") else inner
        assert known is not None, field
        assert (personal.role in (TEXT, KEY)) <= (not personal.column)


CUSTOMERS = {
    "brightpearl": {"email": "ANN@example.com "},
    "tastyigniter": {"email": "tucker@example.com"},
    "quotevine": {"name": "d. driver"},
    "feedback_company": {"email": "ann@example.com"},
    "efiling": {"name": "JOE  bloggs"},
}
GOES = {
    "brightpearl": ("Ann Example", "High Street", "BS1 1AA", "0117 1", "secret fax", "222"),
    "tastyigniter": ("Tucker", "Vega", "tucker", "Flat 2", "ring twice"),
    "quotevine": ("Driver", "High Street", "MK40", "Old Town"),
    "feedback_company": ("ann@", "Ann"),
    "efiling": ("Joe", "Bloggs"),
}


def full(source: str) -> dict[str, Any]:
    """A body in which a customer says more than the document lets them."""
    body = body_of(source)
    if source == "brightpearl":
        body["parties"]["supplier"] = {
            "addressFullName": "Sam Supplier",
            "email": "sam@example.com",
        }
        body["parties"]["customer"] = body["parties"]["customer"] | {"fax": "secret fax"}
        body["customFields"]["PCF_CARD"] = {"id": 7, "value": "Love to Ann"}
    if source == "tastyigniter":
        body |= {"formatted_address": "3 High Street, Flat 2", "comment": "ring twice"}
    if source == "quotevine":
        body["order"] |= {"contact_name": "D. Driver", "created_by": "staff@example.com"}
    if source == "feedback_company":
        body["registration"]["customer"] = {"email": "Ann@example.com", "fullname": "Ann Example"}
    return body


@pytest.mark.parametrize("source", sorted(CUSTOMERS))
def test_a_customer_goes_and_everything_else_is_read_as_before(source: str, ledger: Ledger) -> None:
    body = full(source)
    left = after(erased(ledger, source, **CUSTOMERS[source]), body)
    assert left is not None
    assert [each for each in GOES[source] if each in json.dumps(left)] == []
    order_id = id_of(source, body)
    before, now = outcome(source, body, order_id), outcome(source, left, order_id)
    assert before.order is not None
    assert now.order is not None
    assert now.faults == before.faults
    for name in before.order.keys() - PERSONAL["orders"] - OURS:
        assert now.order[name] == before.order[name], name
    hashed = {"content_hash", "order_row_key", "source_row_id"} | PERSONAL["order_rows"] | OURS
    for old, new in zip(before.rows, now.rows, strict=True):
        assert {k: v for k, v in new.items() if k not in hashed} == {
            k: v for k, v in old.items() if k not in hashed
        }


def test_who_supplies_or_sells_is_erased_alone(ledger: Ledger) -> None:
    body = full("brightpearl")
    left = after(erased(ledger, "brightpearl", email="sam@example.com"), body)
    assert left is not None
    expected = deepcopy(body)
    expected["parties"]["supplier"] = {"addressFullName": "", "email": ""}
    assert left == expected
    leased = after(erased(ledger, "quotevine", email="staff@example.com"), full("quotevine"))
    assert leased is not None
    changed = {k for k, v in leased["order"].items() if v != full("quotevine")["order"][k]}
    assert changed == {"working_user_email", "created_by"}


def test_of_two_officers_one_is_erased(ledger: Ledger) -> None:
    body = body_of("efiling")
    body["orderlines"].append(deepcopy(body["orderlines"][0]))
    body["orderlines"][1]["officer"] = {"first_name": "Ann", "last_name": "Other"}
    body["order"]["description"] = "BLOGGS & OTHER LTD"
    left = after(erased(ledger, "efiling", name="Joe Bloggs"), body)
    assert left is not None
    assert left["orderlines"][0]["officer"] == {
        "company_name": "",
        "first_name": "",
        "last_name": "",
    }
    assert left["orderlines"][1]["officer"] == {"first_name": "Ann", "last_name": "Other"}
    assert left["order"]["description"] == ""


def test_an_address_goes_out_of_everybodys_texts(ledger: Ledger) -> None:
    body = body_of("brightpearl")
    body["customFields"] = {"PCF_A": "to ann.b@example.com, please", "PCF_B": "joann.b@example.com"}
    body["reference"] = "<mailto:Ann.B@example.com>"
    left = after(erased(ledger, "brightpearl", email="ann.b@example.com"), body)
    expected = body | {"reference": "", "customFields": body["customFields"] | {"PCF_A": ""}}
    assert left == expected


def test_nobody_else_is_touched(ledger: Ledger) -> None:
    for source in CUSTOMERS:
        assert after(erased(ledger, source, email="nobody@example.com"), full(source)) is None
        assert after(erased(ledger, source, name="Nobody Known"), full(source)) is None


def test_everything_else_stays_byte_for_byte(ledger: Ledger) -> None:
    body = (
        ' { "id" : 1,"net":15.0449, "rate":1.10E+2,"email":"x@y.example" ,'
        '"email":"A\\u0040b.example",'
        '"note":"caf\\u00e9 \\/ \\"q\\"", "list":[1.50,{"a":null}] } '
    )
    who = erased(ledger, "unmarked", email="a@b.example")
    found = who.apply("k", body)
    assert found is not None
    assert found.body == body.replace('"A\\u0040b.example"', '""')


def test_what_is_no_json_goes_as_a_whole(ledger: Ledger) -> None:
    who = erased(ledger, "brightpearl", email="ann@example.com")
    found = who.apply("k", '{"email": "ann@example.com", ')
    assert found is not None
    assert found.body == UNREADABLE
    assert who.apply("k", UNREADABLE) is None
    assert who.apply("k", '{"email": "other@example.com", ') is None
    assert who.apply("k", "[" * 5000 + '"ann@example.com"') is not None


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(TREES, st.booleans())
def test_leaves_stand_where_they_are_said_to(tree: Any, plain: bool) -> None:
    text = json.dumps(tree, ensure_ascii=plain)
    found = leaves(text, "brightpearl")
    assert found is not None
    for leaf in found:
        read = json.loads(text[leaf.start : leaf.end])
        assert read == leaf.value if leaf.is_text else not isinstance(read, str)
    assert blanked(text, []) == text
    json.loads(blanked(text, found))
