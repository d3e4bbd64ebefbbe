"""Ctrl-C and SIGTERM at any moment: exit code 130, one line, and the next sync goes on."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash_scene import DAYS, KEY, Scene, edit_some, open_scene
from tests.crashing import Child, Moment
from tests.home import IS_NIGHTLY

INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(tmp_path, monkeypatch) as found:
        yield found


def ends_well(scene: Scene, child: Child, moment: object) -> None:
    """One line, nothing left held, nothing left half in the ledger."""
    assert child.wait() == 130, f"{moment}: {child.said()}"
    complaints = child.complaints()
    assert len(complaints) == 1, f"{moment}: {child.said()}"
    assert "interrupted" in complaints[0]
    assert "Traceback" not in child.said()
    ledger = scene.home.pulls.workshop.ledger
    assert {run["outcome"] for run in ledger.runs(None)} <= {"succeeded", "failed"}, moment
    for purpose in ("changes", "landing", "normalise"):
        with ledger.lease(KEY, purpose):
            pass
    with ledger.lease("lake/orders", "compact"):
        pass


SYNC = [
    Moment("resources.lake:write_rows", "before", "/raw", 2, INT),
    Moment("resources.lake_flush:flush", "before", "/raw", 2, TERM),
    Moment("resources.ledger:Ledger.move_cursor", "after", "", 1, INT),
    Moment("resources.ledger:Ledger.finish_run", "before", "", 1, INT),
    Moment("assets.mapping:Mapper.map", "before", "", 1, TERM),
    Moment("resources.lake:Lake.append", "after", "order_rows", 1, INT),
    Moment("resources.warehouse_build:Build.bring_up_to_date", "before", "", 1, INT),
    Moment("resources.publication:swap", "before", "", 1, TERM),
]
REST = {
    "replay": [
        Moment("resources.lake:Lake.replace_account", "before", "order_rows", 1, INT),
        Moment("resources.lake:write_rows", "after", "/order_parties", 1, TERM),
    ],
    "rebuild": [
        Moment("resources.warehouse_build:Build.derive", "before", "", 1, INT),
        Moment("resources.publication:publish", "after", "", 1, TERM),
    ],
    "compact": [
        Moment("resources.lake:Lake.compact", "before", "orders", 1, INT),
        Moment("resources.lake_flush:flush", "before", "/orders", 1, TERM),
    ],
}


@pytest.mark.nightly
def test_a_sync_interrupted_at_any_step_goes_on(scene: Scene) -> None:
    for moment in SYNC:
        ends_well(scene, scene.commands.run("sync", die_at=moment), moment)
    before = scene.repeated()
    assert before <= 3 * scene.commands.batch_size
    scene.is_true()
    assert scene.repeated() == before


@pytest.mark.nightly
def test_backfill_replay_rebuild_and_compact_interrupted_go_on(scene: Scene) -> None:
    for moment in SYNC[:2]:
        ends_well(scene, scene.commands.run("backfill", KEY, *DAYS, die_at=moment), moment)
    scene.is_true()
    edit_some(scene.box, 10)
    scene.is_true()
    kept = scene.home.tables()
    for command in ("compact", "replay", "rebuild"):
        for moment in REST[command]:
            ends_well(scene, scene.commands.run(command, die_at=moment), moment)
    scene.is_true()
    assert scene.home.tables() == kept


@pytest.mark.parametrize("seed", range(30) if IS_NIGHTLY else range(1))
def test_a_sync_interrupted_at_any_request_or_flush_goes_on(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    scene.signal = chance.choice([INT, TERM])
    scene.signal_at = chance.randint(1, 300)
    ends_well(scene, scene.commands.run("sync"), f"request {scene.signal_at}")
    moment = Moment("os:fsync", "before", "", chance.randint(1, 100), chance.choice([INT, TERM]))
    ends_well(scene, scene.commands.run("sync", die_at=moment), moment)
    scene.is_true()
