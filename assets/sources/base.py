"""The contract between a source and everything else.

Belongs here: what a source declares and what it yields. Does not belong here: HTTP (resources/api),
landing and normalising (assets/landing, assets/normalise), anything of Dagster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from resources.accounts import Account, AccountKind, AccountSettings
from resources.api import Api, Reply
from resources.budget import BudgetError
from resources.errors import ApiError

Item = TypeVar("Item")
Cursor = dict[str, Any]
"""How far `changes` has come in one account: a small JSON object, read by its source alone."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One order as received. `source_order_id` is None where the source gave no id.

    There are millions of them, and the garbage collector need not look at any: what they hold can
    lead to no cycle.
    """

    source_order_id: str | None
    endpoint: str
    body: bytes
    """The exact JSON bytes of one order."""
    fetched_at: datetime
    """When the reply arrived, UTC."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that are landed in one commit.

    `cursor`, where given, is stored after the records are durable: a later run goes on from there.
    """

    records: Sequence[Record]
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """What one complete and successful answer tells about known orders.

    An order that was `asked` about and is not `there` is absent. What a source could not find out
    for certain it leaves out of `asked`; an order that is anywhere `there` counts as there.
    """

    endpoint: str
    """How it was asked, as the tombstone will say."""
    asked: frozenset[str]
    there: frozenset[str]
    """Orders that the answer names, known or not."""
    fetched_at: datetime
    """When the reply arrived, UTC."""


class Unfit(Exception):
    """An order that an API would not take; the text says why, without personal data."""


@dataclass(frozen=True, slots=True)
class PublishedOrder:
    """What the marts say of an order that may be pushed."""

    order_key: str
    order_number: str | None
    placed_on: date
    email: str | None
    full_name: str | None
    rows_state: str
    products: Sequence[Mapping[str, str | None]]
    """product_id, product_name, sku, gtin, product_url and image_url of each."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One order as it is sent."""

    external_id: str
    """What the API knows it by."""
    order_key: str
    body: bytes
    """The exact JSON bytes."""
    notes: tuple[str, ...] = ()
    """What was left out of it, and why."""


