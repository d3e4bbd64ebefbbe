"""Brightpearl's ID sets.

Belongs here: reading and writing `1,4,7`, `10-20` and `1.4.7`.
Does not belong here: which ids exist.

Source: help.brightpearl.com article 211125046 (ranges ascend); that a comma list has to ascend
too, or is refused with CMNC-006, is what two public clients report. The messages are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_IDS = 200
"""Orders that one GET may ask for (Order GET)."""

PART = re.compile(r"([1-9]\d{0,17})(?:-([1-9]\d{0,17}))?")


class IdSetError(ValueError):
    """An ID set that cannot be read or asks for too much; `code` is the API's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class IdSet:
    """Inclusive ranges of ids."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many ids are asked for, existing or not."""
        return sum(last - first + 1 for first, last in self.ranges)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and any(
            first <= number <= last for first, last in self.ranges
        )

    def ids(self) -> list[int]:
        """Every id, each once."""
        spans = (range(first, last + 1) for first, last in self.ranges)
        return list(dict.fromkeys(number for span in spans for number in span))


def read_id_set(text: str) -> IdSet:
    """An ID set's ranges. Raises IdSetError for anything malformed or descending."""
    ranges: list[tuple[int, int]] = []
    for group in text.split("."):
        previous = 0
        for part in group.split(","):
            found = PART.fullmatch(part)
            if not found:
                raise IdSetError("CMNC-008", f"The id set {text[:80]} cannot be parsed")
            first, last = int(found[1]), int(found[2] or found[1])
            if first <= previous or (found[2] and last <= first):
                raise IdSetError("CMNC-006", f"The id set {text[:80]} is not in ascending order")
            ranges.append((first, last))
            previous = last
    return IdSet(tuple(ranges))


def write_id_sets(ids: Sequence[int], size: int = MOST_IDS) -> Iterable[str]:
    """Ascending ids as ID sets of at most `size` ids, runs written as ranges: `1-2,5,8,10-41`."""
    for start in range(0, len(ids), size):
        runs: list[list[int]] = []
        for number in ids[start : start + size]:
            if runs and number == runs[-1][1] + 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        yield ",".join(f"{low}-{high}" if high > low else str(low) for low, high in runs)
