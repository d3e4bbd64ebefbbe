"""What the HTTP client asks of a source, and what it tells whoever runs it.

Belongs here: the two contracts. Does not belong here: any behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from resources.accounts import Account
from resources.replies import Reply

if TYPE_CHECKING:
    from resources.api import Api


@dataclass(frozen=True, slots=True)
class Progress:
    """What one account's client is doing; told after each reply and before each wait."""

    account: str
    requests: int
    """Sent so far."""
    waiting_for: str | None
    """What the coming wait is for; None after a reply."""
    seconds: float
    """How long the coming wait is; 0 after a reply."""


class Dialect(Protocol):
    """What a source says of its API's transport. Every `Source` is one."""

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:
        """Headers of every request."""
        ...

    def login(self, api: Api, secrets: Mapping[str, str]) -> dict[str, str] | None:
        """Further headers, got by a call of `api`; None where none are needed.

        Called before the first request, and once more after a 401.
        """
        ...

    def throttle(self, reply: Reply, now: datetime) -> float | None:
        """Seconds to wait if this reply says "too many requests", else None.

        `now` is the server's time where it gives one, else ours; UTC.
        """
        ...

    def refusal(self, reply: Reply) -> str | None:
        """Why a reply is an error, in the API's words; None for one that is not.

        A reply with a reason is never asked for again, so a passing server fault (500, 502, 503,
        504) must give None.
        """
        ...

    def spare(self, reply: Reply) -> tuple[int, float] | None:
        """Requests left, and seconds until the count starts afresh, where headers tell."""
        ...
