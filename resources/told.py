"""What an API has said of when it may be asked again.

Belongs here: the arithmetic of closing times and of requests left. Does not belong here: keeping it
for other processes (`budget_file.py`), waiting (`pacing.py`), reading headers (the source's
dialect).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

BUDGET = "request budget"
THROTTLE = "throttled by the API"

LONGEST_RESET = 300.0
"""Seconds. The budgets of the APIs at hand are renewed within a minute; more is a mistaken unit."""

LONGEST_CLOSING = 86_400.0
"""Seconds. No longer closing is ever told, so a time beyond it was noted by another clock."""

_NEXT_REPLY = 0.05
"""Seconds after which to look again where a reply that is under way may allow another request."""


class Wait(NamedTuple):
    """How long to wait before asking again, and what for. 0 seconds: a request may go now."""

    seconds: float
    reason: str = BUDGET


GO = Wait(0.0)


@dataclass
class Told:
    """What the API said last. Moments are seconds of one clock that is never set."""

    closed_until: float = -math.inf
    closed_for: str = THROTTLE
    remaining: int = 0
    """Requests left in the API's present period; says nothing once that is over."""
    renewed_at: float = -math.inf
    """When the API's present period is over."""

    def close(self, now: float, seconds: float, reason: str) -> None:
        """No request may go for so many seconds."""
        if now + seconds > self.closed_until:
            self.closed_until, self.closed_for = now + seconds, reason

    def hear(self, now: float, remaining: int, seconds: float) -> None:
        """A reply told how many requests are left, and in how many seconds the count starts afresh.

        Replies overtake each other; within a period the least number is the newest, and the
        earliest end the one that spent the least time on its way.
        """
        end = now + min(max(seconds, 0.0), LONGEST_RESET)
        if now >= self.renewed_at:
            self.remaining, self.renewed_at = remaining, end
        else:
            self.remaining = min(self.remaining, remaining)
            self.renewed_at = min(self.renewed_at, end)

    def wait(self, now: float, under_way: int) -> Wait:
        """Whether a request may go while so many others have not been answered yet.

        Those may not have been counted by the API when it told what is left.
        """
        if 0 < self.closed_until - now <= LONGEST_CLOSING:
            return Wait(self.closed_until - now, self.closed_for)
        rest = self.renewed_at - now
        if not 0 < rest <= LONGEST_RESET or self.remaining > under_way:
            return GO
        # The last ones of a period go as the replies come in: none of the allowance is lost.
        return Wait(min(rest, _NEXT_REPLY) if under_way and self.remaining > 0 else rest)
