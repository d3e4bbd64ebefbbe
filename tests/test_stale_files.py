"""Files older than the rest, or open elsewhere: ledgers restored, marts in somebody's use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import pytest

from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.test_truth import Home, alive, differences

KEY = "feedback_company.reviews"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with Sandbox(lifted=True, sources=("feedback_company",)) as box:
        yield Home(box, Pulls(point_at(box, tmp_path, monkeypatch)))


def ledger_of(home: Home) -> Path:
    return home.pulls.workshop.places.home / "ledger.sqlite"


def change_something(home: Home) -> None:
    order_id, order = list(alive(home.box, KEY).items())[-1]
    home.box.api(KEY).edit(order_id, {"is_sent": not order["is_sent"]})
    home.box.clock.advance(timedelta(days=1))


def landed(home: Home) -> int:
    """Rows in raw; none may stand there twice."""
    with home.warehouse.open() as connection:
        raw = home.pulls.workshop.lake.read(connection, "raw")
        counted = raw.aggregate("COUNT(*), COUNT(DISTINCT landing_seq)").fetchall()
    ((rows, numbers),) = counted
    assert rows == numbers
    return int(rows)


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_ledger_older_than_the_lake_lands_nothing_twice(home: Home, is_deleted: bool) -> None:
    home.sync()
    home.pulls.workshop.close()
    copy = shutil.copy(ledger_of(home), ledger_of(home).with_suffix(".copy"))
    change_something(home)
    home.sync()
    before, tables = landed(home), home.tables()
    home.pulls.workshop.close()
    for path in ledger_of(home).parent.glob("ledger.sqlite*"):
        path.unlink()
    if not is_deleted:
        shutil.copy(copy, ledger_of(home))
    again = home.sync()
    assert (again[KEY].counts.new, again[KEY].counts.changed) == (0, 0)
    assert again[KEY].counts.received > 0
    assert landed(home) == before
    assert home.tables() == tables
    change_something(home)
    home.sync()
    assert differences(home) == {}


ELSEWHERE = """
import os, sys, duckdb
path, mode = sys.argv[1:]
if mode == "read":
    con = duckdb.connect(path, read_only=True)
else:
    os.chmod(os.path.realpath(path), 0o644)
    con = duckdb.connect(path)
    con.execute("PRAGMA disable_checkpoint_on_shutdown")
    con.execute("PRAGMA wal_autocheckpoint = '1TB'")
    con.execute("UPDATE orders SET order_status = 'cancelled'")
    con.execute("CREATE TABLE scribble AS SELECT 1 AS one")
print(con.execute("SELECT COUNT(*) FROM orders").fetchone()[0], flush=True)
sys.stdin.readline()
os._exit(0)
"""


@pytest.mark.parametrize("is_ended_first", [True, False])
@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_file_in_use_elsewhere_neither_stops_nor_spoils_a_publication(
    home: Home, mode: str, is_ended_first: bool
) -> None:
    home.sync()
    live = home.warehouse.path.resolve()
    command = [sys.executable, "-c", ELSEWHERE, str(home.warehouse.path), mode]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as session:
        assert session.stdout is not None
        assert int(session.stdout.readline()) > 300
        assert live.with_name(f"{live.name}.wal").exists() == (mode == "write")
        if is_ended_first:
            session.communicate("\n", timeout=60)
        change_something(home)
        home.sync()
        assert home.warehouse.path.resolve() != live
        assert differences(home) == {}
        assert "scribble" not in home.warehouse.row_counts()
    change_something(home)
    home.sync()
    assert differences(home) == {}
    assert not list(live.parent.glob("*.wal"))
