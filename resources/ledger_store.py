"""The database that holds the ledger.

Belongs here: its tables, their version, connections, and turning a database's complaints into one
line. Does not belong here: what the ledger means by its rows (`ledger.py`, `leases.py`).

Portable SQL only: SQLite by default, PostgreSQL by URL.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.types import TypeDecorator

from resources import ledger_steps
from resources.errors import ConfigurationError, LedgerError
from resources.ledger_steps import VERSION
from resources.redaction import register

_BUSY_SECONDS = 30.0
"""How long SQLite waits for another process's write before it gives up."""


_READING = "orderloom_reading"
"""Execution option of connections that only read: they begin no transaction on SQLite."""
_DURABLE = "orderloom_durable"
"""Execution option of transactions that wait until they are on the disk, on SQLite, too."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, kept without an offset so that every database orders it alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


METADATA = MetaData()

_version = Table("ledger_version", METADATA, Column("version", Integer, nullable=False))

cursors = Table(
    "cursors",
    METADATA,
    Column("account", String(200), primary_key=True),
    Column("stream", String(50), primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("moved_at", Moment, nullable=False),
    Column("run_id", String(100), nullable=False),
)

leases = Table(
    "leases",
    METADATA,
    Column("account", String(200), primary_key=True),
    Column("purpose", String(50), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("process", String(200), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("expires_uptime", Float),  # the same moment in seconds since the holder's host started
)

runs = Table(
    "runs",
    METADATA,
    Column("run_id", String(100), primary_key=True),
    Column("account", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("ordinal", BigInteger),  # in the order of their beginning, whatever the clock said
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("outcome", String(20), nullable=False),
    Column("error", Text),
    Column("alarm", String(40)),
    Column("window_from", String(40)),
    Column("window_to", String(40)),
    Column("requests", BigInteger),
    Column("least_requests", BigInteger),
    Column("announced", BigInteger),
    Column("listed", BigInteger),
    Column("warnings", Text),
    Column("received", BigInteger),
    Column("new", BigInteger),
    Column("changed", BigInteger),
    Column("unchanged", BigInteger),
    Column("quarantined", BigInteger),
    Column("cancelled", BigInteger),
    Column("bytes", BigInteger),
    Column("seconds", Float),
    Column("waited_seconds", Float),
    Index("runs_by_account", "account", "kind", "finished_at"),
    Index("runs_by_start", "started_at"),
    Index("runs_by_ordinal", "ordinal"),
    Index("runs_by_kind", "kind", "account", "outcome", "ordinal", "finished_at"),
)

running = Table(
    "running",
    METADATA,
    Column("run_id", String(100), primary_key=True),
    Column("process", String(200), nullable=False),
)
"""Which process a run that has not finished belongs to: of one that is gone it is told."""

backfill_days = Table(
    "backfill_days",
    METADATA,
    Column("account", String(200), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("finished_at", Moment, nullable=False),
    Column("run_id", String(100)),
)

registrations = Table(
    "registrations",
    METADATA,
    Column("account", String(200), primary_key=True),
    Column("external_id", String(250), primary_key=True),
    Column("order_key", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("body_hash", String(64), nullable=False),
    Column("body", Text),
    Column("response", Text),
    Column("run_id", String(100), nullable=False),
    Column("intended_at", Moment, nullable=False),
    Column("known_at", Moment),
    Column("landed_at", Moment),
    Column("reason", Text),
    Index("registrations_by_state", "account", "state", "landed_at"),
)

erasures = Table(
    "erasures",
    METADATA,
    Column("erasure_id", String(40), primary_key=True),
    Column("asked_by", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("released_at", Moment),
    Column("accounts", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("proof", Text),
)

erasure_marks = Table(
    "erasure_marks",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("erasure_id", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("account", String(200), nullable=False),
    Column("mark", Text, nullable=False),
    Column("detail", String(20), nullable=False),
    Index("erasure_marks_by_account", "account", "kind"),
)
"""By what an erased person is known again: keyed hashes, and order keys."""

erasure_key = Table(
    "erasure_key",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("secret", String(64), nullable=False),
)
"""The one key of those hashes."""

_FREE_TEXTS = {runs: ("error", "warnings"), registrations: ("body", "response", "reason")}
"""What may quote somebody by accident: nothing that is looked up, compared or counted."""


class Store:
    """Connections to one ledger database. Thread safe; processes may share the database."""

    def __init__(self, url: str) -> None:
        """Opens the database and makes its tables where there are none.

        Raises ConfigurationError for a URL that cannot be used, LedgerError for a database that
        cannot be reached, holds something else or is of another version.
        """
        parsed = _parse(url)
        register(str(parsed.password or ""))
        self._where = parsed.render_as_string(hide_password=True)
        self._engine = self._make_engine(parsed)
        with self.writing() as connection:
            self._prepare(connection)

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on an error.

        If `durable` it outlasts a power cut as soon as it is committed.
        """
        engine = self._engine.execution_options(**{_DURABLE: durable})
        with self._complaints(), engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for single SELECTs, which wait for no writer."""
        with self._complaints(), self._engine.connect() as connection:
            yield connection.execution_options(**{_READING: True})

    def rewrite(self, rewritten: Callable[[str], str]) -> int:
        """Pass the free texts of every record through a function; how many records it changed.

        A text that is JSON stays as it is where it would become none.
        """
        changed = 0
        for table, names in _FREE_TEXTS.items():
            keys = list(table.primary_key.columns)
            texts = [table.columns[name] for name in names]
            with self.writing(durable=True) as connection:
                for row in connection.execute(select(*keys, *texts)).mappings().all():
                    new = {name: _rewritten(row[name], rewritten) for name in names}
                    if all(row[name] == text for name, text in new.items()):
                        continue
                    this = and_(*(key == row[key.name] for key in keys))
                    changed += connection.execute(update(table).where(this).values(**new)).rowcount
        return changed

    def close(self) -> None:
        self._engine.dispose()

    def _make_engine(self, url: URL) -> Engine:
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite and url.database:
            with self._complaints():
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        try:
            engine = create_engine(url, pool_pre_ping=not sqlite, hide_parameters=True)
        except (SQLAlchemyError, ImportError) as error:
            raise ConfigurationError(
                f"cannot be used: {error}",
                f"ledger {self._where}",
                "correct ORDERLOOM_LEDGER, or install the driver that it names",
            ) from None
        if sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _prepare(self, connection: Connection) -> None:
        """Make the tables, or check that they are ours; in one transaction, for many may try."""
        present = set(inspect(connection).get_table_names())
        if _version.name in present:
            self._bring_up_to_date(connection)
        elif present & set(METADATA.tables):
            raise LedgerError(
                "holds tables of the same names that are not a ledger's",
                self._where,
                "give orderloom a database of its own in ORDERLOOM_LEDGER",
            )
        else:
            METADATA.create_all(connection, checkfirst=False)
            connection.execute(insert(_version).values(version=VERSION))

    def _bring_up_to_date(self, connection: Connection) -> None:
        """Add what later versions added. Raises LedgerError for a version that is not known."""
        found = connection.execute(select(_version.c.version)).scalar()
        if found == VERSION:
            return
        # Another process may be adding the same: PostgreSQL lets one at a time go on from here.
        found = connection.execute(select(_version.c.version).with_for_update()).scalar()
        if found == VERSION:
            return
        if found is not None and 1 <= found < VERSION:
            ledger_steps.take(connection, METADATA, found)
            connection.execute(update(_version).values(version=VERSION))
            return
        if found is not None and found > VERSION:
            remedy = "install the newer orderloom that wrote it"
        else:
            remedy = "restore it from a copy, or move it away to start a new one"
        raise LedgerError(
            f"is of version {found}; this orderloom reads and writes version {VERSION}",
            self._where,
            remedy,
        )

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        """Turn what a database driver raises into a LedgerError of one line, without SQL."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error)
            raise LedgerError(
                f"cannot be used: {reason}",
                f"ledger {self._where}",
                "check that it can be reached, that its disk has room, and that it is a ledger",
            ) from None


def _rewritten(text: str | None, rewritten: Callable[[str], str]) -> str | None:
    if not text:
        return text
    new = rewritten(text)
    return text if new != text and _is_json(text) and not _is_json(new) else new


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "is not a SQLAlchemy URL",
            "ORDERLOOM_LEDGER",
            "write e.g. sqlite:////var/lib/orderloom/ledger.sqlite",
        ) from None


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late, and then fail where they should wait.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
    _set_wal(connection)
    # After a power cut the last commits may be gone, the file stays whole: a lease means nothing
    # then. What has to outlast it asks for that (`Store.writing`).
    connection.execute("PRAGMA synchronous = NORMAL")
    # Personal data that was deleted is not to linger in free pages.
    connection.execute("PRAGMA secure_delete = ON")


def _set_wal(connection: Any) -> None:
    """Readers then never wait for writers. Switching does not honour the busy time-out."""
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(_READING):
        return
    level = "FULL" if options.get(_DURABLE) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")  # of no effect once it has begun
    connection.exec_driver_sql("BEGIN IMMEDIATE")
