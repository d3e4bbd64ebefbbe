"""Invariants 1 and 3 with deletions: the marts are those of a home that never saw what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.marts import MARTS
from sandbox.server import Sandbox
from sandbox.world import Body
from tests.home import Pulls, point_at
from tests.test_truth import Home, alive, differences, steady

SWEPT = ("brightpearl.acme", "tastyigniter.bakery", "efiling.formations", "quotevine.leasing")
TELL_OF_DELETIONS = frozenset({"data_quality", "fulfilment_lead_times", "order_changes"})
"""Marts of what was seen, not of what there is; the first counts tombstones in their own column."""


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(lifted=True, most=200) as sandbox:
        yield sandbox


def new_home(box: Sandbox, folder: Path, patch: pytest.MonkeyPatch) -> Home:
    folder.mkdir()
    return Home(box, Pulls(point_at(box, folder, patch)))


def sweep(home: Home) -> dict[str, tuple[int, int, int]]:
    """Every account swept and normalised, then one publication, as `orderloom sweep` does."""
    swept = {account: home.pulls.sweep(account) for account in SWEPT}
    home.publish()
    return {key: (each.suspected, each.deleted, each.restored) for key, each in swept.items()}


def delete_some(box: Sandbox) -> dict[str, int]:
    """Orders of all ages, the oldest and the newest among them; how many of each account."""
    for account in SWEPT:
        ids = list(alive(box, account))
        for order_id in {*ids[::40], ids[-1]}:
            box.api(account).delete(order_id)
    return {account: len(gone(box, account)) for account in SWEPT}


def gone(box: Sandbox, account: str) -> set[str]:
    return {t["source_order_id"] for t in box.truth(account) if t["is_deleted"]}


def tombstones(home: Home, account: str) -> set[str]:
    source = account.partition(".")[0]
    read = f"SELECT source_order_id FROM orders WHERE source_system = '{source}' AND is_deleted"
    return {row["source_order_id"] for row in home.rows(read)}


def marts(home: Home) -> dict[str, list[Body]]:
    """What every mart says, in an order of its own."""
    found: dict[str, list[Any]] = {}
    for mart in MARTS:
        if mart.name not in TELL_OF_DELETIONS:
            found[mart.name] = sorted(home.rows(steady(mart.name)), key=repr)
    return found


@pytest.mark.nightly
def test_what_is_deleted_leaves_the_marts(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    home = new_home(box, tmp_path / "old", monkeypatch)
    home.sync()
    seen = {account: tombstones(home, account) | set(alive(box, account)) for account in SWEPT}
    before = marts(home)
    delete_some(box)
    known_gone = {account: gone(box, account) & seen[account] for account in SWEPT}
    expected = {account: len(ids) for account, ids in known_gone.items()}
    with subtests.test("suspected orders are still there"):
        assert sweep(home) == {account: (n, 0, 0) for account, n in expected.items()}
        assert marts(home) == before
        assert {a: tombstones(home, a) for a in SWEPT} == {a: set() for a in SWEPT}
    with subtests.test("tombstones are not"):
        assert sweep(home) == {account: (0, n, 0) for account, n in expected.items()}
        assert {a: tombstones(home, a) for a in SWEPT} == known_gone
        assert differences(home) == {}
        new = new_home(box, tmp_path / "new", monkeypatch)
        new.sync()
        assert marts(home) == marts(new)
    with subtests.test("a third sweep finds nothing, and an idle one changes nothing"):
        lake = home.pulls.workshop.lake
        versions = lake.version("raw"), lake.version("orders"), home.warehouse.path.resolve()
        assert sweep(home) == dict.fromkeys(SWEPT, (0, 0, 0))
        assert versions == (
            lake.version("raw"),
            lake.version("orders"),
            home.warehouse.path.resolve(),
        )
    kept = home.tables()
    with subtests.test("rebuild and replay"):
        assert home.publish(rebuild=True).is_rebuilt
        assert home.tables() == kept
        for account in SWEPT:
            home.pulls.workshop.normaliser(home.pulls.account(account)).replay()
        home.publish()
        assert home.tables() == kept
    with subtests.test("and on"):
        box.clock.advance(timedelta(days=6))  # Quotevine's search reaches back for seven
        home.sync()
        sweep(home)
        sweep(home)
        assert differences(home) == {}
        ever = {a: seen[a] | set(alive(box, a)) for a in SWEPT}
        assert {a: tombstones(home, a) for a in SWEPT} == {a: gone(box, a) & ever[a] for a in SWEPT}
