"""Being logged in, where an API wants that before anything else.

Belongs here: logging in once for all threads, and once more when it has lapsed. Does not belong
here: the call itself (the source's dialect).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from resources.redaction import register


class Login:
    """The headers that a login brought. Thread safe."""

    def __init__(self, log_in: Callable[[], dict[str, str] | None]) -> None:
        """`log_in` makes the call; its own requests go without these headers."""
        self._log_in = log_in
        self._lock = threading.RLock()  # the call comes back here with requests of its own
        self._under_way = False
        self._times = 0
        self._needed = True
        self.headers: dict[str, str] = {}

    def ensure(self) -> int:
        """Log in unless that was done, or is being done by the caller; the number of logins."""
        if self._times == 0:
            with self._lock:
                if self._times == 0 and not self._under_way:
                    self._do()
        return self._times

    def renew(self, since: int) -> bool:
        """After a 401: log in again unless somebody has, since login number `since`.

        False if there is no such thing as a login here, or if it is the login that was refused.
        """
        with self._lock:
            if self._under_way or not self._needed:
                return False
            if self._times == since:
                self._do()
            return True

    def _do(self) -> None:
        self._under_way = True
        self.headers = {}
        try:
            headers = self._log_in()
        finally:
            self._under_way = False
        for value in (headers or {}).values():
            register(value)
            register(value.rpartition(" ")[2])  # the token of "Bearer TOKEN"
        self.headers = headers or {}
        self._needed = headers is not None
        self._times += 1
