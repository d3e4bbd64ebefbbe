"""Cron expressions of five fields, as accounts.toml may hold them.

Belongs here: saying what is wrong with one. Does not belong here: when it is due, which is for
Dagster to say.
"""

from __future__ import annotations

import re

_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_NAMES = {
    "month": ("jan feb mar apr may jun jul aug sep oct nov dec", 1),
    "day of week": ("sun mon tue wed thu fri sat", 0),
}
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")
_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def fault(expression: str) -> str | None:
    """What is wrong with a cron expression; None for a good one that is due now and then.

    Names of months and days (`mon`) may stand for their numbers.
    """
    fields = expression.lower().split()
    if len(fields) != len(_FIELDS):
        return f"has {len(fields)} fields instead of {len(_FIELDS)}"
    due: dict[str, set[int]] = {}
    for text, (name, least, most) in zip(fields, _FIELDS, strict=True):
        values = [_values(_numbered(part, name), least, most) for part in text.split(",")]
        if not all(values):
            return f"its {name} is none"
        due[name] = set().union(*values)
    longest = max(_LONGEST_MONTH.get(month, 31) for month in due["month"])
    if min(due["day of month"]) > longest:
        return "is never due, since no such month has that day"
    return None


def _numbered(part: str, name: str) -> str:
    words, first = _NAMES.get(name, ("", 0))
    for number, word in enumerate(words.split(), start=first):
        part = re.sub(rf"\b{word}\b", str(number), part)
    return part


def _values(part: str, least: int, most: int) -> set[int]:
    """The numbers that a part stands for; empty where it stands for none."""
    found = _PART.fullmatch(part)
    if found is None:
        return set()
    first, last, step = (None if group is None else int(group) for group in found.groups())
    if step is not None and (not 1 <= step <= most or (first is not None and last is None)):
        return set()
    if first is None:
        return set(range(least, most + 1, step or 1))
    last = first if last is None else last
    return set(range(first, last + 1, step or 1)) if least <= first <= last <= most else set()
