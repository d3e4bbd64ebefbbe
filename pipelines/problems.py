"""Unexpected errors as one line.

Belongs here: what to tell of an error that no part of orderloom foresaw. Does not belong here: the
foreseen ones, which say themselves what to do (`resources/errors.py`).
"""

from __future__ import annotations

import os
import traceback

from resources.places import Places
from resources.redaction import redact

_NO_ROOM = (
    "No space left",
    "File too large",
    "database or disk is full",
    "disk I/O error",
    "Disk quota exceeded",
)
"""How the system, SQLite and others say that a disk takes nothing more."""


def no_room(fault: BaseException | None) -> str | None:
    """What the system said, if an error comes from a disk that takes nothing more."""
    while fault is not None:
        said = [words for words in _NO_ROOM if words in str(fault)]
        if said:
            return said[0]
        fault = fault.__cause__ or fault.__context__
    return None


def explained(fault: BaseException) -> str:
    """Kind, message and place of an error; the traceback only where ORDERLOOM_TRACEBACK is set."""
    if os.environ.get("ORDERLOOM_TRACEBACK"):
        return redact("".join(traceback.format_exception(fault)))
    if reason := no_room(fault):
        return (
            f"nothing more can be written: {reason} ({Places.from_environment().home}): make room "
            "on that disk and run again; what was landed is kept"
        )
    frames = traceback.extract_tb(fault.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    message = " ".join(str(fault).split())[:300]
    return redact(
        f"unexpected {type(fault).__name__}: {message} ({place}): set ORDERLOOM_TRACEBACK=1 to "
        "see more, and report it"
    )
