"""An API client at a loopback server, for tests.

Belongs here: accounts, dialects and a clock for the tests of the HTTP client.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from resources.accounts import Account, AccountSettings
from resources.api import Api, Clock, Reply
from resources.budget import Budget

SECRET = "canary/7+secret value"
"""Has characters that look different in a URL."""
VARIABLE = "ORDERLOOM_TEST_CANARY"


class FakeClock(Clock):
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, stop: threading.Event) -> None:  # noqa: ARG002
        self.slept.append(seconds)
        self.time += seconds


class PlainDialect:
    """The least that a source says: a secret header, 429 with the seconds to wait."""

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        return {"api-key": secrets["api_key"]}

    def login(self, api: Api, secrets: Mapping[str, str]) -> dict[str, str] | None:  # noqa: ARG002
        return None

    def throttle(self, reply: Reply, now: datetime) -> float | None:  # noqa: ARG002
        if reply.status != 429 or "wait" not in reply.headers:
            return None
        return float(reply.headers["wait"])

    def refusal(self, reply: Reply) -> str | None:
        return "the body says no" if reply.body.startswith(b'{"errors"') else None

    def spare(self, reply: Reply) -> tuple[int, float] | None:
        if "left" not in reply.headers:
            return None
        return int(reply.headers["left"]), float(reply.headers["reset"])


class LoginDialect(PlainDialect):
    """Gets a token with its secret in the URL, as feedback_company does."""

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        return {}

    def login(self, api: Api, secrets: Mapping[str, str]) -> dict[str, str]:
        token = api.get("token", {"client_secret": secrets["api_key"]}).json()["token"]
        return {"Authorization": f"Bearer {token}"}


def account_at(url: str, **settings: Any) -> Account:
    """An account whose secret is in the environment variable `VARIABLE`."""
    chosen = {"timezone": "Europe/London", "started_on": date(2020, 1, 1), **settings}
    return Account("plain", "acme", AccountSettings(base_url=url, **chosen), {"api_key": VARIABLE})


def api_at(url: str, **arguments: Any) -> Api:
    """A client of that account; time is a FakeClock unless `clock` is given."""
    chosen = {"dialect": PlainDialect(), "budget": Budget.unlimited(), "clock": FakeClock()}
    return Api(account_at(url), **{**chosen, **arguments})
