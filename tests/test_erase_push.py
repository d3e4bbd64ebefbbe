"""Erased persons and the way outward: what waits to be sent, and what would be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from assets.erase import Eraser
from assets.persons import EMAIL
from assets.push_choice import Chosen
from assets.sources.base import PublishedOrder
from assets.workshop import Workshop
from resources import registrations as states
from resources.erasures import EVERYWHERE, ORDER, Mark
from resources.proof import search
from sandbox.server import Sandbox
from tests.home import point_at
from tests.pushing import KEY

ADDRESS = "ann.erased@example.org"
BODY = (
    b'{"external_id":"7","customer":{"email":"Ann.Erased@example.org","fullname":"Ann Erased"},'
    b'"products":[{"external_id":"1","name":"Chair"}]}'
)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    with Sandbox(lifted=True, most=1, sources=("feedback_company",)) as box:
        workshop = point_at(box, tmp_path, monkeypatch)
        yield workshop
        workshop.close()


def begin(workshop: Workshop, *marks: Mark) -> str:
    erasures = workshop.ledger.erasures
    digest = erasures.digest(EMAIL, EVERYWHERE, ADDRESS)
    return erasures.begin(EMAIL, [], {}, [Mark("", EMAIL, EVERYWHERE, digest), *marks])


def test_what_waits_for_a_decision_is_blanked_and_lands_so(workshop: Workshop) -> None:
    registrations = workshop.ledger.registrations
    with workshop.ledger.lease(KEY, "push") as lease:
        registrations.intend("7", "brightpearl:acme:7", BODY, "run", lease)
        registrations.doubt(lease, "no answer")
    begun = workshop.ledger.erasures.get(begin(workshop))
    assert begun is not None
    proof = Eraser(workshop).carry_out(begun, [ADDRESS, "Ann Erased"])
    assert proof is not None
    assert proof.findings == []
    [kept] = registrations.kept(KEY)
    assert kept.state == states.UNCERTAIN
    assert kept.body == BODY.decode().replace("Ann.Erased@example.org", "").replace(
        "Ann Erased", ""
    )
    account = workshop.accounts.get(KEY)
    workshop.pusher.decide(account, "7", "accepted")
    workshop.pusher.settle(account, "later")
    made = workshop.normaliser(account).drain()
    assert (made.orders, made.quarantined) == (1, 0)
    assert search([workshop.places.home], [ADDRESS]).is_clean


def test_an_erased_person_is_sent_nothing(workshop: Workshop) -> None:
    """Whatever the marts say: they may be older than the erasure."""
    erasure_id = begin(workshop, Mark("", ORDER, "brightpearl.acme", "brightpearl:acme:8", ""))
    day = date(2026, 10, 1)
    orders = [
        PublishedOrder(f"brightpearl:acme:{n}", None, day, email, None, "complete", [])
        for n, email in ((7, ADDRESS.upper()), (8, "new@example.org"), (9, "other@example.org"))
    ]
    is_erased = workshop.pusher._is_erased
    assert [is_erased(Chosen(order, None)) for order in orders] == [True, True, False]
    workshop.ledger.erasures.end(erasure_id, "proven", "")
    workshop.ledger.erasures.release(erasure_id)
    assert [is_erased(Chosen(order, None)) for order in orders] == [False, True, False]


def test_what_logs_and_databases_quote_is_overwritten(workshop: Workshop) -> None:
    """No error's text should hold a person; should one, it is overwritten where it stands."""
    ledger, home = workshop.ledger, workshop.places.home
    run_id = ledger.start_run(KEY, "changes")
    ledger.finish_run(run_id, "failed", error=f"refused: {ADDRESS.upper()} is taken")
    logs = home / "dagster" / "storage"
    logs.mkdir(parents=True)
    (logs / "step.err").write_text(f"no such customer: {ADDRESS}\n", encoding="utf-8")
    with closing(sqlite3.connect(home / "dagster" / "runs.db")) as connection:
        connection.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT)")
        connection.execute("INSERT INTO event_logs VALUES (1, ?)", [f'{{"said": "{ADDRESS}"}}'])
        connection.commit()
    begun = ledger.erasures.get(begin(workshop))
    assert begun is not None
    assert len(search([home], [ADDRESS]).findings) >= 3
    proof = Eraser(workshop).carry_out(begun, [ADDRESS])
    assert proof is not None
    assert proof.findings == []
    [run] = ledger.runs()
    assert run["error"] == f"refused: {'*' * len(ADDRESS)} is taken"
    (home / "notes.html").write_text(f"call {ADDRESS}", encoding="utf-8")
    again = Eraser(workshop).carry_out(begun, [ADDRESS])
    assert again is not None
    assert [finding.file.name for finding in again.findings] == ["notes.html"]
    assert ledger.erasures.all()[0].state == "left"
