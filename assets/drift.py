"""Schema drift: what orders hold otherwise than is known of their source.

Belongs here: comparing landed bodies with `schemas/known_fields.csv`, and counting codes that
nothing maps. Does not belong here: when that is done and where it is kept (`assets/normalise.py`,
lake table `drift`).

Three kinds: a field that nobody names, a field whose JSON type is another than documented or than
this account's was so far, a code without a meaning. Nothing here stops an order. A text without
characters, an empty array and an empty object have no type: PHP writes them for each other, and for
null.

A body in which nothing can be noted is told by decoding it with types (`assets/drift_typed.py`). Of
the others, objects of one shape (the same keys with values of the same types) are compared once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from assets.drift_typed import plain_decoder
from resources.accounts import Account
from resources.arrays import moment_of, numbers, plain_rows, records
from resources.lazily import lazily
from schemas.known_fields import Known, known_fields
from schemas.lake import LAKE, SCHEMA_VERSION
from schemas.status import HISTORY_DIMENSIONS

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazily("pyarrow")

UNKNOWN_FIELD = "unknown_field"
CHANGED_TYPE = "changed_type"
UNMAPPED_CODE = "unmapped_code"
SETTLED_TYPE = "settled_type"
"""Not drift: which of a field's types this account uses, noted when it was first seen."""

MOST_SHAPES = 20_000
MOST_SIGHTINGS = 500
"""Different things noted of one batch; further ones are counted together."""
LONGEST_EXAMPLE = 60
_FLAG = "unmapped_code:"
_CODES = HISTORY_DIMENSIONS | {
    "order_type": "source_order_type_code",
    "fulfilment_method": "source_fulfilment_method",
}
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,63}")
"""A key that may be shown. Others may be ids, e-mail addresses or whatever an account chooses."""
_JSON_TYPES: dict[type, str] = {
    str: "string", int: "number", float: "number", bool: "boolean", dict: "object", list: "array",
    NoneType: "null",
}  # fmt: skip


@dataclass(slots=True)
class Sighting:
    """One thing noted, in how many versions of orders, and the first order that had it."""

    versions: int
    first_landing_seq: int
    landing_seq: int
    first_seen_at: datetime
    last_seen_at: datetime
    order_key: str
    example: str | None


What = tuple[str, str, str | None, str | None]
"""Kind, field, JSON type, code."""
_Note = tuple[str, Known | None, str, str]
"""Key, the field where it is known, its name, its JSON type."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is to be done about every object of one shape."""

    notes: tuple[_Note, ...]
    objects: tuple[tuple[str, Known], ...]
    arrays: tuple[tuple[str, Known], ...]


_PLAIN = _Shape((), (), ())
"""Nothing is to be done."""


