"""The status history, by hand: moments of the source, late events, questions of a day."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from canonical_rows import START, land, order
from warehouse_home import ACCOUNTS, COUNT, Home, at, whole

from assets.marts import MARTS
from schemas import published

DOCUMENT = Path(__file__).parent.parent / "docs" / "history.md"
Row = tuple[Any, ...]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="module")
def cancelled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An order that was open and received as cancelled 20 minutes after START."""
    home = Home(tmp_path_factory.mktemp("cancelled"))
    version(home, 1, "open")
    version(home, 20, "cancelled")
    home.publish()
    return home


def told(minute: int, code: str, source_code: str | None = None) -> dict[str, Any]:
    """An event: since a minute after START the order's status is this."""
    return {
        "event_type": "status_changed",
        "dimension": "order_status",
        "code": source_code,
        "canonical_code": code,
        "valid_from_utc": START.replace(minute=minute),
    }


def version(home: Home, received: int, code: str, *events: dict[str, Any], **values: Any) -> None:
    """Land a version of order 1, received a number of minutes after START."""
    updated = values.pop("updated", None)
    stamp = None if updated is None else START.replace(minute=updated)
    given = {"order_status": code, "updated_at": stamp, "events": list(events), **values}
    land(home.lake, **whole("1", received, **given))


def stretches(home: Home, extra: str = "observed_at") -> list[Row]:
    home.publish()
    return home.rows(
        f"SELECT code, valid_from_utc, valid_to_utc, valid_from_basis, {extra}"
        " FROM order_status_history WHERE dimension = 'order_status'"
        " ORDER BY is_current, valid_from_utc, valid_to_utc"
    )


def asked(home: Home, macro: str, moment: str) -> str | None:
    """The status of order 1 at a moment."""
    found = home.rows(f"SELECT code FROM {macro}({moment}) WHERE dimension = 'order_status'")
    return found[0][0] if found else None


def on(home: Home, minute: int, macro: str = "status_on") -> str | None:
    return asked(home, macro, f"TIMESTAMP '{at(minute)}'")


def believed(home: Home, minute: int) -> str | None:
    return on(home, minute, "status_believed_on")


def test_the_source_says_since_when(home: Home) -> None:
    version(home, 10, "open")
    version(home, 20, "processing", told(13, "processing"), updated=18)
    assert stretches(home) == [
        ("open", at(0), at(13), "source_created", at(10)),
        ("processing", at(13), None, "source_event", at(20)),
    ]


def test_what_happened_between_two_observations_lands_there(home: Home) -> None:
    version(home, 10, "open")
    home.publish()
    version(home, 40, "open", told(15, "problem"), told(30, "open"), updated=35)
    version(home, 50, "completed", told(8, "processing"), told(45, "completed"), updated=46)
    assert stretches(home) == [
        ("open", at(0), at(8), "source_created", at(10)),
        ("processing", at(8), at(15), "source_event", at(50)),
        ("problem", at(15), at(30), "source_event", at(40)),
        ("open", at(30), at(45), "source_event", at(40)),
        ("completed", at(45), None, "source_event", at(50)),
    ]


def test_a_late_event_leaves_what_it_contradicts_no_time(home: Home) -> None:
    version(home, 10, "open", updated=9)
    version(home, 20, "cancelled", told(5, "cancelled"), updated=19)
    assert stretches(home) == [
        ("open", at(5), at(5), "observed", at(10)),
        ("cancelled", at(5), None, "source_event", at(20)),
    ]
    assert [on(home, minute) for minute in (4, 5, 12)] == [None, "cancelled", "cancelled"]
    assert [believed(home, minute) for minute in (9, 10, 19, 20)] == [
        None, "open", "open", "cancelled",
    ]  # fmt: skip


def test_a_later_word_on_the_same_code_moves_its_beginning(home: Home) -> None:
    version(home, 10, "open")
    version(home, 30, "problem", updated=28)
    version(home, 40, "problem", told(22, "problem"))
    assert stretches(home) == [
        ("open", at(0), at(22), "source_created", at(10)),
        ("problem", at(22), None, "source_event", at(30)),
    ]


