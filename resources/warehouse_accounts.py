"""What is published of accounts beside their orders, and when that is out of date.

Belongs here: rows of dim_account and what they rest on. Does not belong here: finding it out
(`assets/reference.py`), building the file (`resources/warehouse_build.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from resources.lake import AccountKey

OUT_OF_DATE = timedelta(hours=1)
"""A file that shows an account's last success by more than this too old is made anew."""


@dataclass(frozen=True)
class AccountReference:
    """What is known of an account beside its orders. Moments are UTC."""

    source_system: str
    source_account: str
    timezone: str | None = None
    currency: str | None = None
    started_on: date | None = None
    paused: bool = False
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_error: str | None = None
    """Why its newest run failed; None where that succeeded."""
    stale_after_hours: float | None = None

    @property
    def settings(self) -> tuple[object, ...]:
        """What only the owner of accounts.toml changes."""
        return (
            self.source_system,
            self.source_account,
            self.timezone,
            self.currency,
            self.started_on,
            self.paused,
            self.stale_after_hours,
        )

    @property
    def stale_at(self) -> datetime | None:
        """From when on the account is stale; None: no run of it ever succeeded."""
        if self.last_success_at is None or self.stale_after_hours is None:
            return None
        return self.last_success_at + timedelta(hours=self.stale_after_hours)


@dataclass(frozen=True)
class Reference:
    """What is published beside the orders."""

    accounts: Sequence[AccountReference] = ()
    runs: Sequence[Mapping[str, Any]] = ()
    """Records of the columns of `runs` in schemas/published.py; moments zoned."""


@dataclass(frozen=True)
class Shown:
    """What a published file says of an account's runs."""

    last_success_at: datetime | None = None
    is_failing: bool = False

    @classmethod
    def in_file(cls, last_success_at: datetime | None, last_error: str | None) -> Shown:
        """As the file's columns say: moments without a zone, in UTC."""
        moment = None if last_success_at is None else last_success_at.replace(tzinfo=UTC)
        return cls(moment, last_error is not None)


def is_outdated(shown: Mapping[AccountKey, Shown], reference: Reference) -> bool:
    """Whether an account began or ceased to fail, or synced OUT_OF_DATE after what is shown."""
    return any(
        _differs(shown.get((each.source_system, each.source_account), Shown()), each)
        for each in reference.accounts
    )


def _differs(shown: Shown, account: AccountReference) -> bool:
    if shown.is_failing != (account.last_error is not None):
        return True
    if shown.last_success_at is None or account.last_success_at is None:
        return shown.last_success_at is not account.last_success_at
    return account.last_success_at - shown.last_success_at > OUT_OF_DATE


def rows_of(reference: Reference, published: Iterable[AccountKey]) -> list[dict[str, Any]]:
    """Rows of dim_account; an account that is no longer in accounts.toml counts as paused."""
    known = {(each.source_system, each.source_account): each for each in reference.accounts}
    gone = (
        AccountReference(*account, paused=True) for account in published if account not in known
    )
    return [
        {
            **asdict(each),
            "account": f"{each.source_system}.{each.source_account}",
            "stale_at": each.stale_at,
        }
        for each in (*known.values(), *gone)
    ]