OutcomeState = Literal["accepted", "refused", "uncertain", "unsent"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order that was sent."""

    external_id: str
    state: OutcomeState
    """`uncertain`: the API may have acted on it; `unsent`: it certainly has not."""
    reason: str | None = None
    response: bytes | None = None
    """The reply's JSON, where it was accepted."""
    error: ApiError | BudgetError | None = None
    """What speaks against sending further ones, where it is `unsent`."""


class Until:
    """The upper bound of a run: the server's time at its first reply, less a margin.

    Of a server that does not tell its time, ours is taken.

    Fixed once, so that an order changed while the run reads is left to the next run. Asked for
    before the first reply it raises LookupError: a source asks its first question without it.
    """

    def __init__(self, api: Api, margin: timedelta) -> None:
        self._api = api
        self._margin = margin

    @property
    def moment(self) -> datetime:
        """The bound, UTC."""
        return self.asked_at - self._margin

    @property
    def asked_at(self) -> datetime:
        """The server's time at the run's first reply, UTC, without the margin.

        What the run then reads of an order holds every change stamped before it. A change within
        that very second, or later, may follow under the same stamp, since stamps are in seconds.
        """
        if self._api.first_server_time is None:
            raise LookupError(f"{self._api.account.key} has not answered yet")
        return self._api.first_server_time


class Source(ABC):
    """One order API: what its accounts need, and up to four ways of asking.

    The ways that an API does not have are left as they stand here; `ways` names those it has.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """How people write the product's name."""
    settings: ClassVar[type[AccountSettings]] = AccountSettings
    credentials: ClassVar[tuple[frozenset[str], ...]]
    """The sets of credential names of which an account gives one."""
    requests_per_minute: ClassVar[int]
    """Default request budget."""
    ways: ClassVar[frozenset[str]]
    """Which of changes, history, sweep and push this API has."""
    never_stored: ClassVar[frozenset[str]] = frozenset()
    """Keys of an order that are removed before anything is kept; `a.b` is key b inside key a."""
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Keys that change without the order changing, written likewise: kept, but not hashed."""
    margin: ClassVar[timedelta] = timedelta(minutes=2)
    """A cursor stays this far behind the server's time, for orders committed late."""
    batch_size: ClassVar[int] = 2000
    """Orders landed in one commit, about."""

    def kind(self) -> AccountKind:
        """What an account of this source must and may say in accounts.toml."""
        swept = "sweep" in self.ways
        return AccountKind(self.settings, self.credentials, can_be_swept=swept)

    # How the API is spoken to (resources.api.Dialect).

    @abstractmethod
    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:
        """The headers that authenticate a request."""

    def login(self, api: Api, secrets: Mapping[str, str]) -> dict[str, str] | None:  # noqa: ARG002
        """Headers that must be asked for first; None where the credentials suffice."""
        return None

    def throttle(self, reply: Reply, now: datetime) -> float | None:  # noqa: ARG002
        """Seconds to wait where a reply says that too many requests were made, else None."""
        if reply.status != 429:
            return None
        return seconds_of(reply.headers.get("Retry-After"), default=60.0)

    def refusal(self, reply: Reply) -> str | None:  # noqa: ARG002
        """The API's own words where a reply is a refusal whatever its status, else None."""
        return None

    def spare(self, reply: Reply) -> tuple[int, float] | None:  # noqa: ARG002
        """Requests left and seconds until the budget is renewed, where the reply tells."""
        return None

    @abstractmethod
    def probe(self, api: Api) -> Reply:
        """The smallest request that needs the credentials and pulls no orders to speak of."""

    # The ways of asking.

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:
        """What changed since the cursor? Of an account without one: everything, oldest first."""
        raise NotImplementedError(f"{self.name} cannot tell what changed")

    def history(self, api: Api, first_day: date, last_day: date) -> Iterator[Batch]:
        """What was created in these days, civil dates in the account's zone, both included?"""
        raise NotImplementedError(f"{self.name} has no date window")

    def sweep(self, api: Api, known: Collection[str]) -> Iterator[Presence]:
        """What of the known orders is still there? Tombstones are among the known.

        An answer that is empty, partial or failed is no evidence: nothing of it is yielded.
        """
        raise NotImplementedError(f"{self.name} cannot tell what is still there")

    # The way outward.

    def outgoing(self, account: Account, order: PublishedOrder) -> Outgoing:
        """An order as the API takes it. Raises Unfit."""
        raise NotImplementedError(f"{self.name} takes no orders")

    def push(self, api: Api, orders: Iterable[Outgoing]) -> Iterator[Outcome]:
        """Send these. Each order is drawn, sent once and its outcome yielded before the next.

        Whoever hands in the orders notes each as about to be sent when it is drawn. A request that
        the API may have acted on is not repeated.
        """
        raise NotImplementedError(f"{self.name} takes no orders")


UNCERTAIN = timedelta(days=1)
"""Where it is not known when the last run read: orders stamped so recently are read again."""


def settled_before(cursor: Cursor | None, name: str, until: Until) -> datetime:
    """Under a stamp before this moment, every change has been seen.

    It is the `asked_at` that the cursor keeps under `name`; of what is stamped then or later, the
    run that kept it may have read less than happened under that stamp.
    """
    noted = (cursor or {}).get(name)
    return datetime.fromisoformat(noted) if noted else until.asked_at - UNCERTAIN


def pieces(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive pieces of at most `size` items."""
    return (items[start : start + size] for start in range(0, len(items), size))


def seconds_of(text: str | None, *, default: float) -> float:
    """A number of seconds from a header, within a day; the default where it is none."""
    try:
        seconds = float(text) if text is not None else default
    except ValueError:
        return default
    return seconds if 0 <= seconds <= 86_400 else default
