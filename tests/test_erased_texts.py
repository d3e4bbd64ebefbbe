"""Which texts of an order go because they name an erased person, and which stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from assets.erased import Erased
from assets.persons import EMAIL, Party, digits, normal_name
from resources.erasures import EVERYWHERE, PHRASE, Mark
from resources.ledger import Ledger
from tests.document_bodies import body_of

ANN = "ann@example.com"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with Ledger(f"sqlite:///{path}") as ledger:
        yield ledger


def after(ledger: Ledger, source: str, body: str, *phrases: str) -> Any:
    """The body without Ann, of whom these phrases are known, too; None where it does not name her.

    What it comes to comes to itself, received again.
    """
    erasures = ledger.erasures
    told = [(EMAIL, ANN), *((PHRASE, phrase) for phrase in phrases)]
    who = Erased(source, f"{source}.acme", erasures)
    who.assume(Mark("1", k, EVERYWHERE, erasures.digest(k, EVERYWHERE, t)) for k, t in told)
    found = who.apply("a:b:1", body)
    if found is None:
        return None
    again = who.apply("a:b:1", found.body)
    assert again is None or again.body == found.body
    return json.loads(found.body)


def brightpearl(**customer: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(body_of("brightpearl")))
    body["parties"] = {"customer": customer}
    body["customFields"] = {"PCF_NOTE": "by noon"}
    return body


def test_a_phrase_is_looked_for_in_open_texts_alone(ledger: Ledger) -> None:
    """What a document names has its meaning, whatever a customer wrote in their address."""
    line, number = "Click & Collect", "20241105"
    body = brightpearl(email=ANN, addressLine1=line, telephone=number)
    body |= {"placedOn": "2024-11-05T00:00:00.000+00:00", "orderStatus": {"name": line}}
    body |= {"anything": line, "customFields": {"PCF_A": f"by {line}", "PCF_B": "by noon"}}
    next(iter(body["orderRows"].values()))["productName"] = line
    left = after(ledger, "brightpearl", json.dumps(body), normal_name(line), digits(number))
    assert left == body | {
        "parties": {"customer": {"email": "", "addressLine1": "", "telephone": ""}},
        "customFields": {"PCF_A": "", "PCF_B": "by noon"},
        "anything": "",
    }


@pytest.mark.parametrize(
    ("number", "phrases"),
    [
        ("00000000000", []),
        ("0101010101", []),
        ("123 456", []),
        ("0117 496 0000", ["01174960000"]),
        ("555-1234", ["5551234"]),
    ],
)
def test_what_stands_for_no_telephone_number_is_none(number: str, phrases: list[str]) -> None:
    assert list(Party("customer", {"telephone": number}, []).phrases()) == phrases


def test_an_address_goes_out_of_what_others_say_of_themselves(ledger: Ledger) -> None:
    body = brightpearl(email=f"Ann <{ANN}>", companyName=f"c/o {ANN.upper()}", addressLine1="Mill")
    body["parties"]["supplier"] = {"email": f"x{ANN}", "addressFullName": "Sam Supplier"}
    left = after(ledger, "brightpearl", json.dumps(body))
    assert left is not None
    customer = {"email": "", "companyName": "", "addressLine1": "Mill"}
    assert left == body | {"parties": body["parties"] | {"customer": customer}}
    meal = body_of("tastyigniter") | {"comment": f"please tell {ANN}"}
    assert after(ledger, "tastyigniter", json.dumps(meal)) == meal | {"comment": ""}


def test_the_orders_own_id_stays(ledger: Ledger) -> None:
    body = {"registration": {"external_id": ANN, "customer": {"fullname": f"Bob, {ANN}"}}}
    expected = {"registration": {"external_id": ANN, "customer": {"fullname": ""}}}
    assert after(ledger, "feedback_company", json.dumps(body)) == expected


@pytest.mark.parametrize("joined", ["mary.", "mary-", "mary_", "m+", "jo"])
def test_an_address_that_ends_like_it_is_somebody_elses(joined: str, ledger: Ledger) -> None:
    body = brightpearl(email=f"{joined}{ANN}", companyName=f"c/o <{joined}{ANN}>")
    body["customFields"] = {"PCF_NOTE": f"or {ANN}"}
    left = after(ledger, "brightpearl", json.dumps(body))
    assert left == body | {"customFields": {"PCF_NOTE": ""}}
    body["parties"] = {"customer": {"companyName": f"mail=-{ANN}"}}
    assert after(ledger, "brightpearl", json.dumps(body))["parties"]["customer"] == {
        "companyName": ""
    }


@pytest.mark.parametrize("before", ["\n", "\r\n", "\t", "/", '"', "\\"])
def test_an_address_is_seen_behind_an_escape(before: str, ledger: Ledger) -> None:
    body = brightpearl(email="bob@example.com")
    body["customFields"] = {"PCF_NOTE": f"Contact:{before}{ANN}"}
    left = after(ledger, "brightpearl", json.dumps(body).replace("/", r"\/"))
    assert left == body | {"customFields": {"PCF_NOTE": ""}}
