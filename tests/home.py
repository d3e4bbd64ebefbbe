"""A home of its own for a test, pointed at a running sandbox.

Belongs here: what tests that pull for real share. Does not belong here: assertions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from assets.pull import Pull
from assets.sweeping import Swept
from assets.workshop import Workshop
from resources.accounts import Account, AccountSettings
from resources.api import Clock
from sandbox.server import Sandbox

IS_NIGHTLY = bool(os.environ.get("ORDERLOOM_NIGHTLY"))
"""Whether to try more than a test run has time for: `make nightly`."""


def point_at(
    box: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock | None = None
) -> Workshop:
    """An empty home in `folder` whose accounts are those of the sandbox."""
    accounts = folder / "accounts.toml"
    accounts.write_text(box.accounts_toml(), encoding="utf-8")
    monkeypatch.setenv("ORDERLOOM_HOME", str(folder / "var"))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(accounts))
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    return Workshop(clock=clock)


def brightpearl_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account of a server that plays Brightpearl; every `Pulls` pulls it."""
    settings = AccountSettings(
        base_url=url,
        timezone="Europe/London",
        started_on=date(2026, 10, 1),
        requests_per_minute=100_000,
    )
    names = {"app_ref": "REF", "account_token": "TOKEN"}
    account = Account("brightpearl", "acme", settings, names)
    monkeypatch.setattr(Pulls, "account", lambda *_: account)
    return account


class Pulls:
    """Pulls and normalises accounts of one workshop, numbering the runs."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self._runs = 0

    def account(self, key: str) -> Account:
        """An account of accounts.toml."""
        return self.workshop.accounts.get(key)

    def changes(self, key: str) -> Pull:
        """One sync of one account, without publishing."""
        self._runs += 1
        account = self.account(key)
        pull = self.workshop.puller.changes(account, f"run-{self._runs}-{key}")
        self.workshop.normaliser(account).drain()
        return pull

    def sweep(self, key: str, *, accept_mass_deletion: bool = False) -> Swept:
        """One sweep of one account, without publishing."""
        self._runs += 1
        account = self.account(key)
        pull = self.workshop.puller.presence(
            account, f"sweep-{self._runs}-{key}", accept_mass_deletion=accept_mass_deletion
        )
        assert pull.swept is not None
        self.workshop.normaliser(account).drain()
        return pull.swept


@contextmanager
def open_sandbox(most: int | None = None) -> Iterator[Sandbox]:
    """A sandbox without request limits, its clock standing still.

    At most so many orders an account; all of them where `make nightly` asks for every case.
    """
    with Sandbox(lifted=True, most=None if IS_NIGHTLY else most) as box:
        yield box
