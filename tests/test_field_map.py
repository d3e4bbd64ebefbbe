"""field_map.csv is executable: what stands at a documented field arrives where its line says.

Every line is put to the proof by changing that one field of a complete body.
"""

from __future__ import annotations

import csv
from copy import deepcopy
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.sources import SOURCES, source
from schemas.canonical import LAKE
from tests.document_bodies import body_of, id_of, path_of, put, take
from tests.field_map_cases import Case, Line, case_of
from tests.mapping_harness import Outcome, outcomes, read_extra

FILE = Path(__file__).parents[1] / "schemas" / "field_map.csv"
PLAIN = "plain: "
NOTHING = "nothing: "

SETTINGS: dict[str, dict[str, Any]] = {
    "brightpearl": {"fulfilment_method": {"31": "transporter"}},
}
TYPES = {
    "VARCHAR": pa.string(),
    "VARCHAR(13)": pa.string(),
    "CHAR(3)": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "DECIMAL(18,4)": pa.decimal128(18, 4),
    "DECIMAL(18,8)": pa.decimal128(18, 8),
    "DECIMAL(9,4)": pa.decimal128(9, 4),
    "TIMESTAMP UTC": pa.timestamp("us", tz="UTC"),
    "TIMESTAMP UTC + offset": pa.timestamp("us", tz="UTC"),
    "MAP(VARCHAR,VARCHAR)": pa.map_(pa.string(), pa.string()),
}
JSON_TYPES: dict[str, type] = {
    "VARCHAR": str, "BIGINT": int, "INTEGER": int, "SMALLINT": int, "BOOLEAN": bool, "DATE": str,
    "VARCHAR[]": list,
}  # fmt: skip


def _lines() -> list[Line]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [
            Line(number, *(record[name] for name in (
                "source", "source_field", "disposition", "canonical_table", "canonical_column",
                "type", "rule")))
            for number, record in enumerate(csv.DictReader(file), 1)
        ]  # fmt: skip


LINES = _lines()
EVIDENCE = [line for line in LINES if line.column == "events[].event_type=deleted"]
"""Lines that speak of the reply to a DELETE, which is never sent: tombstones take their place."""
FIELDS = [line for line in LINES if line not in EVIDENCE]
MOVED = [line for line in FIELDS if line.disposition != "dropped"]
DROPPED = [line for line in FIELDS if line.disposition == "dropped"]
EMPTY = [line for line in MOVED if "-> NULL" in line.rule]


@cache
def _outcomes(name: str) -> dict[str, Outcome]:
    """For each field: the outcome with its value, with the document's own, and with nothing."""
    bodies: dict[str, tuple[str, Any]] = {}
    for line in (each for each in FIELDS if each.source == name):
        for key, body in _bodies(line).items():
            bodies[key] = (id_of(name, body), body)
    found = outcomes(name, list(bodies.values()), **SETTINGS.get(name, {}))
    return dict(zip(bodies, found, strict=True))


def _bodies(line: Line) -> dict[str, dict[str, Any]]:
    case = case_of(line)
    plain = body_of(line.source)
    for name in case.without:
        take(plain, path_of(line.source, name))
    for name, value in case.given.items():
        put(plain, path_of(line.source, name), value)
    nothing = 0 if "0" in line.rule.partition("-> NULL")[0] else ""
    changed, empty = deepcopy(plain), deepcopy(plain)
    put(changed, _path(line), case.value)
    put(empty, _path(line), nothing)
    return {line.field: changed, PLAIN + line.field: plain, NOTHING + line.field: empty}


def _path(line: Line) -> list[str | int]:
    if line.field == "path.relationship_id":
        return ["relationship_id"]
    if line.field == "path.order_id":
        return ["order", "order_id"]
    return path_of(line.source, line.field)


def _target(line: Line, outcome: Outcome) -> dict[str, Any]:
    """The canonical record that the line speaks of; empty where there is none."""
    if line.table == "order_parties":
        return outcome.party(_role(line))
    if line.table == "order_rows":
        return outcome.rows[0] if outcome.rows else {}
    return outcome.order or {}


