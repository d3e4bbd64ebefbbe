"""What a sequence does to a home, step by step, in this process or in one that is killed.

Belongs here: the steps, where a process can be killed, small pages. Does not belong here: the
sandbox, what must hold afterwards.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import wraps
from typing import Any

import pytest

import assets.sources.brightpearl as brightpearl
import assets.sources.feedback_company as feedback_company
import assets.sources.quotevine as quotevine
import assets.sources.tastyigniter as tastyigniter
import assets.sources.tastyigniter_pages as tastyigniter_pages
import resources.warehouse_build as warehouse_build
from assets.marts import MARTS
from assets.pull import Pull
from assets.reference import reference
from assets.sources.base import Source
from assets.sources.efiling import Efiling
from assets.workshop import Workshop
from resources import pacing, publication
from resources.budget import Budget
from resources.errors import OrderloomError
from resources.lake import Lake
from resources.ledger import Ledger
from resources.transport import Transport
from schemas.canonical import LAKE

SMALL: tuple[tuple[Any, str, int], ...] = (
    (tastyigniter_pages, "PAGE", 8),
    (tastyigniter, "PAGE", 8),
    (brightpearl, "ROWS_PER_SEARCH", 7),
    (brightpearl, "IDS_PER_GET", 5),
    (feedback_company, "ROWS_PER_PAGE", 6),
    (quotevine, "RELATIONSHIPS_PER_BATCH", 8),
    (Source, "batch_size", 10),
    (Efiling, "batch_size", 6),
)
"""Pages and batches so small that the few orders of a sequence need several."""

COMMITS: tuple[tuple[Any, str], ...] = (
    (Lake, "append"),
    (Lake, "replace_account"),
    (Lake, "compact"),
    (Ledger, "move_cursor"),
    (Ledger, "start_run"),
    (Ledger, "finish_run"),
    (publication, "copy"),
    (publication, "flush_file"),
    (publication, "swap"),
    (warehouse_build.Build, "note"),
)
"""Before and after each of these a process can be killed, and around every request."""
REQUEST = (Transport, "send")
FAILED = 3
"""Exit code of a process whose step failed in an orderly way."""


@dataclass(frozen=True)
class Step:
    """One thing that is done to a home; the accounts and days are those that its kind needs."""

    kind: str
    accounts: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None

    def __str__(self) -> str:
        days = f" {self.first}..{self.last}" if self.first else ""
        return f"{self.kind}({', '.join(self.accounts)}){days}"


def run_id() -> str:
    """A run id that no other run has."""
    return f"run-{uuid.uuid4().hex}"


def perform(workshop: Workshop, step: Step) -> list[Pull]:
    """Do a step; what was pulled, if anything."""
    return STEPS[step.kind](workshop, step)


def _pull(workshop: Workshop, step: Step) -> list[Pull]:
    return [workshop.puller.changes(workshop.accounts.get(k), run_id()) for k in step.accounts]


def _drain(workshop: Workshop, step: Step) -> list[Pull]:
    for key in step.accounts:
        workshop.normaliser(workshop.accounts.get(key)).drain()
    return []


def _publish(workshop: Workshop, step: Step) -> list[Pull]:
    rebuild = step.kind == "rebuild"
    workshop.warehouse.publish(MARTS, reference(workshop), rebuild=rebuild)
    return []


def _sync(workshop: Workshop, step: Step) -> list[Pull]:
    """As `orderloom sync`: each account pulled and normalised, then one publication."""
    pulled = []
    for key in step.accounts:
        one = Step("pull", (key,))
        pulled += _pull(workshop, one)
        _drain(workshop, one)
    _publish(workshop, step)
    return pulled


def _backfill(workshop: Workshop, step: Step) -> list[Pull]:
    assert step.first
    assert step.last
    pulled = []
    for key in step.accounts:
        account = workshop.accounts.get(key)
        pulled.append(workshop.puller.history(account, step.first, step.last, run_id()))
    return pulled


def _sweep(workshop: Workshop, step: Step) -> list[Pull]:
    pulled = []
    for key in step.accounts:
        account, accepted = workshop.accounts.get(key), step.kind == "accepted sweep"
        pulled.append(workshop.puller.presence(account, run_id(), accept_mass_deletion=accepted))
    _drain(workshop, step)
    return pulled


def _replay(workshop: Workshop, step: Step) -> list[Pull]:
    for key in step.accounts:
        workshop.normaliser(workshop.accounts.get(key)).replay()
    return []


def _compact(workshop: Workshop, _: Step) -> list[Pull]:
    for table in LAKE:
        with workshop.ledger.lease(f"lake/{table}", "compact", wait=10):
            workshop.lake.compact(table)
    return []


STEPS: dict[str, Callable[[Workshop, Step], list[Pull]]] = {
    "pull": _pull,
    "drain": _drain,
    "publish": _publish,
    "rebuild": _publish,
    "sync": _sync,
    "backfill": _backfill,
    "replay": _replay,
    "sweep": _sweep,
    "accepted sweep": _sweep,
    "compact": _compact,
}


class Skipping:
    """Time of which every wait is skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        """As `time.monotonic`, and all waits on top."""
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Instead of waiting."""
        if not stop.is_set():
            self.skipped += seconds


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Make pages and batches small, and wait for nothing."""
    for owner, name, value in SMALL:
        patch.setattr(owner, name, value)
    skipping = Skipping()
    patch.setattr(pacing.Clock, "now", lambda _: skipping.now())
    patch.setattr(pacing.Clock, "sleep", lambda _, *wait: skipping.sleep(*wait))
    patch.setitem(Budget.__init__.__kwdefaults__, "now", skipping.now)


def killed(step: Step, place: int, *, at_requests: bool) -> bool:
    """Do a step in a process of its own that is killed at its `place`-th commit or request.

    False where the step was over before it came to that. Raises OrderloomError where it failed.
    """
    context = multiprocessing.get_context("forkserver")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    child = context.Process(target=_doomed, args=(environment, step, place, at_requests))
    child.start()
    child.join(60)
    assert child.exitcode is not None, f"{step} hangs in a process of its own"
    if child.exitcode == FAILED:
        raise OrderloomError(f"{step} failed in a process of its own", "tests", "see its output")
    assert child.exitcode in (0, -signal.SIGKILL), f"{step} ended with {child.exitcode}"
    return child.exitcode != 0


def _doomed(environment: dict[str, str], step: Step, place: int, at_requests: bool) -> None:
    os.environ.update(environment)
    make_quick(pytest.MonkeyPatch())
    left = [place]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in (REQUEST,) if at_requests else COMMITS:
        setattr(owner, name, _counted(getattr(owner, name), count))
    workshop = Workshop()
    try:
        perform(workshop, step)
    except OrderloomError as error:
        raise SystemExit(FAILED) from error
    workshop.close()


def _counted(function: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    @wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        count()
        result = function(*args, **kwargs)
        count()
        return result

    return around
