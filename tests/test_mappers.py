"""Chunks mapped on two cores: their order, their faults, and how many are under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets.mappers import MOST_UNDER_WAY, Mappers
from assets.mapping import Mapper
from schemas.canonical import LAKE
from tests.document_bodies import body_of
from tests.mapping_harness import _record, account_of

SOURCE = "feedback_company"
SOURCES = ("brightpearl", "tastyigniter", "efiling", "quotevine", "feedback_company")


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


def test_what_is_under_way_is_given_up_when_somebody_stops() -> None:
    def begin_and_stop() -> None:
        with Mappers(account_of(SOURCE)) as mappers:
            next(mappers.map(_chunks([1] * 6)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mapper")]


ODD = ("{}", "[]", "no JSON", '{"id": 1, "id": 2}', "null", '{"id": {"a": [1, null]}}')
"""Bodies in which little or nothing is to be found."""


@pytest.mark.parametrize("source", SOURCES)
def test_a_mapping_planned_for_other_orders_maps_as_one_planned_for_these(source: str) -> None:
    """Whatever the tables held when the statements were planned: nothing, no NULL, all NULL."""
    plain = [_record(source, 1, "1", body_of(source), "read")]
    kinds = [
        _record(source, seq, str(seq), body_of(source), kind)
        for seq, kind in enumerate(("absent", "present", "suspected"), 2)
    ]
    odd = [_record(source, seq, str(seq), body, "read") for seq, body in enumerate(ODD, 5)]
    nameless = [_record(source, 20, None, body_of(source), "read")]
    with Mapper(account_of(source)) as kept:
        for rows in (plain, odd[:3], kinds, nameless, odd, plain + kinds + odd[:2], plain):
            chunk = pa.Table.from_pylist(rows, schema=LAKE["raw"])
            mapped = kept.map(chunk).tables
            assert {mapped[t].num_rows for t in ("orders", "quarantine")} != {0}
            if rows is not odd:  # of which one stops a statement
                assert _mapped_at_once(source, chunk, mapped) == _sorted(mapped)


def _mapped_at_once(
    source: str, chunk: pa.Table, like: Mapping[str, pa.Table]
) -> dict[str, pa.Table]:
    """What the sections give as they stand, planned for these records with every optimizer."""
    with Mapper(account_of(source)) as mapper:
        mapper._plan()
        mapper.connection.execute("SET disabled_optimizers = ''")
        mapper._take(chunk)
        for name in mapper._parts:
            mapper.connection.execute(f'INSERT INTO "{name}" {mapper._sections[name]}')
        made = {}
        for table in ("orders", "order_rows", "order_parties"):
            made[table] = like[table].slice(0, 0)
            if table in mapper._gives:
                select = mapper._select(table, mapper._gives[table])
                made[table] = mapper.connection.execute(select).to_arrow_table()
        return _less_what_is_held(mapper._with_row_counts(made), made, like)


def _less_what_is_held(
    orders: pa.Table, made: Mapping[str, pa.Table], like: Mapping[str, pa.Table]
) -> dict[str, pa.Table]:
    held = pc.is_in(orders["version_id"], like["quarantine"]["version_id"].combine_chunks())
    found = {"quarantine": like["quarantine"]}
    for table, each in (made | {"orders": orders}).items():
        kept = pc.is_in(each["version_id"], like["orders"]["version_id"].combine_chunks())
        assert table != "orders" or pc.all(pc.or_(kept, held), min_count=0).as_py()
        found[table] = each.filter(kept).select(LAKE[table].names).cast(LAKE[table])
    return _sorted(found)


def _sorted(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    keys = {"orders": "order_key", "order_rows": "order_row_key", "order_parties": "role"}
    return dict(tables) | {
        table: tables[table].sort_by([("landing_seq", "ascending"), (key, "ascending")])
        for table, key in keys.items()
    }
