"""Requests on the wire.

Belongs here: httpx, its time-outs, connections, redirects, and telling passing faults from others.
Does not belong here: when to send, and what to do about a reply or a fault (`api.py`).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from resources.lazily import lazily
from resources.redaction import RedactingFilter
from resources.refusals import Elsewhere, Fault
from resources.settings import is_loopback

if TYPE_CHECKING:
    import httpx
else:
    # Its own command line would import rich, click and pygments: a third of its time.
    httpx = lazily("httpx", without=["httpx._main"])

Value = str | int | float | bool
Params = Mapping[str, Value | Sequence[Value]] | Sequence[tuple[str, Value]]

TIMEOUT = (10.0, 60.0, 60.0, 60.0)
"""Seconds: to connect, read, write, and get hold of a connection. Reading counts from byte to byte,
not for a whole reply."""

_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})

for _logger in ("httpx", "httpcore.connection", "httpcore.http11"):
    # httpx logs every URL at INFO, and some APIs take their secrets in the URL.
    logging.getLogger(_logger).addFilter(RedactingFilter())


class Transport:
    """Connections to one base URL. Thread safe."""

    def __init__(self, base_url: str, account: str) -> None:
        self._base = httpx.URL(base_url)
        self._account = account
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        self._client = httpx.Client(
            headers={"User-Agent": f"orderloom/{_version()}", "Accept": "application/json"},
            timeout=TIMEOUT,
            limits=httpx.Limits(keepalive_expiry=30.0),
            verify=_trusted() if self._base.scheme == "https" else _nobody(),
            # A proxy named in the environment cannot reach this machine's own loopback.
            trust_env=not is_loopback(self._base.host),
        )

    def url(self, path: str, params: Params | None) -> httpx.URL:
        """`path` below the base URL, or the absolute URL of the same host; query included.

        Raises Elsewhere for another host.
        """
        url = httpx.URL(path) if "://" in path else self._below(path)
        self._refuse_elsewhere(url)
        return url.copy_merge_params(params) if params else url  # type: ignore[arg-type]

    def send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        """One request and its whole reply. Raises Fault."""
        request = self._client.build_request(
            method, url, headers=headers, content=content, extensions={"trace": self._trace}
        )
        try:
            return self._client.send(request)
        except httpx.RequestError as error:
            fault = _fault(error)
        except RuntimeError:  # httpx says so where another thread has closed the client
            if not self._closed:
                raise
            fault = Fault("the client was closed", passing=False, sent=False)
        # Raised out here so that the httpx error, whose text may hold a header, is not chained.
        raise fault

    def next_url(self, response: httpx.Response) -> httpx.URL | None:
        """Where a redirect asks the same question again; None if the reply is no redirect.

        Raises Elsewhere for another host. A redirect that would change the method, as from POST
        to GET, is not one: the API would answer a question that was not asked.
        """
        following = response.next_request
        if following is None or following.method != response.request.method:
            return None
        self._refuse_elsewhere(following.url)
        return following.url

    def close(self) -> None:
        """Cut every connection: a thread that waits for a reply gets a Fault at once."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        for connection in sockets:
            _cut(connection)
        self._client.close()

    def _below(self, path: str) -> httpx.URL:
        return httpx.URL(f"{str(self._base).rstrip('/')}/{path.lstrip('/')}")

    def _refuse_elsewhere(self, url: httpx.URL) -> None:
        if (url.scheme, url.host, url.port) != (
            self._base.scheme,
            self._base.host,
            self._base.port,
        ):
            raise Elsewhere(
                f"the API points to {url.scheme}://{url.netloc.decode('ascii')}",
                self._account,
                f"credentials go to {self._base.host} only: correct base_url if it has moved",
            )

    def _trace(self, event: str, details: Mapping[str, Any]) -> None:
        if event not in _CONNECTED:
            return
        connection = details["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets.add(connection)
            closed = self._closed
        if closed:  # while it was connecting
            _cut(connection)


def _cut(connection: socket.socket) -> None:
    """End both directions: unlike closing, it wakes a thread that is reading."""
    with contextlib.suppress(OSError):  # already closed
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _fault(error: httpx.RequestError) -> Fault:
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    certificate = isinstance(_cause(error), ssl.SSLCertVerificationError)
    lasting = certificate or isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Fault(text, passing=not lasting, sent=not (unsent or lasting))


def _cause(error: BaseException) -> BaseException:
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates, read once a process: it takes longer than many a request."""
    return httpx.create_ssl_context()


def _nobody() -> ssl.SSLContext:
    """Of use where nothing is encrypted: trusts no certificate, and need not read any."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _version() -> str:
    try:
        return version("orderloom")
    except PackageNotFoundError:
        return "unreleased"
