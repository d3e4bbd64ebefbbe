"""The settings of Dagster's instance in a home: written once, renewed as long as nobody edits them.

Belongs here: which file is kept and which replaced. Does not belong here: what it says
(`dagster.yaml`), opening the instance (`pipelines/running.py`).
"""

from __future__ import annotations

import os
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

FILE = "dagster.yaml"

WRITTEN_BEFORE = frozenset({"880ceb072a0ea970ad2e4c7d9bcb40d79b56a3b0d17976bb3072a2f8087e7f54"})
"""SHA-256 of every text that an earlier orderloom wrote: such a file was never edited. With every
change of dagster.yaml the hash of the text before is added here."""


def provide(folder: Path) -> bool:
    """Write the settings where there are none, or those of an earlier orderloom; whether it did.

    A file that somebody edited is kept.
    """
    settings = folder / FILE
    text = files("pipelines").joinpath(FILE).read_bytes()
    if settings.exists():
        found = settings.read_bytes()
        if found == text or sha256(found).hexdigest() not in WRITTEN_BEFORE:
            return False
    aside = settings.with_suffix(".new")
    aside.write_bytes(text)
    os.replace(aside, settings)
    return True
