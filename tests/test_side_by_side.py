"""Processes side by side on one account: none throttled, nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from resources.lake import Lake
from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.processes import finished, said, start
from tests.test_truth import Home, differences

BRIGHTPEARL = "brightpearl.acme"
WINDOW = 1.5
"""Seconds that stand for the minute in which the sandbox and its clients count requests."""

PULL = """
import sys
from dataclasses import replace
from datetime import date
from assets.sources import brightpearl
from assets.workshop import Workshop
kind, run, window = sys.argv[1], sys.argv[2], float(sys.argv[3])
brightpearl.IDS_PER_GET = 8
workshop = Workshop()
puller = replace(workshop.puller, budget_window=window)
account = workshop.accounts.get("brightpearl.acme")
print("ready", flush=True)
sys.stdin.readline()
if kind == "changes":
    puller.changes(account, run)
else:
    puller.history(account, date(2026, 9, 21), date(2026, 11, 2), run)
workshop.normaliser(account).drain()
workshop.close()
"""


@contextmanager
def sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch, rate: int) -> Iterator[Home]:
    """Brightpearl with its limit of 200 enforced, and a home that allows itself `rate`."""
    with Sandbox(lifted=False, sources=["brightpearl"], allowance_seconds=WINDOW) as box:
        home = Home(box, Pulls(point_at(box, folder, monkeypatch)))
        file = folder / "accounts.toml"
        limit = "requests_per_minute = "
        file.write_text(file.read_text().replace(f"{limit}200", f"{limit}{rate}"))
        yield home


def _all_at_once(kinds: list[str]) -> None:
    running = [start(PULL, kind, f"run-{n}", WINDOW) for n, kind in enumerate(kinds)]
    for each in running:
        assert said(each) == "ready"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    finished(*running)


def _exact(home: Home) -> None:
    """The marts equal the truth, and no order was landed or normalised twice."""
    home.publish()
    assert differences(home) == {}
    with duckdb.connect() as con:
        for table, key in (("raw", "landing_seq"), ("orders", "version_id")):
            home.pulls.workshop.lake.read(con, table).create_view(table)
            twice = con.execute(f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1")
            assert twice.fetchall() == [], table
        seen = con.execute(
            "SELECT count(*), count(DISTINCT source_order_id), max(landing_seq) FROM raw"
        ).fetchall()[0]
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    ("rate", "kinds"),
    [(200, ["changes", "history", "history"]), (9000, ["changes", "history"])],
    ids=["by count", "by headers alone"],
)
def test_sync_and_backfills_share_one_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, kinds: list[str]
) -> None:
    with sandbox(tmp_path, monkeypatch, rate) as home:
        _all_at_once(kinds)
        # What one has landed the other does not fetch again: how many depends on who is faster.
        assert home.box.requests(BRIGHTPEARL) > 300
        assert home.box.refused(BRIGHTPEARL) == 0
        _exact(home)


APPEND = """
import sys
import pyarrow as pa
from resources.lake import Lake
sys.path.insert(0, "tests")
from canonical_rows import order, table
lake, account = Lake(sys.argv[1]), ("brightpearl", sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for seq in range(1, 26):
    records = table("orders", [order(str(seq), seq, account)])
    assert lake.append("orders", records, stage=f"n:{account}", batch=seq, after=seq - 1)
"""

COMPACT = """
import sys
from resources.lake import Lake
lake = Lake(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
refused = 0
for _ in range(8):
    try:
        lake.compact("orders")
    except Exception as error:
        assert "compacted by another process" in str(error), error
        refused += 1
print(refused)
"""


def test_four_processes_append_while_two_compact_and_one_reads(tmp_path: Path) -> None:
    running = [start(APPEND, tmp_path / "lake", f"number{n}") for n in range(4)]
    running += [start(COMPACT, tmp_path / "lake") for _ in range(2)]
    for each in running:
        assert said(each) == "ready"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    lake, seen = Lake(str(tmp_path / "lake")), 0
    while any(each.poll() is None for each in running):
        with duckdb.connect() as con:
            counted = lake.read(con, "orders").aggregate(
                "count(*), count(DISTINCT version_id), count(*) FILTER (landing_seq > 0)"
            )
            rows, versions, _ = counted.fetchall()[0]
        assert rows == versions
        assert seen <= rows <= 100
        seen = rows
    finished(*running)
    with duckdb.connect() as con:
        per_account = lake.read(con, "orders").aggregate(
            "source_account, count(*), count(DISTINCT landing_seq)"
        )
        assert sorted(per_account.fetchall()) == [(f"number{n}", 25, 25) for n in range(4)]
