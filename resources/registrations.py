"""Registrations: what was, or may have been, sent outward, each at most once.

Belongs here: the states of a registration and how one becomes another. Does not belong here: what
is sent (`assets/push.py`), how (the source), and landing what was accepted.

An intent is on the disk before anything is sent. What becomes of it is recorded afterwards; an
intent without an outcome is in doubt, and nothing in doubt is sent again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from resources.leases import Lease
from resources.ledger_store import Store
from resources.ledger_store import registrations as table
from resources.redaction import redact

INTENDED = "intended"
"""About to be sent, or being sent."""
ACCEPTED = "accepted"
"""The API has it."""
REFUSED = "refused"
"""The API said no, or a person decided that it does not have it."""
UNCERTAIN = "uncertain"
"""Sent, or about to be, and then no answer that says which: a person decides."""
RELEASED = "released"
"""Certainly not with the API, or to be sent again by decision."""

_DECIDABLE = (UNCERTAIN, REFUSED)
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Registration:
    """One registration as the ledger has it. Moments are UTC."""

    account: str
    external_id: str
    order_key: str
    state: str
    body_hash: str
    """SHA-256 of the body, hexadecimal."""
    body: str | None
    """What was sent; forgotten once it is landed, or certainly of no more use."""
    response: str | None
    run_id: str
    intended_at: datetime
    known_at: datetime | None
    """When the outcome was known."""
    landed_at: datetime | None
    reason: str | None

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person's decision."""
        return self.state == UNCERTAIN or (self.state == REFUSED and self.body is not None)


