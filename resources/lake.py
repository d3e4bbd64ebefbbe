"""The only writer of lake tables, and the only way to read them.

Belongs here: Delta Lake commits, their repetition guard, flushing, reading, compaction. Does not
belong here: what the columns mean (`schemas/canonical.py`), leases (`resources/ledger.py`; whoever
calls a writing method holds the lease), how an order is normalised (`assets/sources`).

The tables stay readable without this project: plain Parquet, Delta reader version 1, no deletion
vectors, no column mapping.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources import lake_flush, lake_keeping
from resources.errors import LakeError
from resources.lake_commits import generation as generation_of
from resources.lake_commits import refuse_if_overtaken
from resources.lake_files import AccountKey as AccountKey
from resources.lake_files import (
    DataFile,
    data_files,
    first_line,
    fitted,
    last_seqs,
    refuse_other_schema,
    refuse_reader_features,
    relation,
)
from resources.lake_files import create as create_table
from resources.lake_lock import compacting
from resources.lake_purge import purge, vacuum_all
from resources.lake_standing import Standing, Standings
from resources.lake_write import Written, write_file, write_rows
from resources.lazily import lazily
from schemas.lake import LAKE

if TYPE_CHECKING:
    import deltalake
    import duckdb
    import pyarrow as pa
    from deltalake import exceptions
else:
    deltalake = lazily("deltalake")
    exceptions = lazily("deltalake.exceptions")
    pa = lazily("pyarrow")


_COMMIT_TRIES = 5


class Lake:
    """The lake below one local folder or object-store URL.

    Handles are kept between commits, since opening a table of thousands of commits costs far more
    than following its log. One object may be shared by threads: they take turns at each table.
    """

    def __init__(self, url: str) -> None:
        """Open nothing yet. `url`: a local path, a file URL, or an object-store URL."""
        local = url.removeprefix("file://")
        self.root = None if "://" in local else Path(local).resolve()  # as delta-rs names files
        self.url = str(self.root) if self.root else url.rstrip("/")
        if self.root and any(character in self.url for character in "*?["):
            raise LakeError(
                "the lake's path holds one of * ? [, which readers take for a pattern",
                self.url,
                "put the lake somewhere else",
            )
        self._tables: dict[str, deltalake.DeltaTable] = {}
        self._flushed: dict[str, int] = {}
        self._standings = Standings(self.root, self._tables, self._ask)
        self._lock = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}

    def append(
        self, table: str, data: pa.Table, *, stage: str, batch: int, after: int | None = None
    ) -> bool:
        """Append one batch in one commit, flushed to the disk before this returns.

        Does nothing and returns False if `stage` (for instance `land:brightpearl.acme`) has already
        committed this batch or a later one to this table. A batch without rows commits its number
        alone. The columns are brought into the order of the table's schema.

        `after`: the batch that this one follows, as `committed` told it when this one was made.
        Where another batch has been committed since then, at whatever moment until the commit
        itself, nothing is written: a process that stood still while others went on comes too late.

        Raises Overtaken, and LakeError: columns that do not fit, a table that cannot be written.
        """
        rows = fitted(table, data, self._where(table))
        if not self._is_awaited(table, stage, batch, after):
            return False
        with self._plainly(table):  # while it is written, nobody waits for the table
            written = write_file(self.root / table, table, rows) if self.root else None
        try:
            return self._append(table, rows, written, {stage: batch}, after)
        finally:
            if written is not None and not written.is_offered:
                written.discard()

    def _append(
        self,
        table: str,
        rows: pa.Table,
        written: Written | None,
        batches: Mapping[str, int],
        after: int | None,
    ) -> bool:
        ((stage, batch),) = batches.items()
        for attempt in range(_COMMIT_TRIES):
            with self._alone(table):
                if not self._is_awaited(table, stage, batch, after):
                    return False
                handle = self._tables[table]
                if written is not None:
                    written.is_offered = True
                try:
                    write_rows(handle, table, rows, batches, written=written)
                except exceptions.CommitFailedError:
                    # Among others where this very stage was committed since the handle was read.
                    self._tables.pop(table)
                    if attempt + 1 == _COMMIT_TRIES:
                        raise
                else:
                    self._flush(table, handle.version())
                    return True
        raise AssertionError("unreachable")

    def _is_awaited(self, table: str, stage: str, batch: int, after: int | None) -> bool:
        """Whether a batch is still to be committed. Raises Overtaken."""
        with self._alone(table):
            handle = self._open(table, create=True)
            refuse_if_overtaken(handle, self._where(table), stage, after)
            return (handle.transaction_version(stage) or 0) < batch

    def replace_account(
        self,
        table: str,
        account: AccountKey,
        batches: Iterable[pa.Table],
        *,
        stage: str,
        batch: int,
        generation: int | None = None,
        after: int | None = None,
    ) -> None:
        """Replace everything that one account has in a table, in one commit.

        The batches are streamed, so memory does not grow with the account; they are taken from
        another thread, and making them must not use a lake. Afterwards `stage` counts as having
        committed `batch`, and the account's generation is the given one, by default one higher
        than it was, which tells the next publication to read the account anew.

        Raises Overtaken and LakeError as `append`. Nothing is replaced if a batch belongs to
        another account, or if somebody appended to this account meanwhile.
        """
        pieces = (fitted(table, data, self._where(table)).to_batches() for data in batches)
        reader = pa.RecordBatchReader.from_batches(LAKE[table], chain.from_iterable(pieces))
        with self._alone(table):
            handle = self._open(table, create=True)
            refuse_if_overtaken(handle, self._where(table), stage, after)
            if generation is None:
                generation = (handle.transaction_version(generation_of(account)) or 0) + 1
            stamps = {stage: batch, generation_of(account): generation}
            write_rows(handle, table, reader, stamps, instead_of=account)
            self._flush(table, handle.version())

    def committed(self, table: str, stage: str) -> int:
        """The highest batch that a stage has committed to a table, 0 if none."""
        with self._alone(table):
            return self._standings.ask(table, stage).batch(stage) or 0

    def reached(self, table: str) -> Mapping[AccountKey, int]:
        """Account -> the greatest landing_seq of its data in a table, of all that have any."""
        with self._alone(table):
            return self._standings.ask(table, None).reached or {}

    def note(self) -> None:
        """Let the next process know, without opening a table, what this one asked of each."""
        for table in [*self._tables]:
            with self._alone(table):
                self._standings.note(table)

    def generation(self, table: str, account: AccountKey) -> int:
        """How often the account was replaced in this table."""
        return self.committed(table, generation_of(account))

    def version(self, table: str) -> int:
        """The table's newest version, -1 if it does not exist yet."""
        with self._alone(table):
            return -1 if (handle := self._open(table)) is None else handle.version()

    def files(
        self, table: str, *, account: AccountKey | None = None, after: int = 0
    ) -> list[DataFile]:
        """The data files that the newest log names.

        `account` leaves out the other accounts' files, `after` those whose every landing_seq is at
        most this.
        """
        with self._alone(table):
            handle = self._open(table)
            if handle is None:
                return []
            refuse_reader_features(handle, self._where(table))
            found = data_files(handle)
        return [
            file
            for file in found
            if (account is None or file.account == account) and file.last_seq > after
        ]

    def read(
        self,
        con: duckdb.DuckDBPyConnection,
        table: str,
        *,
        account: AccountKey | None = None,
        after: int = 0,
    ) -> duckdb.DuckDBPyRelation:
        """A table as a DuckDB relation, its columns in the order and types of its schema.

        `account` reads the files of one account only, `after` the records with a greater
        landing_seq only; both leave unneeded files unopened. An empty or absent table gives no
        rows of the right types. Moments come as TIMESTAMP WITH TIME ZONE.
        """
        found = self.read_files(con, table, self.files(table, account=account, after=after))
        return found.filter(f"landing_seq > {after:d}") if after else found

    def read_files(
        self, con: duckdb.DuckDBPyConnection, table: str, files: list[DataFile]
    ) -> duckdb.DuckDBPyRelation:
        """As `read`, of some of the files that `files` gave.

        On an object store every file of their accounts is read.
        """
        with self._plainly(table):
            return relation(con, table, self._where(table), files, local=self.root is not None)

    def accounts(self, table: str) -> list[AccountKey]:
        """The accounts that have data in a table, sorted."""
        return sorted({file.account for file in self.files(table)})

    def compact(
        self, table: str, *, account: AccountKey | None = None, size: int = lake_keeping.LARGEST
    ) -> tuple[int, int]:
        """Merge files into such of at most `size` bytes; the number of files before and after.

        The caller holds the table's exclusive lease: two compactions at once duplicate rows, which
        delta-rs does not find out. Of a local lake a lock is held besides, which a process that
        stood still until its lease ran out does not lose.

        Raises RowsLost if afterwards the log accounts for other rows, LakeError if another process
        is at it.
        """
        with self._alone(table), compacting(self.root, table):
            handle = self._open(table)
            if handle is None:
                return 0, 0
            before, start = data_files(handle), handle.version()
            lake_keeping.merge(handle, table, account, size)
            self._flush(table, handle.version())
            after, end = data_files(handle), handle.version()
            if self.root:
                lake_keeping.refuse_if_rows_were_lost(
                    self.root / table, before, (start, end), after
                )
            return len(before), len(after)

    def vacuum(self, table: str, *, hours: int = 168) -> int:
        """Delete data files that no version of the last `hours` hours names; how many.

        So go those, too, that a process left unfinished when it died. The caller holds the table's
        exclusive lease. Readers older than that lose their files. Delta remembers 168 hours.
        """
        with self._alone(table), compacting(self.root, table):
            handle = self._open(table)
            if handle is None:
                return 0
            gone = lake_keeping.vacuum(handle, hours)
            handle.update_incremental()
            self._flush(table, handle.version())
            return len(gone)

    def shorten_log(self, table: str, *, hours: float = lake_keeping.LOG_HOURS) -> int:
        """Write a checkpoint, and delete what it makes needless of a local log; how many files.

        The caller holds the table's exclusive lease.
        """
        with self._alone(table), compacting(self.root, table):
            handle = self._open(table)
            if handle is None or self.root is None:
                return 0
            lake_keeping.checkpoint(self.root / table, handle)
            return lake_keeping.shorten_log(self.root / table, handle.version(), hours)

    def purge(self, table: str, *, with_log: bool = False) -> int:
        """Delete, for good, what only older versions of a table name; the number of files.

        The caller holds the table's exclusive lease and every lease under which somebody appends
        to it: a file that is about to be committed must not go. `with_log`: older log entries and
        checkpoints as well. Readers of older versions lose their files.
        """
        with self._alone(table), compacting(self.root, table):
            handle = self._open(table)
            if handle is None:
                return 0
            if self.root is None:
                return vacuum_all(handle)
            gone = purge(self.root / table, data_files(handle))
            if with_log:
                lake_keeping.checkpoint(self.root / table, handle)
                gone += lake_keeping.shorten_log(self.root / table, handle.version())
                self._tables.pop(table)
            return gone

    def _ask(self, table: str, questions: Collection[str | None]) -> Standing:
        """What a table itself says to these questions; see `resources/lake_standing.py`."""
        with self._plainly(table):
            handle = self._open(table)
            if handle is None:
                return Standing(-1, reached={})
            stages = [stage for stage in questions if stage is not None]
            reached = last_seqs(self.files(table)) if None in questions else None
            committed = {stage: handle.transaction_version(stage) or 0 for stage in stages}
            return Standing(handle.version(), committed, reached)

    def _open(self, table: str, *, create: bool = False) -> Any:
        """The table's handle at its newest version, flushed; None if it does not exist."""
        handle = self._tables.get(table)
        if handle is not None:
            handle.update_incremental()
        else:
            handle = self._opened(table, create=create)
            if handle is None:
                return None
            self._tables[table] = handle
        self._flush(table, handle.version())
        return handle

    def _opened(self, table: str, *, create: bool) -> Any:
        """The table's first handle. What a power cut tore is taken out before anybody sees it."""
        if self.root is None:
            return self._handle(table, create=create)
        handle, flushed = lake_flush.opened(
            self.root / table, lambda: self._handle(table, create=create)
        )
        if handle is not None:
            self._flushed[table] = min(flushed, self._flushed.get(table, flushed))
        return handle

    def _handle(self, table: str, *, create: bool) -> Any:
        mark = lake_flush.flushed(self.root / table) if self.root else None
        try:
            handle = deltalake.DeltaTable(self._where(table))
        except exceptions.TableNotFoundError:
            if self.root:
                lake_flush.refuse_if_lost(self.root / table, -1, mark)
            if not create:
                return None
            handle = create_table(self._where(table), table)
        refuse_other_schema(handle, self._where(table))
        return handle

    def _flush(self, table: str, version: int) -> None:
        """Flush up to a version what this object has not flushed: nothing is built on the rest."""
        if self.root is not None and version > self._flushed[table]:
            lake_flush.flush(self.root / table, self._flushed[table], version)
            self._flushed[table] = version

    def _where(self, table: str) -> str:
        return f"{self.url}/{table}"

    @contextmanager
    def _alone(self, table: str) -> Iterator[None]:
        """One thread at a time for each table; the libraries' errors as `_plainly` tells them."""
        with self._lock:
            lock = self._locks.setdefault(table, threading.RLock())
        with lock, self._plainly(table):
            yield

    @contextmanager
    def _plainly(self, table: str) -> Iterator[None]:
        """Turn the errors of the libraries into one line without any of the data."""
        try:
            yield
        except (exceptions.DeltaError, OSError, pa.ArrowException) as error:
            self._tables.pop(table, None)
            raise LakeError(
                first_line(error),
                self._where(table),
                "see that the place exists, is writable and has room, then run again",
            ) from error
