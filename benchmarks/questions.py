"""How long the twenty questions of docs/questions.md take over a large published file.

    python -m benchmarks.questions [--orders N] [--times N] [--threads N] [--keep FOLDER]

The sandbox's orders are pulled, normalised and published as by any sync, then copied with other
keys and earlier dates until there are enough of them; checks, dimensions and marts are made of the
copies as of any other orders. Prints for each question its rows, and the median and the longest of
several answers in one open read-only connection, in milliseconds, with the processor time of the
median one: wall time means little where others use the processor as well.

Belongs here: making such a file, and the measurement. Does not belong here: the questions
(docs/questions.md), and whether the answers are right (tests/test_questions.py).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import duckdb

from assets.marts import MARTS
from assets.reference import reference
from assets.workshop import Workshop
from resources import publication
from resources.lake import AccountKey, Lake
from resources.warehouse_aside import opened
from resources.warehouse_build import Build
from resources.warehouse_fill import OF_ORDERS
from sandbox.server import Sandbox

ORDERS = 1_000_000
YEARS = 3
"""Over which the copies are spread, the newest of them on the sandbox's own days."""
CUSTOMERS_COME_AGAIN = 3
"""Copies in a row that have the same customers."""
PAGE = Path(__file__).parents[1] / "docs/questions.md"
KEYS = frozenset({"order_key", "order_row_key", "version_id"})
"""Columns that begin with the account, `:` and the id of the order; see schemas/keys.py."""
COPIES_AT_A_TIME = 10
"""Within these alone the rows are sorted, newest orders last."""


@dataclass(frozen=True)
class Timing:
    """What one question took, in seconds."""

    number: int
    rows: int
    wall: list[float]
    cpu: list[float]


def main() -> None:
    """Make the file and print a line for each question."""
    asked = _arguments()
    with _home(asked.keep) as home:
        began = time.process_time()
        file = multiply(_sync(home), home / "marts.duckdb", asked.orders)
        with duckdb.connect(str(file), read_only=True) as con:
            counts = [
                _count(con, name) for name in ("orders", "order_rows", "order_status_history")
            ]
        size, cpu = file.stat().st_size / 1e6, time.process_time() - began
        _say("{:,} orders, {:,} order rows, {:,} statuses".format(*counts))
        _say(f"{size:.0f} MB, made in {cpu:.0f} s of CPU")
        _say("question    rows  median ms   most ms  median CPU ms")
        for each in measure(file, asked.times, asked.threads):
            wall, most, cpu = (
                1000 * s for s in (median(each.wall), max(each.wall), median(each.cpu))
            )
            _say(f"{each.number:8}{each.rows:8}{wall:11.1f}{most:10.1f}{cpu:15.1f}")


