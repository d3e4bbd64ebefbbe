"""Raw records of one account in chunks, in the order of their landing.

Belongs here: how many are read at once, and from which files. Does not belong here: what becomes of
them (`assets/mappers.py`, `assets/normalise.py`), single orders (`assets/known.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from resources.lake import AccountKey, Lake
from resources.lazily import lazily

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
else:
    duckdb = lazily("duckdb")

MOST_RECORDS = 5000
MOST_BYTES = 12_000_000
"""Of one chunk, as far as the size of the chunk before tells: mapping takes several times that."""
_FIRST = 2000
_LEAST = 50


def raw_chunks(lake: Lake, account: AccountKey, after: int, last: int) -> Iterator[pa.Table]:
    """Raw records beyond a landing sequence up to another; none without a record.

    Only the files that may hold a chunk's records are opened for it.
    """
    files = lake.files("raw", account=account, after=after)
    records = _FIRST
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET threads TO 1")
        connection.execute("SET enable_external_file_cache = false")
        while files := [file for file in files if file.last_seq > after and file.first_seq <= last]:
            after = max(after, min(file.first_seq for file in files) - 1)
            if after >= last:
                return  # the rest of a file that holds later records, too
            upto = min(after + records, last)
            wanted = [file for file in files if file.first_seq <= upto]
            found = lake.read_files(connection, "raw", wanted)
            found = found.filter(f"landing_seq > {after:d} AND landing_seq <= {upto:d}")
            chunk = found.order("landing_seq").to_arrow_table()
            after = upto
            if chunk.num_rows:
                yield chunk
                fitting = MOST_BYTES * chunk.num_rows // max(chunk.nbytes, 1)
                records = min(max(fitting, _LEAST), MOST_RECORDS)
