"""Taking values out of logs, databases and the ledger, and leaving everything else as it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from resources import registrations as states
from resources.erasures import ORDER, Mark
from resources.ledger import Ledger
from resources.scrub import Scrubber

ACCOUNT = "tastyigniter.bakery"
EMAIL = "ann@example.com"
SENT = json.dumps({"to": EMAIL, "number": 123456})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"to {EMAIL.upper()}, joann@example.com", "to ***************, joann@example.com"),
        (f"{EMAIL}munity.example <{EMAIL}>", f"{EMAIL}munity.example <***************>"),
        (r'"To:\nann@example.com\r\nLi"', r'"To:\n***************\r\n**"'),
        (r"To:\u000aLi \u003cLi\u003e \u00e9Li", r"To:\u000a** \u003c**\u003e \u00e9Li"),
        ("published click client Li, 2024-01-01T00:00:00.1234567", None),
        ("call 123456", "call ******"),
    ],
)
def test_a_value_counts_where_it_stands_by_itself(text: str, left: str | None) -> None:
    scrubber = Scrubber({EMAIL, " Li ", "123456"})
    assert scrubber.text(text) == (left or text.replace(" Li,", " **,"))


def test_bytes_of_any_kind_keep_their_places(tmp_path: Path) -> None:
    said = "é Åsa, Åsaé ".encode() + b"\xff\xfe \xc3\x85sa\xff"
    left = "é ****, Åsaé ".encode() + b"\xff\xfe ****\xff"
    log, database = tmp_path / "a.log", tmp_path / "a.db"
    log.write_bytes(said)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE blobs (value BLOB)")
        connection.execute("INSERT INTO blobs VALUES (?)", [said])
        connection.commit()
    assert Scrubber({"åsa"}).file(log)
    assert Scrubber({"åsa"}).database(database)
    assert log.read_bytes() == left
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT value FROM blobs").fetchall() == [(left,)]


def test_of_the_ledger_only_free_texts_are_rewritten(ledger: Ledger) -> None:
    cursor = {"until": "2026-11-01T10:00:00.123456+00:00", "page": 123456}
    with ledger.lease(ACCOUNT, "changes") as lease:
        ledger.move_cursor(ACCOUNT, "changes", cursor, "run", lease)
    run_id = ledger.start_run(ACCOUNT, "changes")
    ledger.finish_run(run_id, "failed", error=f"{EMAIL} is taken", warnings="the Bakery is shut")
    mark = Mark("", ORDER, ACCOUNT, "tastyigniter:bakery:123456", "customer")
    ledger.erasures.begin("name", [ACCOUNT], {ACCOUNT: {"raw": 123456}}, [mark])
    before = [(each.accounts, each.counts) for each in ledger.erasures.all()]
    assert ledger.rewrite(Scrubber({"Bakery", "123456", EMAIL}).text) == 1
    assert ledger.cursor(ACCOUNT) == cursor
    assert [(each.accounts, each.counts) for each in ledger.erasures.all()] == before
    assert [each.mark for each in ledger.erasures.marks(ACCOUNT)] == [mark.mark]
    [run] = ledger.runs()
    assert (run["account"], run["error"], run["warnings"]) == (
        ACCOUNT,
        "*************** is taken",
        "the ****** is shut",
    )


def registered(ledger: Ledger) -> None:
    with ledger.lease(ACCOUNT, "push") as lease:
        ledger.registrations.intend("7", "a:b:7", SENT.encode(), "run", lease)
    answer = f'{{"number": "123456", "is": "{EMAIL}"}}'.encode()
    ledger.registrations.conclude(
        ACCOUNT, "7", "run", states.REFUSED, reason=f"no {EMAIL}", response=answer
    )


def test_what_was_sent_and_answered_stays_json(ledger: Ledger) -> None:
    registered(ledger)
    assert ledger.rewrite(Scrubber({"123456", EMAIL}).text) == 1
    [kept] = ledger.registrations.kept(ACCOUNT)
    assert kept.body == SENT, "a number in it is none of stars"
    assert kept.response == '{"number": "******", "is": "***************"}'
    assert kept.reason == "no ***************"


def test_a_registration_that_is_blanked_forgets_its_answer(ledger: Ledger) -> None:
    registered(ledger)
    ledger.registrations.blank(ACCOUNT, "7", "{}")
    [kept] = ledger.registrations.kept(ACCOUNT)
    assert (kept.body, kept.response, kept.reason) == ("{}", None, None)
