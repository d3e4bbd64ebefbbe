"""Asking eFiling: over real HTTP, against the sandbox's truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import sandbox.server
from assets.known import Landed
from assets.pull import Pull
from assets.sources.efiling import spans
from resources.errors import ApiError
from sandbox.efiling import EfilingApi
from sandbox.efiling_orders import digits
from sandbox.server import Sandbox
from tests.home import Pulls, point_at

KEY = "efiling.formations"


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox.server, "APIS", (EfilingApi,))
    with Sandbox() as running:
        yield running


@pytest.fixture
def pulls(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    return Pulls(point_at(box, tmp_path, monkeypatch))


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body) for key, body in known.bodies(known.ids()).items()}


def alive(box: Sandbox) -> dict[str, Any]:
    return {
        each["source_order_id"]: each["body"] | {"orderlines_state": "complete"}
        for each in box.truth(KEY)
        if not each["is_deleted"]
    }


def created_on(body: dict[str, Any]) -> str:
    return str(body["order"]["created_at"])[:8]


def old(box: Sandbox, status: int) -> str:
    """The newest order of a status that is older than what every sync reads again."""
    found = [k for k, b in alive(box).items() if b["order"]["status"] == status]
    return max(k for k in found if "20260901" < created_on(alive(box)[k]) < "20261020")


def test_the_first_sync_lands_orders_and_lines_as_they_are(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new == len(alive(box)) > 500
    empty_years = 5  # each is asked for once more
    assert pull.requests == pull.least_requests + empty_years == box.requests(KEY)
    assert pulls.workshop.ledger.cursor(KEY) == {
        "read_to": "2026-11-02",
        "listed_on": "2026-11-02",
        "listed_at": "2026-11-02T07:00:00+00:00",
        "asked_at": "2026-11-02T07:00:00+00:00",
    }


def test_landed_numbers_keep_their_digits(pulls: Pulls) -> None:
    pulls.changes(KEY)
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    assert b'"net":17.98,"gross":19.58' in known.bodies(["123"])["123"].replace(b" ", b"")
    assert b'"price":2.0,' in known.bodies(["123"])["123"].replace(b" ", b"")


def test_a_second_sync_asks_three_lists_and_lands_nothing(pulls: Pulls) -> None:
    pulls.changes(KEY)
    again = pulls.changes(KEY)
    assert (again.requests, again.least_requests) == (3, 3)
    assert (again.counts.received, again.counts.new, again.counts.changed) == (0, 0, 0)


def test_each_day_what_changed_arrives_and_only_its_lines_are_asked_for(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    for _ in range(3):
        before = alive(box)
        box.clock.advance(timedelta(days=1))
        pull = pulls.changes(KEY)
        after = alive(box)
        moved = {key for key, body in after.items() if before.get(key) != body}
        assert pull.counts.received == pull.counts.new + pull.counts.changed == len(moved) > 0
        assert landed(pulls) == after
        assert pull.requests <= pull.least_requests + 1


def test_an_open_order_that_was_finished_is_found_by_its_day(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    moved = old(box, 100)
    box.api(KEY).edit(moved, {"status": 700})
    pull = pulls.changes(KEY)
    assert (pull.counts.changed, pull.least_requests) == (1, 5)
    assert landed(pulls)[moved] == alive(box)[moved]
    assert pulls.changes(KEY).least_requests == 3


def test_other_lines_of_an_open_order_arrive(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    edited = old(box, 100)
    lines = [{**line, "description": "new"} for line in alive(box)[edited]["orderlines"]]
    box.api(KEY).edit(edited, {"orderlines": lines})
    assert pulls.changes(KEY).counts.changed == 1
    assert landed(pulls)[edited]["orderlines"] == lines


def test_an_invoice_of_a_finished_order_is_seen_at_once(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    finished = old(box, 700)
    box.api(KEY).edit(finished, {"invoiced_at": digits(box.clock.now())})
    assert pulls.changes(KEY).counts.changed == 1
    assert landed(pulls)[finished] == alive(box)[finished]


def test_a_late_change_of_a_finished_order_is_seen_the_next_day(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    finished = old(box, 700)
    box.api(KEY).edit(finished, {"status": 900})
    assert pulls.changes(KEY).counts.changed == 0
    box.clock.advance(timedelta(days=1))
    pulls.changes(KEY)
    assert landed(pulls)[finished] == alive(box)[finished]
    assert pulls.workshop.ledger.cursor(KEY) == {
        "read_to": "2026-11-03",
        "listed_on": "2026-11-03",
        "listed_at": "2026-11-03T07:00:00+00:00",
        "asked_at": "2026-11-03T07:00:00+00:00",
    }


def test_a_load_cut_short_does_not_ask_for_the_same_lines_again(box: Sandbox, pulls: Pulls) -> None:
    def cut(pull: Pull) -> None:
        if pull.counts.new > 300:
            raise KeyboardInterrupt

    workshop = pulls.workshop
    workshop.landed = cut
    with pytest.raises(KeyboardInterrupt):
        pulls.changes(KEY)
    workshop.landed = None
    so_far = len(landed(pulls))
    assert 300 < so_far < len(alive(box))
    resumed = pulls.changes(KEY)
    assert resumed.counts.received == len(alive(box)) - so_far
    assert resumed.requests < resumed.counts.received + 20
    assert landed(pulls) == alive(box)


def test_a_backfill_lands_the_orders_created_in_these_days(box: Sandbox, pulls: Pulls) -> None:
    first, last = date(2026, 10, 24), date(2026, 10, 26)
    pulls.workshop.puller.history(pulls.account(KEY), first, last, "backfill")
    wanted = {k for k, body in alive(box).items() if "20261024" <= created_on(body) <= "20261026"}
    assert landed(pulls).keys() == wanted
    assert len(wanted) > 2
    assert pulls.workshop.ledger.cursor(KEY) is None


def test_canonical_orders_agree_with_the_api(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    with duckdb.connect() as connection:
        own = ("efiling", "formations")
        pulls.workshop.lake.read(connection, "orders", account=own).create_view("orders")
        found = connection.execute(
            "SELECT source_order_id, net_amount, gross_amount, row_count, totals_check FROM orders"
        ).fetchall()
    rows = {key: (float(net), float(gross), count) for key, net, gross, count, _ in found}
    assert rows == {
        key: (b["order"]["net"], b["order"]["gross"], len(b["orderlines"]))
        for key, b in alive(box).items()
    }
    assert {check for key, *_, check in found if key != "123"} == {"ok"}


def test_a_wrong_key_is_one_line_without_the_key(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EFILING_FORMATIONS_KEY", "canary-wrong-key")
    with pytest.raises(ApiError, match=r"401.*Unauthorised") as raised:
        pulls.changes(KEY)
    assert "canary" not in str(raised.value)


DAYS = [date(2026, 1, 1) + timedelta(days=place // 40) for place in range(400)]
"""Ten days of forty orders each."""


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [([], []), ([1], [(1, 1)]), ([1, 2], [(1, 2)]), ([1, 3], [(1, 1), (3, 3)])],
)
def test_days_share_a_span_while_it_fits_a_page(
    wanted: list[int], expected: list[tuple[int, int]]
) -> None:
    def day(number: int) -> date:
        return date(2026, 1, number)

    found = spans([day(number) for number in wanted], DAYS)
    assert found == [(day(first), day(last)) for first, last in expected]
