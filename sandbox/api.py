"""What every sandbox API is made of.

Belongs here: the base class, the request allowance and the reply helpers that all five share.
Does not belong here: the rules of any one API, and how the server runs them.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute

from sandbox.clock import Clock
from sandbox.world import Body, Shelf


@dataclass(frozen=True)
class Taken:
    """One request counted against an allowance; `resets_in` is in seconds."""

    allowed: bool
    remaining: int
    resets_in: float


class Allowance:
    """So many requests in a window of real time; the window begins with its first request.

    A lifted allowance never refuses and always reports as if only one request had been made, so
    that a client obeying its headers never waits either.
    """

    def __init__(self, requests: int, seconds: float, *, lifted: bool = False) -> None:
        self.requests = requests
        self.seconds = seconds
        self.lifted = lifted
        self._lock = threading.Lock()
        self.refused = 0
        self._began: float | None = None
        self._used = 0

    def take(self) -> Taken:
        """Count one request. A refused request is counted by no window."""
        with self._lock:
            now = time.monotonic()
            if self._began is None or now - self._began >= self.seconds:
                self._began, self._used = now, 0
            resets_in = self._began + self.seconds - now
            if self.lifted:
                return Taken(allowed=True, remaining=self.requests - 1, resets_in=resets_in)
            if self._used >= self.requests:
                self.refused += 1
                return Taken(allowed=False, remaining=0, resets_in=resets_in)
            self._used += 1
            remaining = self.requests - self._used
            return Taken(allowed=True, remaining=remaining, resets_in=resets_in)


@dataclass(frozen=True)
class Setup:
    """What an API is built from. `account` is written like `brightpearl.acme`."""

    clock: Clock
    account: str
    credentials: Mapping[str, str]
    lifted: bool
    repeat: int = 1
    allowance_seconds: float = 60.0
    """Length of the window in which requests are counted."""


class SandboxApi(ABC):
    """One account of one API: its orders, its routes and what is true in it now."""

    source: ClassVar[str]
    credential_names: ClassVar[tuple[str, ...]]
    timezone: ClassVar[str]
    currency: ClassVar[str]
    started_on: ClassVar[date]
    requests_per_minute: ClassVar[int]

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.clock = setup.clock
        self.shelf: Shelf[Any] = Shelf(setup.clock)
        self.requests = 0
        self._allowances: list[Allowance] = []

    @property
    def refused(self) -> int:
        """How many requests were refused for being too many."""
        return sum(allowance.refused for allowance in self._allowances)

    def limit(self, requests: int) -> Allowance:
        """An allowance of so many requests in a window, lifted where the setup lifts them."""
        made = Allowance(requests, self.setup.allowance_seconds, lifted=self.setup.lifted)
        self._allowances.append(made)
        return made

    @property
    def name(self) -> str:
        """The account's own name: `acme` of `brightpearl.acme`."""
        return self.setup.account.partition(".")[2]

    @abstractmethod
    def base_path(self) -> str:
        """Where the account is mounted, e.g. `/public-api/acme`; base_url is address + this."""

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """The API's routes, relative to the base path."""

    @abstractmethod
    def edit(self, order_id: str, changes: Body) -> None:
        """Edit an order by hand now, as the real system records it. Raises UnknownOrderError."""

    def delete(self, order_id: str) -> None:
        """Delete an order now. Raises UnknownOrderError."""
        self.shelf.delete(order_id)

    def thin(self, most: int) -> None:
        """Keep so many orders at most, evenly chosen, as if there had never been others."""
        self.shelf.thin(most)

    def truth(self) -> list[Body]:
        """What is so now: one item per order that was ever listed, with `body` as a GET gives it.

        Items hold `source_order_id`, `is_deleted` and `body` (None once deleted).
        """
        return [
            {"source_order_id": order_id, "is_deleted": body is None, "body": body}
            for order_id, body in self.shelf.ever().items()
        ]

    def settings(self) -> Body:
        """Further keys of the account's table in accounts.toml; a dict becomes a sub-table."""
        return {}


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON reply, compact and in UTF-8."""
    return json_bytes(msgspec.json.encode(value), status, headers)


def json_bytes(
    content: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A reply of JSON that is already encoded."""
    return Response(content, status, headers, media_type="application/json")
