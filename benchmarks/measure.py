"""Measuring: a server with made-up orders, and what a command costs, its children included.

Belongs here: starting and asking the server, wall time, CPU and memory of a process tree. Does not
belong here: what is measured (`compare.py` and other benchmarks), how results are shown.

How to use it:

    from benchmarks.measure import measured, serving

    with serving(orders=20_000) as server:
        figures = measured([sys.executable, "my_script.py", server.url], server)
        server.change(200)                # 1 % of the orders, at the server's own time
        again = measured([sys.executable, "my_script.py", server.url], server)

`server.url` takes a path of your choice per account (`f"{server.url}/acme"`);
`server.accounts_toml(10)` is the accounts file for so many of them, whose credentials are the
variables `CREDENTIALS`. `server.least()` and `server.truth()` say how many
requests are the least possible now, and how many orders, rows and pence there are. `measured`
resets the server's counters before it runs the command. Stages inside one process are measured with
`stopwatch.py`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.api.orders import BEGAN, make

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venv-bench"
"""Virtual environments of what is compared; git-ignored, as is what `DATA` holds."""
DATA = ROOT / "var" / "benchmarks"
SAMPLE_SECONDS = 0.03
CREDENTIALS = {"BENCH_APP_REF": "app", "BENCH_TOKEN": "token"}
"""Environment variables that the accounts file names. The server asks for no credentials."""


class MeasurementFailed(Exception):
    """A command that failed, or a server that did not start: there is nothing to measure."""


@dataclass(frozen=True)
class Figures:
    """What one run of a command cost. Seconds, and megabytes of 2**20 bytes."""

    wall: float
    cpu: float
    """User and system time of the command and of all children that it waited for."""
    peak: float
    """Most memory of the process tree at one moment, shared pages once: sampled, and at least the
    largest resident set that the command's own process ever had."""
    requests: int
    kinds: dict[str, int]
    """Requests by kind: search, get, options, list, lines."""
    bytes: int
    server_cpu: float
    written: float
    """Megabytes handed to the disk; 0 on a file system in memory."""
    others: float
    """Cores that anything else on the machine kept busy meanwhile: near 0 on an idle machine."""
    said: str
    """The last line that the command printed."""

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The address; any path may follow it, each being an account of its own."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, control: str) -> dict[str, Any]:
        """Ask what `benchmarks/api/server.py` lists."""
        with urllib.request.urlopen(f"{self.url}/-/{control}", timeout=600) as reply:
            answer: dict[str, Any] = json.loads(reply.read())
        return answer

    def stats(self) -> dict[str, Any]:
        """Requests by kind, bytes, CPU seconds, least possible requests."""
        return self.ask("stats")

    def least(self) -> dict[str, int]:
        """Least possible requests: `full`, `changed`, `no_change`, `efiling`."""
        return dict(self.stats()["least"])

    def truth(self, source: str = "brightpearl") -> dict[str, int]:
        """Orders, rows, and sums in pence, as they are now."""
        return dict(self.ask("truth")[source])

    def change(self, count: int, new: int = 0) -> None:
        """Change orders and add new ones; two days of the server's time pass."""
        self.ask(f"change?count={count}&new={new}")

    def restore(self) -> None:
        """Forget every change and put the clock back."""
        self.ask("restore")

    def accounts_toml(self, accounts: int = 1, source: str = "brightpearl") -> str:
        """An accounts file: SOURCE.bench1, SOURCE.bench2 and so on, their budgets lifted."""
        return "\n".join(self._account(source, f"bench{n}") for n in range(1, accounts + 1))

    def _account(self, source: str, name: str) -> str:
        if source == "efiling":
            began, credentials = "2026-01-01", 'key = "BENCH_TOKEN"'
        else:
            began = BEGAN.date().isoformat()
            credentials = 'app_ref = "BENCH_APP_REF"\naccount_token = "BENCH_TOKEN"'
        return (
            f'[{source}.{name}]\nbase_url = "{self.url}/{name}"\ntimezone = "Europe/London"\n'
            f'currency = "GBP"\nstarted_on = {began}\nrequests_per_minute = 1000000\n\n'
            f"[{source}.{name}.credentials]\n{credentials}\n"
        )