class Registrations:
    """The registrations of one ledger. Every method raises LedgerError for an unusable database."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def intend(
        self, external_id: str, order_key: str, body: bytes, run_id: str, lease: Lease
    ) -> bool:
        """Note, durably, that this is about to be sent; False if it may not be sent.

        It may be sent where it was never intended before, or was released since. The account is
        that of the lease. Raises LeaseLost, and then notes nothing.
        """
        values = {
            "order_key": order_key,
            "state": INTENDED,
            "body_hash": sha256(body).hexdigest(),
            "body": body.decode(),
            "response": None,
            "run_id": run_id,
            "intended_at": self._now(),
            "known_at": None,
            "landed_at": None,
            "reason": None,
        }
        named = _named(lease.account, external_id)
        with self._store.writing(durable=True) as connection:
            lease.check_in(connection)
            state = connection.execute(select(table.c.state).where(named)).scalar()
            if state is None:
                key = {"account": lease.account, "external_id": external_id}
                connection.execute(insert(table).values(**key, **values))
                return True
            if state != RELEASED:
                return False
            connection.execute(update(table).where(named).values(**values))
            return True

    def conclude(
        self,
        account: str,
        external_id: str,
        run_id: str,
        state: str,
        *,
        reason: str | None = None,
        response: bytes | None = None,
    ) -> bool:
        """Record what became of what this run intended; False if it is no longer this run's.

        A run that lost its lease may still do so: it knows, and nobody else does.
        """
        pending = table.c.state.in_((INTENDED, UNCERTAIN))
        mine = and_(_named(account, external_id), table.c.run_id == run_id, pending)
        values: dict[str, Any] = {
            "state": state,
            "known_at": self._now(),
            "reason": _reason(reason),
            "response": response.decode() if response is not None else None,
        }
        if state == RELEASED:
            values["body"] = None
        with self._store.writing(durable=True) as connection:
            return connection.execute(update(table).where(mine).values(**values)).rowcount == 1

    def doubt(self, lease: Lease, reason: str) -> int:
        """Call uncertain every intent that has no outcome; how many there were.

        By the holder of the lease under which intents are made: nobody else is sending.
        """
        pending = and_(table.c.account == lease.account, table.c.state == INTENDED)
        values = {"state": UNCERTAIN, "reason": reason, "known_at": self._now()}
        with self._store.writing(durable=True) as connection:
            lease.check_in(connection)
            return connection.execute(update(table).where(pending).values(**values)).rowcount

    def decide(self, lease: Lease, external_id: str, state: str, reason: str) -> bool:
        """Record a person's decision on what waits for one; False if that does not.

        `state`: ACCEPTED, REFUSED or RELEASED. Only what still has its body can become accepted.
        """
        open_ = and_(_named(lease.account, external_id), table.c.state.in_(_DECIDABLE))
        if state == ACCEPTED:
            open_ = and_(open_, table.c.body.is_not(None))
        values: dict[str, Any] = {"state": state, "reason": reason, "known_at": self._now()}
        if state != ACCEPTED:
            values["body"] = None
        with self._store.writing(durable=True) as connection:
            lease.check_in(connection)
            return connection.execute(update(table).where(open_).values(**values)).rowcount == 1

    def kept(self, account: str) -> list[Registration]:
        """Everything of which what was sent is still kept."""
        wanted = and_(table.c.account == account, table.c.body.is_not(None))
        return list(self._read(select(table).where(wanted)))

    def blank(self, account: str, external_id: str, body: str) -> None:
        """Put another body in the place of the one that was sent: its customer was erased.

        What was answered, and why it came to its state, is forgotten: either may quote them.
        """
        values = {
            "body": body,
            "body_hash": sha256(body.encode()).hexdigest(),
            "response": None,
            "reason": None,
        }
        with self._store.writing(durable=True) as connection:
            connection.execute(update(table).where(_named(account, external_id)).values(**values))

    def unlanded(self, account: str, limit: int) -> list[Registration]:
        """What was accepted and is not landed yet, the oldest first."""
        wanted = and_(
            table.c.account == account, table.c.state == ACCEPTED, table.c.landed_at.is_(None)
        )
        order = (table.c.known_at, table.c.external_id)
        return list(self._read(select(table).where(wanted).order_by(*order).limit(limit)))

    def mark_landed(self, account: str, external_ids: Sequence[str]) -> None:
        """Note that these are in the lake, and forget what was sent."""
        wanted = and_(
            table.c.account == account,
            table.c.external_id.in_(external_ids),
            table.c.state == ACCEPTED,
        )
        values = {"landed_at": self._now(), "body": None, "response": None}
        with self._store.writing() as connection:
            connection.execute(update(table).where(wanted).values(**values))

    def get(self, account: str, external_id: str) -> Registration | None:
        """One registration."""
        return next(self._read(select(table).where(_named(account, external_id))), None)

    def unsettled(self, account: str) -> list[Registration]:
        """What is under way, or waits for a decision; the oldest first."""
        refused = and_(table.c.state == REFUSED, table.c.body.is_not(None))
        wanted = or_(table.c.state.in_((INTENDED, UNCERTAIN)), refused)
        query = select(table).where(table.c.account == account, wanted)
        return list(self._read(query.order_by(table.c.intended_at, table.c.external_id)))

    def taken(self, account: str) -> dict[str, str]:
        """External id -> state of everything that may not be sent."""
        query = select(table.c.external_id, table.c.state).where(
            table.c.account == account, table.c.state != RELEASED
        )
        with self._store.reading() as connection:
            return {row.external_id: row.state for row in connection.execute(query)}

    def since(self, account: str, moment: datetime) -> list[Registration]:
        """What the API has, or may have, and was sent at or after a moment."""
        wanted = and_(
            table.c.account == account,
            table.c.state.in_((INTENDED, ACCEPTED, UNCERTAIN)),
            table.c.intended_at >= moment,
        )
        return list(self._read(select(table).where(wanted)))

    def counts(self, account: str, run_id: str | None = None) -> dict[str, int]:
        """State -> how many, of an account or of one of its runs."""
        wanted = table.c.account == account
        if run_id is not None:
            wanted = and_(wanted, table.c.run_id == run_id)
        query = select(table.c.state, func.count().label("n")).where(wanted).group_by(table.c.state)
        with self._store.reading() as connection:
            return {row.state: row.n for row in connection.execute(query)}

    def _read(self, query: Any) -> Iterator[Registration]:
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return (Registration(**row) for row in rows)


def _named(account: str, external_id: str) -> ColumnElement[bool]:
    return and_(table.c.account == account, table.c.external_id == external_id)


def _reason(text: str | None) -> str | None:
    return None if text is None else redact(" ".join(text.split()))[:_LONGEST_REASON]
