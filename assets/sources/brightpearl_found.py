"""Brightpearl: what searches list, as columns.

Belongs here: ids and stamps of orders by the million, and putting them in order. Does not belong
here: reading a search's reply (`brightpearl_search.py`), which orders to ask for
(`brightpearl.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import compress
from typing import TYPE_CHECKING, Any

from resources.arrays import micros, numbers
from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

NO_STAMP = 2**63 - 1
"""In place of a stamp that is no moment: such an order counts as changed after all others."""


def stamp_of(text: Any) -> int:
    """A stamp as microseconds since 1970, UTC; NO_STAMP where it is no moment."""
    try:
        return micros(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return NO_STAMP


_BY_ID = [("id", "ascending"), ("stamp", "ascending")]
_BY_STAMP = [("stamp", "ascending"), ("id", "ascending")]


class Found:
    """Rows of searches: the order's id, and its stamp of last change. Sixteen bytes a row."""

    def __init__(self, ids: Iterable[int] = (), stamps: Iterable[int] = ()) -> None:
        """As many stamps as ids; NO_STAMP where a row has none. Raises OverflowError."""
        self.ids = array("q", ids)
        self.stamps = array("q", stamps)

    def __len__(self) -> int:
        return len(self.ids)

    def extend(self, others: Found) -> None:
        """Add the rows of another page or search."""
        self.ids.extend(others.ids)
        self.stamps.extend(others.stamps)

    def piece(self, start: int, size: int) -> Found:
        """At most so many consecutive rows."""
        return Found(self.ids[start : start + size], self.stamps[start : start + size])

    def only(self, is_kept: Sequence[int]) -> Found:
        """The rows at the places where something true stands."""
        return Found(compress(self.ids, is_kept), compress(self.stamps, is_kept))

    def arranged(self) -> Found:
        """Each order once, by the last of its stamps; those of one moment by id."""
        columns = [numbers(self.ids), numbers(self.stamps)]
        rows = pa.Table.from_arrays(columns, names=["id", "stamp"]).sort_by(_BY_ID)
        last = len(rows) - 1
        ends = pc.not_equal(rows["id"].slice(0, last), rows["id"].slice(1))
        newest = pa.concat_tables([rows.slice(0, last).filter(ends), rows.slice(last)])
        ordered = newest.sort_by(_BY_STAMP)
        return Found(_held(ordered["id"]), _held(ordered["stamp"]))


def _held(column: pa.ChunkedArray) -> array[int]:
    values = array("q")
    for chunk in column.chunks:
        start = 8 * chunk.offset
        values.frombytes(memoryview(chunk.buffers()[1])[start : start + 8 * len(chunk)])
    return values
