"""Ledgers that an older orderloom wrote, opened by this one.

Belongs here: what becomes of their tables and rows. Does not belong here: ledgers of the newest
version (`test_ledger.py`).
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateColumn

from resources.errors import LedgerError
from resources.ledger import Ledger
from resources.ledger_steps import STEPS, VERSION
from resources.ledger_store import METADATA

ROOT = Path(__file__).parent.parent
ACME = "brightpearl.acme"
FIRST = """
CREATE TABLE ledger_version (version INTEGER NOT NULL);
CREATE TABLE cursors (account VARCHAR(200) NOT NULL, stream VARCHAR(50) NOT NULL,
    cursor TEXT NOT NULL, moved_at DATETIME NOT NULL, run_id VARCHAR(100) NOT NULL,
    PRIMARY KEY (account, stream));
CREATE TABLE leases (account VARCHAR(200) NOT NULL, purpose VARCHAR(50) NOT NULL,
    holder VARCHAR(200) NOT NULL, process VARCHAR(200) NOT NULL, token BIGINT NOT NULL,
    taken_at DATETIME NOT NULL, expires_at DATETIME NOT NULL, PRIMARY KEY (account, purpose));
CREATE TABLE runs (run_id VARCHAR(100) NOT NULL, account VARCHAR(200) NOT NULL,
    kind VARCHAR(20) NOT NULL, started_at DATETIME NOT NULL, finished_at DATETIME,
    outcome VARCHAR(20) NOT NULL, error TEXT, window_from VARCHAR(40), window_to VARCHAR(40),
    requests BIGINT, least_requests BIGINT, received BIGINT, new BIGINT, changed BIGINT,
    unchanged BIGINT, quarantined BIGINT, cancelled BIGINT, bytes BIGINT, seconds FLOAT,
    waited_seconds FLOAT, PRIMARY KEY (run_id));
CREATE INDEX runs_by_account ON runs (account, kind, finished_at);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE TABLE backfill_days (account VARCHAR(200) NOT NULL, day DATE NOT NULL,
    finished_at DATETIME NOT NULL, run_id VARCHAR(100), PRIMARY KEY (account, day));
INSERT INTO ledger_version VALUES (1);
INSERT INTO cursors VALUES ('brightpearl.acme', 'changes', '{"watermark": "2026-01-01"}',
    '2026-01-01 00:00:00.000000', 'old');
INSERT INTO runs (run_id, account, kind, started_at, finished_at, outcome, received)
    VALUES ('old', 'brightpearl.acme', 'changes', '2026-01-01 00:00:00.000000',
    '2026-01-01 00:01:00.000000', 'succeeded', 7);
"""
"""A ledger as the first version made it."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
    return path


def _shape(path: Path) -> dict[str, set[tuple[str, str, int, int]]]:
    """Table -> name, type, NOT NULL and primary key of each column."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: {
                (row[1], row[2], row[3], row[5])
                for row in connection.execute(f"PRAGMA table_info({name})")
            }
            for (name,) in tables.fetchall()
        }


def test_an_older_ledger_keeps_what_it_holds_and_gets_what_is_new(old: Path) -> None:
    with Ledger(f"sqlite:///{old}") as ledger:
        assert ledger.cursor(ACME) == {"watermark": "2026-01-01"}
        (run,) = ledger.runs()
        assert (run["run_id"], run["received"], run["announced"]) == ("old", 7, None)
        ledger.start_run(ACME, "changes", "new")
        ledger.finish_run("new", "succeeded", announced=5, listed=5)
        assert [each["listed"] for each in ledger.runs()] == [5, None]
        assert ledger.freshness()[ACME].last_success is not None


def test_a_migrated_ledger_has_the_shape_of_a_new_one(old: Path, tmp_path: Path) -> None:
    Ledger(f"sqlite:///{old}").close()
    fresh = tmp_path / "fresh.sqlite"
    Ledger(f"sqlite:///{fresh}").close()
    assert _shape(old) == _shape(fresh)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT version FROM ledger_version").fetchall() == [(VERSION,)]


def test_there_is_a_step_for_every_version_after_the_first() -> None:
    assert sorted(STEPS) == list(range(2, VERSION + 1))


def test_a_step_that_fails_leaves_the_older_ledger_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("ALTER TABLE runs ADD COLUMN listed BIGINT")
        connection.commit()
    before = _shape(old)
    with pytest.raises(LedgerError, match="listed"):
        Ledger(f"sqlite:///{old}")
    assert _shape(old) == before


OPEN = """
import sys
from resources.ledger import Ledger
with Ledger(sys.argv[1]) as ledger:
    ledger.start_run("brightpearl.acme", "changes", sys.argv[2])
    ledger.finish_run(sys.argv[2], "succeeded", announced=1, listed=1)
"""


def test_processes_that_open_an_older_ledger_together(old: Path) -> None:
    url = f"sqlite:///{old}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPEN, url, str(number)],
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        for number in range(3)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == [b""] * 3
    with Ledger(url) as ledger:
        assert sorted(run["run_id"] for run in ledger.runs()) == ["0", "1", "2", "old"]


def test_added_columns_read_the_same_on_postgresql() -> None:
    column = METADATA.tables["runs"].columns["announced"]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert str(CreateColumn(column).compile(dialect=dialect)) == "announced BIGINT"


def test_moments_of_an_older_ledger_are_read_as_utc(old: Path) -> None:
    with Ledger(f"sqlite:///{old}") as ledger:
        assert ledger.runs()[0]["started_at"] == datetime(2026, 1, 1, tzinfo=UTC)
