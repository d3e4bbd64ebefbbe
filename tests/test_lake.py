"""The lake: commits happen once, survive, and read back as they were written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canonical_rows import ACME, TWELVE, order, party, quarantined, raw, table
from deltalake import DeltaTable

from resources import lake_files, lake_flush
from resources.errors import LakeError
from resources.lake import Lake
from schemas.canonical import LAKE, PERSONAL


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def keys(relation: duckdb.DuckDBPyRelation) -> list[str]:
    return sorted(key for (key,) in relation.project("version_id").fetchall())


def add(lake: Lake, batch: int, *records: dict[str, object], stage: str = "normalise:a") -> bool:
    return lake.append("orders", table("orders", records), stage=stage, batch=batch)


def test_a_table_reads_back_as_it_was_written(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    totals = [{"code": "tax", "value": Decimal("15.0449"), "priority": 1, "is_summable": True}]
    written = table("orders", [order("1", 1, net_amount="15.0449", totals=totals)])
    lake.append("orders", written, stage="normalise:a", batch=1)
    relation = lake.read(con, "orders")
    assert relation.columns == LAKE["orders"].names
    assert relation.project("net_amount, last_seen_at").types == [
        duckdb.sqltype("DECIMAL(18,4)"),
        duckdb.sqltype("TIMESTAMP WITH TIME ZONE"),
    ]
    assert relation.to_arrow_table().cast(LAKE["orders"]).to_pylist() == written.to_pylist()


@pytest.mark.parametrize("name", LAKE)
def test_an_absent_or_empty_table_reads_as_no_rows_of_the_right_types(
    lake: Lake, con: duckdb.DuckDBPyConnection, name: str
) -> None:
    absent = lake.read(con, name)
    assert (lake.version(name), lake.committed(name, "x"), lake.files(name)) == (-1, 0, [])
    lake.append(name, LAKE[name].empty_table(), stage="x", batch=3)
    empty = lake.read(con, name)
    assert absent.fetchall() == empty.fetchall() == []
    assert lake.committed(name, "x") == 3
    makers = {"raw": raw, "quarantine": quarantined, "order_parties": party, "orders": order}
    if name in makers:
        lake.append(name, table(name, [makers[name]("1", 1)]), stage="x", batch=4)
        filled = lake.read(con, name)
        assert filled.columns == absent.columns == empty.columns
        assert filled.types == absent.types == empty.types


def test_a_stage_commits_each_batch_once(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    assert add(lake, 1, order("1", 1))
    assert not add(lake, 1, order("1", 1))
    assert add(lake, 3, order("2", 2))
    assert not Lake(lake.url).append(
        "orders", table("orders", [order("9", 9)]), stage="normalise:a", batch=2
    )
    assert add(lake, 1, order("3", 3), stage="normalise:b")
    assert lake.committed("orders", "normalise:a") == 3
    assert len(keys(lake.read(con, "orders"))) == 3


def test_what_is_committed_outlives_checkpoints_of_the_log(lake: Lake) -> None:
    add(lake, 7, order("1", 1))
    DeltaTable(f"{lake.url}/orders").create_checkpoint()
    for entry in Path(lake.url, "orders", "_delta_log").glob("*.json"):
        entry.unlink()
    assert Lake(lake.url).committed("orders", "normalise:a") == 7


def test_accounts_are_text_and_pruned(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    add(lake, 1, order("1", 1), order("1", 1, TWELVE))
    add(lake, 2, order("2", 5))
    assert lake.accounts("orders") == [ACME, TWELVE]
    twelve = lake.read(con, "orders", account=TWELVE)
    assert twelve.project("source_account").fetchall() == [("12",)]
    assert [len(lake.files("orders", account=a)) for a in (ACME, TWELVE, None)] == [2, 1, 3]
    assert len(lake.files("orders", account=ACME, after=1)) == 1
    assert keys(lake.read(con, "orders", after=1)) == ["brightpearl:acme:2@5"]


def test_no_statistics_show_personal_data(lake: Lake) -> None:
    fields = [{"field_code": "PCF", "value_text": "Zebedee", "is_null": False}]
    makers = {
        "raw": raw("1", 1, body='{"name": "Zebedee"}'),
        "orders": order(
            "1", 1, description="Zebedee", custom_fields=fields, source_fields="Zebedee"
        ),
        "order_parties": party("1", 1, full_name="Zebedee", email="Zebedee", postal_code="Zebedee"),
        "quarantine": quarantined("1", 1, value="Zebedee"),
    }
    for name, record in makers.items():
        lake.append(name, table(name, [record]), stage="x", batch=1)
        log = Path(lake.url, name, "_delta_log", f"{1:020d}.json").read_text()
        assert "Zebedee" not in log
        assert '\\"max' in log.replace("maxValues", "max"), "keys keep statistics"
        (file,) = lake.files(name)
        group = pq.ParquetFile(file.path).metadata.row_group(0)
        chunks = [group.column(i) for i in range(group.num_columns)]
        kept = {chunk.path_in_schema.split(".")[0] for chunk in chunks if chunk.statistics}
        assert kept == set(lake_files.STATISTICS)
        assert not kept & PERSONAL[name]


def test_other_tools_read_the_files(lake: Lake) -> None:
    add(lake, 1, order("1", 1), order("2", 2, TWELVE))
    handle = DeltaTable(f"{lake.url}/orders")
    assert handle.protocol().min_reader_version == 1
    assert handle.to_pyarrow_table().num_rows == 2
    assert set(pd.read_parquet(f"{lake.url}/orders")["order_key"]) == {
        "brightpearl:acme:1",
        "tastyigniter:12:2",
    }
    comments = {f.name: f.metadata.get("comment") for f in handle.schema().fields}
    assert (
        comments["net_amount"] == LAKE["orders"].field("net_amount").metadata[b"comment"].decode()
    )


def test_object_store_tables_are_read_through_arrow(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    add(lake, 1, order("1", 1), order("1", 1, TWELVE))
    local = lake.read(con, "orders", account=TWELVE)
    remote = lake_files.relation(
        con, "orders", f"{lake.url}/orders", lake.files("orders", account=TWELVE), local=False
    )
    assert remote.types == local.types
    assert remote.to_arrow_table().to_pylist() == local.to_arrow_table().to_pylist()


def test_replacing_an_account_leaves_the_others(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    add(lake, 1, order("1", 1), order("2", 2), order("1", 1, TWELVE))
    batches = [table("orders", [order("1", 1)]), table("orders", [order("3", 3)])]
    lake.replace_account("orders", ACME, iter(batches), stage="normalise:a", batch=9)
    assert keys(lake.read(con, "orders")) == [
        "brightpearl:acme:1@1",
        "brightpearl:acme:3@3",
        "tastyigniter:12:1@1",
    ]
    assert lake.committed("orders", "normalise:a") == 9
    assert (lake.generation("orders", ACME), lake.generation("orders", TWELVE)) == (1, 0)


def test_a_replacement_that_fails_changes_nothing_and_shows_no_data(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    add(lake, 1, order("1", 1))
    wrong = [table("orders", [order("7", 7)]), table("orders", [order("1", 1, TWELVE)])]
    with pytest.raises(LakeError) as caught:
        lake.replace_account("orders", ACME, wrong, stage="normalise:a", batch=2)
    assert "Jane" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert keys(lake.read(con, "orders")) == ["brightpearl:acme:1@1"]
    assert lake.committed("orders", "normalise:a") == 1


@pytest.mark.parametrize(("appended", "conflicts"), [(TWELVE, False), (ACME, True)])
def test_a_replacement_never_swallows_what_was_appended_meanwhile(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    appended: tuple[str, str],
    conflicts: bool,
) -> None:
    add(lake, 1, order("1", 1))
    meanwhile = threading.Thread(
        target=lambda: add(Lake(lake.url), 2, order("7", 7, appended), stage="other")
    )

    def batches() -> Iterator[pa.Table]:
        yield table("orders", [order("2", 2)])
        meanwhile.start()
        meanwhile.join()

    if conflicts:
        with pytest.raises(LakeError, match="concurrent"):
            lake.replace_account("orders", ACME, batches(), stage="normalise:a", batch=2)
    else:
        lake.replace_account("orders", ACME, batches(), stage="normalise:a", batch=2)
    kept = "brightpearl:acme:1@1" if conflicts else "brightpearl:acme:2@2"
    added = f"{':'.join(appended)}:7@7"
    assert keys(lake.read(con, "orders")) == [kept, added]


def test_compaction_keeps_every_row(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    for seq in range(1, 6):
        add(lake, seq, order("1", seq))
    before = keys(lake.read(con, "orders"))
    assert lake.compact("orders") == (5, 1)
    assert lake.vacuum("orders", hours=0) == 5
    assert keys(lake.read(con, "orders")) == before
    assert lake.committed("orders", "normalise:a") == 5
    assert (lake.compact("raw"), lake.vacuum("raw")) == ((0, 0), 0)


def test_rows_are_accounted_for_when_an_append_meets_a_compaction(lake: Lake) -> None:
    add(lake, 1, order("1", 1))
    add(lake, 2, order("2", 2))
    files, start = lake.files("orders"), lake.version("orders")
    lake.compact("orders")
    add(lake, 3, order("3", 3), order("4", 4))
    entries = lake_files.log_entries(Path(lake.url, "orders"), start, lake.version("orders"))
    assert lake_files.expected_rows(files, entries) == 4
    lost = [entry for entry in entries if any("remove" in a for a in entry.actions)]
    assert lake_files.expected_rows(files, lost) == 2


WRITER = """
import sys
from canonical_rows import order, table
from resources.lake import Lake
lake, name = Lake(sys.argv[1]), sys.argv[2]
for batch in range(1, 6):
    lake.append("orders", table("orders", [order(name, batch)]), stage=name, batch=batch)
