"""The fields that a raw order is known to have, and the JSON types in which they are known to come.

Belongs here: reading `known_fields.csv`. Does not belong here: comparing orders with it
(`assets/drift.py`), where a field goes (`field_map.csv`).

A line of the file names a field as it stands in the landed body: `[]` is every item of an array,
`{id}` and the like every key of an object whose keys the account chooses. Its JSON types are
`number`, `string`, `boolean`, `object`, `array`; `any`, which is not looked into; or `root`, an
object that holds the fields of the whole order. `number|string`: one or the other, an account keeps
to one; `array,object`: one order this, the next that. `named_by` says who names the field: the
source's document, the mapping (it reads a field that the document lacks), the envelope (we put it
there), or nobody: passed over for the reason in `note`.
"""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ANY = "any"
ROOT = "root"


@dataclass(eq=False)
class Known:
    """One known field, with those inside it. Compared by identity."""

    field: str
    """As in the file; of the whole order an empty text."""
    types: frozenset[str] = frozenset()
    """JSON types; none: any."""
    keeps_to_one: bool = False
    """Whether an account keeps to one of the types."""
    fields: dict[str, Known] = dataclasses.field(default_factory=dict)
    any_key: Known | None = None
    """What stands under a key that is not in `fields`, where keys are chosen by the account."""
    item: Known | None = None
    """What stands in the array, or in the object that takes an array's place."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to look into."""
        return bool(self.fields or self.any_key or self.item)

    def within(self, part: str) -> Known:
        """The field inside this one of that name, made where it is missing."""
        if part == "[]":
            self.item = self.item or Known(f"{self.field}[]")
            return self.item
        name = f"{self.field}.{part}" if self.field else part
        if part.startswith("{"):
            self.any_key = self.any_key or Known(name)
            return self.any_key
        return self.fields.setdefault(part, Known(name))


@cache
def known_fields(source: str) -> Known | None:
    """The whole order of a source; None of a source whose fields nobody has written down."""
    lines = [line for line in _lines() if line["source"] == source]
    root = Known("")
    for line in lines:
        known = root
        for part in line["field"].replace("[]", ".[]").split("."):
            known = known.within(part)
        _describe(known, line["json_types"], root)
    return root if lines else None


@cache
def has_choices(source: str) -> bool:
    """Whether an account of the source keeps to one of several types somewhere."""
    return any("|" in line["json_types"] for line in _lines() if line["source"] == source)


def _describe(known: Known, json_types: str, root: Known) -> None:
    if json_types == ROOT:
        known.types, known.fields, known.field = frozenset({"object"}), root.fields, root.field
    elif json_types != ANY:
        known.keeps_to_one = "|" in json_types
        known.types = frozenset(json_types.replace("|", ",").split(","))


@cache
def _lines() -> tuple[dict[str, str], ...]:
    text = files("schemas").joinpath("known_fields.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
