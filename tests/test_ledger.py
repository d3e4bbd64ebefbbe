"""Cursors, leases, runs and backfill days, in real SQLite files and between real processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from resources.errors import ConfigurationError, LedgerError
from resources.ledger import Freshness, LeaseHeld, LeaseLost, Ledger
from resources.ledger_steps import VERSION

ROOT = Path(__file__).parent.parent
ACME = "brightpearl.acme"


class Time:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 2, 7, tzinfo=UTC)
        self.up = 1000.0

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.up += seconds

    def uptime(self) -> float:
        return self.up


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/home/ledger.sqlite"


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def ledger(url: str, now: Time) -> Iterator[Ledger]:
    with Ledger(url, now=now, uptime=now.uptime) as ledger:
        yield ledger


# Cursors.


def test_a_cursor_is_what_was_stored_last(ledger: Ledger, url: str) -> None:
    assert ledger.cursor(ACME) is None
    with ledger.lease(ACME, "changes") as lease:
        ledger.move_cursor(ACME, "changes", {"watermark": "2026-01-01"}, "run", lease)
        ledger.move_cursor(ACME, "changes", {"watermark": "2026-01-02", "é": [1]}, "run", lease)
        ledger.move_cursor(ACME, "other", {}, "run", lease)
    with Ledger(url) as later:
        assert later.cursor(ACME) == {"watermark": "2026-01-02", "é": [1]}
        assert later.cursor(ACME, "other") == {}
        assert later.cursor("brightpearl.beta") is None


def test_a_cursor_does_not_move_under_a_lost_lease(ledger: Ledger, now: Time) -> None:
    with ledger.lease(ACME, "changes") as slow:
        ledger.move_cursor(ACME, "changes", {"at": 1}, "run", slow)
        now.advance(61)
        with ledger.lease(ACME, "changes") as quick:
            assert quick.token > slow.token
            ledger.move_cursor(ACME, "changes", {"at": 2}, "run", quick)
            with pytest.raises(LeaseLost, match="changes"):
                ledger.move_cursor(ACME, "changes", {"at": 1}, "run", slow)
            with pytest.raises(LeaseLost):
                slow.check()
            quick.check()
    assert ledger.cursor(ACME) == {"at": 2}


# Leases.


def test_a_lease_is_held_by_one(ledger: Ledger) -> None:
    with ledger.lease(ACME, "changes"):
        with (
            pytest.raises(LeaseHeld, match=r"since 2026-11-02 07:00:00 UTC.*brightpearl\.acme"),
            ledger.lease(ACME, "changes"),
        ):
            pass
        with ledger.lease(ACME, "landing"), ledger.lease("brightpearl.beta", "changes"):
            pass


def test_a_lease_given_back_can_be_taken_at_once(ledger: Ledger) -> None:
    tokens = []
    for _ in range(3):
        with ledger.lease(ACME, "changes") as lease:
            tokens.append(lease.token)
    assert tokens == [1, 2, 3]


def test_an_error_gives_it_back_too(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.lease(ACME, "changes"):
        raise ZeroDivisionError
    with ledger.lease(ACME, "changes"):
        pass


def test_check_renews(ledger: Ledger, now: Time) -> None:
    with ledger.lease(ACME, "changes", seconds=60) as lease:
        now.advance(50)
        lease.check()
        now.advance(50)
        with pytest.raises(LeaseHeld), ledger.lease(ACME, "changes"):
            pass


def test_a_lease_that_ran_out_unnoticed_is_still_good(ledger: Ledger, now: Time) -> None:
    with ledger.lease(ACME, "changes") as lease:
        now.advance(600)
        lease.check()


def test_giving_back_a_lost_lease_does_not_hurt_its_new_holder(ledger: Ledger, now: Time) -> None:
    slow = ledger.lease(ACME, "changes")
    slow.__enter__()
    now.advance(61)
    with ledger.lease(ACME, "changes") as quick:
        slow.__exit__(None, None, None)
        quick.check()
        with pytest.raises(LeaseHeld), ledger.lease(ACME, "changes"):
            pass


def test_a_lease_is_renewed_while_it_is_held(ledger: Ledger, url: str, now: Time) -> None:
    with ledger.lease(ACME, "changes", seconds=0.03):
        first = _expiry(url)
        now.advance(1)
        give_up = time.monotonic() + 10
        while _expiry(url) == first:
            assert time.monotonic() < give_up
    assert [thread for thread in threading.enumerate() if thread.name == "lease"] == []


def _expiry(url: str) -> str:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return str(connection.execute("SELECT expires_at FROM leases").fetchone()[0])


def test_waiting_for_a_lease(ledger: Ledger) -> None:
    """Eight threads, each in turn, and never two at a time."""
    inside, most = 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with ledger.lease(ACME, "landing", wait=30):
            inside += 1
            most = max(most, inside)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert most == 1


HOLD = """
import sys
from resources.ledger import Ledger
with Ledger(sys.argv[1]) as ledger, ledger.lease("brightpearl.acme", "changes", seconds=3600):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lease_is_held_against_other_processes_and_ends_with_its_own(url: str) -> None:
    command = [sys.executable, "-c", HOLD, url]
    pipe = subprocess.PIPE
    with (
        Ledger(url) as ledger,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as holder,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LeaseHeld, match=f"process {holder.pid} since"),
            ledger.lease(ACME, "changes"),
        ):
            pass
        holder.kill()
        holder.wait()
        with ledger.lease(ACME, "changes") as lease:
            assert lease.token == 2