def test_moments_in_the_future_count_for_nothing(home: Home) -> None:
    version(home, 10, "open")
    version(home, 20, "cancelled", told(50, "cancelled"), updated=55)
    assert stretches(home)[1] == ("cancelled", at(20), None, "observed", at(20))
    version(home, 58, "cancelled", told(50, "cancelled"), updated=55)
    assert stretches(home)[1] == ("cancelled", at(20), None, "observed", at(20))


def test_an_event_without_a_code_of_the_source_tells_of_the_first_one(home: Home) -> None:
    """A cancellation has a moment and no code: the source's code moves on beneath it."""
    event = told(12, "cancelled")
    version(home, 10, "processing", source_status_code="300")
    version(home, 20, "cancelled", event, source_status_code="300", updated=14)
    version(home, 30, "cancelled", event, source_status_code="700", updated=25)
    version(home, 40, "cancelled", event, source_status_code="700", updated=35)
    assert stretches(home, "source_code") == [
        ("processing", at(0), at(12), "source_created", "300"),
        ("cancelled", at(12), at(25), "source_event", "300"),
        ("cancelled", at(25), None, "source_updated", "700"),
    ]


def test_a_status_that_returns_is_three_stretches_by_events_too(home: Home) -> None:
    version(home, 10, "open", told(1, "open", "1"), source_status_code="1")
    version(home, 20, "processing", told(11, "processing", "3"), source_status_code="3")
    version(home, 30, "open", told(21, "open", "1"), source_status_code="1")
    rows = stretches(home, "source_code")
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("open", at(1), "1"), ("processing", at(11), "3"), ("open", at(21), "1"),
    ]  # fmt: skip
    found = [on(home, minute) for minute in (0, 1, 10, 11, 20, 21, 59)]
    assert found == [None, "open", "open", "processing", "processing", "open", "open"]
    found = [believed(home, minute) for minute in (9, 10, 19, 20, 29, 30)]
    assert found == [None, "open", "open", "processing", "processing", "open"]


def test_an_event_that_the_next_one_leaves_no_time_is_none(home: Home) -> None:
    version(home, 10, "completed", told(5, "open"), told(5, "processing"), told(5, "completed"))
    assert stretches(home) == [("completed", at(5), None, "source_event", at(10))]


def test_what_was_believed_never_changes_afterwards(home: Home) -> None:
    minutes = range(0, 60, 3)
    held: dict[int, str | None] = {}
    for received, code, events in [
        (10, "open", []),
        (20, "processing", [told(18, "processing")]),
        (30, "completed", [told(7, "problem"), told(9, "completed")]),
        (40, "open", [told(2, "returned"), told(35, "open")]),
    ]:
        version(home, received, code, *events)
        home.publish()
        held |= {minute: believed(home, minute) for minute in minutes if minute < received}
        assert {minute: believed(home, minute) for minute in held} == held
    assert (held[12], on(home, 12)) == ("open", "completed")
    home.publish(rebuild=True)
    assert {minute: believed(home, minute) for minute in held} == held


def test_a_tombstone_does_not_end_a_status(home: Home) -> None:
    version(home, 10, "open", told(3, "open"))
    version(home, 20, "open", told(3, "open"), {"event_type": "deleted"}, is_deleted=True)
    version(home, 30, "open", told(3, "open"), {"event_type": "restored"})
    assert stretches(home) == [("open", at(3), None, "source_event", at(10))]
    sql = "SELECT DISTINCT is_deleted FROM status_believed_on(TIMESTAMP '{}')"
    assert [home.rows(sql.format(at(minute))) for minute in (19, 20, 30)] == [
        [(False,)], [(True,)], [(False,)],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("TIMESTAMPTZ '2026-03-01 10:19:59+01:00'", "open"),
        ("TIMESTAMPTZ '2026-03-01 10:20:00+01:00'", "cancelled"),
        ("'2026-03-01 09:20:00'", "cancelled"),
        ("DATE '2026-03-01'", None),
        ("DATE '2026-03-01' + 1", "cancelled"),
        ("now()", "cancelled"),
        ("NULL", None),
    ],
)
@pytest.mark.parametrize("macro", ["status_on", "status_believed_on"])
def test_any_kind_of_moment_can_be_asked_in_any_session(
    cancelled: Home, macro: str, moment: str, expected: str | None
) -> None:
    with duckdb.connect(str(cancelled.warehouse.path.resolve()), read_only=True) as con:
        con.execute("SET TimeZone = 'Asia/Tokyo'")
        sql = f"SELECT code FROM {macro}({moment}) WHERE dimension = 'order_status'"
        assert con.execute(sql).fetchall() == ([(expected,)] if expected else [])


