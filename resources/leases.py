"""Leases: who may work on what, among processes that know nothing of each other.

Belongs here: taking, keeping, checking and giving back a lease. Does not belong here: what is done
under it.

A lease lasts some seconds and is renewed from a thread while it is held. A holder that dies gives
it back by expiry; on the same machine at once. A holder that was only slow finds out by `check`,
since every taking raises the fencing token. Among processes of one host, whether a lease has run
out is told by the host's uptime, since the time of day may be set at any moment; the times of day
of all hosts that share a ledger must agree to within a lease's length.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from resources.errors import LedgerError
from resources.ledger_store import Store, leases
from resources.processes import is_gone, shares_our_clock, this_process

_FIRST_POLL, _LAST_POLL = 0.01, 0.5
"""Seconds between two tries to take a lease that somebody holds; doubled from first to last."""


class LeaseHeld(LedgerError):
    """Somebody else is at it."""


class LeaseLost(LedgerError):
    """The lease ran out and somebody else took it: nothing may be committed under it."""


@dataclass(frozen=True)
class Clocks:
    """The clocks by which leases run out."""

    now: Callable[[], datetime]
    """The time of day, UTC: what processes of different hosts have in common."""
    uptime: Callable[[], float] = time.monotonic
    """Seconds since the host was started, alike in all its processes; nobody can set it."""

    def expiry(self, seconds: float) -> dict[str, object]:
        """The columns that say when a lease runs out that is taken or renewed now."""
        return {
            "expires_at": self.now() + timedelta(seconds=seconds),
            "expires_uptime": self.uptime() + seconds,
        }

    def is_over(self, found: Row[Any]) -> bool:
        """Whether the lease of that row has run out, or its holder is gone."""
        if is_gone(found.process):
            return True
        if found.expires_uptime is not None and shares_our_clock(found.process):
            return bool(found.expires_uptime <= self.uptime())
        return bool(found.expires_at <= self.now())


@dataclass(eq=False)
class Lease:
    """A lease while it is held; made by `Ledger.lease`."""

    account: str
    purpose: str
    token: int
    """The fencing token: higher than that of everybody who held this lease before."""
    seconds: float
    store: Store = field(repr=False)
    clocks: Clocks = field(repr=False)

    def check(self) -> None:
        """Renew the lease. Raises LeaseLost if somebody else has taken it."""
        with self.store.writing() as connection:
            self.check_in(connection)

    def check_in(self, connection: Connection) -> None:
        """The same inside a transaction, which then commits only while the lease is held."""
        if not self._extend(connection, self.seconds):
            raise LeaseLost(
                f"lost the lease for {self.purpose}: it was not renewed within {self.seconds:g} "
                "seconds and somebody else took it",
                self.account,
                "nothing is lost: run again and it goes on from the last commit",
            )

    def give_back(self) -> None:
        """Let others take it at once. Nothing happens if it was lost."""
        with self.store.writing() as connection:
            self._extend(connection, -1)

    def _extend(self, connection: Connection, seconds: float) -> bool:
        mine = and_(_named(self.account, self.purpose), leases.c.token == self.token)
        renewed = update(leases).where(mine).values(**self.clocks.expiry(seconds))
        return connection.execute(renewed).rowcount == 1


@contextmanager
def hold(
    store: Store,
    account: str,
    purpose: str,
    *,
    seconds: float,
    wait: float,
    clocks: Clocks,
) -> Iterator[Lease]:
    """Hold a lease for the length of a block. Raises LeaseHeld after trying for `wait` seconds."""
    token = _take(store, account, purpose, seconds, wait, clocks)
    lease = Lease(account, purpose, token, seconds, store, clocks)
    over = threading.Event()
    heart = threading.Thread(target=_beat, args=(lease, over), name="lease", daemon=True)
    heart.start()
    try:
        yield lease
    finally:
        over.set()
        heart.join()
        lease.give_back()


def _beat(lease: Lease, over: threading.Event) -> None:
    while not over.wait(lease.seconds / 3):
        try:
            lease.check()
        except LeaseLost:
            return  # the holder finds out by its own check
        except LedgerError:
            continue  # the ledger may come back before the lease runs out


def _take(
    store: Store,
    account: str,
    purpose: str,
    seconds: float,
    wait: float,
    clocks: Clocks,
) -> int:
    give_up = time.monotonic() + wait
    pause = _FIRST_POLL
    while True:
        token = _try(store, account, purpose, seconds, clocks)
        if token is not None:
            return token
        left = give_up - time.monotonic()
        if left <= 0:
            raise _held(store, account, purpose)
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LAST_POLL)


def _try(store: Store, account: str, purpose: str, seconds: float, clocks: Clocks) -> int | None:
    """The token of the lease, or None if somebody holds it."""
    values = {
        "holder": f"{socket.gethostname()} process {os.getpid()}",
        "process": this_process(),
        "taken_at": clocks.now(),
        **clocks.expiry(seconds),
    }
    with store.writing() as connection:
        found = connection.execute(select(leases).where(_named(account, purpose))).one_or_none()
        if found is None:
            return _first(connection, {"account": account, "purpose": purpose, **values})
        if not clocks.is_over(found):
            return None
        unchanged = and_(_named(account, purpose), leases.c.token == found.token)
        taking = update(leases).where(unchanged).values(token=found.token + 1, **values)
        return found.token + 1 if connection.execute(taking).rowcount == 1 else None


def _first(connection: Connection, values: dict[str, object]) -> int | None:
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(token=1, **values))
    except IntegrityError:
        return None  # another process was first; only databases with concurrent writers do this
    return 1


def _held(store: Store, account: str, purpose: str) -> LeaseHeld:
    with store.reading() as connection:
        found = connection.execute(select(leases).where(_named(account, purpose))).one()
    return LeaseHeld(
        f"{purpose} is already under way: {found.holder} since "
        f"{found.taken_at:%Y-%m-%d %H:%M:%S} UTC",
        account,
        "let it finish, or stop it; if it has died its lease runs out at "
        f"{found.expires_at:%H:%M:%S} UTC",
    )


def _named(account: str, purpose: str) -> ColumnElement[bool]:
    return and_(leases.c.account == account, leases.c.purpose == purpose)
