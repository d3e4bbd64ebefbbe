"""Erasing one officer of a company by name: the others stay, and no line is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from assets.erase import Eraser
from assets.erase_search import Found, Person, Search
from assets.marts import MARTS
from assets.reference import reference
from assets.workshop import Workshop
from resources.errors import ConfigurationError
from resources.proof import Proof, search
from sandbox.server import Sandbox
from tests.home import Pulls, point_at

KEY = "efiling.formations"
NAME = "Ingrid Ångström-Example"
OFFICERS = [
    {"company_name": None, "first_name": "Ingrid", "last_name": "Ångström-Example"},
    {"company_name": None, "first_name": "Someone", "last_name": "Else"},
]


def look(workshop: Workshop, person: Person) -> Found:
    return Search(workshop.lake, workshop.ledger.erasures).find(person)


def erase(workshop: Workshop, person: Person) -> Proof:
    finder = Search(workshop.lake, workshop.ledger.erasures)
    found = finder.find(person)
    eraser = Eraser(workshop)
    proof = eraser.carry_out(eraser.begin(found, finder.digests(person)), found.values)
    assert proof is not None
    return proof


@pytest.fixture(scope="module")
def pulls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Pulls]]:
    folder: Path = tmp_path_factory.mktemp("officer")
    with (
        Sandbox(lifted=True, sources=("efiling",), most=6) as box,
        pytest.MonkeyPatch.context() as patch,
    ):
        api = box.api(KEY)
        for item in box.truth(KEY)[:2]:
            line = item["body"]["orderlines"][0]
            lines = [line | {"officer": officer} for officer in OFFICERS]
            said = {"orderlines": lines, "description": f"{NAME.upper()} LTD"}
            api.edit(item["source_order_id"], said)
        box.clock.advance(timedelta(days=90))  # until nothing happens any more by itself
        found = Pulls(point_at(box, folder, patch))
        for _ in range(2):
            found.changes(KEY)
        found.workshop.warehouse.publish(MARTS, reference(found.workshop))
        yield box, found


def test_an_account_that_was_taken_out_is_refused(pulls: tuple[Sandbox, Pulls]) -> None:
    workshop = pulls[1].workshop
    text = workshop.places.accounts.read_text(encoding="utf-8")
    workshop.places.accounts.write_text(text.replace("formations", "elsewhere"), encoding="utf-8")
    try:
        with pytest.raises(ConfigurationError):
            erase(workshop, Person("name", NAME))
    finally:
        workshop.places.accounts.write_text(text, encoding="utf-8")
    assert workshop.ledger.erasures.all() == []


def test_one_officer_goes_and_the_lines_are_not_asked_for_again(
    pulls: tuple[Sandbox, Pulls],
) -> None:
    box, pull = pulls
    workshop = pull.workshop
    found = look(workshop, Person("name", "ingrid ångström example", KEY))
    assert [len(orders) for orders in found.orders.values()] == [2]
    before = box.requests(KEY)
    box.clock.advance(timedelta(days=8))  # every order is listed again
    pull.changes(KEY)
    needed = box.requests(KEY) - before
    assert erase(workshop, Person("name", NAME)).findings == []
    others = "SELECT DISTINCT first_name FROM order_parties WHERE last_name = 'Else'"
    assert workshop.warehouse.read_arrow(others).to_pylist() == [{"first_name": "Someone"}]
    before = box.requests(KEY)
    box.clock.advance(timedelta(days=8))  # every order is listed again
    counts = pull.changes(KEY).counts
    assert (counts.new, counts.changed) == (0, 0)
    assert box.requests(KEY) - before == needed
    assert search([workshop.places.home], [NAME, "Ångström"]).is_clean