def _role(line: Line) -> str:
    if "role=" in line.rule:
        return line.rule.partition("role=")[2].partition(";")[0].partition(",")[0]
    return {"tastyigniter": "customer", "quotevine": "delivery"}[line.source]


def _values(line: Line, case: Case, outcome: Outcome) -> list[Any]:
    """What stands at the line's column; several things where the column is a list."""
    record = _target(line, outcome)
    column, _, inner = line.column.partition("[].")
    if column.startswith("source_fields."):
        return [_typed(line, read_extra(record).get(column.partition(".")[2]))]
    items = record.get(column)
    if not inner:
        return [sorted(items) if isinstance(case.expected, list) and items else items]
    if column == "events":
        return [_event(line, item) for item in items or []]
    if "," in inner:
        return list(items or [])
    return [item[inner] for item in items or []]


def _typed(line: Line, value: Any) -> Any:
    """A value out of source_fields, which must have the type that JSON gives the line's type."""
    if value is None:
        return None
    assert type(value) is JSON_TYPES[line.type], f"{line} is a {type(value).__name__}"
    return date.fromisoformat(value) if line.type == "DATE" else value


def _event(line: Line, event: dict[str, Any]) -> tuple[Any, Any]:
    inner = line.column.partition("[].")[2]
    return (event["dimension" if inner == "valid_from_utc" else "event_type"], event[inner])


@pytest.mark.parametrize("line", MOVED, ids=str)
def test_a_value_arrives_where_its_line_says(line: Line) -> None:
    case, found = case_of(line), _outcomes(line.source)
    outcome, before = found[line.field], found[PLAIN + line.field]
    assert outcome.order is not None, outcome.faults
    assert case.expected in _values(line, case, outcome)
    if not line.rule.startswith("must equal"):
        assert case.expected not in _values(line, case, before)
    record = _target(line, outcome)
    assert {name: record[name] for name in case.also} == case.also


@pytest.mark.parametrize("line", EMPTY, ids=str)
def test_an_empty_value_becomes_null(line: Line) -> None:
    outcome = _outcomes(line.source)[NOTHING + line.field]
    assert outcome.order is not None, outcome.faults
    nothing = {None, "unknown"} if line.column == "fulfilment_method" else {None}
    assert set(_values(line, case_of(line), outcome)) <= nothing


@pytest.mark.parametrize("line", DROPPED, ids=str)
def test_a_dropped_value_arrives_nowhere(line: Line) -> None:
    value = str(case_of(line).value)
    assert value not in repr(_outcomes(line.source)[line.field])


@pytest.mark.parametrize("line", DROPPED, ids=str)
def test_a_dropped_field_is_never_stored(line: Line) -> None:
    assert line.field.partition(".")[0] in source(line.source).never_stored


@pytest.mark.parametrize("line", EVIDENCE, ids=str)
def test_an_absent_order_is_a_deleted_event(line: Line) -> None:
    body = body_of(line.source)
    [outcome] = outcomes(line.source, [(id_of(line.source, body), body)], kind="absent")
    assert outcome.order is not None
    assert outcome.order["is_deleted"] is True
    assert "deleted" in [event["event_type"] for event in outcome.order["events"] or []]


@pytest.mark.parametrize("line", MOVED, ids=str)
def test_a_column_has_the_type_of_its_line(line: Line) -> None:
    column, _, inner = line.column.partition("[].")
    if column.startswith("source_fields."):
        assert line.disposition == "extension"
        return
    kind = LAKE[line.table].field(column).type
    if "," in inner or "=" in inner:
        return
    if inner:
        kind = kind.value_type.field(inner).type
    assert kind == TYPES[line.type]


def test_every_source_has_its_lines() -> None:
    assert {line.source for line in LINES} == set(SOURCES)
    assert len(LINES) == 253
