"""Two connections to the file that is being built, each with a thread and transactions of its own.

Belongs here: opening the file so that this is possible, starting the second, ending it. Does not
belong here: what the two do (`resources/warehouse_build.py`, `resources/warehouse_anew.py`).

Nobody sees the file before it is finished, so nothing that is committed to it is logged: what was
not written by a checkpoint is lost, and the file with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import duckdb

from resources.literal import literal
from resources.warehouse_storage import BLOCK, ROW_GROUP, STORAGE_VERSION

_POLL = 0.05
"""Seconds between two calls to stop: one that finds no statement running is not remembered."""


@contextmanager
def opened(building: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the file, made if it is not there; by its end the file is closed.

    What does not fit into memory goes to a folder beside the file, which `publication.clean_up`
    knows.
    """
    with duckdb.connect(config={"temp_directory": f"{building}.tmp"}) as con:
        con.execute(
            f"ATTACH {literal(str(building))} AS building (ROW_GROUP_SIZE {ROW_GROUP},"
            f" BLOCK_SIZE {BLOCK}, STORAGE_VERSION '{STORAGE_VERSION}',"
            " RECOVERY_MODE NO_WAL_WRITES)"
        )
        con.execute("USE building")
        yield con


@contextmanager
def aside(
    con: duckdb.DuckDBPyConnection, do: Callable[[duckdb.DuckDBPyConnection], None]
) -> Iterator[None]:
    """Meanwhile `do` it with a second connection to the same file, in a thread of its own.

    The block's end waits for it. What goes wrong there is raised then; what goes wrong here, or
    Ctrl-C, stops it first.
    """
    with con.cursor() as second, ThreadPoolExecutor(1, "building") as pool:
        ((file,),) = con.execute("SELECT CURRENT_DATABASE()").fetchall()
        second.execute(f'USE "{file}"')
        done = pool.submit(do, second)
        try:
            yield
            done.result()
        finally:
            while not done.done():
                second.interrupt()
                wait([done], _POLL)
