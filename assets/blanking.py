"""Taking personal values out of a raw order, everything else byte for byte.

Belongs here: reading the values of a JSON text with their places, and putting others there. Does
not belong here: whose values they are (`assets/persons.py`), which of them go (`assets/erased.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]

from schemas.known_fields import Known, known_fields
from schemas.personal import PersonalField, personal_fields

UNREADABLE = "erased"
"""What takes the place of a body that is no JSON: none either, so it stays in quarantine."""

_BLANK = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null|NaN|-?Infinity")
_DEEPEST = 200
_PLAIN = PersonalField("", "", "")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One text or number of an order."""

    start: int
    end: int
    value: str
    is_text: bool
    field: PersonalField
    """What is known of it as a personal field; all empty where it is none."""
    is_known: bool
    """Whether anybody has written down what the field is."""
    owner: int
    """Place of the object that it stands in: what one party says of itself stands together."""


def leaves(body: str, source: str) -> list[Leaf] | None:
    """The texts and numbers of an order, in their order; None where the body is no JSON."""
    reader = _Reader(body, personal_fields(source))
    try:
        end = reader.read(0, known_fields(source), _PLAIN, 0, 0)
    except (ValueError, IndexError):
        return None
    return reader.found if _BLANK.match(body, end).end() == len(body) else None  # type: ignore[union-attr]


def blanked(body: str, gone: Iterable[Leaf]) -> str:
    """The body with these leaves blanked; its other bytes, and the JSON types, stay."""
    parts, reached = [], 0
    for leaf in sorted(gone, key=lambda each: each.start):
        parts += [body[reached : leaf.start], _in_place_of(leaf)]
        reached = leaf.end
    return "".join([*parts, body[reached:]])


def is_blank(leaf: Leaf) -> bool:
    """Whether blanking it would change nothing."""
    stands = leaf.field.stand_in
    return leaf.value in ("", stands) if leaf.is_text else _in_place_of(leaf) == leaf.value


def _in_place_of(leaf: Leaf) -> str:
    if leaf.is_text:
        return f'"{leaf.field.stand_in}"' if leaf.value else '""'
    return "null" if leaf.is_known else "0"


def _text_at(body: str, at: int) -> tuple[str, int]:
    """The JSON text that begins at a place, and where it ends; control characters are let pass."""
    value, end = scanstring(body, at + 1, False)  # noqa: FBT003  (takes it by position only)
    return value, end


class _Reader:
    """Walks a JSON text together with what is known of its fields."""

    def __init__(self, text: str, personal: dict[str, PersonalField]) -> None:
        self._text = text
        self._personal = personal
        self.found: list[Leaf] = []

    def read(
        self, at: int, known: Known | None, field: PersonalField, owner: int, depth: int
    ) -> int:
        """Read the value at a place; where it ends. Raises ValueError for what is no JSON."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        at = self._next(at)
        first = self._text[at]
        if first == "{":
            return self._object(at, known, field, depth)
        if first == "[":
            return self._array(at, known, field, owner, depth)
        if first == '"':
            value, end = _text_at(self._text, at)
            self._note(at, end, value, known, field, owner, is_text=True)
            return end
        scalar = _SCALAR.match(self._text, at)
        if scalar is None:
            raise ValueError("no value")
        if scalar[0] not in ("true", "false", "null"):
            self._note(at, scalar.end(), scalar[0], known, field, owner, is_text=False)
        return scalar.end()

    def _object(self, at: int, known: Known | None, field: PersonalField, depth: int) -> int:
        owner, at = at, self._next(at + 1)
        while self._text[at] != "}":
            if self._text[at] != '"':
                raise ValueError("no key")
            name, at = _text_at(self._text, at)
            at = self._expect(at, ":")
            inner = _inner(known, name)
            at = self._next(self.read(at, inner, self._field(inner, field), owner, depth + 1))
            at = self._go_on(at, "}")
        return at + 1

    def _array(
        self, at: int, known: Known | None, field: PersonalField, owner: int, depth: int
    ) -> int:
        at = self._next(at + 1)
        inner = known if known is None or known.item is None else known.item
        while self._text[at] != "]":
            at = self.read(at, inner, self._field(inner, field), owner, depth + 1)
            at = self._go_on(self._next(at), "]")
        return at + 1

    def _field(self, known: Known | None, outer: PersonalField) -> PersonalField:
        """What stands inside a personal field is personal as well."""
        return self._personal.get(known.field, outer) if known is not None else outer

    def _note(
        self,
        start: int,
        end: int,
        value: str,
        known: Known | None,
        field: PersonalField,
        owner: int,
        *,
        is_text: bool,
    ) -> None:
        is_known = known is not None or field is not _PLAIN
        self.found.append(Leaf(start, end, value, is_text, field, is_known, owner))

    def _next(self, at: int) -> int:
        return _BLANK.match(self._text, at).end()  # type: ignore[union-attr]

    def _expect(self, at: int, character: str) -> int:
        at = self._next(at)
        if self._text[at] != character:
            raise ValueError(f"no {character}")
        return at + 1

    def _go_on(self, at: int, close: str) -> int:
        """Past a comma, or at the closing character."""
        if self._text[at] == ",":
            return self._next(at + 1)
        if self._text[at] != close:
            raise ValueError(f"no {close}")
        return at


def _inner(known: Known | None, name: str) -> Known | None:
    """What is known of a key. All of a field that is never looked into counts as known."""
    if known is None:
        return None
    found = known.fields.get(name) or known.any_key or known.item
    return found if found is not None or known.is_open else known
