"""Asking TastyIgniter: over real HTTP, against the sandbox's truth."""

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
from assets.sources import tastyigniter_pages
from assets.sources.tastyigniter import Tastyigniter
from resources.errors import ApiError
from sandbox.server import Sandbox
from sandbox.tastyigniter import TastyigniterApi
from sandbox.tastyigniter_flat import TastyigniterFlatApi
from tests.home import Pulls, point_at

KEY = "tastyigniter.bakery"
SECRET = ("hash", "ip_address", "user_agent")


@pytest.fixture(params=[TastyigniterApi])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox.server, "APIS", (request.param,))
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
        each["source_order_id"]: without_secrets(each["body"])
        for each in box.truth(KEY)
        if not each["is_deleted"]
    }


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in SECRET}
    if "attributes" in kept:
        kept["attributes"] = without_secrets(kept["attributes"])
    return kept


def listed_and_single(body: dict[str, Any]) -> dict[str, Any]:
    """The attributes that a flat list and a flat single order have in common."""
    left_out = ("order_time", "order_date", "order_date_time")
    return {name: value for name, value in body.items() if name not in left_out}


def test_the_first_sync_lands_every_order_as_it_is(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new == len(alive(box)) > 800
    assert pull.requests == box.requests(KEY) <= pull.least_requests + 1


@pytest.mark.parametrize("box", [TastyigniterFlatApi], indirect=True)
def test_a_site_of_2020_is_landed_as_it_is(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    found = landed(pulls)
    expected = alive(box)
    assert {key: listed_and_single(body) for key, body in found.items()} == {
        key: listed_and_single(body) for key, body in expected.items()
    }
    assert len(found) > 90


def test_tokens_and_traces_of_people_are_never_stored(pulls: Pulls) -> None:
    pulls.changes(KEY)
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    bodies = b"".join(known.bodies(known.ids()).values())
    assert b'"first_name"' in bodies
    assert not [name for name in SECRET if f'"{name}"'.encode() in bodies]


def test_a_second_sync_lands_nothing_and_asks_no_more_than_it_must(pulls: Pulls) -> None:
    pulls.changes(KEY)
    cursor = pulls.workshop.ledger.cursor(KEY)
    again = pulls.changes(KEY)
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert again.requests <= again.least_requests + 1
    assert pulls.workshop.ledger.cursor(KEY) == cursor


def test_new_orders_and_later_changes_arrive_day_by_day(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    for _ in range(2):
        before = alive(box)
        box.clock.advance(timedelta(days=1))
        pull = pulls.changes(KEY)
        moved = {key for key, body in alive(box).items() if before.get(key) != body}
        assert pull.counts.new + pull.counts.changed == len(moved) > 0
        found = landed(pulls)
        assert {key: found[key] for key in alive(box)} == alive(box)


def test_an_edit_of_the_lines_alone_is_seen(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    newest = max(alive(box), key=int)
    before = alive(box)[newest]["attributes"]["updated_at"]
    box.api(KEY).edit(newest, {"order_menus": [{"name": "Bread", "quantity": 3, "price": 2.4}]})
    assert alive(box)[newest]["attributes"]["updated_at"] == before
    assert pulls.changes(KEY).counts.changed == 1
    assert landed(pulls)[newest]["attributes"]["order_menus"][0]["name"] == "Bread"


def finish(box: Sandbox, but: str) -> None:
    """Every order completed, but one."""
    for key, body in alive(box).items():
        if key != but and body["attributes"]["status_id"] not in (0, 5, 9):
            box.api(KEY).edit(key, {"status_id": 5})


def test_an_old_order_that_is_still_open_is_asked_for_alone(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    finish(box, but="8")
    pulls.changes(KEY)
    box.api(KEY).edit("8", {"status_id": 5})
    pull = pulls.changes(KEY)
    assert (pull.counts.changed, pull.requests) == (1, pull.least_requests)
    assert landed(pulls)["8"] == alive(box)["8"]
    assert pulls.changes(KEY).requests == pull.requests - 1


def test_a_finished_order_of_the_last_week_is_read_again(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    finish(box, but="")
    pulls.changes(KEY)
    recent = {k: b["attributes"]["created_at"][:10] for k, b in alive(box).items()}
    edited = next(key for key, day in recent.items() if day == "2026-10-27")
    box.api(KEY).edit(edited, {"comment": "after five days"})
    assert pulls.changes(KEY).counts.changed == 1


def test_an_open_order_that_was_deleted_stops_nothing(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    finish(box, but="8")
    pulls.changes(KEY)
    box.api(KEY).delete("8")
    assert pulls.changes(KEY).counts.changed == 0


def test_a_late_edit_of_a_finished_order_is_seen_by_the_weekly_listing(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    finish(box, but="")
    pulls.changes(KEY)
    box.api(KEY).edit("6", {"comment": "late"})
    assert pulls.changes(KEY).counts.changed == 0
    box.clock.advance(timedelta(days=7))
    pulls.changes(KEY)
    assert landed(pulls)["6"]["attributes"]["comment"] == "late"
    assert pulls.workshop.ledger.cursor(KEY)["listed_on"] == "2026-11-09"  # type: ignore[index]


def test_a_load_cut_short_goes_on_from_its_last_batch(
    box: Sandbox, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tastyigniter, "batch_size", 100)
    monkeypatch.setattr(tastyigniter_pages, "PAGE", 50)
    landings: list[object] = []

    def cut(pull: object) -> None:
        landings.append(pull)
        if len(landings) == 4:
            raise KeyboardInterrupt

    workshop = pulls.workshop
    workshop.landed = cut
    with pytest.raises(KeyboardInterrupt):
        pulls.changes(KEY)
    workshop.landed = None
    so_far = len(landed(pulls))
    assert 400 <= so_far < len(alive(box))
    box.api(KEY).delete("3")
    box.api(KEY).delete("77")
    resumed = pulls.changes(KEY)
    assert resumed.counts.new == len(alive(box)) + 2 - so_far
    assert landed(pulls).keys() >= alive(box).keys()


def test_a_backfill_lands_the_orders_wanted_in_these_days(box: Sandbox, pulls: Pulls) -> None:
    first, last = date(2026, 10, 24), date(2026, 10, 25)
    pull = pulls.workshop.puller.history(pulls.account(KEY), first, last, "backfill")
    slots = {k: str(b["attributes"]["order_date_time"]) for k, b in alive(box).items()}
    wanted = {k for k, slot in slots.items() if "2026-10-23T23" <= slot < "2026-10-26T00"}
    assert landed(pulls).keys() == wanted
    assert pull.counts.received == len(wanted) > 10
    assert pulls.workshop.ledger.cursor(KEY) is None


def test_after_a_backfill_of_newer_days_the_days_between_are_not_missed(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    box.clock.advance(timedelta(days=6))
    day = date(2026, 11, 7)
    pulls.workshop.puller.history(pulls.account(KEY), day, day, "backfill")
    pulls.changes(KEY)
    assert landed(pulls).keys() >= alive(box).keys()


def test_canonical_orders_agree_with_the_api(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    with duckdb.connect() as connection:
        own = ("tastyigniter", "bakery")
        pulls.workshop.lake.read(connection, "orders", account=own).create_view("orders")
        found = connection.execute("SELECT source_order_id, gross_amount, row_count FROM orders")
        rows = {key: (f"{gross:.4f}", count) for key, gross, count in found.fetchall()}
    assert rows == {
        key: (f"{b['attributes']['order_total']:.4f}", len(b["attributes"]["order_menus"]))
        for key, b in alive(box).items()
    }


def test_a_wrong_token_is_one_line_without_the_token(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTYIGNITER_BAKERY_TOKEN", "canary-wrong-token")
    with pytest.raises(ApiError, match=r"401.*Unauthenticated") as raised:
        pulls.changes(KEY)
    assert "canary" not in str(raised.value)
