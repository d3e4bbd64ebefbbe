"""`orderloom shell`: DuckDB's own prompt on the marts, typed at through a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from canonical_rows import land
from click.testing import CliRunner
from warehouse_home import Home, whole

from pipelines.cli import main

PATIENCE = 30.0
SHELL = [str(Path(sys.executable).with_name("orderloom")), "shell"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "it's home")
    land(home.lake, **whole("1", 1))
    home.publish()
    return home


def _environment(home: Home) -> dict[str, str]:
    return os.environ | {"ORDERLOOM_HOME": str(home.files), "TERM": "xterm", "HOME": "/nowhere"}


class Terminal:
    """The prompt in a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], leader: int) -> None:
        self.process = process
        self._leader = leader
        self._seen = ""

    def type(self, keys: str) -> None:
        """Press keys once the prompt reads them."""
        self._wait(busy=False)
        self._seen = ""
        os.write(self._leader, keys.encode())

    def shows(self, text: str) -> str:
        """Wait until the text is on the screen; everything since the last key."""
        until = time.monotonic() + PATIENCE
        while text not in self._seen:
            assert self._look(until - time.monotonic()), f"{text!r} never came: {self._seen!r}"
        return self._seen

    def cancel(self) -> None:
        """Press Ctrl-C until the query is no more: before it has begun to run, one goes unheard."""
        self._wait(busy=True)
        until = time.monotonic() + PATIENCE
        while self._is_busy():
            assert time.monotonic() < until, f"nothing cancels: {self._seen!r}"
            os.write(self._leader, b"\x03")
            heard = min(until, time.monotonic() + 1)
            while self._is_busy() and time.monotonic() < heard:
                self._look(0.02)

    def _wait(self, *, busy: bool) -> None:
        until = time.monotonic() + PATIENCE
        while self._is_busy() is not busy:
            self._look(0.02)
            assert time.monotonic() < until, f"busy is not {busy}: {self._seen!r}"

    def _is_busy(self) -> bool:
        """Whether Ctrl-C is a signal: while it reads a line the prompt takes it as a key."""
        return bool(termios.tcgetattr(self._leader)[3] & termios.ISIG)

    def _look(self, seconds: float) -> bool:
        """Take in what comes within so many seconds; whether anything did."""
        ready, _, _ = select.select([self._leader], [], [], max(0.0, seconds))
        if ready:
            said = os.read(self._leader, 65536).decode(errors="replace")
            self._seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
        return bool(ready)


@contextmanager
def _opened(home: Home) -> Iterator[Terminal]:
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (40, 120))
    with subprocess.Popen(
        SHELL, stdin=follower, stdout=follower, stderr=follower, env=_environment(home),
        cwd=home.files.parent, start_new_session=True,
        preexec_fn=lambda: os.login_tty(follower),
    ) as process:  # fmt: skip
        os.close(follower)
        try:
            yield Terminal(process, leader)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            os.close(leader)


def test_the_prompt_answers_cancels_and_tells_of_a_newer_publication(home: Home) -> None:
    with _opened(home) as terminal:
        assert "1 orders, read-only" in terminal.shows(" D ")
        terminal.type("SELECT 'orders ' ||\r")
        terminal.type("count(*) AS n FROM orders;\r")
        terminal.shows("orders 1")
        terminal.type(
            "SELECT sum(hash(a.range + b.range)) FROM range(1000000000) a, range(1000000000) b;\r"
        )
        terminal.cancel()
        terminal.type("DELETE FROM orders;\r")
        assert "read-only mode" in terminal.shows("mode!")
        land(home.lake, **whole("2", 2))
        home.publish()
        terminal.type("SELECT 'still ' || 'here';\r")
        terminal.shows("still here")
        reopen = re.search(r"newer publication is there: (.*?)\)", terminal.shows(") marts D"))
        assert reopen is not None
        terminal.type(f"{reopen[1]}\r")
        terminal.type("SELECT 'orders ' || count(*) FROM orders;\r")
        terminal.shows("orders 2")
        terminal.type("\x04")
        assert terminal.process.wait(PATIENCE) == 1, "as of DuckDB's: a statement had failed"
    history = home.files / ".duckdb_history"
    assert "DELETE FROM orders" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_statements_may_come_through_a_pipe(home: Home) -> None:
    done = subprocess.run(
        SHELL, input="SELECT count(*) AS counted FROM orders;", env=_environment(home),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "counted" in done.stdout
    assert "Published" not in done.stdout


def test_without_marts_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path))
    told = CliRunner().invoke(main, ["shell"])
    assert told.exit_code == 1
    assert "run orderloom sync" in told.stderr
