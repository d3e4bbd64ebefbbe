"""Orders in which there is nothing to note: what types tell is what looking at each would tell."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from assets import drift
from assets.drift import Scanner
from assets.drift_typed import plain_decoder
from schemas.canonical import LAKE
from schemas.known_fields import known_fields
from tests.document_bodies import BODIES, body_of
from tests.home import IS_NIGHTLY
from tests.mapping_harness import FETCHED_AT, _record, account_of

ROUNDS = 4000 if IS_NIGHTLY else 100
VALUES: list[Any] = [
    None, "", "1", "A7", [], {}, 0, 7, -1.5, 1e300, 2**63, 10**30, True, False, [[]], [{}], [None],
    ["x"], [1], [""], {"a": 1}, {"a": {}}, {"": None}, [[["x"]]], {"id": {"id": 1}},
]  # fmt: skip
WRITTEN = [
    b"1e999", b"-0", b"1.0E+2", b"123456789012345678901234567890.5", b'"\\ud800"', b'"\\u00e9"',
    b"NaN", b"Infinity", b"01", b'"\x01"', b"[1,]", b'{"a":1,"a":"x"}', b"[" * 2000 + b"]" * 2000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
]  # fmt: skip
"""As no JSON writer writes them, or as few do."""
HOLE = "a hole for what is written by hand"


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else inner:
        yield from _places(each, (*path, key))


def _rename(holder: Any, key: Any, chance: random.Random) -> None:
    if isinstance(holder, dict):
        value = holder.pop(key)
        holder[chance.choice(["news", "", "ann@example.com", "attributes", "154"])] = value


def _swap(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = deepcopy(chance.choice(VALUES))


def _other_type(holder: Any, key: Any, _: random.Random) -> None:
    value = holder[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    holder[key] = str(value) if is_number else 12 if isinstance(value, str) else value


def _wrap(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = chance.choice([[holder[key]], {"x": holder[key]}, {"0": holder[key]}])


def _hole(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = HOLE


def _damaged(source: str, chance: random.Random) -> bytes:
    """A documented order with up to three faults, as JSON text written in one of many ways."""
    body = deepcopy(body_of(source))
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        *path, key = chance.choice(list(_places(body)) or [("news",)])
        holder = body
        for part in path:
            holder = holder[part]
        chance.choice([_rename, _swap, _swap, _other_type, _other_type, _wrap, _hole])(
            holder, key, chance
        )
    if source == "tastyigniter":
        for _ in range(chance.choice([0, 1, 2, 3])):
            body = {"type": "orders", "id": "1", "attributes": body}
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5)
    text = text.replace(json.dumps(HOLE), chance.choice(WRITTEN).decode())
    if chance.random() < 0.2:
        text = _twice(text, chance)
    return text.replace('"id"', '"\\u0069d"' if chance.random() < 0.1 else '"id"').encode()


def _twice(text: str, chance: random.Random) -> str:
    """A key of some object twice, the first time with another value."""
    starts = [place for place, character in enumerate(text) if text[place : place + 2] == '{"']
    if not starts:
        return text
    start = chance.choice(starts) + 1
    key = text[start : text.index(":", start)]
    first = chance.choice(["null", "1", "[]", '{"x": 2}'])
    return f"{text[:start]}{key}: {first}, {text[start:]}"


def _scanned(source: str, tables: list[pa.Table], settled: dict[str, str]) -> Any:
    scanner = Scanner(account_of(source), settled)
    for table in tables:
        scanner.scan(table)
    return scanner.found().to_pylist(), scanner.settled


def _every_one(*_: Any) -> Callable[[bytes], Any]:
    def refuse(body: bytes) -> Any:
        raise msgspec.ValidationError

    return refuse


@pytest.mark.parametrize("source", sorted(BODIES))
def test_types_tell_what_looking_tells(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(f"{source} {ROUNDS}")
    for _ in range(ROUNDS):
        bodies = [_damaged(source, chance) for _ in range(chance.choice([1, 3, 6]))]
        records = [
            _record(source, seq, str(seq), body.decode(), "read")
            | {"fetched_at": FETCHED_AT + timedelta(hours=seq)}
            for seq, body in enumerate(bodies, 1)
        ]
        records.append({**records[0], "body": None, "landing_seq": len(records) + 1})
        tables = [
            pa.Table.from_pylist(part, schema=LAKE["raw"]) for part in (records[:2], records[2:])
        ]
        settled = {"order_total": "string", "net": "number"} if chance.random() < 0.3 else {}
        found = _scanned(source, tables, settled)
        with monkeypatch.context() as patch:
            patch.setattr(drift, "plain_decoder", _every_one)
            assert found == _scanned(source, tables, settled), bodies


@pytest.mark.parametrize("source", sorted(BODIES))
def test_a_documented_order_needs_no_look(source: str) -> None:
    """Or else everything would be looked at, and nobody would know."""
    known = known_fields(source)
    assert known is not None
    body = body_of(source)
    scanner = Scanner(account_of(source))
    scanner.scan(pa.Table.from_pylist([_record(source, 1, "1", body, "read")], schema=LAKE["raw"]))
    decode = plain_decoder(known, frozenset(scanner.settled.items()))
    decode(json.dumps(body).encode())
    if source == "tastyigniter":
        decode(json.dumps({"type": "orders", "id": body.get("id"), "attributes": body}).encode())
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps(body | {"news": 1}).encode())
