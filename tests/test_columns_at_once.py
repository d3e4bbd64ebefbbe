"""What is done to many orders at once comes out as if it were done to each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest

from assets.landing import Landing, content_hash, content_hashes
from assets.sources import source
from assets.sources.base import Record
from assets.sources.brightpearl_found import NO_STAMP
from assets.sources.brightpearl_search import flaw_in, read_page, read_search
from resources.accounts import Account
from resources.api import NotJson, Reply
from resources.arrays import texts
from resources.errors import ApiError
from resources.lake import Lake
from resources.lazily import lazily
from resources.ledger import Ledger
from schemas.keys import order_key, order_keys

NOW = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "values",
    [
        ["a", "", "bc"],
        ["a", "é", "\U0001f600"],
        ["a", None, "b"],
        [None, None],
        [b"a", b"\xc3\xa9", b""],
        ["é", b"\xc3\xa9", None],
        [],
    ],
)
def test_texts_are_what_arrow_makes_of_them(values: list[Any]) -> None:
    each = [value.decode() if isinstance(value, bytes) else value for value in values]
    made = texts(values)
    made.validate(full=True)
    assert made.equals(pa.array(each, pa.string()))


def test_bytes_that_are_no_text_are_replaced_in_their_own_place_alone() -> None:
    assert texts([b"a", b"\xff", b"c"]).to_pylist() == ["a", "\N{REPLACEMENT CHARACTER}", "c"]


@pytest.mark.parametrize(
    "ids", [["1", "22", ""], ["1", "2/3", "é", "a b", "!"], ["", ""], [], ["x:y#z@1"]]
)
def test_keys_of_many_orders_are_the_keys_of_each(ids: list[str]) -> None:
    assert order_keys("brightpearl", "a.b", ids) == [
        order_key("brightpearl", "a.b", each) for each in ids
    ]


class Ticking(type(source("brightpearl"))):  # type: ignore[misc]
    """A source whose orders tell when they were read."""

    volatile = frozenset({"read_at"})


@pytest.mark.parametrize("volatile", [False, True])
def test_hashes_of_many_bodies_are_the_hashes_of_each(volatile: bool) -> None:
    own = Ticking() if volatile else source("brightpearl")
    bodies = [b'{"id":%d,"read_at":%d}' % (n // 2, n) for n in range(4)]
    found = content_hashes(own, bodies)
    assert found == [content_hash(own, body) for body in bodies]
    assert len(set(found)) == (2 if volatile else 4)


@pytest.fixture
def landing(lake: Lake, ledger: Ledger, account: Account) -> Iterator[Landing]:
    opened = Landing(source("brightpearl"), account, lake, ledger, "run")
    yield opened
    opened.close()


def _landed(lake: Lake) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        lake.read(connection, "raw").create_view("t")
        return connection.execute(
            "SELECT landing_seq, source_order_id, body, first_seen_at = fetched_at "
            "FROM t ORDER BY 1"
        ).fetchall()


def test_an_order_twice_in_the_first_batch_is_compared_with_itself(
    lake: Lake, landing: Landing
) -> None:
    bodies = [(1, b'{"id":1}'), (2, b'{"id":2}'), (1, b'{"id":1}'), (1, b'{"id":1,"a":2}')]
    records = [
        Record(str(number), "/order/", body, NOW + timedelta(minutes=minute))
        for minute, (number, body) in enumerate(bodies)
    ]
    counts = landing.land(records)
    assert (counts.received, counts.new, counts.changed, counts.unchanged) == (4, 2, 1, 1)
    assert counts.bytes == len(bodies[0][1]) + len(bodies[1][1]) + len(bodies[3][1])
    assert _landed(lake) == [
        (1, "1", '{"id":1}', True),
        (2, "2", '{"id":2}', True),
        (3, "1", '{"id":1,"a":2}', False),
    ]


def test_of_a_batch_in_which_little_is_new_only_that_is_landed(
    lake: Lake, landing: Landing
) -> None:
    def read(number: int | None, body: bytes, minute: int) -> Record:
        order_id = None if number is None else str(number)
        return Record(order_id, "/order/", body, NOW + timedelta(minutes=minute))

    landing.land([read(n, b'{"id":%d}' % n, 0) for n in range(5)])
    later = [read(n, b'{"id":%d%s}' % (n, b',"v":1' if n == 3 else b""), 1) for n in range(5)]
    counts = landing.land([*later, read(None, b'{"no":"id"}', 1), read(9, b'{"id":9}', 1)])
    assert (counts.new, counts.changed, counts.unchanged) == (2, 1, 4)
    assert _landed(lake)[5:] == [
        (6, "3", '{"id":3,"v":1}', False),
        (7, None, '{"no":"id"}', True),
        (8, "9", '{"id":9}', True),
    ]


ROW = [7, "2026-11-01T10:00:00.000+00:00", None]
NAMES = ("orderId", "createdOn", "updatedOn")


def _reply(rows: object, names: tuple[str, ...] = NAMES, **meta: object) -> Reply:
    columns = [{"name": name} for name in names]
    metadata = {"columns": columns, "resultsAvailable": 5, "firstResult": 1} | meta
    body = json.dumps({"response": {"results": rows, "metaData": metadata}}).encode()
    return Reply("GET", "http://x/", 200, httpx.Headers(), body, NOW, None)


PAGES = {
    "as documented": _reply([ROW, [8, ROW[1], "2026-11-02T10:00:00.123456+02:00"]]),
    "in another order": _reply([[None, 7, 3, ROW[1]]], ("updatedOn", "orderId", "x", "createdOn")),
    "a column twice": _reply([[1, *ROW]], ("orderId", *NAMES)),
    "without zone": _reply([[7, "2026-11-01T10:00:00", None]]),
    "finer than microseconds": _reply([[7, "2026-11-01T10:00:00.1234567Z", None]]),
    "an empty stamp": _reply([[7, ROW[1], ""]]),
    "no stamp at all": _reply([[7, None, None]]),
    "nonsense for a stamp": _reply([ROW, [8, "soon", None], [9, None, 5]]),
    "without columns of stamps": _reply([[7]], ("orderId",)),
    "numbers as texts": _reply([["7", ROW[1], None]], resultsAvailable="5", firstResult="1"),
    "a column too many": _reply([[*ROW, 1]]),
    "a column missing": _reply([ROW[:2]]),
    "no rows": _reply([]),
    "no rows and no ids": _reply([], ("createdOn", "updatedOn")),
    "rows that are none": _reply({"7": 1}),
    "an id beyond all numbers": _reply([[2**70, ROW[1], None]]),
    "an id that is none": _reply([[None, ROW[1], None]]),
    "a number below zero": _reply([ROW], resultsAvailable=-1),
    "a number beyond all": _reply([ROW], resultsAvailable=10**12),
}


def _outcome(read: Any) -> object:
    try:
        found, available = read()
    except ApiError as fault:
        return type(fault), str(fault)
    return list(found.ids), list(found.stamps), available


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_at_once_as_it_is_row_by_row(name: str) -> None:
    reply = PAGES[name]
    row_by_row = _outcome(lambda: read_search(reply.json(), "createdOn", reply.url))
    assert _outcome(lambda: read_page(reply, "createdOn")) == row_by_row
    if name == "no stamp at all":
        assert row_by_row == ([7], [NO_STAMP], 5)


def test_a_page_with_bytes_that_are_no_text_is_no_json() -> None:
    whole = _reply([[*ROW, "REF"]], (*NAMES, "customerRef"))
    broken = whole.body.replace(b"REF", b"\xff")
    reply = Reply("GET", whole.url, 200, whole.headers, broken, NOW, None)
    with pytest.raises(NotJson):
        read_page(reply, "createdOn")


@pytest.mark.parametrize(
    ("reply", "first", "flaw"),
    [
        (_reply([ROW]), 1, None),
        (_reply([ROW]), 501, "it begins with result 1, not 501"),
        (_reply([ROW], firstResult="1"), 501, "it begins with result 1, not 501"),
        (_reply([]), 1, "it holds no result though 5 are announced"),
        (_reply([]), 6, None),
        (_reply({}), 1, None),
        (_reply(None), 501, None),
    ],
)
def test_a_page_that_is_not_the_one_asked_for_is_told(
    reply: Reply, first: int, flaw: str | None
) -> None:
    assert flaw_in(reply, first) == flaw
    spaced = reply.body.replace(b"[]", b"[ \n ]")
    assert flaw_in(Reply("GET", reply.url, 200, reply.headers, spaced, NOW, None), first) == flaw


@pytest.mark.parametrize("given", [None, "2"])
def test_threads_for_linear_algebra_are_left_out_unless_wanted(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"reads_its_environment_{given}"
    reading = "import os\nseen = os.environ.get('OPENBLAS_NUM_THREADS')\n"
    tmp_path.joinpath(f"{name}.py").write_text(reading)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    assert lazily(name).seen == (given or "1")
    assert os.environ.get("OPENBLAS_NUM_THREADS") == given
