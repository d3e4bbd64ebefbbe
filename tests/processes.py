"""Real processes for tests of what happens side by side.

Belongs here: starting them, and telling them apart from those that went wrong. Does not belong
here: what they are to do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 120
"""Seconds within which every process must have ended."""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own; its environment is the test's."""
    return _started(["-c", script, *map(str, arguments)])


def module(name: str, *arguments: object) -> subprocess.Popen[str]:
    """A module in a process of its own."""
    return _started(["-m", name, *map(str, arguments)])


def orderloom(*arguments: object) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return start("from pipelines.cli import main; main()", *arguments)


def outcomes(running: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Wait for all of them: exit codes and what each wrote to its error output."""
    ended = [(each, each.communicate(timeout=LIMIT)[1]) for each in running]
    return [(each.returncode, error) for each, error in ended]


def finished(*running: subprocess.Popen[str]) -> None:
    """Wait for all of them, and see that none went wrong."""
    assert [each for each in outcomes(running) if each[0]] == []


def said(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _started(arguments: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
