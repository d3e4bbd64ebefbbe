"""The lock that keeps two compactions of one lake table apart.

Belongs here: taking it. Does not belong here: compacting (`lake.py`), leases (`leases.py`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.errors import LakeError


@contextmanager
def compacting(root: Path | None, table: str) -> Iterator[None]:
    """Hold the lock of a local table's compaction. Without a local root there is none to hold.

    Beside the lease, because a process that is stopped loses that and not this. Raises LakeError
    where another process is at it.
    """
    if root is None:
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{table}.compacting").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeError(
                "the table is being compacted by another process",
                str(root / table),
                "let it finish, or end it if it stands still",
            ) from None
        yield
