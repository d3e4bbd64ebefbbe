"""Makes faults happen to the requests of one API.

Belongs here: answering in the API's place, spoiling its replies, cutting connections. Does not
belong here: which request is struck (faults.py) and how an API words it (fault_replies.py).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any, ClassVar, cast
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from sandbox.api import SandboxApi, json_bytes, json_reply
from sandbox.fault_replies import WORDS
from sandbox.faults import ANSWERED, BEFOREHAND, CUT, Fault, Faults
from sandbox.world import Body

Ends = tuple[tuple[str, int], tuple[str, int]]
"""A connection: the client's address and ours."""

PAGE_NUMBERS = frozenset({"page", "page[number]", "firstResult"})
"""Parameters in which the pages of one list differ."""

DAYS_A_YEAR = 365
HTML = """<!DOCTYPE html>
<html><head><title>Just a moment...</title></head>
<body><h1>Checking your browser</h1><pre>{said}</pre></body></html>
"""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time at all: closing sends a reset."""


class Wire(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP, whose open connections can be found and cut."""

    open: ClassVar[MutableMapping[Ends, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember a connection."""
        super().connection_made(transport)
        self._ends: Ends = (self.client, self.server)
        self.open[self._ends] = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self.open.pop(self._ends, None)
        super().connection_lost(exc)


async def cut(scope: Scope, receive: Receive, *, rudely: bool) -> None:
    """Close a request's connection: with a TCP reset, or after all that was sent."""
    transport = Wire.open[tuple(scope["client"]), tuple(scope["server"])]
    if rudely:
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


class Taking:
    """An ASGI `send` that keeps a reply instead of sending it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def __call__(self, message: Message) -> None:
        """Keep one message."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def with_body(self, body: bytes) -> Response:
        """The reply with another body of its own length."""
        reply = Response(body, self.status)
        reply.raw_headers = [
            *((name, value) for name, value in self.headers if name != b"content-length"),
            (b"content-length", str(len(body)).encode()),
        ]
        return reply


class Faulty:
    """ASGI middleware that lets the armed faults strike the requests of one API."""

    def __init__(self, app: ASGIApp, api: SandboxApi, faults: Faults) -> None:
        self._app = app
        self._api = api
        self._faults = faults
        self._words = WORDS[api.source]
        self._pages: dict[str, bytes] = {}
        """The newest page of each list, kept while a repetition is expected."""
        self._spoil: dict[str, Callable[[Fault, Scope, Taking], Response | None]] = {
            "invalid_json": lambda _, __, taken: taken.with_body(
                taken.body[: -len(taken.body) // 2]
            ),
            "duplicated_page": self._duplicated,
            "empty_page": self._emptied,
            "broken_order": self._broken,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        fault = self._faults.strike(self._api.setup.account, scope["method"], target(scope))
        if fault is None:
            await self._answer(scope, receive, send)
        elif fault.kind in ANSWERED:
            await self._instead(fault, scope)(scope, receive, send)
        elif fault.kind in BEFOREHAND:
            await self._before(fault)
            await self._answer(scope, receive, send)
        elif fault.kind in CUT:
            if fault.kind == "lost_reply":
                await self._app(scope, receive, Taking())
            await cut(scope, receive, rudely=fault.kind == "reset")
        else:
            await self._altered(fault, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The API's own reply; a page is kept where it is to be repeated."""
        if not self._faults.expects(self._api.setup.account, "duplicated_page"):
            await self._app(scope, receive, send)
            return
        taken = Taking()
        await self._app(scope, receive, taken)
        if taken.status == 200:
            self._pages[listed(scope)] = taken.body
        await taken.with_body(taken.body)(scope, receive, send)

    def _instead(self, fault: Fault, scope: Scope) -> Response:
        """What is answered in the API's place."""
        if fault.kind == "revoked":
            self._words.revoke(self._api)
        said = "".join(echo(scope)) if fault.details.get("echo") else ""
        text, status = fault.details.get("body"), fault.details.get("status")
        if fault.kind == "html":
            return HTMLResponse(text or HTML.format(said=said), status or 200)
        if fault.kind == "throttled":
            reply = self._words.throttled(self._api, fault.details.get("wait"))
        else:
            usual, body = self._words.refusals[fault.kind]
            reply = json_reply(saying(body, said), status or usual)
        if text is not None:
            reply.body = text.encode()
            reply.headers["Content-Length"] = str(len(reply.body))
        reply.status_code = status or reply.status_code
        return reply

    async def _before(self, fault: Fault) -> None:
        if fault.kind == "latency":
            await asyncio.sleep(fault.details.get("seconds", 1.0))
            return
        ids = list(self._api.shelf.present())
        place = 0 if fault.details.get("which") == "first" else -1
        order_id = str(fault.details.get("order_id", ids[place]))
        if fault.kind == "deletion":
            self._api.delete(order_id)
        else:
            ahead = timedelta(days=DAYS_A_YEAR * fault.details.get("years", 5))
            self._words.date(self._api, order_id, self._api.clock.now() + ahead)

    async def _altered(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        taken = Taking()
        await self._app(scope, receive, taken)
        if fault.kind == "truncated":
            await taken.with_body(taken.body)(scope, receive, half(send))
            await cut(scope, receive, rudely=False)
            return
        reply = self._spoil[fault.kind](fault, scope, taken)
        if reply is None:
            self._faults.withdraw(fault)
            reply = taken.with_body(taken.body)
        await reply(scope, receive, send)

    def _duplicated(self, _: Fault, scope: Scope, taken: Taking) -> Response | None:
        """The page before; None where no page of this list was answered yet."""
        before = self._pages.get(listed(scope))
        if before is None and taken.status == 200:
            self._pages[listed(scope)] = taken.body
        return None if before is None else json_bytes(before)

    def _emptied(self, _: Fault, __: Scope, taken: Taking) -> Response | None:
        """The page without its items; None where the reply is no page."""
        if taken.status != 200 or not taken.body:
            return None
        empty = self._words.emptied(msgspec.json.decode(taken.body))
        return taken.with_body(msgspec.json.encode(empty))

    def _broken(self, fault: Fault, _: Scope, taken: Taking) -> Response | None:
        """500 for every reply that holds the order (recorded); None for all others."""
        found = msgspec.json.decode(taken.body).get("data", []) if taken.status == 200 else []
        items = found if isinstance(found, list) else [found]
        if fault.details["order_id"] not in {item.get("id") for item in items}:
            return None
        message = "Attempt to read property on null"
        return json_reply({"message": message, "status_code": 500}, 500)


def half(send: Send) -> Send:
    """A `send` that lets through half of a body, though all of it was announced."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message["body"]
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return sending


def target(scope: Scope) -> str:
    """Path and query of a request as they were sent."""
    query = scope["query_string"].decode("latin-1")
    path: str = scope["path"]
    return f"{path}?{query}" if query else path


def listed(scope: Scope) -> str:
    """The list that a request asks for, whatever the page."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"))
    kept = [f"{name}={value}" for name, value in pairs if name not in PAGE_NUMBERS]
    return f"{scope['method']} {scope['path']}?{'&'.join(kept)}"


def echo(scope: Scope) -> list[str]:
    """The headers and the query of a request, a line each."""
    query = scope["query_string"].decode("latin-1")
    lines = [f"{name.decode()}: {value.decode('latin-1')}\n" for name, value in scope["headers"]]
    return [f"{query}\n", f"{unquote(query)}\n", *lines]


def saying(body: Body, said: str) -> Any:
    """A refusal with something added to the first text in it."""
    if not said:
        return body

    def added(value: Any) -> Any:
        if isinstance(value, str):
            return f"{value}: {said}"
        if isinstance(value, list):
            return [added(each) for each in value]
        return {k: added(v) for k, v in value.items()} if isinstance(value, dict) else value

    return added(body)
