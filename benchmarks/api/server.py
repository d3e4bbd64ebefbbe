"""Serves the made-up orders on loopback, fast enough not to be what is measured.

Belongs here: HTTP, counting requests, what the measurement itself asks. Does not belong here: the
APIs (`brightpearl.py`, `efiling.py`).

    python -m benchmarks.api.server FOLDER --orders 20000 --port 8100

FOLDER holds rendered orders (`benchmarks.api.orders.make`). With uvloop installed it
is twice as fast; without it plain asyncio serves. Any path before /order-service/ is an
account of its own. What measures asks `/-/...`, which is neither counted nor delayed:

    /-/stats                         requests by kind, bytes, CPU seconds, least possible, truth
    /-/reset                         counters to zero
    /-/restore                       no order changed, the clock put back
    /-/change?count=200&new=10       change orders and add new ones, at the server's time
    /-/advance?seconds=86400         move the clock
    /-/latency?milliseconds=50       answer so much later
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, unquote

import msgspec

from benchmarks.api.brightpearl import ORDER, SEARCH, Answer, Brightpearl, http_date
from benchmarks.api.efiling import Efiling
from benchmarks.api.orders import Rendered

IS_FAST = find_spec("uvloop") is not None
CONTROL = "/-/"


class Service:
    """Both APIs, the counters, and what the measurement controls."""

    def __init__(self, brightpearl: Brightpearl, efiling: Efiling) -> None:
        self._brightpearl = brightpearl
        self._efiling = efiling
        self._counts: Counter[str] = Counter()
        self.latency = 0.0
        """Seconds."""

    def reply(self, method: str, target: str) -> tuple[bytes, bytes, float]:
        """Head and body of the reply to a request, and the seconds to wait before it."""
        address, _, query = target.partition("?")
        path = unquote(address)
        if path.startswith(CONTROL):
            return *self._render(200, self._control(path.removeprefix(CONTROL), query)), 0.0
        kind, (status, body) = self._route(method, path, query)
        self._counts[kind] += 1
        self._counts["bytes"] += len(body)
        return *self._render(status, body), self.latency

    def _route(self, method: str, path: str, query: str) -> tuple[str, Answer]:
        if (place := path.find(ORDER)) >= 0:
            ids = path[place + len(ORDER) :]
            if method == "OPTIONS":
                return "options", self._brightpearl.options(ids)
            return "get", self._brightpearl.get(ids)
        if path.endswith(SEARCH):
            return "search", self._brightpearl.search(query)
        answer = self._efiling.answer(path, query)
        if answer is None:
            return "unknown", (404, b'{"errors":[]}')
        return "lines" if path.endswith("lines") else "list", answer

    def _render(self, status: int, body: bytes) -> tuple[bytes, bytes]:
        head = (
            f"HTTP/1.1 {status} X\r\nDate: {http_date(self._brightpearl.now)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode(), body

    def _control(self, name: str, query: str) -> bytes:
        given = {key: int(values[-1]) for key, values in parse_qs(query).items()}
        if name == "stats":
            return msgspec.json.encode(self._stats())
        actions: dict[str, Callable[..., None]] = {
            "reset": self._counts.clear,
            "restore": self._brightpearl.restore,
            "change": self._brightpearl.change,
            "advance": self._brightpearl.advance,
            "latency": self._delay,
        }
        actions[name](**given)
        return b"{}"

    def _delay(self, milliseconds: int) -> None:
        self.latency = milliseconds / 1000

    def _stats(self) -> dict[str, object]:
        requests = {name: n for name, n in self._counts.items() if name != "bytes"}
        return {
            "requests": requests,
            "bytes": self._counts["bytes"],
            "cpu": time.process_time(),
            "is_fast": IS_FAST,
            "least": self._brightpearl.least() | {"efiling": self._efiling.least()},
            "truth": self._brightpearl.truth(),
            "efiling_truth": self._efiling.truth(),
        }


class Connection(asyncio.Protocol):
    """One client. Requests have no body; every reply keeps the connection open."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete, in order."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            method, target, _ = self._received.split(b" ", 2)
            self._received = self._received[end + 4 :]
            self.answer(method.decode(), target.decode())

    def answer(self, method: str, target: str) -> None:
        """Write the reply, now or after the latency."""
        head, body, delay = self._service.reply(method, target)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, head, body)
        else:
            self._write(head, body)

    def _write(self, head: bytes, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines([head, body])


async def serve(service: Service, port: int) -> None:
    """Serve until the process is stopped; prints the port once requests are answered."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """The command shown above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--efiling", type=int, default=1000)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    rendered = Rendered(given.folder, given.orders)
    service = Service(Brightpearl(rendered), Efiling(given.efiling))
    run = asyncio.run
    if IS_FAST:
        import uvloop  # Only in the server's own environment.

        run = uvloop.run
    run(serve(service, given.port))


if __name__ == "__main__":
    main()
