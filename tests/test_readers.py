"""Readers of the published file while it is published again and again: whole runs, no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from canonical_rows import land
from warehouse_home import Home, whole

from tests.home import IS_NIGHTLY
from tests.processes import finished, said, start

ORDERS = 40
RUNS = 20 if IS_NIGHTLY else 10
FEW_RUNS = 4

READ = """
import sys
from pathlib import Path
import duckdb
path, reconnects, over = sys.argv[1], sys.argv[2] == "reconnects", Path(sys.argv[3])
# Every order's newest version is the run's own: a file with two runs in it has two amounts.
QUERY = '''
    SELECT (SELECT publication_id FROM orderloom.build) AS publication,
        (SELECT count(*) FROM orders) AS orders,
        (SELECT count(DISTINCT gross_amount) FROM orders) AS amounts,
        (SELECT max(gross_amount) FROM orders) AS amount,
        (SELECT count(*) FROM order_rows AS r JOIN orders AS o USING (order_key, version_id)),
        (SELECT count(*) FROM order_parties AS p JOIN orders AS o USING (order_key, version_id)),
        (SELECT sum(orders) FROM order_count)
'''
connect = lambda: duckdb.connect(path, read_only=True)
con, seen, asked = connect(), [], 0
print("reading", flush=True)
while True:
    last_round = over.exists()
    if reconnects:
        con.close()
        con = connect()
    found = con.execute(QUERY).fetchone()
    asked += 1
    assert found[1:3] == (40, 1) and found[4:] == (40, 40, 40), found
    if not seen or seen[-1] != (found[0], found[3]):
        seen.append((found[0], found[3]))
    if last_round:
        break
assert seen == sorted(seen)
print(asked, len(seen), int(seen[0][1]), int(seen[-1][1]))
"""


ASK = """
import os, sys
from pathlib import Path
from click.testing import CliRunner
from pipelines.cli import main
os.environ["ORDERLOOM_HOME"] = sys.argv[1]
ask = lambda: CliRunner().invoke(main, ["query", sys.argv[2], "--format", "csv"])
first, asked = ask(), 1
print("asking", flush=True)
while True:
    last_round = Path(sys.argv[1], "over").exists()
    last, asked = ask(), asked + 1
    assert last.exit_code == 0, last.output
    count, least, most = last.stdout.splitlines()[1].split(",")
    assert (count, least) == ("40", most), last.stdout
    if last_round:
        break
print(asked, first.stdout.splitlines()[1].split(",")[1], most)
"""


def _publish(home: Home, run: int) -> None:
    """Publish a run in which every order changed."""
    batch: dict[str, list[Any]] = {"orders": [], "order_rows": [], "order_parties": []}
    for number in range(ORDERS):
        made = whole(str(number), run * ORDERS + number + 1, gross_amount=f"{run}.0000")
        for table, records in made.items():
            batch[table] += records
    land(home.lake, **batch)
    assert home.publish().published


def test_readers_see_whole_runs_and_stop_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path)
    _publish(home, 0)
    over = tmp_path / "over"
    readers = [start(READ, home.warehouse.path, way, over) for way in ("reconnects", "holds")]
    for reader in readers:
        assert said(reader) == "reading"
    for run in range(1, RUNS + 1):
        _publish(home, run)
    over.touch()
    reconnecting, holding = (said(reader).split() for reader in readers)
    finished(*readers)
    assert reconnecting[2:] == ["0", str(RUNS)]
    assert holding[1:] == ["1", "0", "0"]
    assert int(reconnecting[1]) > 1


def test_the_file_keeps_the_format_that_every_release_since_1_4_reads(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for run in range(2):  # built from nothing, and from the file before
        _publish(home, run)
        tags = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal"
        assert home.rows(tags) == [("v1.4.0+",)]


def test_the_command_line_reads_whole_runs_while_they_are_published(tmp_path: Path) -> None:
    home = Home(tmp_path)
    _publish(home, 0)
    whole_run = "SELECT count(*) AS n, min(gross_amount), max(gross_amount) FROM orders"
    reader = start(ASK, home.files, whole_run)
    assert said(reader) == "asking"
    for run in range(1, FEW_RUNS + 1):
        _publish(home, run)
    (tmp_path / "over").touch()
    asked, first, last = said(reader).split()
    finished(reader)
    assert int(asked) > 1
    assert (first, last) == ("0.0000", f"{FEW_RUNS}.0000")


def test_no_publication_waits_for_a_reader_in_the_middle_of_its_answer(tmp_path: Path) -> None:
    home = Home(tmp_path)
    _publish(home, 0)
    with home.warehouse.open() as con:
        answer = con.execute("SELECT gross_amount FROM orders, range(100000)")
        first = answer.fetchone()
        for run in range(1, 4):
            _publish(home, run)
        assert {first, *answer.fetchmany(5000)} == {first}
    assert home.rows("SELECT DISTINCT gross_amount FROM orders") == [(3,)]