class Scanner:
    """Notes the drift of one account's orders, handed in by landing sequence."""

    def __init__(self, account: Account, settled: Mapping[str, str] | None = None) -> None:
        """`settled`: field -> JSON type, as the account's earlier orders have it."""
        self._account = account
        self._known = known_fields(account.source)
        self.settled = dict(settled or {})
        """Field -> JSON type, those of the orders handed in included."""
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._seen: dict[What, Sighting] = {}
        self._order: tuple[int, datetime, str] | None = None

    def scan(self, landed: pa.Table) -> None:
        """Note what the bodies hold. `landed` has the columns of the lake's raw table."""
        if self._known is None:
            return
        decode = msgspec.json.Decoder().decode
        columns = [landed[name] for name in ("landing_seq", "fetched_at", "order_key")]
        for place, body in self._not_plain(self._known, landed["body"]):
            try:
                value = decode(body)
            except (msgspec.MsgspecError, RecursionError):
                continue  # the mapping puts it in quarantine
            landing_seq, fetched_at, order_key = (column[place].as_py() for column in columns)
            self._order = (landing_seq, fetched_at, order_key)
            if type(value) is dict:
                self._look(self._known, value)

    def _not_plain(self, known: Known, bodies: pa.ChunkedArray) -> Iterator[tuple[int, bytes]]:
        """The bodies that have to be looked at, with their places."""
        settled = len(self.settled)
        decode = plain_decoder(known, frozenset(self.settled.items()))
        for place, body in enumerate(bodies.cast(pa.binary()).to_pylist()):
            if body is None:
                continue
            try:
                decode(body)
            except (msgspec.MsgspecError, RecursionError):
                yield place, body
                if len(self.settled) != settled:
                    settled = len(self.settled)
                    decode = plain_decoder(known, frozenset(self.settled.items()))

    def codes(self, orders: pa.Table) -> None:
        """Note the codes that nothing maps. `orders` has the columns of the lake's orders."""
        flags = orders["quality_flags"].to_pylist()
        wanted = [place for place, each in enumerate(flags) if each and _is_flagged(each)]
        if not wanted:
            return
        columns = ["landing_seq", "last_seen_at", "order_key", *_CODES.values()]
        chosen = orders.select(columns).take(numbers(wanted))
        for place, row in zip(wanted, plain_rows(chosen), strict=True):
            order = dict(zip(columns, row, strict=True))
            seen_at = moment_of(order["last_seen_at"])
            self._order = (order["landing_seq"], seen_at, order["order_key"])
            for flag in flags[place]:
                if flag.startswith(_FLAG):
                    dimension = flag.removeprefix(_FLAG)
                    code = order.get(_CODES[dimension]) or ""
                    shown = code[:LONGEST_EXAMPLE]
                    self._note((UNMAPPED_CODE, dimension, None, shown), shown)

    def found(self) -> pa.Table:
        """Everything noted so far, as records of the lake's table `drift`."""
        origin = {
            "source_system": self._account.source,
            "source_account": self._account.name,
            "schema_version": SCHEMA_VERSION,
        }
        names = ("kind", "field", "json_type", "code")
        rows = [
            {
                **origin,
                **dict(zip(names, what, strict=True)),
                **{name: getattr(seen, name) for name in Sighting.__slots__},
            }
            for what, seen in self._seen.items()
        ]
        return records(rows, LAKE["drift"])

    def _look(self, known: Known, value: dict[str, Any]) -> None:
        """Compare an object with what is known of it."""
        if known.any_key is not None or known.item is not None:
            self._each(known.any_key or known.item, value.values())
            return
        shapes = self._shapes
        key = (known, *value, *map(type, value.values()))
        shape = shapes.get(key)
        if shape is None:
            if len(shapes) >= MOST_SHAPES:
                shapes.clear()
            shape = shapes[key] = _shape(known, value)
        if shape is _PLAIN:
            return
        for note in shape.notes:
            self._weigh(note, value[note[0]])
        for name, inner in shape.objects:
            each = value[name]
            if shapes.get((inner, *each, *map(type, each.values()))) is not _PLAIN:
                self._look(inner, each)
        for name, inner in shape.arrays:
            self._each(inner.item, value[name])

    def _each(self, known: Known | None, values: Iterable[Any]) -> None:
        """Compare what stands in an array, or under keys that the account chooses."""
        if known is None or not (known.types or known.is_open):
            return
        for value in values:
            json_type = _JSON_TYPES[type(value)]
            if known.types and json_type not in known.types:
                self._weigh(("", known, known.field, json_type), value)
            elif json_type == "object":
                self._look(known, value)
            elif json_type == "array":
                self._each(known.item, value)

    def _weigh(self, note: _Note, value: Any) -> None:
        """Note a value that is, or may be, otherwise than known."""
        _, known, field, json_type = note
        if known is None:
            self._note((UNKNOWN_FIELD, field, json_type, None), value)
            return
        if value is None or (not value and json_type in ("string", "array", "object")):
            return
        if json_type in known.types:
            usual = self.settled.get(field)
            if usual is None:
                self.settled[field] = json_type
                self._note((SETTLED_TYPE, field, json_type, None), None)
            if usual in (None, json_type):
                return
        self._note((CHANGED_TYPE, field, json_type, None), value)

    def _note(self, what: What, value: Any) -> None:
        seen = self._seen.get(what)
        if seen is None and len(self._seen) >= MOST_SIGHTINGS and what[0] != SETTLED_TYPE:
            what = (what[0], "{further}", None, None)
            seen = self._seen.get(what)
        assert self._order is not None, "only orders are looked into"
        landing_seq, moment, order_key = self._order
        if seen is None:
            example = what[3] or masked(value)
            self._seen[what] = Sighting(
                1, landing_seq, landing_seq, moment, moment, order_key, example
            )
        elif seen.landing_seq != landing_seq:
            seen.versions += 1
            seen.landing_seq, seen.last_seen_at = landing_seq, max(moment, seen.last_seen_at)


def masked(value: Any) -> str | None:
    """A value as text that shows its form alone: letters become x, digits 9."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "".join(map(_mask, text[:LONGEST_EXAMPLE]))


def _mask(character: str) -> str:
    if character.isdigit():
        return "9"
    return character if character.isascii() and not character.isalpha() else "x"


def _shape(known: Known, value: Mapping[str, Any]) -> _Shape:
    notes: list[_Note] = []
    objects, arrays = [], []
    for name, each in value.items():
        json_type = _JSON_TYPES[type(each)]
        inner = known.fields.get(name)
        if inner is None:
            notes.append((name, None, _path(known, name), json_type))
        elif json_type == "null" or not inner.types:
            continue
        elif json_type not in inner.types:
            notes.append((name, inner, inner.field, json_type))
        else:
            if inner.keeps_to_one:
                notes.append((name, inner, inner.field, json_type))
            if json_type == "object" and inner.is_open:
                objects.append((name, inner))
            elif json_type == "array" and inner.item is not None:
                arrays.append((name, inner))
    if not (notes or objects or arrays):
        return _PLAIN
    return _Shape(tuple(notes), tuple(objects), tuple(arrays))


def _path(known: Known, name: str) -> str:
    shown = name if _NAME.fullmatch(name) else "{key}"
    return f"{known.field}.{shown}" if known.field else shown


def _is_flagged(flags: Iterable[str]) -> bool:
    return any(flag.startswith(_FLAG) for flag in flags)
