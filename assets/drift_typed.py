"""Orders in which nothing can be noted of drift, told by decoding them with types.

Belongs here: the types of a source's known fields, as msgspec takes them. Does not belong here:
what is noted of the other orders (`assets/drift.py`).

A body that decodes with these types holds known fields alone, each in a type that needs no look:
the one that the account has settled for, where it keeps to one; null; or emptiness, which has no
type. A body that does not decode may still be in order: whoever asks has to look then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from schemas.known_fields import Known

_EMPTY_TEXT = Literal[""]
_EMPTY_ARRAY = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)]
_EMPTY_OBJECT = msgspec.defstruct("EmptyObject", [], forbid_unknown_fields=True, gc=False)
_ANY_OBJECT = msgspec.defstruct("AnyObject", [], gc=False)
_ANY_ARRAY = list[msgspec.Raw]
_SCALARS: dict[str, Any] = {"string": str, "number": float, "boolean": bool}
_EMPTINESS: dict[str, Any] = {
    "string": _EMPTY_TEXT, "array": _EMPTY_ARRAY, "object": _EMPTY_OBJECT,
}  # fmt: skip
_JSON_TYPES = frozenset({*_SCALARS, "array", "object"})

Settled = frozenset[tuple[str, str]]
"""Field and JSON type, of the fields that are known in several types."""


@lru_cache(maxsize=64)
def plain_decoder(known: Known, settled: Settled) -> Callable[[bytes], Any]:
    """What raises msgspec.MsgspecError, or RecursionError, for an order that needs a look."""
    return msgspec.json.Decoder(_Types(dict(settled)).fields(known)).decode


class _Types:
    """Makes the types; `settled` as the account's earlier orders have it."""

    def __init__(self, settled: dict[str, str]) -> None:
        self._settled = settled
        self._under_way: list[int] = []

    def fields(self, known: Known) -> Any:
        """The type of an object with these fields and no others, or with keys of any name."""
        inner = known.any_key or known.item
        if inner is not None:
            return dict[str, self._each(inner)]  # type: ignore[misc]
        if self._under_way.count(id(known.fields)) > 1:  # an order in an order's envelope
            return _EMPTY_OBJECT
        self._under_way.append(id(known.fields))
        fields = [
            (f"f{place}", self._field(each), None)
            for place, each in enumerate(known.fields.values())
        ]
        self._under_way.pop()
        names = {f"f{place}": name for place, name in enumerate(known.fields)}
        return msgspec.defstruct(
            "Fields", fields, rename=names, forbid_unknown_fields=True, gc=False
        )

    def _field(self, known: Known) -> Any:
        """The type of what stands under a known name."""
        if not known.types:
            return msgspec.Raw
        types = known.types
        if known.keeps_to_one:
            types = types & {self._settled.get(known.field, "")}
        objects = self.fields(known) if "object" in types and known.is_open else _ANY_OBJECT
        arrays = _ANY_ARRAY
        if "array" in types and known.item is not None:
            arrays = self._items(known.item)
        return _either(types, objects, arrays)

    def _each(self, known: Known) -> Any:
        """The type of what stands in an array, or under a key that the account chooses."""
        if not (known.types or known.is_open):
            return msgspec.Raw
        types = known.types or _JSON_TYPES
        objects = self.fields(known) if "object" in types else _ANY_OBJECT
        arrays = _ANY_ARRAY
        if "array" in types and known.item is not None:
            arrays = self._items(known.item)
        return _either(types, objects, arrays)

    def _items(self, item: Known) -> Any:
        return list[self._each(item)]  # type: ignore[misc]


def _either(types: frozenset[str], objects: Any, arrays: Any) -> Any:
    """A value of one of the JSON types, or one that has none."""
    of_type = _SCALARS | {"object": objects, "array": arrays}
    made = None
    for name in sorted(_JSON_TYPES):
        each = of_type[name] if name in types else _EMPTINESS.get(name)
        if each is not None:
            made = each | None if made is None else made | each
    return made
