"""Asking Quotevine: over real HTTP, against the sandbox's truth and against odd replies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import sandbox.server
from assets.known import Landed
from assets.pull import Puller
from assets.sources.quotevine import Quotevine
from assets.workshop import Workshop
from resources.errors import ApiError
from resources.places import Places
from sandbox.quotevine import QuotevineApi, QuotevineFlatApi
from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.mapping_harness import outcome

KEY = "quotevine.leasing"
PAGES = Path(__file__).parent / "pages" / "quotevine"
FAST = 1_000_000
"""Requests a minute: no test waits for a budget."""
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}


@pytest.fixture(params=[QuotevineApi])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox.server, "APIS", (request.param,))
    monkeypatch.setattr(request.param, "requests_per_minute", FAST)
    with Sandbox() as running:
        yield running


@pytest.fixture
def pulls(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    return Pulls(point_at(box, tmp_path, monkeypatch))


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body)["order"] for key, body in known.bodies(known.ids()).items()}


def alive(box: Sandbox) -> dict[str, Any]:
    return {t["source_order_id"]: t["body"] for t in box.truth(KEY) if not t["is_deleted"]}


@pytest.mark.parametrize("box", [QuotevineApi, QuotevineFlatApi], indirect=True)
def test_every_order_is_landed_as_it_is_in_both_shapes(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new == len(alive(box)) > 300
    assert pull.requests == pull.least_requests == box.requests(KEY)


def test_a_second_sync_asks_each_relationship_once_and_lands_nothing(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    cursor = pulls.workshop.ledger.cursor(KEY)
    box.reset_requests()
    again = pulls.changes(KEY)
    following_pages = 1  # one relationship has more than 25 orders
    assert cursor is not None
    assert box.requests(KEY) == 1 + len(cursor["relationships"]) + following_pages
    assert again.requests == again.least_requests
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert pulls.workshop.ledger.cursor(KEY) == cursor


def test_a_week_brings_new_relationships_and_changed_orders(box: Sandbox, pulls: Pulls) -> None:
    configured = len(pulls.account(KEY).settings.relationships)  # type: ignore[attr-defined]
    pulls.changes(KEY)
    box.clock.advance(timedelta(days=6))
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new > 0
    assert pull.counts.changed > 0
    cursor = pulls.workshop.ledger.cursor(KEY)
    assert cursor is not None
    assert len(cursor["relationships"]) > configured
    assert cursor["searched"] == "2026-11-08"


def test_what_was_discovered_is_remembered_without_a_cursor(
    box: Sandbox, pulls: Pulls, tmp_path: Path
) -> None:
    box.clock.advance(timedelta(days=6))
    pulls.changes(KEY)
    (tmp_path / "var" / "ledger.sqlite").unlink()
    box.clock.advance(timedelta(days=8))
    fresh = Pulls(Workshop(Places.from_environment()))
    fresh.changes(KEY)
    assert landed(fresh).keys() >= set(landed(pulls))


def test_nothing_is_known_beforehand(box: Sandbox, pulls: Pulls, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    lines = accounts.read_text().splitlines()
    accounts.write_text("\n".join(line for line in lines if not line.startswith("relationships")))
    pull = pulls.changes(KEY)
    assert 0 < pull.counts.new < len(alive(box))
    assert pull.requests == pull.least_requests + 1  # the first one tells the server's day


def test_a_walk_cut_short_goes_on_and_then_reads_the_rest(
    box: Sandbox, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.sources.quotevine.RELATIONSHIPS_PER_BATCH", 40)
    landings: list[object] = []

    def cut(pull: object) -> None:
        landings.append(pull)
        if len(landings) == 3:
            raise KeyboardInterrupt

    workshop = pulls.workshop
    workshop.landed = cut
    with pytest.raises(KeyboardInterrupt):
        pulls.changes(KEY)
    workshop.landed = None
    cursor = workshop.ledger.cursor(KEY)
    assert cursor is not None
    assert cursor["after"] == cursor["relationships"][79]
    edited = min(landed(pulls), key=lambda order_id: int(order_id.partition("/")[0]))
    assert int(edited.partition("/")[0]) < cursor["after"]
    box.api(KEY).edit(edited, {"contact_notes": "after the cut"})
    reached: list[int] = []
    workshop.landed = lambda _: reached.append((workshop.ledger.cursor(KEY) or {})["after"])
    pulls.changes(KEY)
    assert reached[1] == cursor["relationships"][119]
    assert landed(pulls) == alive(box)


def test_a_wrong_key_is_one_line_without_the_key(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTEVINE_LEASING_API_KEY", "canary-wrong-key")
    with pytest.raises(ApiError, match="401") as raised:
        pulls.changes(KEY)
    assert "canary" not in str(raised.value)
    assert "\n" not in str(raised.value)


# Odd replies.


def test_the_recorded_list_becomes_an_order() -> None:
    order = json.loads((PAGES / "orders_list_200.json").read_text())["items"][0]
    found = outcome("quotevine", {"relationship_id": 7, "order": order}, "7/154709")
    assert found.order is not None
    assert found.order["placed_on"] == date(2022, 8, 5)
    assert found.order["placed_at"] is None
    assert found.order["created_at"].isoformat() == "2022-08-05T10:06:13+00:00"
    assert found.order["created_tz_basis"] == "configured"
    assert found.order["requested_delivery_text"] == "End of August"
    assert found.order["currency"] is None
    assert found.order["rows_state"] == "not_supplied"
    assert found.extra["new_used"] == "NEW"
    assert [party["role"] for party in found.parties] == ["delivery"]
    assert found.faults == []


def test_what_cannot_be_read_is_told_and_the_order_is_loaded() -> None:
    order = {
        "order_status": "Sent", "target_delivery_date": "soon", "proposal_id": "many",
        "order_date": "15-08-2022", "cancellation_date": "never", "update_frequency_days": 99999,
        "creation_date": "2022-10-30 01:30:00", "last_update_date": "yesterday",
        "delivery_property": "a", "delivery_address": "b",
    }  # fmt: skip
    found = outcome("quotevine", {"relationship_id": 7, "order": order}, "7/1")
    assert found.order is not None
    assert found.reasons() == {
        ("proposal_id", False),
        ("order_date", False),
        ("cancellation_date", False),
        ("update_frequency_days", False),
        ("last_update_date", False),
    }
    assert found.order["order_status"] == "unknown"
    assert {"repeated_hour", "alias_differs"} <= set(found.order["quality_flags"])
    assert found.party("delivery")["address_line_1"] == "a"


def test_absent_mandatory_fields_are_told() -> None:
    found = outcome("quotevine", {"relationship_id": 7, "order": {}}, "7/1")
    assert found.reasons() == {
        ("proposal_id", False),
        ("order_status", False),
        ("target_delivery_date", False),
    }
    assert found.parties == []


def test_probe_asks_once_and_brings_no_orders(box: Sandbox, pulls: Pulls) -> None:
    puller: Puller = pulls.workshop.puller
    with puller._api(pulls.account(KEY)) as api:
        assert Quotevine().probe(api).json() == []
    assert box.requests(KEY) == 1
