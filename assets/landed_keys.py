"""Which orders have been landed before, as far as is needed to look up no others.

Belongs here: the hashes of one account's order keys, in memory. Does not belong here: what is
landed of an order (`assets/known.py`), what becomes of a record (`assets/landing.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import xxhash

from resources.arrays import numbers
from resources.lake import AccountKey, Lake
from resources.lake_pick import pick
from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")


class LandedKeys:
    """The order keys of one account that are in `raw`: eight bytes an order.

    While one run lands batch after batch, looking each of its orders up in everything landed so
    far would cost more with every batch. Nothing is read before the second batch of a run, and
    nothing at all of an account that had nothing landed.
    """

    def __init__(self, lake: Lake, account: AccountKey) -> None:
        self._lake = lake
        self._account = account
        self._hashes: list[pa.Array] = []
        self._seq: int | None = None
        """Landing sequence up to which the keys are known; None: they have not been read."""
        self._generation: int | None = None
        """How often the account had been replaced then: an erasure gives keys to other records."""
        self._is_second = False

    def among(self, keys: Sequence[str], last: int) -> Collection[str]:
        """Those of the keys that may have been landed up to the landing sequence `last`.

        Of the others it is certain that they were not.
        """
        if last and not self._is_second and self._seq is None:
            self._is_second = True
            return keys
        self._read_up_to(last)
        if not self._hashes:
            return ()
        known, asked = pa.chunked_array(self._hashes), _hashed(keys)
        hits = known.filter(pc.is_in(known, value_set=asked)).to_pylist()
        if not hits:
            return ()
        found = frozenset(hits)
        return [key for key, each in zip(keys, asked.to_pylist(), strict=True) if each in found]

    def add(self, keys: Sequence[str], seq: int) -> None:
        """Note keys that were landed just now, which brought the landing sequence to `seq`.

        Between this and the call of `among` before it nobody else landed anything.
        """
        if self._seq is not None:
            self._hashes.append(_hashed(keys))
            self._seq = seq

    def _read_up_to(self, last: int) -> None:
        """Read what others have landed, or what was landed before the run began."""
        generation = self._lake.generation("raw", self._account)
        if generation != self._generation:
            self._hashes, self._seq, self._generation = [], None, generation
        before = self._seq or 0
        if before < last:
            for rows in pick(self._lake, "raw", _KEY, account=self._account, after=before):
                self._hashes.append(_hashed(rows[0].to_pylist()))
        self._seq = last


_KEY = ("order_key",)


def _hashed(keys: Iterable[str]) -> pa.Array:
    return numbers((xxhash.xxh3_64_intdigest(key.encode()) for key in keys), "Q")
