"""Telling whether a process still lives.

Belongs here: a name for this process that no other ever has, and looking it up. Does not belong
here: leases. Where the system has no /proc nobody is ever called gone.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """This process, never to be confused with another: boot, namespace, number and start."""
    return _name(os.getpid()) or f"unknown/{os.getpid()}"


def is_gone(name: str) -> bool:
    """Whether the process of that name has certainly ended. False where it cannot be told."""
    own = this_process().split("/")
    other = name.split("/")
    if len(own) != 4 or len(other) != 4 or own[:2] != other[:2] or not other[2].isdigit():
        return False
    return _name(int(other[2])) != name


def shares_our_clock(name: str) -> bool:
    """Whether the process of that name runs, or ran, since this host was last started.

    All such processes read the same uptime (`time.monotonic`), which nobody can set.
    """
    own, other = this_process().split("/"), name.split("/")
    return len(own) == len(other) == 4 and own[0] == other[0]


def _name(number: int) -> str | None:
    """None if there is no such process, or it has ended and only waits to be collected."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
        fields = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}/{namespace}/{number}/{start}"
