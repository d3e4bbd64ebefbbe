"""Unexpected errors as one line.

Belongs here: what to tell of an error that no part of orderloom foresaw. Does not belong here: the
foreseen ones, which say themselves what to do (`resources/errors.py`).
"""

from __future__ import annotations

import os
import traceback

from resources.redaction import redact


def explained(fault: BaseException) -> str:
    """Kind, message and place of an error; the traceback only where ORDERLOOM_TRACEBACK is set."""
    if os.environ.get("ORDERLOOM_TRACEBACK"):
        return redact("".join(traceback.format_exception(fault)))
    frames = traceback.extract_tb(fault.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    message = " ".join(str(fault).split())[:300]
    return redact(
        f"unexpected {type(fault).__name__}: {message} ({place}): set ORDERLOOM_TRACEBACK=1 to "
        "see more, and report it"
    )
