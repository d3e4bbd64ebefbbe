"""Chunks mapped on two cores: their order, their faults, and how many are under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.chunks import raw_chunks
from assets.mappers import MOST_UNDER_WAY, Mappers
from assets.mapping import Mapper
from resources.lake import AccountKey, Lake
from schemas.canonical import LAKE
from tests.document_bodies import body_of
from tests.mapping_harness import _record, account_of

SOURCE = "feedback_company"


def _chunk(first: int, size: int) -> pa.Table:
    records = [
        _record(SOURCE, seq, str(seq), body_of(SOURCE), "read")
        for seq in range(first, first + size)
    ]
    return pa.Table.from_pylist(records, schema=LAKE["raw"])


def _chunks(sizes: list[int]) -> Iterator[pa.Table]:
    first = 1
    for size in sizes:
        yield _chunk(first, size)
        first += size


def _sequences(table: pa.Table) -> Any:
    return table["landing_seq"].to_pylist()


def test_chunks_come_back_in_their_order() -> None:
    """The first of each pair takes far longer than the second."""
    sizes = [300, 1, 300, 1]
    with Mappers(account_of(SOURCE)) as mappers:
        made = list(mappers.map(_chunks(sizes)))
    assert [chunk.num_rows for chunk, _ in made] == sizes
    assert [_sequences(mapped.tables["orders"]) for _, mapped in made] == [
        _sequences(chunk) for chunk, _ in made
    ]


def test_what_is_mapped_side_by_side_is_what_one_mapper_makes() -> None:
    sizes = [3, 1, 2]
    with Mappers(account_of(SOURCE)) as mappers, Mapper(account_of(SOURCE)) as alone:
        for chunk, mapped in mappers.map(_chunks(sizes)):
            assert mapped.tables == alone.map(chunk).tables


def test_no_more_chunks_are_read_than_memory_is_to_hold() -> None:
    read = 0

    def counted() -> Iterator[pa.Table]:
        nonlocal read
        for chunk in _chunks([1] * 12):
            read += 1
            yield chunk

    with Mappers(account_of(SOURCE)) as mappers:
        for taken, _ in enumerate(mappers.map(counted()), 1):
            assert read - taken <= MOST_UNDER_WAY
    assert read == 12


def test_a_single_chunk_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.mappers.ThreadPoolExecutor", None)
    with Mappers(account_of(SOURCE)) as mappers:
        ((_, mapped),) = mappers.map(_chunks([5]))
    assert mapped.count("orders") == 5


def test_a_mapping_that_fails_in_its_thread_fails_in_its_turn() -> None:
    chunks = [_chunk(1, 1), _chunk(2, 1), pa.table({"nothing": [1]}), _chunk(3, 1), _chunk(4, 1)]
    made = []

    def map_all() -> None:
        with Mappers(account_of(SOURCE)) as mappers:
            made.extend(_sequences(chunk) for chunk, _ in mappers.map(chunks))

    with pytest.raises(KeyError):
        map_all()
    assert made == [[1], [2]]


def test_chunks_end_within_a_file_that_holds_later_records(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for first, last in ((1, 120), (121, 240)):
        lake.append("raw", _chunk(first, 120), stage="landing", batch=last)
    account = _own(_chunk(1, 1))
    found = [_sequences(chunk) for chunk in raw_chunks(lake, account, 100, 130)]
    assert [seq for chunk in found for seq in chunk] == list(range(101, 131))


def _own(chunk: pa.Table) -> AccountKey:
    return chunk["source_system"][0].as_py(), chunk["source_account"][0].as_py()


def test_what_is_under_way_is_given_up_when_somebody_stops() -> None:
    def begin_and_stop() -> None:
        with Mappers(account_of(SOURCE)) as mappers:
            next(mappers.map(_chunks([1] * 6)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mapper")]