"""


def test_processes_append_side_by_side(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    path = os.pathsep.join(str(Path(__file__).parents[up]) for up in (0, 1))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, lake.url, name], env=os.environ | {"PYTHONPATH": path}
        )
        for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(set(keys(lake.read(con, "orders")))) == 10


def test_everything_written_is_flushed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: set[Path] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        flushed.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    add(lake, 1, order("1", 1))
    root = Path(lake.url)
    written = {path for path in root.rglob("*") if not path.name.startswith(("_last", "_flushed"))}
    assert written | {root} <= flushed


def test_a_file_that_the_log_names_outlasts_a_disk_that_fills_while_it_is_flushed(
    lake: Lake, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = lake_flush.flush

    def full(*_: object) -> None:
        monkeypatch.setattr(lake_flush, "flush", flush)
        assert Lake(lake.url).committed("raw", "land:b") == 2, "another process goes on from it"
        raise OSError(errno.ENOSPC, "No space left on device")

    lake.append("raw", table("raw", [raw("1", 1)]), stage="land:a", batch=1)
    monkeypatch.setattr(lake_flush, "flush", full)
    with pytest.raises(LakeError, match="No space left"):
        lake.append("raw", table("raw", [raw("2", 2)]), stage="land:b", batch=2)
    assert len(Lake(lake.url).read(con, "raw").fetchall()) == 2


@pytest.mark.parametrize("way", ["link/lake", "link/../real/lake"])
def test_what_is_needed_outlasts_a_purge_whatever_the_path(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, way: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    lake = Lake(str(tmp_path / way))
    for number in (1, 2):
        lake.append("raw", table("raw", [raw(str(number), number)]), stage="a", batch=number)
    lake.purge("raw", with_log=True)
    assert len(lake.read(con, "raw").fetchall()) == 2


def test_a_table_of_another_schema_version_is_refused(lake: Lake) -> None:
    add(lake, 1, order("1", 1))
    log = Path(lake.url, "orders", "_delta_log", f"{0:020d}.json")
    log.write_text(log.read_text().replace('schemaVersion":"2"', 'schemaVersion":"1"'))
    with pytest.raises(LakeError, match=r"schema version 1, this program's is 2 .*orders"):
        Lake(lake.url).committed("orders", "x")


def test_deletion_vectors_are_refused(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    add(lake, 1, order("1", 1))
    features = ["deletionVectors"]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }
    log = Path(lake.url, "orders", "_delta_log")
    (log / f"{2:020d}.json").write_text(json.dumps({"protocol": protocol}))
    with pytest.raises(LakeError, match="deletionVectors"):
        lake.read(con, "orders")


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError) as blocked:
        add(Lake(str(tmp_path / "file")), 1, order("1", 1))
    assert "\n" not in str(blocked.value)
    lake = Lake(str(tmp_path / "lake"))
    with pytest.raises(LakeError, match="order_key"):
        lake.append("orders", table("orders", []).drop(["order_key"]), stage="x", batch=1)
    loose = table("orders", [order("1", 1)])
    wrong = loose.set_column(
        loose.schema.get_field_index("net_amount"), "net_amount", pa.array(["abc"])
    )
    with pytest.raises(LakeError, match="does not fit"):
        lake.append("orders", wrong, stage="x", batch=1)
    with pytest.raises(LakeError, match="pattern"):
        Lake(str(tmp_path / "la*ke"))


def test_a_required_column_is_never_null(lake: Lake) -> None:
    filled = table("orders", [order("1", 1)])
    place = filled.schema.get_field_index("content_hash")
    holed = filled.set_column(place, "content_hash", pa.nulls(1, pa.string()))
    with pytest.raises(LakeError, match="content_hash"):
        lake.append("orders", holed, stage="x", batch=1)
    assert lake.files("orders") == []
