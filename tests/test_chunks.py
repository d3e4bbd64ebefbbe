"""Raw records in chunks: every record once, in order, however its files lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from assets import chunks
from assets.chunks import raw_chunks
from resources import lake_pick
from resources.lake import Lake
from schemas.lake import LAKE
from tests.mapping_harness import ACCOUNT, _record

OWN = ("efiling", ACCOUNT)


def append(lake: Lake, sequences: Sequence[int], body: str = "{}") -> None:
    rows = [_record(OWN[0], seq, str(seq), body, "read") for seq in sequences]
    raw = pa.Table.from_pylist(rows, schema=LAKE["raw"])
    batch = lake.committed("raw", "landing") + 1
    lake.append("raw", raw, stage="landing", batch=batch)


def read(lake: Lake, after: int = 0, last: int = 10**9) -> list[list[Any]]:
    return [chunk["landing_seq"].to_pylist() for chunk in raw_chunks(lake, OWN, after, last)]


def test_chunks_end_within_a_file_that_holds_later_records(lake: Lake) -> None:
    append(lake, range(1, 121))
    append(lake, range(121, 241))
    found = read(lake, 100, 130)
    assert [seq for chunk in found for seq in chunk] == list(range(101, 131))
    assert read(lake, 240) == read(lake, 0, 0) == []


def test_a_chunk_ends_with_a_row_group(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none is read twice."""
    monkeypatch.setattr(chunks, "MOST_RECORDS", 2400)
    append(lake, range(1, 4501))
    opened = []
    whole = lake_pick._whole
    monkeypatch.setattr(
        lake_pick, "_whole", lambda each, columns: opened.append(each) or whole(each, columns)
    )
    found = [(chunk[0], chunk[-1]) for chunk in read(lake)]
    assert found == [(1, 2000), (2001, 4000), (4001, 4500)]
    assert [each.number for each in opened] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("most", [1, 3, 5, 7, 100])
def test_files_whose_sequences_overlap_are_merged(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """As when compaction has merged the first file with the last."""
    monkeypatch.setattr(chunks, "MOST_RECORDS", most)
    append(lake, [1, 2, 9, 10])
    append(lake, [3, 5, 7])
    append(lake, [4, 6, 8])
    append(lake, [11])
    found = read(lake)
    assert [seq for chunk in found for seq in chunk] == list(range(1, 12))
    assert [seq for chunk in read(lake, 2, 9) for seq in chunk] == list(range(3, 10))
    assert max(map(len, found)) <= max(most, 1)


def test_large_bodies_make_small_chunks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although they lie in one row group, and from the first chunk on."""
    monkeypatch.setattr(chunks, "MOST_BYTES", 50_000)
    append(lake, range(1, 101), '{"note": "' + "x" * 10_000 + '"}')
    found = read(lake)
    assert [seq for chunk in found for seq in chunk] == list(range(1, 101))
    assert max(map(len, found)) <= 10


def test_other_accounts_are_left_out_and_columns_are_those_of_the_table(lake: Lake) -> None:
    append(lake, [1, 2])
    rows = [_record("quotevine", seq, str(seq), "{}", "read") for seq in (1, 2, 3)]
    lake.append("raw", pa.Table.from_pylist(rows, schema=LAKE["raw"]), stage="other", batch=3)
    (chunk,) = raw_chunks(lake, OWN, 0, 100)
    assert chunk.schema == LAKE["raw"]
    assert chunk["source_system"].to_pylist() == ["efiling"] * 2
    assert chunk.to_pylist() == [_record("efiling", seq, str(seq), "{}", "read") for seq in (1, 2)]


def test_an_object_store_gives_the_same_rows(lake: Lake) -> None:
    """What is read through delta-rs's own file system, as from an object store."""
    append(lake, [1, 2])
    append(lake, [3, 4, 5])
    remote = Lake(lake.url)
    remote.root = None
    near, far = (list(raw_chunks(each, OWN, 1, 4)) for each in (lake, remote))
    assert pa.concat_tables(near).to_pylist() == pa.concat_tables(far).to_pylist()
    assert [seq for chunk in far for seq in chunk["landing_seq"].to_pylist()] == [2, 3, 4]


def test_what_compaction_has_merged_comes_in_the_order_of_landing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It merges the newest files first, into one row group that several chunks are cut of."""
    for first in range(1, 481, 40):
        append(lake, range(first, first + 40))
    lake.compact("raw")
    assert len(lake.files("raw")) == 1
    monkeypatch.setattr(chunks, "MOST_RECORDS", 200)
    found = read(lake)
    assert len(found) > 2
    assert [seq for chunk in found for seq in chunk] == list(range(1, 481))
