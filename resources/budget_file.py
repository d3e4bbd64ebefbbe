"""The file in which the processes of one host count the requests of one budget.

Belongs here: what is kept in it, and keeping it whole among processes. Does not belong here: what
it means to have no budget left (`budget.py`), what an API says of its own (`told.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from resources.lazily import lazily
from resources.processes import this_process
from resources.told import GO, Told, Wait

if TYPE_CHECKING:
    import pyrate_limiter as limiter
else:
    limiter = lazily("pyrate_limiter")

_TIDY_EVERY = 100
"""Requests after which what has left the window is deleted from the file."""

_LOCK_SECONDS = 30.0
"""How long to wait for another process, which holds the lock for less than a millisecond."""

_ANSWERED = ""
"""Name of a counted request that has its answer; until then it bears its process's name."""


class BudgetFile:
    """Requests counted, and what the API said, by a clock that all processes of a host share.

    Not thread safe. Every method raises sqlite3.Error or OSError.
    """

    def __init__(self, path: Path, rate: limiter.Rate) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._bucket = limiter.SQLiteBucket.init_from_file(
            [rate], table="requests", db_path=str(path), use_file_lock=True
        )
        self._window = rate.interval
        self._lock = cast(Any, self._bucket.lock)  # a filelock.FileLock
        self._lock.timeout = _LOCK_SECONDS
        self._process = this_process()
        self._taken = 0
        with self._lock:
            self._prepare()

    def take(self, now: float) -> Wait:
        """Count a request if it may go at this moment, else say how long to wait."""
        moment = int(now * 1000)
        with self._lock:
            wait = self._told().wait(now, self._under_way(moment))
            return wait if wait.seconds > 0 else self._counted(moment)

    def answered(self, now: float, spare: tuple[int, float] | None) -> None:
        """A request of this process has its answer, or never will: it counts from now on.

        The API counted it between its sending and now: reckoned from now it is never forgotten
        before the API forgets it, however long it was under way.
        """
        with self._lock:
            self._bucket.conn.execute(
                "UPDATE requests SET item_timestamp = ?, name = ? WHERE rowid IN "
                "(SELECT rowid FROM requests WHERE name = ? ORDER BY item_timestamp LIMIT 1)",
                (int(now * 1000), _ANSWERED, self._process),
            )
            if spare is not None:
                told = self._told()
                told.hear(now, *spare)
                self._keep(told)
            self._bucket.conn.commit()

    def close_for(self, now: float, seconds: float, reason: str) -> None:
        """Let no process's request through for so many seconds."""
        with self._lock:
            told = self._told()
            told.close(now, seconds, reason)
            self._keep(told)
            self._bucket.conn.commit()

    def close(self) -> None:
        """Close the file. What stands in it stays, for others and for later."""
        self._bucket.close()  # type: ignore[no-untyped-call]

    def _counted(self, moment: int) -> Wait:
        item = limiter.RateItem(self._process, moment)
        if not self._bucket.put(item):
            wait = self._bucket.waiting(item)
            assert isinstance(wait, int)
            if wait <= self._window + 1:
                return Wait(max(wait, 1) / 1000)
            # Only requests stamped in the future block for longer than the window: the clock
            # began anew. What was counted by the old one means nothing.
            self._bucket.flush()
            self._bucket.put(item)
        self._taken += 1
        if self._taken % _TIDY_EVERY == 0:
            self._bucket.leak(item.timestamp)
        return GO

    def _under_way(self, moment: int) -> int:
        """Requests without an answer yet, of all processes; a dead one's for a window at most."""
        query = "SELECT COUNT(*) FROM requests WHERE name <> ? AND item_timestamp > ?"
        found = self._bucket.conn.execute(query, (_ANSWERED, moment - self._window))
        return int(found.fetchone()[0])

    def _told(self) -> Told:
        query = "SELECT closed_until, closed_for, remaining, renewed_at FROM told"
        found = self._bucket.conn.execute(query).fetchone()
        return Told(*found) if found else Told()

    def _keep(self, told: Told) -> None:
        self._bucket.conn.execute(
            "INSERT OR REPLACE INTO told VALUES (1, ?, ?, ?, ?)",
            (told.closed_until, told.closed_for, told.remaining, told.renewed_at),
        )

    def _prepare(self) -> None:
        """Make the tables; empty them where they tell of times before the host was started."""
        run = self._bucket.conn.execute
        run(
            "CREATE TABLE IF NOT EXISTS told (id INTEGER PRIMARY KEY, closed_until REAL,"
            " closed_for TEXT, remaining INTEGER, renewed_at REAL)"
        )
        run("CREATE TABLE IF NOT EXISTS clock (boot TEXT)")
        boot = self._process.partition("/")[0]
        if run("SELECT boot FROM clock").fetchall() != [(boot,)]:
            for table in ("requests", "told", "clock"):
                run(f"DELETE FROM {table}")
            run("INSERT INTO clock VALUES (?)", (boot,))
        self._bucket.conn.commit()
