"""The status history of all five sources against the sandbox's timelines.

Belongs here: moments that the published history tells, compared with when the sandbox changed.
Does not belong here: current values (test_truth.py), cases worked out by hand.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from assets.marts import MARTS
from assets.reference import reference
from resources.warehouse import Warehouse
from sandbox.brightpearl_version import Version
from sandbox.clock import OPENING
from sandbox.server import Sandbox
from sandbox.world import Timeline
from schemas.status import HISTORY_DIMENSIONS
from tests.home import Pulls, open_sandbox, point_at
from tests.truth import READERS, published_id

pytestmark = pytest.mark.nightly

STEPS = (timedelta(0), timedelta(hours=5), timedelta(days=2))
"""How far the clock moves before each sync."""

COMPARED = {
    "brightpearl": ("order_status", "payment_status", "shipping_status", "allocation_status"),
    "tastyigniter": ("order_status", "payment_status"),
    "efiling": ("order_status",),
    "quotevine": ("order_status", "shipping_status", "allocation_status"),
    "feedback_company": ("invitation_status",),
}
TOLD = {"tastyigniter": "order_status", "feedback_company": "invitation_status"}
"""Dimensions of which the source tells every moment, also of changes that no sync has seen."""

Line = list[tuple[datetime, str]]


def said(source: str, code: str, source_code: str | None) -> str:
    """A status as it is compared: TastyIgniter tells of ids, also of two that mean the same."""
    return f"{code} {source_code}" if source == "tastyigniter" else code


class Told:
    """What was published after each sync, and what the sandbox says at the end."""

    def __init__(self, box: Sandbox, pulls: Pulls) -> None:
        self.box = box
        self.warehouse: Warehouse = pulls.workshop.warehouse
        self.held: dict[datetime, set[tuple[str, str]]] = {}
        for step in STEPS:
            box.clock.advance(step)
            for account in box.accounts:
                pulls.changes(account)
            self.warehouse.publish(MARTS, reference(pulls.workshop))
            self.held[self.now] = set(self.rows("SELECT order_key, payment_status FROM orders"))

    @property
    def now(self) -> datetime:
        return self.box.clock.now().replace(tzinfo=None)

    def rows(self, sql: str) -> list[Any]:
        with self.warehouse.open() as con:
            return con.execute(sql).fetchall()

    def stretches(self, source: str, dimension: str) -> dict[str, list[dict[str, Any]]]:
        """The published rows by source order id, oldest first, empty ones left out."""
        found = self.warehouse.read_arrow(
            "SELECT o.source_order_id, h.* FROM order_status_history AS h"
            " JOIN orders AS o ON o.order_key = h.order_key"
            f" WHERE h.source_system = '{source}' AND dimension = '{dimension}'"
            " AND valid_from_utc IS DISTINCT FROM valid_to_utc"
            " ORDER BY o.source_order_id, valid_from_utc"
        ).to_pylist()
        by_id = groupby(found, key=lambda row: row["source_order_id"])
        return {order_id: list(rows) for order_id, rows in by_id}

    def lines(self, source: str, dimension: str) -> dict[str, Line]:
        """Every order's codes in the sandbox until now and since when, by published id."""
        [account] = [key for key in self.box.accounts if key.startswith(f"{source}.")]
        timelines = self.box.api(account).shelf.timelines
        return {
            published_id(source, {"source_order_id": order_id}): list(
                self._changes(source, line, dimension)
            )
            for order_id, line in timelines.items()
        }

    def _changes(self, source: str, line: Timeline[Any], dimension: str) -> Line:
        found: Line = []
        for moment, body in zip(line.moments, line.bodies, strict=True):
            if body is None or moment > self.box.clock.now():
                break
            plain = body.body | body.head(1) if isinstance(body, Version) else body
            exact = json.loads(json.dumps(plain), parse_float=Decimal)
            columns = READERS[source](exact).columns
            code = said(source, columns[dimension], columns.get(HISTORY_DIMENSIONS[dimension]))
            since = moment.replace(tzinfo=None)
            if found and found[-1][0] == since:
                found.pop()
            if not found or found[-1][1] != code:
                found.append((since, code))
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Replies arrive when the sandbox's clock says, whatever day it is here."""
    folder: Path = tmp_path_factory.mktemp("history")
    with open_sandbox() as box, pytest.MonkeyPatch.context() as patch:

        class Clocked(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return box.clock.now().astimezone(tz)

        patch.setattr("resources.replies.datetime", Clocked)
        yield Told(box, Pulls(point_at(box, folder, patch)))


@pytest.mark.parametrize("source", COMPARED)
def test_a_code_holds_where_the_history_says(told: Told, source: str) -> None:
    """Whatever a moment rests on, the order had the code then; events tell it to the second."""
    wrong, bases = [], Counter()
    for dimension in COMPARED[source]:
        lines = told.lines(source, dimension)
        for order_id, stretches in told.stretches(source, dimension).items():
            for row in stretches:
                since = row["valid_from_utc"]
                if since <= OPENING.replace(tzinfo=None):
                    continue
                truth = {moment: code for moment, code in lines[order_id] if moment <= since}
                last = max(truth, default=None)
                is_exact = last == since or row["valid_from_basis"] != "source_event"
                bases[row["valid_from_basis"]] += 1
                code = said(source, row["code"], row["source_code"])
                if last is None or truth[last] != code or not is_exact:
                    wrong.append((order_id, dimension, code, since, row, truth))
    assert wrong == []
    assert bases
    assert not bases["observed"] or source in ("tastyigniter", "feedback_company")


@pytest.mark.parametrize("source", TOLD)
def test_what_the_source_tells_is_known_to_the_second(told: Told, source: str) -> None:
    dimension = TOLD[source]
    lines, checked = told.lines(source, dimension), 0
    for order_id, stretches in told.stretches(source, dimension).items():
        found = [
            (row["valid_from_utc"], said(source, row["code"], row["source_code"]))
            for row in stretches
        ]
        expected = lines[order_id]
        if expected[-1][0] <= OPENING.replace(tzinfo=None):
            continue
        checked += 1
        if source == "tastyigniter":
            assert found[-1] == expected[-1]
        else:
            assert found == expected
    assert checked > 20


def test_what_was_believed_is_what_was_published(told: Told) -> None:
    for moment, held in told.held.items():
        sql = (
            f"SELECT order_key, code FROM status_believed_on(TIMESTAMP '{moment}')"
            " WHERE dimension = 'payment_status'"
        )
        assert set(told.rows(sql)) == held
    assert len({frozenset(held) for held in told.held.values()}) == len(STEPS)


def test_news_came_late(told: Told) -> None:
    """What was believed between two syncs is not what was true, and the history says which."""
    moment = sorted(told.held)[1] + timedelta(days=1)
    sql = (
        f"SELECT COUNT(*) FROM status_on(TIMESTAMP '{moment}') AS t"
        f" JOIN status_believed_on(TIMESTAMP '{moment}') AS b"
        " ON b.order_key = t.order_key AND b.dimension = t.dimension WHERE b.code <> t.code"
    )
    [(count,)] = told.rows(sql)
    assert count > 50