# Runs.


def test_a_run_from_start_to_end(ledger: Ledger, now: Time) -> None:
    run_id = ledger.start_run(ACME, "changes")
    assert ledger.runs()[0]["outcome"] == "running"
    now.advance(5)
    ledger.finish_run(run_id, "succeeded", requests=7, seconds=5.0, window_to="2026-11-02")
    (run,) = ledger.runs(account=ACME)
    assert run["run_id"] == run_id
    assert (run["started_at"], run["finished_at"]) == (now() - timedelta(seconds=5), now())
    assert (run["outcome"], run["requests"], run["seconds"]) == ("succeeded", 7, 5.0)
    assert run["error"] is None
    assert ledger.runs(account="brightpearl.beta") == []


def test_a_run_begun_again_is_one_run(ledger: Ledger) -> None:
    ledger.start_run(ACME, "changes", "r1")
    ledger.finish_run("r1", "failed", error="x", requests=3)
    assert ledger.start_run(ACME, "changes", "r1") == "r1"
    (run,) = ledger.runs()
    assert (run["outcome"], run["error"], run["requests"]) == ("running", None, None)
    assert run["finished_at"] is None
    with pytest.raises(LedgerError, match="already the changes of"):
        ledger.start_run(ACME, "history", "r1")


def test_runs_come_newest_first(ledger: Ledger, now: Time) -> None:
    for number in range(5):
        ledger.start_run(ACME, "changes", f"r{number}")
        now.advance(1)
    assert [run["run_id"] for run in ledger.runs(limit=2)] == ["r4", "r3"]
    assert len(ledger.runs(limit=None)) == 5


def test_what_no_column_holds_is_refused(ledger: Ledger) -> None:
    run_id = ledger.start_run(ACME, "changes")
    with pytest.raises(ValueError, match="reqests"):
        ledger.finish_run(run_id, "succeeded", reqests=1)
    with pytest.raises(ValueError, match="no kind of run"):
        ledger.start_run(ACME, "change")


def test_errors_are_kept_redacted(ledger: Ledger) -> None:
    run_id = ledger.start_run(ACME, "changes")
    ledger.finish_run(run_id, "failed", error="GET /?client_secret=hunter22 " + "x" * 9999)
    error = ledger.runs()[0]["error"]
    assert error.startswith("GET /?client_secret=[redacted] x")
    assert len(error) == 2000


