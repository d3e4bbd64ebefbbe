"""The one HTTP client.

Belongs here: what happens to a request until it has its answer: login, budget, throttling, retries,
refusals, concurrency. Does not belong here: what a single API means by its replies (the source's
dialect), the wire (`transport.py`), waiting (`pacing.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
import tenacity

from resources import refusals
from resources.accounts import Account
from resources.budget import Budget
from resources.dialect import Dialect, Progress
from resources.errors import ApiError
from resources.login import Login
from resources.pacing import THROTTLE, Clock, Pacer
from resources.refusals import (
    Elsewhere,
    Fault,
    Incomplete,
    Rejected,
    ServerFault,
    Throttled,
    Unreachable,
)
from resources.replies import NotJson, Reply, read_reply, retry_after, sensible_seconds
from resources.transport import Params, Transport
from resources.workers import Workers

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Api",
    "Clock",
    "Dialect",
    "Elsewhere",
    "Incomplete",
    "NotJson",
    "Params",
    "Progress",
    "Rejected",
    "Reply",
    "ServerFault",
    "Throttled",
    "Unreachable",
    "retry_after",
    "sensible_seconds",
]

TRIES = 5
"""How often a request that meets passing faults is sent in all."""

PATIENCE = 3600.0
"""Seconds that one request may be throttled in all."""

_UNSTATED_WAIT = 60.0
"""Seconds to wait after a 429 that says nothing of how long."""

_PASSING = frozenset({408, 500, 502, 503, 504, *range(520, 525)})
"""Statuses that may well be others when asked again; 520 to 524 are Cloudflare's for the site."""
_REDIRECTS = 5
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=30.0, jitter=0.5)


Flaw = Callable[[Reply], str | None]
"""What is missing from a reply, though it reads well; None where it is whole."""


@dataclass(slots=True)
class _Call:
    """One question, through all its tries."""

    method: str
    url: httpx.URL
    content: bytes | None
    missing_ok: bool
    repeatable: bool
    """Whether it may be sent again though the API may have received it."""
    stop: threading.Event
    tries: int = TRIES
    flaw: Flaw | None = None
    throttled: float = 0.0
    """Seconds that the API has told this call to wait."""


