"""What commands show while they work and when they are done.

Belongs here: progress, tables, one-line errors. Does not belong here: work, SQL.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from assets.pull import Pull
from resources.api import Progress

PLAIN_EVERY = 2.0
"""Seconds between two lines of progress where there is no terminal."""

PLAIN_WIDTH = 120
"""Columns of a table that is written to a file or a pipe."""


BOX = SIMPLE_HEAD
"""The lines of every table."""


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


out = _console()
err = _console(stderr=True)


class Watch:
    """Shows how far a pull has come: orders so far, requests, what is being waited for."""

    def __init__(self) -> None:
        self._live = out.is_terminal
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=out,
            transient=True,
        )
        self._lock = threading.Lock()
        self._task = self._bar.add_task("", visible=False)
        self._account = ""
        self._orders = 0
        self._requests = 0
        self._told = 0.0
        self._silent_until = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bar.stop()

    def begin(self, what: str) -> None:
        """Start on the next account or step."""
        self._account, self._orders, self._requests = what, 0, 0
        self._told = time.monotonic()
        if self._live:
            self._bar.reset(self._task, description=what, visible=True)

    def asking(self, progress: Progress) -> None:
        """Called by the API client."""
        self._requests = progress.requests
        waiting = ""
        if progress.waiting_for:
            waiting = f", waiting {progress.seconds:.0f} s for {progress.waiting_for}"
        is_long = progress.seconds >= PLAIN_EVERY
        self._show(waiting, at_once=is_long and time.monotonic() >= self._silent_until)
        if is_long:  # several threads wait for the same thing, and each says so
            self._silent_until = time.monotonic() + progress.seconds

    def landed(self, pull: Pull) -> None:
        """Called after every landing commit."""
        self._orders = pull.counts.received
        self._show("")

    def _show(self, waiting: str, *, at_once: bool = False) -> None:
        line = f"{self._account}: {self._orders:,} orders, {self._requests:,} requests{waiting}"
        with self._lock:
            if self._live:
                self._bar.update(self._task, description=line)
            elif at_once or time.monotonic() - self._told >= PLAIN_EVERY:
                self._told = time.monotonic()
                out.print(f"  ... {line}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; numbers stand on the right."""
    grid = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=BOX,
        pad_edge=False,
        padding=(0, 1),
    )
    for place, column in enumerate(columns):
        numeric = any(isinstance(row[place], int | float | Decimal) for row in rows)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(shown(value)) for value in row))
    out.print(grid)


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return str(value)


def complain(line: str) -> None:
    """One line to standard error."""
    err.print(f"orderloom: {line}", markup=False, soft_wrap=True)
    sys.stderr.flush()