def test_runs_whose_process_died_are_closed(ledger: Ledger) -> None:
    for run_id, kind in (("dead", "changes"), ("live", "changes"), ("other", "history")):
        ledger.start_run(ACME, kind, run_id)
    assert ledger.close_abandoned(ACME, "changes", "live") == 1
    outcomes = {run["run_id"]: run["outcome"] for run in ledger.runs()}
    assert outcomes == {"dead": "failed", "live": "running", "other": "running"}


def test_freshness(ledger: Ledger, now: Time) -> None:
    def run(account: str, outcome: str, error: str | None = None, kind: str = "changes") -> None:
        now.advance(60)
        ledger.finish_run(ledger.start_run(account, kind), outcome, error=error)

    began = now()
    run(ACME, "failed", "first")
    run(ACME, "failed", "second")
    run(ACME, "succeeded")
    run("efiling.formations", "succeeded")
    run("efiling.formations", "failed", "third")
    run(ACME, "failed", "not this kind", kind="history")
    ledger.start_run("quotevine.leasing", "changes")
    found = ledger.freshness()
    minute = timedelta(minutes=1)
    assert found == {
        ACME: Freshness(began + 3 * minute, began + 2 * minute, "second"),
        "efiling.formations": Freshness(began + 4 * minute, began + 5 * minute, "third"),
    }
    assert not found[ACME].is_failing
    assert found["efiling.formations"].is_failing
    assert not Freshness().is_failing


# Backfill days.


def test_finished_days(ledger: Ledger) -> None:
    assert ledger.finished_days(ACME) == frozenset()
    for day in (date(2026, 1, 1), date(2026, 3, 29), date(2026, 1, 1)):
        ledger.mark_day(ACME, day, "run")
    assert ledger.finished_days(ACME) == {date(2026, 1, 1), date(2026, 3, 29)}
    assert ledger.finished_days("brightpearl.beta") == frozenset()


# The database.


def test_moments_are_utc_whatever_their_offset(ledger: Ledger, url: str, now: Time) -> None:
    now.moment = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/London"))
    ledger.start_run(ACME, "changes", "r1")
    assert ledger.runs()[0]["started_at"] == datetime(2026, 7, 1, 11, tzinfo=UTC)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        stored = connection.execute("SELECT started_at FROM runs").fetchone()[0]
    assert stored == "2026-07-01 11:00:00.000000"


OPEN = """
import sys
from resources.ledger import Ledger
with Ledger(sys.argv[1]) as ledger:
    for number in range(20):
        with ledger.lease(f"brightpearl.{number}", "landing", wait=30) as lease:
            ledger.move_cursor(f"brightpearl.{number}", "changes", {"n": lease.token}, "r", lease)
"""


def test_processes_that_open_a_new_ledger_together(url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", OPEN, url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [b"", b"", b""]
    with Ledger(url) as ledger:
        assert [ledger.cursor(f"brightpearl.{number}") for number in range(20)] == [{"n": 3}] * 20


def test_a_reader_waits_for_no_writer(ledger: Ledger, url: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert ledger.cursor(ACME) is None
        assert ledger.runs() == []
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("version", "remedy"), [(VERSION + 1, "newer orderloom"), (0, "move it away")]
)
def test_another_version_is_refused(url: str, version: int, remedy: str) -> None:
    Ledger(url).close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE ledger_version SET version = ?", [version])
    with pytest.raises(LedgerError, match=remedy) as caught:
        Ledger(url)
    assert f"version {version}" in str(caught.value)


def test_tables_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "dagster.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    with pytest.raises(LedgerError, match="database of its own"):
        Ledger(f"sqlite:///{path}")


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is not a database, whatever it is called")
    for url in (f"sqlite:///{tmp_path}/file", f"sqlite:///{tmp_path}/file/ledger.sqlite"):
        with pytest.raises(LedgerError) as caught:
            Ledger(url)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_unusable_urls() -> None:
    for url in ("ledger", "nosuch://host/db", ""):
        with pytest.raises(ConfigurationError, match="ORDERLOOM_LEDGER"):
            Ledger(url)
    with pytest.raises(ConfigurationError) as caught:
        Ledger("nosuch://user:hunter22canary@host/db")
    assert "hunter22canary" not in str(caught.value)
