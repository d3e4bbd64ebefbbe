"""What every asset works with: the places, the accounts, the lake, the ledger.

Belongs here: opening these once, lazily, by the environment. Does not belong here: work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from assets.normalise import Normaliser
from assets.pull import Pull, Puller
from assets.sources import accounts
from resources.accounts import Account, Accounts
from resources.api import Clock, Progress
from resources.errors import ConfigurationError
from resources.lake import Lake
from resources.ledger import Ledger
from resources.places import Places
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    from assets.push import Pusher
    from resources.proof import Proof


@dataclass
class Workshop:
    """One home, opened. Nothing is touched before it is asked for."""

    places: Places = field(default_factory=Places.from_environment)
    asking: Callable[[Progress], None] | None = None
    """Told of every request and every wait."""
    landed: Callable[[Pull], None] | None = None
    """Told after every landing commit."""
    clock: Clock | None = None
    """What waits are measured by; None for the clock on the wall."""
    sought: frozenset[str] = field(default=frozenset(), repr=False)
    """Values of the person whom this process erases: told to no run, log or ledger."""
    proof: Proof | None = None
    """What the search for them came to."""

    @property
    def accounts(self) -> Accounts:
        """accounts.toml as it is now: read afresh, so that a running service sees edits."""
        return accounts(self.places)

    @cached_property
    def lake(self) -> Lake:
        """The lake, opened."""
        self.places.prepare()
        return Lake(self.places.lake)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, opened."""
        self.places.prepare()
        return Ledger(self.places.ledger)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The published marts."""
        return Warehouse(self.places, self.lake)

    @property
    def puller(self) -> Puller:
        """What pulls accounts into this home's lake."""
        return Puller(
            self.places, self.lake, self.ledger, self.asking, self.landed, clock=self.clock
        )

    @property
    def pusher(self) -> Pusher:
        """What pushes from this home's marts."""
        from assets.push import Pusher

        return Pusher(self.places, self.lake, self.ledger, self.accounts, self.asking)

    def normaliser(self, account: Account) -> Normaliser:
        """What maps one account's raw records."""
        return Normaliser(account, self.lake, self.ledger)

    def active(self, key: str) -> Account:
        """An account that may be pulled. Raises ConfigurationError for an unknown or paused one."""
        account = self.accounts.get(key)
        if account.settings.paused:
            raise ConfigurationError(
                "the account is paused",
                where=f"{self.places.accounts}, table [{key}], key paused",
                remedy="set paused = false to pull it again",
            )
        return account

    def close(self) -> None:
        """Close the ledger, where it was opened."""
        if "ledger" in self.__dict__:
            self.ledger.close()
            del self.__dict__["ledger"]
