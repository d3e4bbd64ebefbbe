"""Runs the five APIs on one loopback port and their control routes on another.

Belongs here: which APIs there are, starting and stopping, and what every reply has in common.
Does not belong here: what any one API answers, and what the control routes do.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from email.utils import format_datetime
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.accounts import accounts_toml, variable_name
from sandbox.api import SandboxApi, Setup
from sandbox.brightpearl import BrightpearlApi
from sandbox.clock import Clock
from sandbox.control import control_routes
from sandbox.efiling import EfilingApi
from sandbox.faults import Fault, Faults
from sandbox.faulty import Faulty, Wire
from sandbox.feedback_company import FeedbackCompanyApi
from sandbox.quotevine import QuotevineApi
from sandbox.tastyigniter import TastyigniterApi
from sandbox.world import Body

APIS: tuple[type[SandboxApi], ...] = (
    BrightpearlApi,
    TastyigniterApi,
    EfilingApi,
    QuotevineApi,
    FeedbackCompanyApi,
)

ACCOUNT_NAMES = {
    "brightpearl": "acme",
    "tastyigniter": "bakery",
    "efiling": "formations",
    "quotevine": "leasing",
    "feedback_company": "reviews",
}

LOOPBACK = "127.0.0.1"
START_LIMIT = 30.0
"""Seconds within which both ports must answer."""


class SandboxStartError(RuntimeError):
    """The sandbox's servers did not start; the cause is chained."""


