"""One source against a small sandbox whose faults can be armed.

Belongs here: the small world, its page sizes, and one home that is synced with it. Does not belong
here: which faults strike, and what must come of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.pull import Pull, ReceivedNothing
from resources.errors import ApiError
from sandbox.faults import Fault
from sandbox.quotevine import QuotevineApi
from sandbox.server import ACCOUNT_NAMES, Sandbox
from tests.api_case import FakeClock
from tests.home import Pulls, point_at
from tests.test_truth import Home, alive, differences

SOURCES = tuple(ACCOUNT_NAMES)
MOST = 45
"""Orders that exist when the sandbox opens, about."""

PAGES = {
    "assets.sources.brightpearl.ROWS_PER_SEARCH": 10,
    "assets.sources.brightpearl.IDS_PER_GET": 10,
    "assets.sources.tastyigniter.PAGE": 8,
    "assets.sources.tastyigniter_pages.PAGE": 8,
    "assets.sources.efiling.PAGE": 15,
    "assets.sources.efiling_pages.PAGE": 15,
    "assets.sources.efiling_pages.SMALLER_PAGES": frozenset(),
    "sandbox.efiling.PAGE_SIZE": 15,
    "assets.sources.quotevine.ITEMS_PER_PAGE": 2,
    "sandbox.quotevine.PAGE_SIZE": 2,
    "assets.sources.feedback_company.ROWS_PER_PAGE": 10,
}
"""So small that the small world has pages enough."""

EDITS = {
    "brightpearl": {"orderStatus": {"orderStatusId": 27}},
    "tastyigniter": {"comment": "ring twice"},
    "efiling": {"description": "edited"},
    "quotevine": {"vin": "WXX1"},
    "feedback_company": {"is_sent": True, "is_reminder_sent": True},
}


class Case:
    """One account, synced again and again. Nothing is waited for: its time is a FakeClock."""

    def __init__(self, box: Sandbox, pulls: Pulls, clock: FakeClock) -> None:
        self.box = box
        self.account = next(iter(box.accounts))
        self.source = self.account.partition(".")[0]
        self.pulls = pulls
        self.clock = clock
        self.home = Home(box, pulls)
        self.is_many = self.source == "quotevine"
        """Whether a sync begins with several requests side by side."""
        self._edits = 0

    def sync(self) -> Pull:
        """One sync without publishing, and another where silence is told, which is told once."""
        try:
            return self.pulls.changes(self.account)
        except ReceivedNothing:
            return self.pulls.changes(self.account)

    def failing_sync(self) -> str:
        """One sync that must fail: the line that it fails with, as it stands in the run history."""
        with pytest.raises(ApiError) as caught:
            self.sync()
        (run,) = self.pulls.workshop.ledger.runs(limit=1)
        assert run["outcome"] == "failed"
        assert run["error"] == str(caught.value)
        return str(caught.value)

    def arm(self, kind: str, **how: Any) -> Fault:
        return self.box.fault(self.account, kind, **how)

    def one_path(self) -> str:
        """Of the requests that a sync begins with, a part of one alone."""
        if not self.is_many:
            return ""
        return f"/{self.box.api(self.account).settings()['relationships'][0]}/"

    def clear(self) -> None:
        self.box.clear_faults()

    def later(self, **by: float) -> None:
        self.box.clock.advance(timedelta(**by))

    def edit(self) -> str:
        """Edit the newest order that exists, in another way each time; its id."""
        order_id = list(alive(self.box, self.account))[-1]
        self._edits += 1
        changes: dict[str, Any] = dict(EDITS[self.source])
        if self.source in ("tastyigniter", "efiling"):
            key = next(iter(changes))
            changes[key] = f"{changes[key]} {self._edits}"
        if self.source == "quotevine":
            changes["vin"] = f"WXX{self._edits}"
        if self.source == "brightpearl":
            changes = {"orderStatus": {"orderStatusId": 27 - self._edits % 2}}
        if self.source == "feedback_company":
            changes["is_reminder_sent"] = self._edits % 2 == 0
        self.box.api(self.account).edit(order_id, changes)
        return order_id

    def wrong(self) -> dict[str, Any]:
        """What the published marts say otherwise than the sandbox, nothing being there twice."""
        self.home.publish()
        assert self.repeated() == []
        return differences(self.home)

    def repeated(self) -> list[Any]:
        """Orders whose content was landed twice in a row."""
        with duckdb.connect() as connection:
            self.pulls.workshop.lake.read(connection, "raw").create_view("landed")
            return connection.execute(
                "SELECT order_key FROM (SELECT order_key, content_hash, LAG(content_hash) OVER"
                " (PARTITION BY order_key ORDER BY landing_seq) AS before FROM landed)"
                " WHERE content_hash = before"
            ).fetchall()


@contextmanager
def case_of(source: str, folder: Path) -> Iterator[Case]:
    """A small sandbox of one source, and an empty home pointed at it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PAGES.items():
            patch.setattr(name, value)
        with Sandbox(sources=(source,)) as box:
            thin(box, next(iter(box.accounts)))
            yield fresh(box, folder, patch)


def fresh(box: Sandbox, folder: Path, patch: pytest.MonkeyPatch) -> Case:
    """An empty home pointed at a sandbox."""
    clock = FakeClock()
    return Case(box, Pulls(point_at(box, folder, patch, clock)), clock)


def thin(box: Sandbox, account: str) -> None:
    """Keep few of an account's orders, evenly chosen, future ones as well."""
    api = box.api(account)
    shelf = api.shelf
    ids = list(shelf.timelines)
    kept = ids[:: max(1, len(ids) // (MOST * 4 // 3))]
    if isinstance(api, QuotevineApi):
        kept = [each for each in ids if int(each.partition("/")[0]) % 7 == 0]
        owners = {int(each.partition("/")[0]) for each in kept}
        api.orders_of = {owner: api.orders_of[owner] for owner in sorted(owners)}
        lines = api.relationships.timelines
        api.relationships.timelines = {str(owner): lines[str(owner)] for owner in owners}
    shelf.timelines = {each: shelf.timelines[each] for each in kept}
