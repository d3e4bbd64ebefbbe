"""A listing, and whether it held as much as its API announced.

Belongs here: comparing the number announced with the different orders listed. Does not belong here:
paging (the sources), what a run makes of a listing that stays short (`assets/pull.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING

from resources.api import Api, Incomplete
from resources.arrays import numbers
from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow.compute as pc
else:
    pc = lazily("pyarrow.compute")


class Listing:
    """One listing while it is read, from its first page to its last.

    Of the numbers that its pages announce the least counts: what is added while the pages are read
    may stand before the page that is read.
    """

    def __init__(self, api: Api, what: str, *, before: int = 0) -> None:
        """`before`: orders listed by an earlier run that this one goes on from."""
        self._api = api
        self._what = what
        self._before = before
        self._announced: int | None = None
        self._ids: set[Hashable] = set()
        self._numbers = array("q")
        self._nameless = 0
        self._is_second = False

    @property
    def listed(self) -> int:
        """Different orders listed."""
        return self._before + len(self._ids) + _different(self._numbers) + self._nameless

    def page(self, announced: int | None, ids: Collection[Hashable], *, nameless: int = 0) -> None:
        """Note a page: the number announced, None where it tells none, and what it listed.

        `nameless` counts orders in it that have no id. Ids that come as an array of numbers are
        kept as such, eight bytes each: a listing may be of millions.
        """
        if announced is not None:
            self._announced = min(
                announced, announced if self._announced is None else self._announced
            )
        if isinstance(ids, array):
            self._numbers.extend(ids)
        else:
            self._ids.update(ids)
        self._nameless += nameless

    def is_to_be_read_again(self, where: str) -> bool:
        """Asked after the last page: whether to begin with the first one again.

        True once, where fewer orders were listed than announced; after the second reading raises
        Incomplete.
        """
        if self._announced is None or self.listed >= self._announced:
            self._tell()
            return False
        if not self._is_second:
            self._is_second, self._before, self._nameless, self._announced = True, 0, 0, None
            return True
        self._tell()
        raise Incomplete(
            f"{self._what} announces {self._announced} orders but lists {self.listed}, "
            "though it was read twice",
            where=where,
            remedy="run again: the cursor has not moved past it. If it persists, ask the API's "
            "owner which orders the credentials may see",
        )

    def _tell(self) -> None:
        """Add both numbers to those of the run."""
        if self._announced is not None:
            self._api.announced = (self._api.announced or 0) + self._announced
            self._api.listed = (self._api.listed or 0) + self.listed


def _different(ids: array[int]) -> int:
    """How many different ones."""
    if not ids:
        return 0
    found: int = pc.count_distinct(numbers(ids)).as_py()
    return found
