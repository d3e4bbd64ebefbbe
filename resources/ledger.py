"""What has been done: cursors, leases, runs and finished backfill days.

Belongs here: reading and writing the ledger's rows. Does not belong here: the database
(`ledger_store.py`), and deciding when a cursor may move (`assets/pull.py`).

Importing it imports SQLAlchemy, a quarter of a second: commands that need no ledger do not.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from resources import leases as leasing
from resources.erasures import Erasures
from resources.errors import LedgerError
from resources.leases import Lease, LeaseHeld, LeaseLost
from resources.ledger_store import Store, backfill_days, cursors, running, runs
from resources.ledger_trim import forget_runs
from resources.processes import is_gone, this_process
from resources.redaction import redact
from resources.registrations import Registrations

__all__ = ["RECEIVED_NOTHING", "Freshness", "Lease", "LeaseHeld", "LeaseLost", "Ledger"]

CHANGES, NORMALISE, PUBLISH = "changes", "normalise", "publish"
"""Kinds of runs by which an account's state is told."""
KINDS = frozenset({CHANGES, NORMALISE, PUBLISH, "history", "presence", "replay", "compact", "push"})
OUTCOMES = frozenset({"running", "succeeded", "failed"})
NUMBERS = frozenset(
    {
        "window_from",
        "window_to",
        "requests",
        "least_requests",
        "announced",
        "listed",
        "warnings",
        "received",
        "new",
        "changed",
        "unchanged",
        "quarantined",
        "cancelled",
        "bytes",
        "seconds",
        "waited_seconds",
        "alarm",
    }
)
"""What `finish_run` takes: columns of the table `runs`. Windows are text, as shown to people, and
`alarm` says what made a run fail that ended without a fault."""

RECEIVED_NOTHING = "received_nothing"
"""Alarm of a run that ended well but for receiving nothing where every run before had."""

_LONGEST_ERROR = 2000
_LONGEST_RUN = timedelta(days=1)


@dataclass(frozen=True)
class Freshness:
    """How an account's runs of one kind have gone. Moments are UTC."""

    last_success: datetime | None = None
    last_failure: datetime | None = None
    error: str | None = None
    """What the last failure said."""
    is_failing: bool = field(default=False, compare=False)
    """Whether the newest run that has ended failed: by the order of runs, not by the clock."""

    def stale_at(self, hours: float) -> datetime | None:
        """From when on the account is stale, after so many hours; None: nothing ever succeeded."""
        return None if self.last_success is None else self.last_success + timedelta(hours=hours)


