"""Raw records of one account in chunks, in the order of their landing.

Belongs here: how many are read at once, and from which files. Does not belong here: what becomes of
them (`assets/mappers.py`, `assets/normalise.py`), single orders (`assets/known.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resources.arrays import in_landing_order, numbers
from resources.lake import AccountKey, Lake
from resources.lake_pick import Stretch, read, stretches
from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pc = lazily("pyarrow.compute")

MOST_RECORDS = 5000
MOST_BYTES = 16_000_000
"""Of one chunk, as far as that can be had: mapping takes several times that."""


def raw_chunks(lake: Lake, account: AccountKey, after: int, last: int) -> Iterator[pa.Table]:
    """Raw records beyond a landing sequence up to another; none without a record.

    Row groups are read as a whole, each once; again where the sequences of several overlap.
    """
    waiting = stretches(lake, "raw", account=account, after=after)
    while waiting := [each for each in waiting if each.last_seq > after and each.first_seq <= last]:
        upto = min(_end(waiting, after), last)
        wanted = [each for each in waiting if each.first_seq <= upto]
        yield from _pieces(_within(read(lake, "raw", wanted), after, upto))
        if upto == last:
            return
        after = upto


def _end(waiting: Sequence[Stretch], after: int) -> int:
    """The landing sequence up to which a chunk reaches: that of as many stretches as fit into it.

    Where stretches overlap it reaches no further than to where the first one begins that is left.
    """
    rows = size = 0
    for place, each in enumerate(waiting):
        rows += each.rows
        size += each.bytes
        is_more = rows > MOST_RECORDS or size > MOST_BYTES
        if place and is_more and each.first_seq - 1 > after:
            return each.first_seq - 1
    return max(each.last_seq for each in waiting)


def _within(rows: pa.Table, after: int, upto: int) -> pa.Table:
    """The rows beyond a landing sequence up to another, in their order.

    Within a row group they may stand in another one: compaction merges the newest files first.
    """
    seq, bounds = rows["landing_seq"], numbers([after, upto])
    is_within = pc.and_(pc.greater(seq, bounds[0]), pc.less_equal(seq, bounds[1]))
    return in_landing_order(rows.filter(is_within))


def _pieces(rows: pa.Table) -> Iterator[pa.Table]:
    """Rows in pieces of an even size, as many as it takes for each to fit into a chunk."""
    count = max(-(-rows.num_rows // MOST_RECORDS), -(-rows.nbytes // (2 * MOST_BYTES)))
    size = -(-rows.num_rows // max(count, 1))
    for start in range(0, rows.num_rows, max(size, 1)):
        yield rows.slice(start, size)
