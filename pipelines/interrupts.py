"""Ctrl-C and SIGTERM, noticed whatever Dagster is doing.

Belongs here: remembering that a signal came. Does not belong here: what is done about it
(`pipelines/cli.py` ends the command).

Dagster holds signals back while it writes its events, and forgets them at the end of a run; DuckDB
and others turn one that meets them into an error of their own. The interpreter notes every signal
in a socket before any handler runs, so none is lost there.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from contextlib import AbstractContextManager


class Interrupts(AbstractContextManager["Interrupts"]):
    """Remembers the signals that came since it was made. SIGTERM is taken like Ctrl-C.

    Outside the main thread, where Python lets nobody handle signals, none are seen.
    """

    def __init__(self) -> None:
        self._is_on = threading.current_thread() is threading.main_thread()
        if not self._is_on:
            return
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.settimeout(0)
        self._before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._sigterm = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))

    def __exit__(self, *exc: object) -> None:
        if self._is_on:
            signal.signal(signal.SIGTERM, self._sigterm)
            signal.set_wakeup_fd(self._before)
            self._reader.close()
            self._writer.close()

    def raise_any(self) -> None:
        """Raise KeyboardInterrupt if a signal came that asks to end."""
        if not self._is_on:
            return
        with contextlib.suppress(BlockingIOError):  # none came
            came = self._reader.recv(4096)
            if {signal.SIGINT, signal.SIGTERM} & set(came):
                raise KeyboardInterrupt
