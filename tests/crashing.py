"""The real command line in a child process that is killed, or interrupted, at a chosen moment.

Belongs here: starting such children, and naming the moments. Does not belong here: expectations.

Children are forked from a server that has imported everything and done nothing, since importing
takes longer than most syncs. At its moment a child gets SIGKILL: nothing is closed, flushed or
handed back. Functions are wrapped, never replaced.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

PRELOADED = [
    "tests.crashing",
    "pipelines.definitions",
    "pipelines.commands",
    "pipelines.status",
    "pipelines.asking",
]
KILLED = -signal.SIGKILL
LONGEST = 120.0
"""Seconds within which every child must have ended."""


@dataclass(frozen=True)
class Moment:
    """Just before or just after the `count`-th call of a function that is about something."""

    where: str
    """Module and name, as `resources.lake:Lake.append`."""
    when: str
    about: str = ""
    """Text within one of the first two arguments, such as a table's name."""
    count: int = 1
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        about = f" of {self.about}" if self.about else ""
        return f"{self.when} {self.where.rpartition(':')[2]}{about}, {self.count}"

    def arm(self) -> None:
        """Wrap the function in this process."""
        module, _, path = self.where.partition(":")
        *outer, name = path.split(".")
        owner: Any = functools.reduce(getattr, outer, importlib.import_module(module))
        setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += self._is_about(args)
            is_now = calls == self.count and self._is_about(args)
            if is_now and self.when == "before":
                os.kill(os.getpid(), self.signal)
            result = function(*args, **kwargs)
            if is_now and self.when == "after":
                os.kill(os.getpid(), self.signal)
            return result

        return call

    def _is_about(self, args: tuple[Any, ...]) -> bool:
        told = [str(getattr(arg, "table_uri", arg)).rstrip("/") for arg in args[:2]]
        return any(text.endswith(self.about) for text in told) if self.about else True


@dataclass
class Child:
    """A command under way, or ended."""

    process: ForkServerProcess
    output: Path

    def wait(self) -> int:
        """The exit code; that of a signal is negative."""
        self.process.join(LONGEST)
        assert self.process.exitcode is not None, f"still running: {self.said()}"
        return self.process.exitcode

    def said(self) -> str:
        """What it has written to standard output and standard error."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def complaints(self) -> list[str]:
        """The lines in which the command says that something is wrong."""
        return [line for line in self.said().splitlines() if line.startswith("orderloom: ")]


@dataclass
class Commands:
    """Starts commands with the environment of this moment."""

    folder: Path
    batch_size: int = 40
    """Orders landed in one commit, about: several commits in a sample of some hundreds."""
    children: list[Child] = field(default_factory=list)

    def start(self, *arguments: str, die_at: Moment | None = None, most_bytes: int = 0) -> Child:
        """Start a command; `most_bytes` is how long any file may become, 0 for no limit."""
        output = self.folder / f"output-{len(self.children)}.txt"
        given = (arguments, self.batch_size, die_at, most_bytes, dict(os.environ), str(output))
        process = _server().Process(target=_run, args=given)
        process.start()
        child = Child(process, output)
        self.children.append(child)
        return child

    def run(self, *arguments: str, die_at: Moment | None = None, most_bytes: int = 0) -> Child:
        """Run a command to its end."""
        child = self.start(*arguments, die_at=die_at, most_bytes=most_bytes)
        child.wait()
        return child

    def succeed(self, *arguments: str) -> Child:
        """Run a command that must succeed."""
        child = self.run(*arguments)
        assert child.process.exitcode == 0, child.said()
        return child

    def end(self) -> None:
        """End what is still running."""
        for child in self.children:
            if child.process.is_alive():
                child.process.kill()
                child.process.join()


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _run(
    arguments: tuple[str, ...],
    batch_size: int,
    die_at: Moment | None,
    most_bytes: int,
    environment: dict[str, str],
    output: str,
) -> None:
    """What a child does."""
    from assets.sources import SOURCES, source
    from pipelines.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(Path(output).parent)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in SOURCES:
        type(source(name)).batch_size = batch_size
    if die_at is not None:
        die_at.arm()
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    main(args=list(arguments), prog_name="orderloom")