class Ledger:
    """The ledger at one URL. Thread safe, and safe among processes. All moments are UTC.

    Every method raises LedgerError where the database cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the ledger, and makes it where there is none.

        `now` is the time of day, `uptime` the seconds since this host was started: the first may
        be set at any moment, and stamps; the second decides which lease has run out.

        Raises ConfigurationError for an unusable URL, LedgerError for a ledger of another version.
        """
        self._store = Store(url)
        self._now = now
        self._clocks = leasing.Clocks(now, uptime)
        self.registrations = Registrations(self._store, now)
        """What was sent outward; see `resources/registrations.py`."""
        self.erasures = Erasures(self._store, now)
        """Whom nothing may be kept of; see `resources/erasures.py`."""

    def close(self) -> None:
        self._store.close()

    def rewrite(self, rewritten: Callable[[str], str]) -> int:
        """Pass the free texts of every record through a function; how many records it changed."""
        return self._store.rewrite(rewritten)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def cursor(self, account: str, stream: str = "changes") -> dict[str, Any] | None:
        """Where the stream goes on; None if it has never begun."""
        wanted = and_(cursors.c.account == account, cursors.c.stream == stream)
        with self._store.reading() as connection:
            text = connection.execute(select(cursors.c.cursor).where(wanted)).scalar()
        if text is None:
            return None
        cursor: dict[str, Any] = json.loads(text)
        return cursor

    def move_cursor(
        self, account: str, stream: str, cursor: Mapping[str, Any], run_id: str, lease: Lease
    ) -> None:
        """Store a cursor, in one transaction with the check that the lease is still held.

        Raises LeaseLost, and then moves nothing.
        """
        key = {"account": account, "stream": stream}
        values = {"cursor": json.dumps(cursor), "moved_at": self._now(), "run_id": run_id}
        with self._store.writing(durable=True) as connection:
            lease.check_in(connection)
            _put(connection, cursors, key, values)

    def lease(
        self, account: str, purpose: str, seconds: float = 60.0, *, wait: float = 0.0
    ) -> AbstractContextManager[Lease]:
        """Hold a lease for the length of a `with` block, renewing it as long as that lasts.

        Raises LeaseHeld, saying who holds it since when, if it cannot be had within `wait` seconds.
        """
        return leasing.hold(
            self._store, account, purpose, seconds=seconds, wait=wait, clocks=self._clocks
        )

    def start_run(self, account: str, kind: str, run_id: str | None = None) -> str:
        """Note that a run has begun; its id. The same run begun again is one run.

        Runs whose process has ended without finishing them are marked as failed.

        Raises LedgerError if the id belongs to a run of another account or kind.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind} is no kind of run")
        run_id = run_id or uuid.uuid4().hex
        with self._store.writing() as connection:
            self._close_gone(connection)
            found = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
            if found is not None and (found.account, found.kind) != (account, kind):
                raise LedgerError(
                    f"run {run_id} is already the {found.kind} of {found.account}",
                    account,
                    "give every account and kind a run id of its own",
                )
            afresh = {column.name: None for column in runs.columns if column.name in NUMBERS}
            newest = connection.execute(select(func.max(runs.c.ordinal))).scalar()
            values = {
                "ordinal": (newest or 0) + 1,
                "started_at": self._now(),
                "finished_at": None,
                "outcome": "running",
            }
            key = {"run_id": run_id}
            rest = {"account": account, "kind": kind, "error": None}
            _put(connection, runs, key, {**afresh, **values, **rest})
            _put(connection, running, key, {"process": this_process()})
        return run_id

    def finish_run(
        self, run_id: str, outcome: str, *, error: str | None = None, **numbers: Any
    ) -> None:
        """Note how a run ended, and the numbers of `NUMBERS`. The error is redacted."""
        if outcome not in OUTCOMES or not numbers.keys() <= NUMBERS:
            raise ValueError(f"no such outcome or number: {outcome}, {sorted(numbers)}")
        text = None if error is None else redact(error)[:_LONGEST_ERROR]
        ended = {"finished_at": self._now(), "outcome": outcome, "error": text}
        with self._store.writing(durable=True) as connection:
            connection.execute(
                update(runs).where(runs.c.run_id == run_id).values(**ended, **numbers)
            )
            connection.execute(delete(running).where(running.c.run_id == run_id))

    def always_received(self, account: str, kind: str, runs_at_least: int) -> bool:
        """Whether so many runs have ended well, and none of all of them received nothing.

        A run that ended with the alarm RECEIVED_NOTHING is one that received nothing; runs that
        failed otherwise say nothing about it.
        """
        found = func.coalesce(runs.c.received, 0) + func.coalesce(runs.c.listed, 0)
        ended_well = or_(runs.c.outcome == "succeeded", runs.c.alarm == RECEIVED_NOTHING)
        query = select(func.count(), func.min(found)).where(
            runs.c.account == account, runs.c.kind == kind, ended_well
        )
        with self._store.reading() as connection:
            count, least = connection.execute(query).one()
        return bool(count >= runs_at_least and least > 0)

    def close_abandoned(self, account: str, kind: str, run_id: str) -> int:
        """Mark as failed what still counts as running besides `run_id`; how many there were.

        For kinds that are exclusive per account, by whoever holds the lease.
        """
        others = and_(
            runs.c.account == account,
            runs.c.kind == kind,
            runs.c.outcome == "running",
            runs.c.run_id != run_id,
        )
        with self._store.writing() as connection:
            return self._close(connection, others)

    def _close_gone(self, connection: Connection) -> None:
        """Mark as failed the runs of processes that are certainly gone, and those older than a day.

        After a restart of the machine nothing tells whether a process was its own or another's.
        """
        begun = select(running, runs.c.started_at).join(runs, runs.c.run_id == running.c.run_id)
        for run_id, process, started_at in connection.execute(begun).all():
            if is_gone(process) or self._now() - started_at > _LONGEST_RUN:
                unfinished = and_(runs.c.run_id == run_id, runs.c.outcome == "running")
                self._close(connection, unfinished)
                connection.execute(delete(running).where(running.c.run_id == run_id))

    def _close(self, connection: Connection, which: ColumnElement[bool]) -> int:
        error = "ended without saying so: its process was stopped"
        values = {"outcome": "failed", "error": error, "finished_at": self._now()}
        return connection.execute(update(runs).where(which).values(**values)).rowcount

    def runs(
        self, limit: int | None = 100, account: str | None = None, kind: str | None = None
    ) -> list[dict[str, Any]]:
        """Runs, the newest first; keys are the columns of the table but the ordinal.

        `limit=None`: all.
        """
        by_age = func.coalesce(runs.c.ordinal, 0).desc(), runs.c.started_at.desc()
        shown = [column for column in runs.columns if column is not runs.c.ordinal]
        query = select(*shown).order_by(*by_age, runs.c.run_id).limit(limit)
        if account is not None:
            query = query.where(runs.c.account == account)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        with self._store.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def forget_runs(self, *, idle_days: int, any_days: int) -> int:
        """Delete old rows of run history; how many there were. See `ledger_trim.py`.

        `idle_days`: for how many days successful runs that brought nothing are kept; `any_days`:
        all others.
        """
        now = self._now()
        idle, others = now - timedelta(days=idle_days), now - timedelta(days=any_days)
        return forget_runs(self._store, idle, others)

    def last_window(self, account: str, kind: str) -> str | None:
        """The end of the window of an account's newest successful run of a kind, as text."""
        query = (
            select(runs.c.window_to)
            .where(runs.c.account == account, runs.c.kind == kind, runs.c.outcome == "succeeded")
            .order_by(func.coalesce(runs.c.ordinal, 0).desc(), runs.c.finished_at.desc())
            .limit(1)
        )
        with self._store.reading() as connection:
            return connection.execute(query).scalar()

    def newest_runs(self, kind: str) -> list[dict[str, Any]]:
        """Of every account its newest run of a kind that has ended, by account."""
        place = func.row_number().over(
            partition_by=runs.c.account, order_by=(runs.c.finished_at.desc(), runs.c.run_id)
        )
        ended = (
            select(runs, place.label("place"))
            .where(runs.c.kind == kind, runs.c.finished_at.is_not(None))
            .subquery()
        )
        query = select(ended).where(ended.c.place == 1).order_by(ended.c.account)
        with self._store.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def freshness(self, kind: str = "changes") -> dict[str, Freshness]:
        """Per account: the last success and the last failure of a kind of run."""
        place = func.coalesce(runs.c.ordinal, 0).label("place")
        newest = func.row_number().over(
            partition_by=(runs.c.account, runs.c.outcome),
            order_by=(place.desc(), runs.c.finished_at.desc()),
        )
        told = runs.c.account, runs.c.outcome, runs.c.finished_at, runs.c.error, place
        ended = (
            select(*told, newest.label("n"))
            .where(runs.c.kind == kind, runs.c.finished_at.is_not(None))
            .subquery()
        )
        oldest_first = (
            select(ended).where(ended.c.n == 1).order_by(ended.c.place, ended.c.finished_at)
        )
        found: dict[str, dict[str, Any]] = {}
        with self._store.reading() as connection:
            for row in connection.execute(oldest_first):
                of_account = found.setdefault(row.account, {})
                failed = row.outcome != "succeeded"
                of_account["is_failing"] = failed
                of_account["last_failure" if failed else "last_success"] = row.finished_at
                if failed:
                    of_account["error"] = row.error
        return {account: Freshness(**values) for account, values in sorted(found.items())}

    def failing_since(self, account: str, kind: str = "changes") -> datetime | None:
        """When the first of the runs failed that have failed in a row until now; None: none has."""
        place = func.coalesce(runs.c.ordinal, 0)
        of_kind = and_(runs.c.account == account, runs.c.kind == kind)
        succeeded = select(func.max(place)).where(of_kind, runs.c.outcome == "succeeded")
        later = place > func.coalesce(succeeded.scalar_subquery(), -1)
        query = select(func.min(runs.c.finished_at)).where(
            of_kind, runs.c.outcome == "failed", later
        )
        with self._store.reading() as connection:
            return connection.execute(query).scalar()

    def mark_day(self, account: str, day: date, run_id: str | None = None) -> None:
        """Note that a day, a civil date in the account's zone, has been backfilled."""
        values = {"finished_at": self._now(), "run_id": run_id}
        with self._store.writing(durable=True) as connection:
            _put(connection, backfill_days, {"account": account, "day": day}, values)

    def finished_days(self, account: str, by: Collection[str] | None = None) -> frozenset[date]:
        """The days that have been backfilled; with `by`, those last done by one of these runs."""
        query = select(backfill_days.c.day).where(backfill_days.c.account == account)
        if by is not None:
            query = query.where(backfill_days.c.run_id.in_(by))
        with self._store.reading() as connection:
            return frozenset(connection.execute(query).scalars())


def _put(
    connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Update the row of that key, or insert it."""
    matching = and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(update(table).where(matching).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values))
