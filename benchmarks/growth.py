"""How the cost of a sync grows: with orders, with accounts, with days of a backfill, with time.

Belongs here: the cases, and the figures of each. Does not belong here: one sync (`core_sync.py`),
how the figures are shown (`growth_report.py`).

    python -m benchmarks.growth [orders|accounts|backfill|year ...] [--orders N,N,...] [--days N]

Every case has a server of its own and begins with an empty home. CPU seconds are told, since they
depend less on what else the machine does. The results of the cases that ran take the place of
theirs in benchmarks/results/growth.json; growth.md is written anew from it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks import growth_report
from benchmarks.core_sync import Synced, sync
from benchmarks.measure import CREDENTIALS, Server, measured, serving

ORDERS = (10_000, 100_000, 1_000_000)
ACCOUNTS = (1, 10, 100)
BACKFILLS = (1, 30, 365)
DAYS = 365
A_DAY = 20
"""New orders, and changed ones, that every sync of the simulated year brings."""
AT_FIRST = 1_000
"""Orders before that year; of each account in the case of many accounts a fifth."""
A_CHANGE = 100
"""Orders that the server adds at once in the case of backfills, two days apart."""
BEGAN = date(2026, 11, 2)
"""The server's first day with such orders."""
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Home:
    """An empty home, and the environment in which its accounts are those of a server."""

    folder: Path
    environment: dict[str, str]

    def sync(self, *days: date) -> Synced:
        """A sync, or with two days a backfill, in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.core_sync", *map(str, days)]
        return Synced(**json.loads(measured(command, env=self.environment).said))


@contextmanager
def home(server: Server, accounts: int = 1) -> Iterator[Home]:
    """A new home, removed in the end."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "accounts.toml"
        file.write_text(server.accounts_toml(accounts), encoding="utf-8")
        folder = Path(name) / "home"
        folder.mkdir()
        places = {"ORDERLOOM_HOME": str(folder), "ORDERLOOM_ACCOUNTS": str(file)}
        yield Home(folder, {**places, **CREDENTIALS})


def orders(sizes: Sequence[int] = ORDERS, folder: Path | None = None) -> Rows:
    """A full load, nothing changed and one order changed, by number of orders."""
    rows: Rows = []
    for size in sizes:
        with serving(size, folder=folder) as server, home(server) as at:
            kinds = {"full load": at.sync(), "no change": at.sync()}
            server.change(1)
            kinds["one changed"] = at.sync()
            rows += [_row(each, orders=size, sync=kind) for kind, each in kinds.items()]
    return rows


def accounts(counts: Sequence[int] = ACCOUNTS, folder: Path | None = None) -> Rows:
    """A full load, nothing changed and five orders of each changed, by number of accounts."""
    rows: Rows = []
    for count in counts:
        with serving(AT_FIRST // 5, folder=folder) as server, home(server, count) as at:
            kinds = {"full load": at.sync(), "no change": at.sync()}
            server.change(5)
            kinds["five changed"] = at.sync()
            rows += [_row(each, accounts=count, sync=kind) for kind, each in kinds.items()]
    return rows


def backfill(lengths: Sequence[int] = BACKFILLS, folder: Path | None = None) -> Rows:
    """A backfill of so many days, a hundred orders every other day."""
    rows: Rows = []
    with serving(1, folder=folder) as server:
        for _ in range(1 + max(lengths) // 2):
            server.change(0, new=A_CHANGE)
        for days in lengths:
            with home(server) as at:
                made = at.sync(BEGAN, BEGAN + timedelta(days=days - 1))
                rows.append(_row(made, days=days))
    return rows


def year(days: int = DAYS, folder: Path | None = None) -> Rows:
    """A sync a day for so many days, each with some new and some changed orders.

    What stays for a day or a week otherwise (log entries, replaced files) goes at once, since the
    year passes in minutes.
    """
    rows: Rows = []
    with serving(AT_FIRST, folder=folder) as server, home(server) as at:
        os.environ.update(at.environment)
        rows.append(_row(sync(keeps_nothing=True), day=0))
        for day in range(1, days + 1):
            server.change(A_DAY, new=A_DAY)
            rows.append(_row(sync(keeps_nothing=True), day=day))
    return rows


def _row(synced: Synced, **named: object) -> dict[str, object]:
    return {**named, **asdict(synced), "seconds": synced.seconds}


CASES: dict[str, Callable[..., Rows]] = {
    "orders": orders,
    "accounts": accounts,
    "backfill": backfill,
    "year": year,
}


def main() -> None:
    """Run the chosen cases, all by default, print what came of them and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="by default all")
    parser.add_argument("--orders", default=",".join(map(str, ORDERS)))
    parser.add_argument("--days", type=int, default=DAYS)
    given = parser.parse_args()
    chosen: dict[str, object] = {
        "orders": [int(each) for each in given.orders.split(",")],
        "accounts": ACCOUNTS,
        "backfill": BACKFILLS,
        "year": given.days,
    }
    for case in given.cases or CASES:
        growth_report.keep(case, CASES[case](chosen[case]))
        sys.stdout.write(growth_report.section(case) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
