"""Faults on demand: what is to go wrong with which request of an account.

Belongs here: the kinds of fault, arming them, and choosing the one that strikes a request.
Does not belong here: how a fault is worded (fault_replies.py) and how it happens (faulty.py).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote

ANSWERED = frozenset(
    {"throttled", "unavailable", "error", "rejected", "revoked", "forbidden", "html"}
)
"""Answered in the API's place, which never sees the request."""

BEFOREHAND = frozenset({"deletion", "future_stamp", "latency"})
"""Something happens first, and then the API answers as ever."""

ALTERED = frozenset({"truncated", "invalid_json", "duplicated_page", "empty_page", "broken_order"})
"""The API answers, and its reply is spoiled on the way."""

CUT = frozenset({"reset", "lost_reply"})
"""No reply at all: `reset` before the API has seen the request, `lost_reply` after it has acted."""

DETAILS: Mapping[str, frozenset[str]] = {
    "throttled": frozenset({"wait", "status", "body"}),
    "latency": frozenset({"seconds"}),
    "deletion": frozenset({"order_id", "which"}),
    "future_stamp": frozenset({"order_id", "years"}),
    "broken_order": frozenset({"order_id"}),
    **dict.fromkeys(ANSWERED - {"throttled"}, frozenset({"status", "body", "echo"})),
    **dict.fromkeys(
        CUT | {"truncated", "invalid_json", "duplicated_page", "empty_page"}, frozenset[str]()
    ),
}
"""Every kind, and what may be said of it.

`wait` and `seconds` are seconds, `years` whole years; `status` and `body` (a text) replace the
API's own; `echo` repeats the request's headers and query in the reply, as some servers' error
pages do; `which` is `first` or `newest`.
"""


class UnknownFaultError(ValueError):
    """A fault that the sandbox does not know, or that cannot be armed so."""


@dataclass
class Fault:
    """One armed fault."""

    fault_id: int
    account: str
    kind: str
    times: int | None
    """How many requests it strikes; None for every one until it is cleared."""
    after: int
    """How many matching requests pass before the first that it strikes."""
    path: str
    """What the path and query of a request must contain, percent-encoded or not."""
    method: str | None
    details: Mapping[str, Any]
    passed: int = 0
    """Matching requests let through."""
    struck: int = 0
    """Requests struck so far."""

    @property
    def is_spent(self) -> bool:
        """Whether it strikes no further request."""
        return self.times is not None and self.struck >= self.times

    def matches(self, method: str, target: str) -> bool:
        """Whether a request is of those it is meant for."""
        if self.method is not None and self.method != method:
            return False
        return self.path in target or self.path in unquote(target)

    def shown(self) -> dict[str, Any]:
        """As the control port tells it."""
        return {
            "id": self.fault_id,
            "kind": self.kind,
            "times": self.times,
            "after": self.after,
            "path": self.path,
            "method": self.method,
            **self.details,
            "passed": self.passed,
            "struck": self.struck,
        }


@dataclass
class Faults:
    """What is armed in a sandbox, oldest first. Thread safe."""

    _armed: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def arm(
        self,
        account: str,
        kind: str,
        *,
        times: int | None = 1,
        after: int = 0,
        path: str = "",
        method: str | None = None,
        **details: Any,
    ) -> Fault:
        """Arm a fault. Raises UnknownFaultError."""
        _check(kind, times, after, details)
        if kind == "broken_order" and not account.startswith("tastyigniter."):
            raise UnknownFaultError("broken_order is a fault of TastyIgniter alone")
        verb = method.upper() if method else None
        with self._lock:
            fault = Fault(next(self._ids), account, kind, times, after, path, verb, details)
            self._armed.append(fault)
        return fault

    def strike(self, account: str, method: str, target: str) -> Fault | None:
        """The fault that strikes a request, which is counted; None where none does.

        Each armed fault counts a matching request that it does not strike towards its `after`.
        """
        with self._lock:
            for fault in self._armed:
                if fault.account != account or fault.is_spent:
                    continue
                if not fault.matches(method, target):
                    continue
                if fault.passed < fault.after:
                    fault.passed += 1
                    continue
                fault.struck += 1
                return fault
        return None

    def withdraw(self, fault: Fault) -> None:
        """Uncount a strike that could not happen, such as a repetition of nothing."""
        with self._lock:
            fault.struck -= 1

    def armed(self, account: str) -> list[Fault]:
        """What was armed for an account and not cleared, spent ones included."""
        with self._lock:
            return [fault for fault in self._armed if fault.account == account]

    def expects(self, account: str, kind: str) -> bool:
        """Whether a fault of a kind may still strike."""
        return any(fault.kind == kind and not fault.is_spent for fault in self.armed(account))

    def clear(self, account: str | None = None) -> None:
        """Disarm everything, of one account or of all."""
        with self._lock:
            self._armed = [fault for fault in self._armed if account not in (None, fault.account)]


def _check(kind: str, times: object, after: object, details: Mapping[str, Any]) -> None:
    if kind not in DETAILS:
        raise UnknownFaultError(f"no fault {kind!r}; there are {', '.join(sorted(DETAILS))}")
    if unknown := sorted(set(details) - DETAILS[kind]):
        raise UnknownFaultError(f"a fault {kind} has no {', '.join(unknown)}")
    if not (times is None or (isinstance(times, int) and times > 0)):
        raise UnknownFaultError("times must be a number from 1, or null for always")
    if not (isinstance(after, int) and after >= 0):
        raise UnknownFaultError("after must be a number from 0")
