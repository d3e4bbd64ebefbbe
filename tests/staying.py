"""The Dagster UI of a home, as `orderloom ui` opens it, for as long as a test needs it.

Belongs here: starting it, waiting for it, asking it, and leaving none of its processes behind. Does
not belong here: what a test does in it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import tenacity

START = 60
"""Seconds within which it must answer."""
END = 60
"""Seconds that its processes have to end by themselves."""


@contextmanager
def dagster_ui(surroundings: Mapping[str, str], log: Path) -> Iterator[str]:
    """The address of a UI of its own; what it prints goes to `log`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = "from pipelines.cli import main; main()"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-c", command, "ui", "--port", str(port)], env=dict(surroundings),
            cwd=log.parent, stdout=printed, stderr=printed, start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _answer(url)
        yield url
    finally:
        _end(process)


def ask(url: str, query: str, **variables: Any) -> dict[str, Any]:
    """What the UI's own interface answers."""
    asked = {"query": query, "variables": variables}
    reply = httpx.post(f"{url}/graphql", json=asked, timeout=60).json()
    assert "errors" not in reply, reply["errors"]
    data: dict[str, Any] = reply["data"]
    return data


@tenacity.retry(
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_delay(START),
    retry=tenacity.retry_if_exception_type(httpx.TransportError),
    reraise=True,
)
def _answer(url: str) -> None:
    httpx.get(f"{url}/server_info", timeout=60).raise_for_status()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the command to end, as a service manager does; what it leaves behind is killed."""
    process.terminate()
    try:
        assert process.wait(timeout=END) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
