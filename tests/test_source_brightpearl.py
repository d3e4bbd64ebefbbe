"""Asking Brightpearl: over real HTTP, against the sandbox's truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from assets.known import Landed
from assets.sources.brightpearl_ids import id_set
from sandbox.server import Sandbox
from tests.home import Pulls, open_sandbox, point_at

KEY = "brightpearl.acme"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with open_sandbox(most=600) as sandbox:
        yield sandbox


@pytest.fixture
def pulls(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    return Pulls(point_at(box, tmp_path, monkeypatch))


def _landed(pulls: Pulls) -> dict[str, object]:
    landed = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body) for key, body in landed.bodies(landed.ids()).items()}


def _alive(box: Sandbox) -> dict[str, dict[str, object]]:
    return {t["source_order_id"]: t["body"] for t in box.truth(KEY) if not t["is_deleted"]}


def _comparable(body: dict[str, object]) -> dict[str, object]:
    """Custom fields are told only where they are asked for."""
    return {k: v for k, v in body.items() if k not in ("customFields", "nullCustomFields")}


def test_the_first_sync_lands_every_order_as_it_is(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    landed, alive = _landed(pulls), _alive(box)
    assert landed.keys() == alive.keys()
    assert {k: _comparable(v) for k, v in landed.items()} == {  # type: ignore[arg-type]
        k: _comparable(v) for k, v in alive.items()
    }
    assert pull.counts.new == len(alive)


def test_a_second_sync_without_changes_asks_twice_and_lands_nothing(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    box.reset_requests()
    again = pulls.changes(KEY)
    assert (again.requests, again.least_requests, box.requests(KEY)) == (2, 2, 2)
    assert (again.counts.received, again.counts.new, again.counts.changed) == (0, 0, 0)


def test_a_day_later_only_what_changed_is_fetched(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    before = _alive(box)
    box.clock.advance(timedelta(days=1))
    pull = pulls.changes(KEY)
    after = _alive(box)
    moved = {k for k, v in after.items() if before.get(k) != v}
    assert pull.counts.new + pull.counts.changed == len(moved) > 0
    assert pull.requests == pull.least_requests
    landed = _landed(pulls)
    assert all(_comparable(landed[k]) == _comparable(after[k]) for k in moved)  # type: ignore[arg-type]


def test_an_order_without_any_change_since_its_creation_is_not_missed(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    untouched = [k for k, body in _alive(box).items() if "updatedOn" not in body]
    assert untouched
    assert set(untouched) <= _landed(pulls).keys()


def test_an_edit_at_the_cursors_edge_is_seen_and_lands_once(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    edited = next(iter(_alive(box)))
    box.api(KEY).edit(edited, {"reference": "edited at the edge"})
    assert pulls.changes(KEY).counts.changed == 1
    assert pulls.changes(KEY).counts.changed == 0
    assert _landed(pulls)[edited]["reference"] == "edited at the edge"  # type: ignore[index]


def test_a_backfill_lands_the_days_orders_and_leaves_the_cursor(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    cursor = pulls.workshop.ledger.cursor(KEY)
    box.clock.advance(timedelta(days=1))
    day = date(2026, 11, 2)
    pull = pulls.workshop.puller.history(pulls.account(KEY), day, day, "backfill")
    on_day = [b for b in _alive(box).values() if str(b["createdOn"]).startswith("2026-11-02")]
    assert pull.counts.received == len(on_day) > 0
    assert pulls.workshop.ledger.cursor(KEY) == cursor


def test_days_before_the_account_began_are_empty(pulls: Pulls) -> None:
    day = date(2001, 1, 1)
    pull = pulls.workshop.puller.history(pulls.account(KEY), day, day, "too-early")
    assert (pull.requests, pull.counts.received) == (0, 0)


def test_a_load_cut_short_goes_on_from_its_last_batch(
    box: Sandbox, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.sources.brightpearl import Brightpearl

    monkeypatch.setattr(Brightpearl, "batch_size", 100)
    landings = 0

    def cut(_: object) -> None:
        nonlocal landings
        landings += 1
        if landings == 3:
            raise KeyboardInterrupt

    workshop = pulls.workshop
    workshop.landed = cut
    with pytest.raises(KeyboardInterrupt):
        pulls.changes(KEY)
    workshop.landed = None
    resumed = pulls.changes(KEY)
    assert resumed.counts.new == len(_alive(box)) - 3 * 100
    assert _landed(pulls).keys() == _alive(box).keys()


def _gross(totals: object) -> str:
    """The total, or where it is not told, net and tax."""
    assert isinstance(totals, dict)
    gross = totals.get("total") or Decimal(totals["net"]) + Decimal(totals["taxAmount"])
    return f"{Decimal(gross):.4f}"


def test_canonical_orders_agree_with_the_api(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    with duckdb.connect() as connection:
        own = ("brightpearl", "acme")
        pulls.workshop.lake.read(connection, "orders", account=own).create_view("orders")
        found = dict(
            connection.execute(
                "SELECT source_order_id, CAST(gross_amount AS VARCHAR) FROM orders"
            ).fetchall()
        )
    expected = {key: _gross(body["totalValue"]) for key, body in _alive(box).items()}
    assert found == expected


@pytest.mark.parametrize(
    ("ids", "written"),
    [([1], "1"), ([1, 2, 3], "1-3"), ([1, 2, 4, 7, 8], "1-2,4,7-8")],
)
def test_id_sets_use_ranges_where_ids_are_contiguous(ids: list[int], written: str) -> None:
    assert id_set(ids) == written
