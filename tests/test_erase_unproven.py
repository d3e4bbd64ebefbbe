"""Erasures of which nothing, or little, can be proven: they say so, and end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assets.erase import Eraser
from assets.erase_search import Person, Search
from assets.workshop import Workshop
from pipelines.cli import main
from resources.erasures import BEGUN
from sandbox.server import Sandbox
from tests.home import Pulls, point_at

KEY = "tastyigniter.bakery"
NAMELESS = {"email": "", "first_name": "Li", "last_name": "", "telephone": "", "comment": ""}
EMAIL = "ann@example.com"


def orderloom(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with an order of customer 901, who tells nothing to search for, and one of Ann."""
    folder: Path = tmp_path_factory.mktemp("unproven")
    with (
        Sandbox(lifted=True, most=4, sources=("tastyigniter",)) as box,
        pytest.MonkeyPatch.context() as patch,
    ):
        first, second = [t["source_order_id"] for t in box.truth(KEY) if t["body"]][:2]
        box.api(KEY).edit(first, {**NAMELESS, "customer_id": 901})
        ann = {"email": EMAIL, "first_name": "Ann", "last_name": "Example", "telephone": ""}
        box.api(KEY).edit(second, ann)
        pulls = Pulls(point_at(box, folder, patch))
        pulls.changes(KEY)
        pulls.workshop.close()
        yield folder


@pytest.fixture
def workshop(folder: Path) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERLOOM_HOME", str(folder / "var"))
        patch.setenv("ORDERLOOM_ACCOUNTS", str(folder / "accounts.toml"))
        workshop = Workshop()
        yield workshop
        workshop.close()


def test_nothing_is_noted_where_there_is_nobody(workshop: Workshop) -> None:
    refused = orderloom("erase", "--email", "nobody@example.com", "--yes")
    assert refused.exit_code == 2
    assert "no order tells of the person" in refused.stderr
    assert workshop.ledger.erasures.all() == []


def test_without_a_value_to_search_for_it_ends_unproven(workshop: Workshop) -> None:
    who = ("erase", "--customer-id", "901", "--account", KEY)
    done = orderloom(*who, "--yes")
    assert done.exit_code == 1, done.output
    assert "carried out and not proven" in done.stderr
    listed = orderloom("erase", "--list")
    assert listed.exit_code == 0
    assert "unproven" in listed.stdout
    again = orderloom(*who)
    assert again.exit_code == 1
    assert "no file was searched" in again.stderr
    [ended] = workshop.ledger.erasures.all()
    assert orderloom("erase", "--release", ended.erasure_id).exit_code == 0


def test_a_second_attempt_says_for_how_much_it_searches(workshop: Workshop) -> None:
    finder = Search(workshop.lake, workshop.ledger.erasures)
    person = Person("email", EMAIL)
    eraser = Eraser(workshop)
    begun = eraser.begin(finder.find(person), finder.digests(person))
    assert "for the value given and 1 values" in orderloom("erase", "--email", EMAIL).stdout
    assert eraser.carry_out(begun, ()) is None
    assert workshop.ledger.erasures.all()[-1].state == BEGUN
    assert "for the value given, and no more" in orderloom("erase", "--email", EMAIL).stdout
    assert orderloom("erase", "--email", EMAIL, "--yes").exit_code == 0
    assert workshop.ledger.erasures.all()[-1].state == "proven"


def test_a_ledger_on_a_server_is_told_as_not_searched(workshop: Workshop) -> None:
    eraser = Eraser(workshop)
    assert eraser.prove(["nobody@example.com"]).is_clean
    server = "postgresql://orderloom:secret@ledger.example.com/orderloom"
    workshop.places = dataclasses.replace(workshop.places, ledger=server)
    [told] = eraser.prove(["nobody@example.com"]).findings
    assert told.is_unread
    assert str(told) == "postgresql: the ledger is in a database server"
