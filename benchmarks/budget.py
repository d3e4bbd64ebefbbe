"""How close a sync comes to the least possible time under a budget, alone and beside a backfill.

Belongs here: the measurement, against the sandbox with its limits on. Does not belong here: how
requests are paced (`resources/pacing.py`). Takes eight minutes of real time, mostly waiting.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from math import ceil
from pathlib import Path

import duckdb

from sandbox.server import Sandbox

ACCOUNT = "brightpearl.acme"
WINDOW = 60
"""Seconds in which Brightpearl allows so many requests."""
LIMIT = 200
SMALL_SETS = """
import sys
from assets.sources import brightpearl
from pipelines.cli import main
brightpearl.IDS_PER_GET = int(sys.argv.pop(1))
brightpearl.Brightpearl.batch_size = 150
main()
"""
"""The command line, with so few orders a request that the sample needs hundreds of them."""


def main() -> None:
    """Measure both cases and print a line for each."""
    _say(
        "case                    requests  least s  asked for s  ratio  command s"
        "  throttled  lost  twice"
    )
    with tempfile.TemporaryDirectory() as folder:
        measure("sync", Path(folder) / "alone", 3, [["sync", ACCOUNT]])
        backfill = ["backfill", ACCOUNT, "--from", "2026-09-21", "--to", "2026-11-02"]
        measure("sync beside backfill", Path(folder) / "beside", 6, [["sync", ACCOUNT], backfill])


def measure(case: str, home: Path, ids_per_get: int, commands: list[list[str]]) -> None:
    """Run commands at once against a fresh sandbox, and print what became of it."""
    with Sandbox(lifted=False, sources=["brightpearl"]) as box:
        home.mkdir(parents=True)
        (home / "accounts.toml").write_text(box.accounts_toml(), encoding="utf-8")
        places = {"ORDERLOOM_HOME": str(home), "ORDERLOOM_ACCOUNTS": str(home / "accounts.toml")}
        began = time.monotonic()
        running = [
            subprocess.Popen(
                [sys.executable, "-c", SMALL_SETS, str(ids_per_get), *command],
                env=os.environ | box.environment() | places,
                stdout=subprocess.DEVNULL,
            )
            for command in commands
        ]
        codes = [each.wait() for each in running]
        took = time.monotonic() - began
        requests = box.requests(ACCOUNT)
        # A window's requests may all go at its beginning: the last window need not be waited out.
        least = (ceil(requests / LIMIT) - 1) * WINDOW
        truth = {each["source_order_id"] for each in box.truth(ACCOUNT) if not each["is_deleted"]}
        found, rows, asked_for = _published(home)
        _say(
            f"{case:22}  {requests:8}  {least:7}  {asked_for:11.1f}"
            f"  {asked_for / least:5.3f}  {took:9.1f}  {box.refused(ACCOUNT):9}"
            f"  {len(truth - found):4}  {rows - len(found):5}"
            + ("" if not any(codes) else f"  exit codes {codes}")
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _published(home: Path) -> tuple[set[str], int, float]:
    """The ids and the number of the orders, and the seconds from the first pull's start to the
    last one's end: without starting Dagster, normalising and publishing."""
    with duckdb.connect(str(home / "marts.duckdb"), read_only=True) as con:
        found = con.execute("SELECT source_order_id FROM orders").fetchall()
    with closing(sqlite3.connect(home / "ledger.sqlite")) as ledger:
        seconds = ledger.execute(
            "SELECT 86400 * (max(julianday(finished_at)) - min(julianday(started_at))) FROM runs"
            " WHERE kind IN ('changes', 'history')"
        ).fetchone()[0]
    return {order_id for (order_id,) in found}, len(found), seconds


if __name__ == "__main__":
    main()
