"""The search after an erasure: a value planted in a file of any kind is found."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.ledger import Ledger
from resources.proof import search
from resources.scrub import Scrubber
from schemas.canonical import LAKE

EMAIL, NAME = "zoe.planted@example.org", "Zoë Plänted"
VALUES = (EMAIL, NAME)
BODY = json.dumps({"customer": {"fullname": NAME, "email": "ZOE.Planted@example.org"}})


def parquet_page(folder: Path) -> None:
    """A compressed, dictionary-encoded page of nested JSON texts."""
    bodies = [
        f"{sha256(bytes([n % 200])).hexdigest()} {BODY if n == 777 else ''}" for n in range(2000)
    ]
    rows = pa.table({"events": [[{"body": body}] for body in bodies]})
    pq.write_table(rows, folder / "raw.parquet", compression="zstd", compression_level=9)
    assert EMAIL.encode() not in (folder / "raw.parquet").read_bytes().lower()


def parquet_map(folder: Path) -> None:
    options = pa.array([[("engraving", f"for {NAME}")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"options": options}), folder / "rows.parquet", compression="zstd")


def parquet_notes(folder: Path) -> None:
    schema = pa.schema([pa.field("n", pa.int64())], metadata={"origin": BODY})
    pq.write_table(pa.table({"n": [1]}, schema=schema), folder / "noted.parquet")


def delta_statistics(folder: Path) -> None:
    stats = json.dumps({"numRecords": 1, "minValues": {"email": EMAIL}})
    log = folder / "lake" / "order_parties" / "_delta_log"
    log.mkdir(parents=True)
    entry = json.dumps({"add": {"path": "part-0.parquet", "stats": stats}})
    (log / f"{0:020d}.json").write_text(entry, encoding="utf-8")


def delta_checkpoint(folder: Path) -> None:
    stats = json.dumps({"maxValues": {"full_name": NAME}})
    adds = pa.array([{"path": "part-0.parquet", "stats": stats}])
    pq.write_table(pa.table({"add": adds}), folder / f"{9:020d}.checkpoint.parquet")


def old_marts(folder: Path) -> None:
    with closing(duckdb.connect(str(folder / "marts-1.duckdb"))) as connection:
        connection.execute("CREATE TABLE parties AS SELECT ? AS full_name", [NAME])


def marts_compressed(folder: Path) -> None:
    with closing(duckdb.connect(str(folder / "marts-2.duckdb"))) as connection:
        connection.execute(
            "CREATE TABLE parties AS SELECT [{'email': ? || (range % 900)}] AS found "
            "FROM range(200000)",
            [f"{EMAIL} "],
        )


def marts_free_blocks(folder: Path) -> None:
    """Rows that were deleted: the blocks are free and still hold them."""
    with closing(duckdb.connect(str(folder / "marts-3.duckdb"))) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT '{EMAIL}' || range AS x FROM range(90000)")
        connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE t")
        connection.execute("CHECKPOINT")


def ledger_registration(folder: Path) -> None:
    with (
        Ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger,
        ledger.lease("feedback_company.reviews", "push") as lease,
    ):
        ledger.registrations.intend("1", "a:b:1", BODY.encode(), "run", lease)


def sqlite_compressed_value(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        connection.execute("CREATE TABLE events (body BLOB)")
        connection.execute("INSERT INTO events VALUES (?)", [zlib.compress(BODY.encode())])
        connection.commit()


def sqlite_free_page(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "old.db")) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE events (body TEXT)")
        connection.execute("INSERT INTO events VALUES (?)", [EMAIL])
        connection.commit()
        connection.execute("DELETE FROM events")
        connection.commit()


def quarantine_excerpt(folder: Path) -> None:
    empty = {f.name: pa.nulls(1, f.type) for f in LAKE["quarantine"]}
    rows = pa.table(empty | {"value": pa.array([f"'{NAME}' is no date"])})
    pq.write_table(rows, folder / "quarantine.parquet", compression="zstd")


def text_log(folder: Path) -> None:
    (folder / "1.err").write_text(f"refused: {BODY}\n", encoding="utf-8")


def compressed_log(folder: Path) -> None:
    with gzip.open(folder / "1.log.gz", "wt", encoding="utf-8") as file:
        file.write(f"at {EMAIL}\n")


def pickled_log(folder: Path) -> None:
    (folder / "step.pickle").write_bytes(pickle.dumps({"to": [EMAIL]}))


def far_into_a_log(folder: Path) -> None:
    """Across the border of two pieces that are read one after the other."""
    (folder / "long.log").write_text("x" * ((1 << 22) - 9) + f" {EMAIL} end", encoding="utf-8")


def file_name(folder: Path) -> None:
    (folder / f"report-{EMAIL}.html").write_text("nothing", encoding="utf-8")


PLACES: list[Callable[[Path], None]] = [
    parquet_page,
    parquet_map,
    parquet_notes,
    delta_statistics,
    delta_checkpoint,
    old_marts,
    marts_compressed,
    marts_free_blocks,
    ledger_registration,
    sqlite_compressed_value,
    sqlite_free_page,
    quarantine_excerpt,
    text_log,
    compressed_log,
    pickled_log,
    far_into_a_log,
    file_name,
]


@pytest.mark.parametrize("plant", PLACES, ids=[each.__name__ for each in PLACES])
def test_what_is_planted_is_found(plant: Callable[[Path], None], tmp_path: Path) -> None:
    plant(tmp_path)
    proof = search([tmp_path], VALUES)
    assert not proof.is_clean
    assert all(f.is_unread == (plant is marts_free_blocks) for f in proof.findings)
    other = search([tmp_path], ["noel.other@example.org"], list(tmp_path.glob("*.duckdb")))
    assert other.is_clean


def test_what_cannot_be_read_is_no_proof(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + b"\0" * 40)
    [finding] = search([tmp_path], VALUES).findings
    assert finding.is_unread


def test_a_part_of_another_address_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"x{EMAIL}", encoding="utf-8")
    with closing(duckdb.connect(str(tmp_path / "a.duckdb"))) as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS email", [f"x{EMAIL}"])
    assert search([tmp_path], VALUES).is_clean


@pytest.mark.parametrize("before", ["\n", "\t", "\r\n"])
def test_what_follows_an_escaped_line_break_is_found(tmp_path: Path, before: str) -> None:
    said = json.dumps({"note": f"Contact:{before}{EMAIL}"})
    for name, text in (("once.log", said), ("twice.log", json.dumps(said))):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {each.file.name for each in search([tmp_path], VALUES).findings} == {
        "once.log",
        "twice.log",
    }


def test_logs_and_databases_are_overwritten_in_place(tmp_path: Path) -> None:
    text_log(tmp_path)
    sqlite_free_page(tmp_path)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("INSERT INTO events VALUES (?)", [f"said {BODY}"])
        connection.commit()
    size = (tmp_path / "1.err").stat().st_size
    scrubber = Scrubber(VALUES)
    assert scrubber.file(tmp_path / "1.err")
    assert scrubber.database(tmp_path / "old.db")
    assert (tmp_path / "1.err").stat().st_size == size
    assert search([tmp_path], VALUES).is_clean
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        [(text,)] = connection.execute("SELECT body FROM events").fetchall()
    assert text.startswith('said {"customer"')