@contextmanager
def serving(
    orders: int, efiling: int = 1000, folder: Path | None = None, python: Path | None = None
) -> Iterator[Server]:
    """A server with the first so many orders, rendered before if need be; stopped in the end.

    `folder`: where rendered orders are kept; by default `DATA`, one folder for all sizes. `python`:
    the interpreter that serves; by default that of `ENVIRONMENTS` if it is there, which has uvloop.
    Raises MeasurementFailed.
    """
    rendered = make(folder or DATA / "orders", orders)
    own = ENVIRONMENTS / "server" / "bin" / "python"
    interpreter = python or (own if own.exists() else Path(sys.executable))
    process = subprocess.Popen(
        [interpreter, "-m", "benchmarks.api.server", rendered, f"--orders={orders}",
         f"--efiling={efiling}"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise MeasurementFailed("the server did not start")
        yield Server(int(port), process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measured(
    command: Sequence[str | Path],
    server: Server | None = None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Figures:
    """Run a command to its end and say what it cost. Raises MeasurementFailed if it fails.

    The counters of the server are reset before it runs. `env` is added to the environment. Children
    count where the command waits for them; memory is that of all descendants.
    """
    before, busy_before = _reset(server), busy_seconds()
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(each) for each in command],
            stdout=said, stderr=subprocess.STDOUT, env=os.environ | dict(env or {}), cwd=cwd,
        )  # fmt: skip
        with _ended(process), _sampled(process.pid) as peak:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace").strip().replace(f"{ROOT}/", "")
    if process.returncode:
        shown = " ".join(map(str, command))
        raise MeasurementFailed(f"{shown} ended with {process.returncode}:\n{text[-3000:]}")
    stats: dict[str, Any] = {"requests": {}, "bytes": 0, "cpu": 0.0}
    if server is not None:
        stats = server.stats()
    cpu, server_cpu = usage.ru_utime + usage.ru_stime, stats["cpu"] - before
    busy_with_others = busy_seconds() - busy_before - cpu - server_cpu
    return Figures(
        wall=wall,
        cpu=cpu,
        peak=peak[0] / 2**20,
        requests=sum(stats["requests"].values()),
        kinds=stats["requests"],
        bytes=stats["bytes"],
        server_cpu=server_cpu,
        written=usage.ru_oublock * 512 / 2**20,
        others=max(0.0, busy_with_others / wall),
        said=text.splitlines()[-1] if text else "",
    )


def busy_seconds() -> float:
    """CPU seconds that the whole machine has spent on anything so far, stolen ones included."""
    numbers = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, *interrupts = map(int, numbers)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _reset(server: Server | None) -> float:
    """The server's CPU seconds so far, its counters being set to zero."""
    if server is None:
        return 0.0
    server.ask("reset")
    return float(server.stats()["cpu"])


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that an interrupted measurement leaves no process behind."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


@contextmanager
def _sampled(pid: int) -> Iterator[list[int]]:
    """The most bytes that a process tree has held so far, as the only item of a list."""
    peak = [0]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            # Not ru_maxrss: it begins with what this process held when it started the command.
            peak[0] = max(peak[0], held_by_tree(pid), largest_resident_set(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def held_by_tree(pid: int) -> int:
    """Bytes of memory of a process and all its descendants, shared pages once."""
    tree = [*descendants(pid)]
    # By whom a page is shared takes the kernel longer to tell: asked only where it matters.
    return sum(map(proportional_set, tree)) if len(tree) > 1 else resident_set(pid)


def descendants(pid: int) -> Iterator[int]:
    """A process and all that it started that still run under it."""
    yield pid
    try:
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        children = [int(n) for task in tasks for n in (task / "children").read_text().split()]
    except OSError:  # It has ended.
        return
    for child in children:
        yield from descendants(child)


def largest_resident_set(pid: int) -> int:
    """Bytes of memory that a process held at most so far, shared pages included."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM:") * 1024


def resident_set(pid: int) -> int:
    """Bytes of memory of a process, shared pages included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # It has ended.
        return 0


def proportional_set(pid: int) -> int:
    """Bytes of memory of a process, shared pages divided among those who share them."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") * 1024


def _kilobytes(file: str, name: str) -> int:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:  # It has ended.
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
