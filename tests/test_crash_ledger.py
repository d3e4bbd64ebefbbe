"""Runs whose process has ended without a word, in a real SQLite file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.ledger import Ledger

ROOT = Path(__file__).parent.parent
KEY = "brightpearl.acme"
STARTS_AND_DIES = """
import os, signal, sys
from resources.ledger import Ledger
ledger = Ledger(sys.argv[1])
for kind in ("history", "normalise"):
    ledger.start_run("brightpearl.acme", kind, kind)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def outcomes(ledger: Ledger) -> dict[str, str]:
    return {run["run_id"]: run["outcome"] for run in ledger.runs()}


def test_runs_of_a_killed_process_are_closed_by_the_next_run(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.start_run(KEY, "history", "alive")
        command = [sys.executable, "-c", STARTS_AND_DIES, url]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
        assert set(outcomes(ledger).values()) == {"running"}
        ledger.start_run("efiling.formations", "changes", "next")
        closed = {"history": "failed", "normalise": "failed"}
        assert outcomes(ledger) == {"alive": "running", "next": "running", **closed}
        ledger.finish_run("alive", "succeeded")
        ledger.start_run(KEY, "history", "another")
        assert outcomes(ledger)["alive"] == "succeeded"


def test_runs_from_before_a_restart_are_closed_after_a_day(url: str, tmp_path: Path) -> None:
    moments = [datetime(2026, 11, 2, 7, tzinfo=UTC)]
    with Ledger(url, now=lambda: moments[-1]) as ledger:
        ledger.start_run(KEY, "history", "before")
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
            connection.execute("UPDATE running SET process = 'another boot/ns/1/1'")
            connection.commit()
        moments.append(moments[0] + timedelta(hours=1))
        ledger.start_run(KEY, "changes", "soon")
        assert outcomes(ledger)["before"] == "running"
        moments.append(moments[0] + timedelta(hours=25))
        ledger.start_run(KEY, "changes", "late")
        assert outcomes(ledger)["before"] == "failed"


def test_a_ledger_from_before_that_table_gets_it(url: str, tmp_path: Path) -> None:
    Ledger(url).close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        for table in ("running", "erasures", "erasure_marks", "erasure_key"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE runs DROP COLUMN warnings")
        for index in ("runs_by_ordinal", "runs_by_kind"):
            connection.execute(f"DROP INDEX {index}")
        connection.execute("UPDATE ledger_version SET version = 5")
        connection.commit()
    with Ledger(url) as ledger:
        ledger.finish_run(ledger.start_run(KEY, "changes"), "succeeded")
        assert set(outcomes(ledger).values()) == {"succeeded"}