@contextmanager
def garbage_kept() -> Iterator[None]:
    """No garbage collection meanwhile: building the sample makes much and discards little.

    With collection on, building takes twice as long.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Front:
    """ASGI middleware in front of one API: counts its requests and sets the sandbox's date.

    Behind it stand the faults, and behind them the API itself.
    """

    def __init__(self, api: SandboxApi, faults: Faults) -> None:
        self._api = api
        self._app: ASGIApp = Faulty(Starlette(routes=api.routes()), api, faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        self._api.requests += 1

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self._api.clock.now(), usegmt=True)
                message["headers"] = [*message["headers"], (b"date", now.encode())]
            await send(message)

        await self._app(scope, receive, send_dated)


class Server(uvicorn.Server):
    """A uvicorn server that says when it is ready."""

    def __init__(self, app: ASGIApp, *, date_header: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Wire,
                lifespan="off",
                log_config=None,
                access_log=False,
                date_header=date_header,
                server_header=False,
            )
        )
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self.ready.set()


class Sandbox:
    """The five APIs as a context manager; `port` 0 takes a free one.

    `lifted` lifts the request limits, `ticking` lets the clock run, `repeat` repeats the sample
    with new ids for benchmarks, `most` keeps that many orders of each account, evenly chosen, for
    tests that sync again and again, `allowance_seconds` is the length of the window in which each
    API counts requests, `sources` names the APIs to be served if not all of them. Raises
    SandboxStartError if a port cannot be had.
    """

    def __init__(
        self,
        *,
        lifted: bool = True,
        ticking: bool = False,
        repeat: int = 1,
        most: int | None = None,
        allowance_seconds: float = 60.0,
        sources: Collection[str] = tuple(ACCOUNT_NAMES),
        port: int = 0,
        control_port: int = 0,
    ) -> None:
        self.clock = Clock(ticking=ticking)
        self._faults = Faults()
        self._ports = (port, control_port)
        with garbage_kept():
            apis = [
                self._built(kind, lifted, repeat, allowance_seconds)
                for kind in APIS
                if kind.source in sources
            ]
        for api in apis:
            if most is not None:
                api.thin(most)
        self._apis = {api.setup.account: api for api in apis}
        self._servers: list[Server] = []
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.address = ""
        self.control_address = ""

    def __enter__(self) -> Sandbox:
        mounts = [
            Mount(api.base_path(), app=Front(api, self._faults)) for api in self._apis.values()
        ]
        sockets = self._listen()
        self.address, self.control_address = (
            f"http://{LOOPBACK}:{listener.getsockname()[1]}" for listener in sockets
        )
        self._servers = [
            Server(Starlette(routes=mounts), date_header=False),
            Server(Starlette(routes=control_routes(self)), date_header=True),
        ]
        self._thread = threading.Thread(target=self._run, args=(sockets,), name="sandbox")
        self._thread.daemon = True
        self._thread.start()
        for server in self._servers:
            if not server.ready.wait(START_LIMIT) or self._failure:
                raise SandboxStartError("the sandbox did not start") from self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.should_exit = True
        if self._thread:
            self._thread.join()

    def _built(
        self, kind: type[SandboxApi], lifted: bool, repeat: int, allowance_seconds: float
    ) -> SandboxApi:
        account = f"{kind.source}.{ACCOUNT_NAMES[kind.source]}"
        words = {name: f"sandbox-{name.replace('_', '-')}" for name in kind.credential_names}
        return kind(Setup(self.clock, account, words, lifted, repeat, allowance_seconds))

    def _listen(self) -> list[socket.socket]:
        sockets: list[socket.socket] = []
        for port in self._ports:
            # asyncio sends without delay only on sockets that name their protocol: 40 ms a reply.
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets.append(listener)
            try:
                listener.bind((LOOPBACK, port))
            except OSError as error:
                for opened in sockets:
                    opened.close()
                message = f"port {port} of {LOOPBACK} cannot be had: {error}"
                raise SandboxStartError(message) from error
        return sockets

    def _run(self, sockets: list[socket.socket]) -> None:
        async def serve() -> None:
            pairs = zip(self._servers, sockets, strict=True)
            await asyncio.gather(*(server.serve(sockets=[port]) for server, port in pairs))

        try:
            asyncio.run(serve())
        except (OSError, RuntimeError, SystemExit) as error:
            self._failure = error
            for server in self._servers:
                server.ready.set()

    @property
    def accounts(self) -> Mapping[str, SandboxApi]:
        """The APIs by account name, such as `brightpearl.acme`."""
        return self._apis

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """Each account's credentials: harmless fixed words, by credential name."""
        return {account: dict(api.setup.credentials) for account, api in self._apis.items()}

    def api(self, account: str) -> SandboxApi:
        """The API object of an account. Raises KeyError for an account that is not served."""
        return self._apis[account]

    def base_url(self, account: str) -> str:
        """Where an account's API is found."""
        return self.address + self.api(account).base_path()

    def truth(self, account: str) -> list[Body]:
        """What is so in an account now; see SandboxApi.truth."""
        return self.api(account).truth()

    def requests(self, account: str) -> int:
        """How many requests an account has received since the start or the last reset."""
        return self.api(account).requests

    def refused(self, account: str) -> int:
        """How many requests of an account were refused, since the start, for being too many."""
        return self.api(account).refused

    def reset_requests(self) -> None:
        """Set every account's request count to zero."""
        for api in self._apis.values():
            api.requests = 0

    def fault(
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
        """Arm a fault for an account's requests; see Faults.arm. What it has struck stands in it.

        Raises KeyError for an account that is not served, UnknownFaultError for no such fault.
        """
        self.api(account)
        arm = self._faults.arm
        return arm(account, kind, times=times, after=after, path=path, method=method, **details)

    def faults(self, account: str) -> list[Fault]:
        """What was armed for an account and not cleared, with how often each has struck."""
        return self._faults.armed(account)

    def clear_faults(self, account: str | None = None) -> None:
        """Disarm every fault, of one account or of all."""
        self._faults.clear(account)

    def accounts_toml(self) -> str:
        """An accounts.toml for this sandbox, complete but for the values of `environment()`."""
        return accounts_toml(self.address, self._apis)

    def environment(self) -> dict[str, str]:
        """The environment variables that accounts.toml names, with their values."""
        return {
            variable_name(account, name): value
            for account, api in self._apis.items()
            for name, value in api.setup.credentials.items()
        }
