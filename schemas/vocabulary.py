"""The words that we write ourselves into whatever is kept.

Belongs here: gathering them from the schemas. Does not belong here: who looks for what
(`assets/erase_search.py`), names of accounts, which are the user's.

A value of a person that is such a word, say `Delivery` as a line of an address, stands in every
home, whoever was erased.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

import pyarrow as pa

from schemas.canonical import LAKE

_WORD = re.compile(r"\w+")
_COLUMNS = {
    "personal_fields.csv": ("field", "role", "column", "stand_in"),
    "known_fields.csv": ("source", "field"),
    "status_codes.csv": ("dimension", "source", "canonical_code"),
}


@cache
def vocabulary() -> frozenset[str]:
    """Sources, tables, columns and their comments, fields of raw orders, roles, canonical codes.

    In small letters, as a whole and as the parts between underscores.
    """
    found = {word.casefold() for text in _texts() for word in _WORD.findall(text)}
    return frozenset(found | {part for word in found for part in word.split("_")} - {""})


def _texts() -> Iterator[str]:
    for name, schema in LAKE.items():
        yield name
        yield from _described(schema)
    for name, columns in _COLUMNS.items():
        text = files("schemas").joinpath(name).read_text(encoding="utf-8")
        for line in csv.DictReader(text.splitlines()):
            yield from (line[column] for column in columns)


def _described(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Names and comments of columns, and of what is nested in them."""
    for field in fields:
        yield field.name
        yield from (told.decode() for told in (field.metadata or {}).values())
        kind = field.type
        while pa.types.is_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            yield from _described(kind.field(place) for place in range(kind.num_fields))