def test_the_macros_are_documented_and_answer_from_another_database(home: Home) -> None:
    version(home, 10, "open")
    home.publish()
    comments = dict(home.rows("SELECT function_name, comment FROM duckdb_functions()"))
    assert {name: comments[name] for name in published.MACROS} == published.MACROS
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{home.warehouse.path.resolve()}' AS marts (READ_ONLY); USE marts")
        assert len(con.execute("FROM status_believed_on(now())").fetchall()) == 6


def test_changes_are_those_of_the_history(home: Home) -> None:
    version(home, 10, "open")
    version(home, 20, "cancelled", told(4, "problem"), told(8, "cancelled"), updated=15)
    home.warehouse.publish(MARTS, ACCOUNTS)
    sql = (
        "SELECT changed_at_utc, changed_at_basis, previous_code, code, previous_since_utc"
        " FROM order_changes ORDER BY 1"
    )
    assert home.rows(sql) == [
        (at(4), "source_event", "open", "problem", at(0)),
        (at(8), "source_event", "problem", "cancelled", at(4)),
    ]


def test_a_file_of_an_older_version_is_built_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    version(home, 10, "open")
    home.publish()
    # Another version is other code: what was noted beside the file counts for the same code alone.
    monkeypatch.setattr("resources.warehouse_note.CODE", "of another version")
    monkeypatch.setattr("resources.warehouse_build.PUBLISHED_VERSION", 0)
    made = home.publish()
    assert (made.published, made.is_rebuilt) == (True, True)
    assert not home.publish().published


def test_the_documented_query_tells_what_was_believed_of_amounts(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    received = datetime(2026, 11, 1, 8), datetime(2026, 11, 1, 20), datetime(2026, 11, 2)  # noqa: DTZ001
    for seq, (moment, net) in enumerate(zip(received, ("10", "15.0449", "99"), strict=True), 1):
        seen = {"last_seen_at": moment.replace(tzinfo=START.tzinfo), "row_count": 0}
        land(home.lake, [order("1", seq, net_amount=net, **seen)])
    land(home.lake, [order("2", 4, last_seen_at=START, is_deleted=True)])
    home.warehouse.publish([COUNT], ACCOUNTS)
    monkeypatch.setenv("ORDERLOOM_HOME", str(home.files))
    monkeypatch.delenv("ORDERLOOM_LAKE", raising=False)
    [code] = re.findall(r"```python\n(.+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(DOCUMENT), "exec"), {})
    shown = capsys.readouterr().out
    assert "15.0449" in shown
    assert re.findall(r"'(brightpearl:acme:[0-9])'", shown) == ["brightpearl:acme:1"]


def test_the_documented_questions_can_be_asked(home: Home) -> None:
    version(home, 10, "open")
    home.warehouse.publish(MARTS, ACCOUNTS)
    questions = re.findall(r"```sql\n(.+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert len(questions) >= 3
    for question in questions:
        home.rows(question)


def test_a_day_ends_where_the_next_begins(home: Home) -> None:
    """Half-open: at valid_to_utc the next code holds, and no moment has two or none."""
    version(home, 10, "open")
    version(home, 30, "problem", told(20, "problem"))
    home.publish()
    sql = "SELECT COUNT(*) FROM status_on(TIMESTAMP '{}') WHERE dimension = 'order_status'"
    counts = {home.rows(sql.format(at(minute)))[0][0] for minute in range(60)}
    assert counts == {1}
    sql = f"SELECT status FROM (SELECT code AS status FROM status_on(DATE '{date(2026, 3, 2)}'))"
    assert ("problem",) in home.rows(sql)
