"""Landing and normalising: each content once, in order, whatever dies in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.landing import Landing, without
from assets.mapping import Mapper
from assets.normalise import WRITTEN, Normaliser
from assets.sources import source
from assets.sources.base import Record
from resources.accounts import Account
from resources.lake import Lake
from resources.ledger import Ledger

NOW = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)


def _order(number: int, **changes: object) -> bytes:
    body = {
        "id": number,
        "orderTypeCode": "SO",
        "createdOn": "2026-11-01T10:00:00.000+00:00",
        "totalValue": {"net": "10.00", "taxAmount": "2.00", "total": "12.00"},
        "parties": {"customer": {"contactId": 7, "email": "a@example.com"}},
        "orderRows": {"1": {"rowValue": {"rowNet": {"currencyCode": "GBP", "value": "10.00"}}}},
    }
    return json.dumps(body | changes).encode()


def _record(number: int | None, body: bytes, minutes: int = 0) -> Record:
    moment = NOW + timedelta(minutes=minutes)
    return Record(None if number is None else str(number), "/order/", body, moment)


@pytest.fixture
def landing(lake: Lake, ledger: Ledger, account: Account) -> Iterator[Landing]:
    opened = Landing(source("brightpearl"), account, lake, ledger, "run")
    yield opened
    opened.close()


def _rows(lake: Lake, table: str, columns: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        lake.read(connection, table).create_view("t")
        return connection.execute(f"SELECT {columns} FROM t ORDER BY ALL").fetchall()


def test_equal_content_is_landed_once_and_a_b_a_three_times(lake: Lake, landing: Landing) -> None:
    first, second = _order(1), _order(1, reference="B")
    for minute, body in enumerate([first, first, second, second, first]):
        landing.land([_record(1, body, minute)])
    assert [seq for (seq,) in _rows(lake, "raw", "landing_seq")] == [1, 2, 3]


def test_counts_tell_new_changed_and_unchanged(landing: Landing) -> None:
    landing.land([_record(1, _order(1)), _record(2, _order(2))])
    changed = _record(2, _order(2, reference="B"), 1)
    counts = landing.land([_record(1, _order(1), 1), changed, _record(3, _order(3))])
    assert (counts.received, counts.new, counts.changed, counts.unchanged) == (3, 1, 1, 1)


def test_a_reply_older_than_what_is_landed_does_not_come_back(lake: Lake, landing: Landing) -> None:
    landing.land([_record(1, _order(1, reference="new"), 5)])
    counts = landing.land([_record(1, _order(1, reference="old"), 1)])
    assert counts.unchanged == 1
    assert len(_rows(lake, "raw", "landing_seq")) == 1


def test_a_clock_set_back_makes_no_news_old(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    """What was landed before a run began cannot be newer than what this run fetches."""
    landing.land([_record(1, _order(1), 60 * 24)])
    later = Landing(source("brightpearl"), account, lake, ledger, "run-2")
    assert later.land([_record(1, _order(1, reference="changed"))]).changed == 1
    later.close()


def test_first_seen_stays_when_an_order_changes(lake: Lake, landing: Landing) -> None:
    landing.land([_record(1, _order(1))])
    landing.land([_record(1, _order(1, reference="B"), 9)])
    assert len({seen for (seen,) in _rows(lake, "raw", "epoch_us(first_seen_at)")}) == 1


def test_a_record_without_an_id_is_kept_once_and_quarantined(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    for minute in range(2):
        landing.land([_record(None, b'{"orderTypeCode": "SO"}', minute)])
    made = Normaliser(account, lake, ledger).drain()
    assert (made.orders, made.quarantined) == (0, 1)
    assert _rows(lake, "quarantine", "field, reason, is_held") == [
        ("id", "required, but absent", True)
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"totalValue": {"net": "ten"}}, "totalValue.net"),
        ({"totalValue": {"net": "10.00001"}}, "totalValue.net"),
        ({"orderRows": "none"}, "orderRows"),
        ({"orderRows": {"1": {"quantity": {"magnitude": "1e"}}}}, "quantity.magnitude"),
        ({"createdOn": "yesterday"}, "createdOn"),
        ({"orderTypeCode": ""}, "orderTypeCode"),
    ],
)
def test_one_bad_order_is_held_and_the_others_go_on(
    lake: Lake,
    ledger: Ledger,
    landing: Landing,
    account: Account,
    changes: dict[str, object],
    field: str,
) -> None:
    landing.land([_record(1, _order(1, **changes)), _record(2, _order(2))])
    Normaliser(account, lake, ledger).drain()
    assert _rows(lake, "orders", "source_order_id") == [("2",)]
    assert (field, True) in _rows(lake, "quarantine", "field, is_held")
    assert _rows(lake, "order_rows", "DISTINCT order_key") == [("brightpearl:acme:2",)]


def test_a_record_that_stops_the_mapping_is_found_by_halves_and_held_alone(
    account: Account, landing: Landing, lake: Lake
) -> None:
    landing.land([_record(number, _order(number)) for number in range(1, 8)])
    mapping = {
        "parsed": "SELECT * FROM landed",
        "orders": "SELECT order_key, version_id, CAST(CAST(CASE source_order_id WHEN '3' "
        "THEN 'personal' ELSE '1' END AS INTEGER) AS VARCHAR) AS order_number FROM parsed",
    }
    with duckdb.connect() as connection, Mapper(account, mapping) as mapper:
        raw = lake.read(connection, "raw").to_arrow_table()
        mapped = mapper.map(raw)
    assert sorted(mapped.tables["orders"]["source_order_id"].to_pylist()) == list("124567")
    (held,) = mapped.tables["quarantine"].to_pylist()
    assert (held["source_order_id"], held["field"], held["is_held"]) == ("3", "body", True)
    assert "personal" not in str(held)


def test_an_option_twice_in_one_row_holds_that_order_alone(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    twice = _order(3).replace(
        b'"rowValue"', b'"productOptions": {"Size": "L", "Size": "M"}, "rowValue"'
    )
    landing.land([_record(1, _order(1)), _record(3, twice)])
    Normaliser(account, lake, ledger).drain()
    assert _rows(lake, "orders", "source_order_id") == [("1",)]
    assert _rows(lake, "quarantine", "source_order_id, field") == [("3", "options")]


def test_a_row_id_twice_in_one_order_holds_that_order_alone(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    twice = _order(3).replace(b'"orderRows": {', b'"orderRows": {"1": {}, ')
    landing.land([_record(1, _order(1)), _record(3, twice)])
    Normaliser(account, lake, ledger).drain()
    assert _rows(lake, "orders", "source_order_id") == [("1",)]
    assert _rows(lake, "quarantine", "source_order_id, reason") == [("3", "a row id occurs twice")]


def test_a_date_that_is_none_costs_the_field_not_the_order(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    landing.land([_record(1, _order(1, placedOn="-000001-11-30T00:01:15.000000Z"))])
    Normaliser(account, lake, ledger).drain()
    assert _rows(lake, "orders", "source_order_id, placed_at IS NULL") == [("1", True)]
    assert _rows(lake, "quarantine", "field, value, is_held") == [
        ("placedOn", "-000001-11-30T00:01:15.000000Z", False)
    ]


@pytest.mark.parametrize("written", range(len(WRITTEN)))
def test_a_run_that_died_between_two_tables_is_completed(
    lake: Lake,
    ledger: Ledger,
    landing: Landing,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    written: int,
) -> None:
    """However many tables had been written, none has a record twice afterwards."""
    landing.land([_record(n, _order(n)) for n in (1, 2)] + [_record(None, b"{}")])
    append, calls = lake.append, 0

    def dying(table: str, data: pa.Table, **rest: Any) -> bool:
        nonlocal calls
        if calls == written:
            raise KeyboardInterrupt
        calls += 1
        return append(table, data, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(lake, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            Normaliser(account, lake, ledger).drain()
    landing.land([_record(3, _order(3))])
    Normaliser(account, lake, ledger).drain()
    assert _rows(lake, "orders", "source_order_id") == [("1",), ("2",), ("3",)]
    assert len(_rows(lake, "order_rows", "order_row_key")) == 3
    assert len(_rows(lake, "quarantine", "field")) == 1


def test_replay_gives_what_a_fresh_normalisation_gives(
    lake: Lake, ledger: Ledger, landing: Landing, account: Account
) -> None:
    landing.land([_record(n, _order(n)) for n in range(1, 6)])
    landing.land([_record(2, _order(2, reference="B"), 1), _record(9, b'{"id": 9}', 1)])
    Normaliser(account, lake, ledger).drain()
    before = {table: _rows(lake, table, "*") for table in WRITTEN}
    Normaliser(account, lake, ledger).replay()
    assert {table: _rows(lake, table, "*") for table in WRITTEN} == before
    assert Normaliser(account, lake, ledger).is_drained


def test_what_is_never_stored_leaves_everything_else_as_it_was() -> None:
    body = b'{"id":7,"attributes":{"hash":"secret", "total":15.04490, "x":[1, 2]},"hash":"s"}'
    kept = without(body, frozenset({"hash", "attributes.hash"}))
    assert b"secret" not in kept
    assert b'"total":15.04490' in kept
    assert json.loads(kept) == {"id": 7, "attributes": {"total": 15.0449, "x": [1, 2]}}


@pytest.mark.parametrize("body", [b'{"a": 1.10}', b"[1]", b"not json: hash"])
def test_a_body_without_such_fields_stays_byte_for_byte(body: bytes) -> None:
    assert without(body, frozenset({"hash"})) == body