class Api:
    """One account's API, as a context manager. Thread safe.

    Every request raises ApiError (Rejected, Throttled, Unreachable, NotJson, Incomplete or
    Elsewhere), in one line without secrets, or BudgetError. Replies with a 2xx status are JSON.
    """

    def __init__(
        self,
        account: Account,
        dialect: Dialect,
        *,
        budget: Budget,
        progress: Callable[[Progress], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Sends nothing yet. Raises MissingSecret.

        `progress` may be called from any thread, but never twice at a time.
        """
        self.account = account
        self.known: Any = None
        """What has been landed for this account, for sources that compare; the engine sets it."""
        self.least_requests = 0
        """How many of the requests could not have been avoided; sources count them."""
        self.announced: int | None = None
        """Orders that finished listings announced, None where none did; sources count them."""
        self.listed: int | None = None
        """Different orders that those listings held."""
        self.warnings: list[str] = []
        """What may be missing although nothing failed, a line each; sources say it."""
        self.requests = 0
        """Sent so far: logins, redirects, throttled and failed ones included."""
        self.first_server_time: datetime | None = None
        """The API's time at the first reply, UTC: its Date header, or ours where it has none."""
        self.server_time: datetime | None = None
        """The Date header of the newest such reply, UTC."""
        self._dialect = dialect
        self._budget = budget
        secrets = account.secrets()
        self._headers = dialect.headers(account, secrets)
        self._login = Login(lambda: dialect.login(self, secrets))
        self._progress = progress
        self._transport = Transport(account.settings.base_url, account.key)
        self._pacer = Pacer(budget, clock or Clock(), self._report)
        self._lock = threading.Lock()
        self._progress_lock = threading.Lock()
        self._workers = Workers(account.key)
        self._stop = self._workers.new_stop()

    @property
    def waited(self) -> float:
        """Seconds waited for budget and throttling, added up over all threads."""
        return self._pacer.waited

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every wait, every request under way and every thread, and close the budget."""
        self._workers.stop_all()
        self._transport.close()
        self._workers.join()
        self._budget.close()

    def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        missing_ok: bool = False,
        tries: int = TRIES,
        flaw: Flaw | None = None,
    ) -> Reply:
        """The reply to a GET below base_url. With `missing_ok` a 404 is a reply like any other.

        A reply in which `flaw` finds something missing is a passing fault: it is asked for again,
        `tries` times in all, and raises Incomplete in the end.
        """
        call = self._call("GET", path, params, missing_ok=missing_ok)
        call.tries, call.flaw = tries, flaw
        return self._ask(call)

    def options(self, path: str, params: Params | None = None) -> Reply:
        """The reply to an OPTIONS below base_url."""
        return self._ask(self._call("OPTIONS", path, params))

    def post(self, path: str, json: Any, *, repeatable: bool = False) -> Reply:
        """The reply to a POST of `json`. Decimals are sent as numbers, digit by digit.

        Sent again only where the API certainly has not received it, unless it is `repeatable`:
        a POST that asks and changes nothing, such as a search.
        """
        content = _ENCODER.encode(json)
        return self._ask(self._call("POST", path, None, content=content, repeatable=repeatable))

    def get_many(
        self,
        requests: Iterable[tuple[str, Params | None]],
        *,
        at_once: int = 4,
        missing_ok: bool = False,
        flaw: Flaw | None = None,
    ) -> Iterator[Reply]:
        """The replies to many GETs, in the order of the requests, `at_once` under way at a time.

        `requests` is drawn from as replies are taken, at most `2 * at_once` ahead. The first error
        ends it and calls off those not yet answered.
        """

        def ask(request: tuple[str, Params | None], stop: threading.Event) -> Reply:
            call = self._call("GET", *request, missing_ok=missing_ok, stop=stop)
            call.flaw = flaw
            return self._ask(call)

        return self._workers.in_order(requests, ask, at_once)

    def try_many(
        self,
        requests: Iterable[tuple[str, Params | None]],
        *,
        at_once: int,
        lost: tuple[type[ApiError], ...],
        missing_ok: bool = False,
    ) -> Iterator[Reply | ApiError]:
        """As `get_many`; an error of a kind in `lost` ends nothing, it stands for its reply."""

        def ask(request: tuple[str, Params | None], stop: threading.Event) -> Reply | ApiError:
            try:
                return self._ask(self._call("GET", *request, missing_ok=missing_ok, stop=stop))
            except lost as error:
                return error

        return self._workers.in_order(requests, ask, at_once)

    def begin_get(
        self, path: str, params: Params | None = None, *, flaw: Flaw | None = None
    ) -> Callable[[], Reply]:
        """A `get` that is sent while the caller does something else; call for its reply."""

        def ask(stop: threading.Event) -> Reply:
            call = self._call("GET", path, params, stop=stop)
            call.flaw = flaw
            return self._ask(call)

        return self._workers.begin(ask)

    def _call(
        self,
        method: str,
        path: str,
        params: Params | None,
        *,
        content: bytes | None = None,
        missing_ok: bool = False,
        repeatable: bool = True,
        stop: threading.Event | None = None,
    ) -> _Call:
        url = self._transport.url(path, params)
        return _Call(method, url, content, missing_ok, repeatable, stop or self._stop)

    def _ask(self, call: _Call) -> Reply:
        """The reply to a call, logged in, or the error that it amounts to."""
        login = self._login.ensure()
        reply = self._deliver(call)
        if reply.status == 401 and self._login.renew(login):
            reply = self._deliver(call)
        if call.missing_ok and reply.status == 404:
            return reply
        reason = self._dialect.refusal(reply)
        if reason is None and 200 <= reply.status < 300:
            return reply
        raise refusals.rejected(reply, reason)

    def _deliver(self, call: _Call) -> Reply:
        """The reply to a call, sent again after passing faults."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _worth_repeating(error, call)),
            stop=tenacity.stop_after_attempt(call.tries),
            wait=_BACKOFF,
            sleep=lambda seconds: self._pacer.rest(seconds, call.stop),
            reraise=True,
        )
        try:
            return retrying(self._admitted, call)
        except Fault as error:
            fault = error
        if fault.error is not None and call.repeatable:
            raise fault.error
        asked = f"{call.method} {call.url}"
        tries = 1 if fault.sent and not call.repeatable else call.tries
        raise refusals.unreachable(asked, fault, self.account.key, tries)

    def _admitted(self, call: _Call) -> Reply:
        """The first reply to a call that does not say "too many requests". Raises Fault."""
        while True:
            reply = self._redirected(call)
            seconds = self._throttle(reply, call)
            if seconds is None:
                break
            call.throttled += seconds
            if call.throttled > PATIENCE:
                raise Throttled(
                    f"{refusals.answered(reply)} and wants {call.throttled:.0f} seconds in all",
                    self.account.key,
                    "run again later, or lower requests_per_minute of all who share this limit",
                )
            self._pacer.close_for(seconds, THROTTLE)
        if reply.status in _PASSING and self._dialect.refusal(reply) is None:
            text = f"answered {reply.status}: {reply.words(200)}"
            raise Fault(text, passing=True, sent=True, status=reply.status)
        error = self._spoiled(reply, call)
        if error is not None:
            raise Fault(str(error), passing=True, sent=True, error=error)
        return reply

    def _spoiled(self, reply: Reply, call: _Call) -> ApiError | None:
        """What is wrong with a reply that says of itself that all is well."""
        if not 200 <= reply.status < 300 or reply.status == 204:
            return None
        missing = None
        if call.flaw is not None and self._dialect.refusal(reply) is None:
            try:
                missing = call.flaw(reply)
            except (msgspec.DecodeError, RecursionError, ApiError):
                if reply.is_json:
                    raise
        if not reply.is_json:
            return reply.not_json()
        return None if missing is None else refusals.incomplete(reply, missing)

    def _throttle(self, reply: Reply, call: _Call) -> float | None:
        now = reply.server_time or reply.fetched_at
        told = self._dialect.throttle(reply, now)
        if told is None:
            if reply.status != 429:
                return None
            told = retry_after(reply, now) or _UNSTATED_WAIT
        # However often it says "at once", or no number at all, no header can have us ask in a
        # tight loop.
        if call.throttled > 0 or not told > 0:
            return max(1.0, told) if told > 0 else 1.0
        return told

    def _redirected(self, call: _Call) -> Reply:
        """The reply to a call, after redirects within its host. Raises Fault."""
        url = call.url
        for _ in range(_REDIRECTS):
            response, reply = self._sent(call, url)
            following = self._transport.next_url(response)
            if following is None:
                break
            url = following
        return self._noted(reply)

    def _sent(self, call: _Call, url: httpx.URL) -> tuple[httpx.Response, Reply]:
        self._pacer.turn(call.stop)
        headers = {**self._headers, **self._login.headers}
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        with self._lock:
            self.requests += 1
        spare = None
        try:
            response = self._transport.send(call.method, url, headers, call.content)
            reply = read_reply(response, self.account.key)
            spare = self._dialect.spare(reply)
        finally:
            self._pacer.answered(spare)
        return response, reply

    def _noted(self, reply: Reply) -> Reply:
        with self._lock:
            self.server_time = reply.server_time or self.server_time
            if self.first_server_time is None:
                self.first_server_time = self.server_time or reply.fetched_at
        self._report(None, 0.0)
        return reply

    def _report(self, waiting_for: str | None, seconds: float) -> None:
        if self._progress is not None:
            with self._progress_lock:
                self._progress(Progress(self.account.key, self.requests, waiting_for, seconds))


def _worth_repeating(error: BaseException, call: _Call) -> bool:
    if not isinstance(error, Fault) or not error.passing:
        return False
    return call.repeatable or not error.sent
