"""The fields of raw orders that name a person, and what is done with them when one is erased.

Belongs here: reading `personal_fields.csv`. Does not belong here: finding a person
(`assets/persons.py`), blanking (`assets/blanking.py`).

A line of the file names a field as `known_fields.csv` does. Its role is that of the party whom it
describes, and its column the one of `order_parties` that it becomes, where it becomes one. Two
roles are no parties: `text` is written freely, or by the account, and may name anybody; `key` is
the order's own id and stays. Where something else is read from whether the field is filled,
`stand_in` takes its place.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TEXT = "text"
KEY = "key"

CUSTOMER = frozenset({"customer", "billing", "delivery", "contact", "registree"})
"""Roles whose data belong to whoever ordered, and are not told apart: one is erased with all."""

IDENTIFIED = CUSTOMER | {"supplier"}
"""Roles that an account's customer ids stand for."""


@dataclass(frozen=True, slots=True)
class PersonalField:
    """One field that names a person, or may."""

    role: str
    column: str
    """Of `order_parties`; empty: it becomes none."""
    stand_in: str
    """What takes its place, empty in most cases."""


@cache
def personal_fields(source: str) -> dict[str, PersonalField]:
    """The personal fields of a source, by field."""
    text = files("schemas").joinpath("personal_fields.csv").read_text(encoding="utf-8")
    return {
        line["field"]: PersonalField(line["role"], line["column"], line["stand_in"])
        for line in csv.DictReader(text.splitlines())
        if line["source"] == source
    }