def multiply(small: Path, marts: Path, orders: int) -> Path:
    """A file of at least so many orders, copied from the file `small`, published as `marts`."""
    large = publication.unfinished(marts, publication.new_id(marts))
    with opened(large) as con:
        build = Build(con, Lake(str(marts.parent / "lake")))
        build.begin()
        build.create()
        build.finish()
        con.execute(f"ATTACH '{small}' AS small (READ_ONLY)")
        accounts, runs = (
            con.execute(f"FROM small.main.{name}").to_arrow_table().to_pylist()
            for name in ("dim_account", "runs")
        )
        keys = sorted((each["source_system"], each["source_account"]) for each in accounts)
        copies = -(-orders // _count(con, "small.main.orders"))
        for name in (*OF_ORDERS, "orderloom.superseded"):
            con.execute("BEGIN")
            _copy(con, name, copies, keys)
            con.execute("COMMIT")
        con.execute("DETACH small")
        build.begin()
        build.take_over(accounts, runs)
        faults = dict(build.faults(None, ()))
        build.derive(MARTS)
        faults |= build.faults_of_marts(MARTS, frozenset(keys))
        assert not faults, faults
        build.finish()
    return publication.publish(marts, large)


def questions() -> dict[int, str]:
    """The SQL of each question of the page, by its number."""
    found = re.findall(
        r"^## (\d+)\. .+?\n```sql\n(.+?)```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return {int(number): sql for number, sql in found}


def measure(file: Path, times: int, threads: int) -> Iterator[Timing]:
    """Ask each question so often, and once before to have read the file."""
    with duckdb.connect(str(file), read_only=True, config={"threads": threads}) as con:
        con.execute("SET TimeZone = 'UTC'")
        for number, sql in questions().items():
            timing = Timing(number, len(con.execute(sql).fetchall()), [], [])
            for _ in range(times):
                wall, cpu = time.perf_counter(), time.process_time()
                con.execute(sql).fetchall()
                timing.wall.append(time.perf_counter() - wall)
                timing.cpu.append(time.process_time() - cpu)
            yield timing


def _sync(home: Path) -> Path:
    """The file that is published after all accounts of a sandbox were pulled on two days."""
    with Sandbox(lifted=True) as box:
        (home / "accounts.toml").write_text(box.accounts_toml(), encoding="utf-8")
        os.environ["ORDERLOOM_HOME"] = str(home)
        os.environ["ORDERLOOM_ACCOUNTS"] = str(home / "accounts.toml")
        os.environ.update(box.environment())
        workshop = Workshop()
        for day in range(2):
            for account in workshop.accounts:
                workshop.puller.changes(account, f"day-{day}-{account.key}")
                workshop.normaliser(account).drain()
            box.clock.advance(timedelta(days=1))
    published = workshop.warehouse.publish(MARTS, reference(workshop))
    workshop.close()
    return published.path


def _copy(con: duckdb.DuckDBPyConnection, table: str, copies: int, keys: list[AccountKey]) -> None:
    """Fill a table with copies of the small file's rows: account by account, oldest first."""
    schema, _, name = f"main.{table}".rpartition(".")
    source = f"small.{schema.rpartition('.')[2]}.{name}"
    columns = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'small'"
        " AND schema_name || '.' || table_name = ?",
        [source.removeprefix("small.")],
    ).fetchall()
    replaced = [
        f"{sql} AS {column}" for column, kind in columns if (sql := _copied(column, kind, copies))
    ]
    for account in keys:
        for last in range(copies - 1, -1, -COPIES_AT_A_TIME):
            con.execute(
                f"INSERT INTO {table} BY NAME SELECT s.* REPLACE ({', '.join(replaced)})"
                f" FROM {source} AS s, range(?, ?) AS copy(n)"
                " WHERE source_system = ? AND source_account = ? ORDER BY n DESC",
                [max(0, last + 1 - COPIES_AT_A_TIME), last + 1, *account],
            )


def _copied(column: str, kind: str, copies: int) -> str | None:
    """A column of copy number n, the newest being 0; None where all copies have the same."""
    days = f"CAST(n * {365 * YEARS} // {copies} AS INTEGER)"
    number = f"CAST({1000 + copies} - n AS VARCHAR)"
    if column == "source_order_id":
        return f"{number} || source_order_id"
    if column in KEYS:
        account = "s.source_system || ':' || s.source_account || ':'"
        return f"REPLACE({column}, {account}, {account} || {number})"
    if column == "email":
        return f"email || (n // {CUSTOMERS_COME_AGAIN})"
    if column == "landing_seq":
        return f"landing_seq + 1000000 * ({copies} - n)"
    if kind == "DATE":
        return f"{column} - {days}"
    return f"{column} - to_days({days})" if kind.startswith("TIMESTAMP") else None


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = con.execute(f"SELECT COUNT(*) FROM {table}").fetchall()
    return int(count)


@contextmanager
def _home(kept: Path | None) -> Iterator[Path]:
    """A folder for the file: one that stays, or a temporary one."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--times", type=int, default=5, help="answers to each question")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a new home that is left behind, to look at")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
