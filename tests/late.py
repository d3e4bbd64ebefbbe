"""A process that stands still in the middle of its work, and comes back too late.

Belongs here: the work, and where it stops itself. Does not belong here: what others do meanwhile,
and expectations (`test_late_writers.py`). Run as `python -m tests.late WORK POINT NTH FOLDER`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from assets.landing import Landing
from assets.normalise import Normaliser, rewriting
from assets.sources import source
from assets.sources.base import Record
from resources import lake as lakes
from resources.accounts import Account, AccountSettings
from resources.lake import Lake
from resources.ledger import Lease, Ledger

SECONDS = 0.3
"""Length of every lease that this process takes."""
ACCOUNT = Account(
    "brightpearl",
    "acme",
    AccountSettings(
        base_url="http://127.0.0.1:1", timezone="Europe/London", started_on=date(2020, 1, 1)
    ),
    {},
)

_RENEWING = threading.Lock()
"""Held while a lease is renewed: a process that is stopped then holds the whole ledger's lock."""


class ShortLedger(Ledger):
    """A ledger whose leases run out soon."""

    def lease(
        self,
        account: str,
        purpose: str,
        seconds: float = SECONDS,  # noqa: ARG002
        *,
        wait: float = 0.0,
    ) -> AbstractContextManager[Lease]:
        return super().lease(account, purpose, SECONDS, wait=wait)


def record(number: int) -> Record:
    """An order as Brightpearl gives it; the later ones are fetched later."""
    body = {
        "id": number,
        "orderTypeCode": "SO",
        "createdOn": "2026-11-01T10:00:00.000+00:00",
        "totalValue": {"net": "10.00", "taxAmount": "2.00", "total": "12.00"},
        "orderRows": {"1": {"rowValue": {"rowNet": {"currencyCode": "GBP", "value": "10.00"}}}},
    }
    moment = datetime(2026, 11, 2, 7, tzinfo=UTC) + timedelta(minutes=number)
    return Record(str(number), "/order/", json.dumps(body).encode(), moment)


def renew_by_turns() -> None:
    """Let no lease be renewed while the process stops itself."""
    check = Lease.check

    def checked(lease: Lease) -> None:
        with _RENEWING:
            check(lease)

    Lease.check = checked  # type: ignore[method-assign]


def land(lake: Lake, ledger: Ledger, *numbers: int) -> None:
    """Land orders."""
    landing = Landing(source("brightpearl"), ACCOUNT, lake, ledger, "run")
    landing.land([record(number) for number in numbers])
    landing.close()


def move_cursor(ledger: Ledger, reached: int) -> None:
    """Move the account's cursor under its lease."""
    with ledger.lease(ACCOUNT.key, "changes", wait=30) as lease:
        ledger.move_cursor(ACCOUNT.key, "changes", {"reached": reached}, "run", lease)


def stopping(real: Callable[..., Any], nth: int) -> Callable[..., Any]:
    """The same, but the nth call of it (the first is 0) waits for SIGCONT before it begins."""
    calls = iter(range(10_000))

    def stopped(*arguments: Any, **options: Any) -> Any:
        if next(calls) == nth:
            with _RENEWING:
                os.kill(os.getpid(), signal.SIGSTOP)
        return real(*arguments, **options)

    return stopped


def main(work: str, point: str, nth: int, folder: Path) -> None:
    """Work on a home until the chosen point, stop, and go on when told to."""
    lake, ledger = Lake(str(folder / "lake")), ShortLedger(f"sqlite:///{folder}/ledger.sqlite")
    if point == "look":
        lake.append = stopping(lake.append, nth)  # type: ignore[method-assign]
        lake.replace_account = stopping(lake.replace_account, nth)  # type: ignore[method-assign]
        ledger.move_cursor = stopping(ledger.move_cursor, nth)  # type: ignore[method-assign]
    elif work == "compact":
        lakes.data_files = stopping(lakes.data_files, nth)
    else:
        lakes.write_rows = stopping(lakes.write_rows, nth)
    renew_by_turns()
    normaliser = Normaliser(ACCOUNT, lake, ledger)
    if work == "land":
        land(lake, ledger, 1, 2)
    elif work == "move":
        move_cursor(ledger, 1)
    elif work == "compact":
        with rewriting(ledger, "raw"):
            lake.compact("raw")
    else:
        normaliser.drain() if work == "drain" else normaliser.replay()
    ledger.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
