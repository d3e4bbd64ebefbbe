"""A process killed at every commit point: nothing lost, nothing twice, nothing fetched again.

Each chain kills one run after the other, so that every next run dies while it makes good what the
one before it left. The sync that follows must find the truth.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from assets.sources.efiling_lines import MOST_AT_ONCE
from tests.crash_scene import DAYS, KEY, Scene, edit_some, open_scene
from tests.crashing import KILLED, Moment
from tests.home import IS_NIGHTLY

WRITE = "resources.lake:write_rows"
APPEND = "resources.lake:Lake.append"
CURSOR = "resources.ledger:Ledger.move_cursor"
FINISH = "resources.ledger:Ledger.finish_run"
MARK = "resources.lake_flush:replace_file"
FLUSH = "resources.lake_flush:flush"
PUBLISH = "resources.publication:publish"
RENAMED = "resources.publication:swap"
REPLACE = "resources.lake:Lake.replace_account"


def commit(table: str, count: int = 1) -> list[Moment]:
    """The moments of one commit: not begun; made but not flushed; flushed but not marked; done."""
    return [
        Moment(WRITE, "before", f"/{table}", count),
        Moment(WRITE, "after", f"/{table}", count),
        Moment(MARK, "before", f"/{table}/_flushed", count),
        Moment(APPEND, "after", table, count),
    ]


A_WHILE = timedelta(seconds=2)
"""What is stamped in the second of a sync is read again by the next one."""
LAST_DAY = 5
"""Orders changed within the last day: a first sync reads them again, whoever has landed them."""

LANDING = [
    *commit("raw", 2),
    Moment(CURSOR, "before"),
    Moment(CURSOR, "after"),
    Moment(FINISH, "before"),
    Moment(FINISH, "after"),
]
NORMALISING = [
    *commit("order_rows")[:3],
    Moment(WRITE, "before", "/order_parties"),
    Moment(APPEND, "after", "order_parties"),
    *commit("orders")[:3],
]
"""A table that was committed is not written again, so some moments come for one table only."""
PUBLISHING = [
    Moment(PUBLISH, "before"),
    Moment("resources.publication:flush_file", "before"),
    Moment(RENAMED, "before"),
    Moment("os:replace", "before", ".link"),
    Moment(RENAMED, "after"),
]
REPLAYING = [
    moment
    for table in ("order_rows", "order_parties", "orders")
    for moment in (
        Moment(REPLACE, "before", table),
        Moment(WRITE, "after", f"/{table}"),
        Moment(REPLACE, "after", table),
    )
]
COMPACTING = [
    Moment("resources.lake:Lake.compact", "before", "orders"),
    Moment(FLUSH, "before", "/orders"),
    Moment(FLUSH, "after", "/orders"),
    Moment("resources.lake:Lake.compact", "after", "orders"),
]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(tmp_path, monkeypatch) as found:
        yield found


def survive(scene: Scene, moments: Sequence[Moment], *arguments: str) -> None:
    """Die at each moment in turn; no more than what is in flight is ever asked for again."""
    for moment in moments:
        before = scene.repeated()
        scene.die(moment, *arguments)
        assert scene.repeated() - before <= in_flight(scene), moment


def in_flight(scene: Scene) -> int:
    """The batch that is not landed yet, and the orders whose lines are asked for meanwhile."""
    return scene.commands.batch_size + 2 * MOST_AT_ONCE


def test_a_full_load_survives_a_kill_at_every_commit_point(scene: Scene) -> None:
    survive(scene, LANDING, "sync")
    before = scene.repeated()
    survive(scene, [*NORMALISING, *PUBLISHING][:: 1 if IS_NIGHTLY else 2], "sync")
    scene.is_true()
    assert scene.repeated() == before, "what was landed was fetched again"


@pytest.mark.nightly
def test_a_sync_of_changes_survives_a_kill_at_every_commit_point(scene: Scene) -> None:
    scene.commands.batch_size = 10
    scene.is_true()
    scene.box.clock.advance(A_WHILE)
    edit_some(scene.box, 35)
    scene.box.clock.advance(A_WHILE)
    scene.asked.clear()
    survive(scene, [*commit("raw"), Moment(CURSOR, "before")], "sync")
    edit_some(scene.box, 5)
    scene.box.clock.advance(A_WHILE)
    for table in ("order_rows", "order_parties", "orders"):
        scene.die(Moment(APPEND, "after", table), "sync")
    scene.die(Moment(RENAMED, "before"), "sync")
    scene.is_true()


@pytest.mark.nightly
def test_a_backfill_survives_a_kill_at_every_commit_point(scene: Scene) -> None:
    moments = [*commit("raw", 2)[:3], *commit("raw")[:3], Moment(FINISH, "before")]
    moments += [*NORMALISING[3:], Moment(RENAMED, "before")]
    survive(scene, moments, "backfill", KEY, *DAYS)
    scene.commands.succeed("backfill", KEY, *DAYS)
    before = scene.repeated()
    scene.is_true()
    assert scene.repeated() - before <= LAST_DAY, "the sync fetched again what had been landed"


@pytest.mark.nightly
def test_a_replay_and_a_compaction_survive_a_kill_at_every_commit_point(scene: Scene) -> None:
    scene.is_true()
    edit_some(scene.box, 20)
    scene.is_true()
    published = scene.home.tables()
    for moment in COMPACTING:
        scene.die(moment, "compact")
    normaliser = scene.home.pulls.workshop.normaliser(scene.home.pulls.account(KEY))
    for moment in REPLAYING:
        scene.die(moment, "replay")
        is_half = moment not in (REPLAYING[0], *REPLAYING[-2:])
        assert normaliser.is_drained != is_half, moment
    scene.is_true()
    assert scene.home.tables() == published
    scene.commands.succeed("rebuild")
    assert scene.home.tables() == published


def test_a_power_cut_in_the_middle_of_a_sync_is_made_good(scene: Scene) -> None:
    """Killed before the flush; then the newest log entry, or the data, turns out to be torn."""
    lake = Path(scene.home.pulls.workshop.places.lake)
    for table in ("raw", "order_rows", "orders"):
        scene.die(Moment(WRITE, "after", f"/{table}"), "sync")
        newest = max((lake / table / "_delta_log").glob("*.json"))
        torn = newest if table != "orders" else max(lake.rglob("*.parquet"), key=written)
        os.truncate(torn, torn.stat().st_size // 2)
    child = scene.is_true()
    assert sum("not whole after a crash" in line for line in child.said().splitlines()) == 1
    assert len(list(lake.glob("*/_torn/*"))) == 3


def written(path: Path) -> int:
    return path.stat().st_mtime_ns


SEEDS = range(40) if IS_NIGHTLY else range(1)
KILLS = 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_at_any_request_loses_nothing(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(KILLS):
        before = scene.repeated()
        scene.signal_at = len(scene.asked) + chance.randint(1, 150)
        child = scene.commands.run("sync")
        assert child.process.exitcode == KILLED, child.said()
        assert scene.repeated() - before <= in_flight(scene)
    scene.is_true()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.nightly
def test_a_kill_at_any_flush_loses_nothing(scene: Scene, seed: int) -> None:
    """Also while it normalises and publishes: whatever is written for good is flushed."""
    chance = random.Random(seed)
    ended = []
    for _ in range(KILLS):
        when, count = chance.choice(["before", "after"]), chance.randint(1, 120)
        moment = Moment("os:fsync", when, count=count)
        ended.append(scene.commands.run("sync", die_at=moment).process.exitcode)
    assert KILLED in ended
    assert set(ended) <= {KILLED, 0}
    scene.is_true()
