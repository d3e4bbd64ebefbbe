"""An erasure that is killed at any moment: nothing comes back, and the same command finishes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from resources.proof import search
from resources.publication import published_files
from sandbox.server import Sandbox
from tests.crash_scene import KEY
from tests.crashing import KILLED, Commands, Moment
from tests.home import Pulls, point_at
from tests.test_truth import Home

NAME = "Ingrid Ångström-Example"
OFFICER = {"company_name": None, "first_name": "Ingrid", "last_name": "Ångström-Example"}
LASTING = "SELECT order_key, net_amount, gross_amount, order_status FROM orders ORDER BY order_key"
ERASE = ("erase", "--name", NAME, "--yes")
WRITE = "resources.lake:write_rows"
REPLACE = "resources.lake:Lake.replace_account"
PURGE = "resources.lake:Lake.purge"

WORST = Moment(WRITE, "after", "/raw")
"""Raw is blanked, and everything that was made of it is not."""
MOMENTS = [
    Moment("resources.erasures:Erasures.begin", "after"),
    Moment(WRITE, "before", "/raw"),
    Moment("resources.lake_flush:flush", "before", "/raw"),
    Moment(REPLACE, "before", "order_parties"),
    Moment(WRITE, "after", "/order_parties"),
    Moment(REPLACE, "after", "orders"),
    Moment("resources.publication:publish", "before"),
    Moment("resources.warehouse:Warehouse.forget", "before"),
    Moment("resources.warehouse:Warehouse.forget", "after"),
    Moment(PURGE, "before", "raw"),
    Moment(PURGE, "after", "raw"),
    Moment(PURGE, "before", "drift"),
    Moment("assets.erase:search", "before"),
    Moment("resources.erasures:Erasures.end", "before"),
]


@dataclass
class Scene:
    """One account, two of whose orders name a person."""

    box: Sandbox
    home: Home
    commands: Commands
    ids: list[str]

    def left(self) -> list[str]:
        places = self.home.pulls.workshop.places
        found = search([places.home], [NAME, "Ångström"], published_files(places.marts))
        return [str(finding) for finding in found.findings]

    def touch(self, order_id: str, quantity: int) -> None:
        """Edit the lines, and let the day come when they are listed again."""
        [body] = [t["body"] for t in self.box.truth(KEY) if t["source_order_id"] == order_id]
        lines = [line | {"quantity": quantity} for line in body["orderlines"]]
        self.box.api(KEY).edit(order_id, {"orderlines": lines})
        self.box.clock.advance(timedelta(days=2))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with Sandbox(lifted=True, sources=("efiling",), most=12) as box:
        pulls = Pulls(point_at(box, tmp_path, monkeypatch))
        living = [t for t in box.truth(KEY) if t["body"] and t["body"]["orderlines"]][:2]
        for each in living:
            lines = [line | {"officer": OFFICER} for line in each["body"]["orderlines"]]
            box.api(KEY).edit(each["source_order_id"], {"orderlines": lines})
        ids = [each["source_order_id"] for each in living]
        found = Scene(box, Home(box, pulls), Commands(tmp_path), ids)
        found.commands.succeed("sync")
        yield found
        found.commands.end()


@pytest.mark.nightly
def test_raw_is_blanked_and_the_rest_is_not_when_it_dies(scene: Scene) -> None:
    before = scene.home.rows(LASTING)
    assert scene.left()
    child = scene.commands.run(*ERASE, die_at=WORST)
    assert child.process.exitcode == KILLED, child.said()
    assert scene.left()
    scene.commands.succeed("sync")
    scene.commands.succeed(*ERASE)
    assert scene.left() == []
    assert scene.home.rows(LASTING) == before
    scene.commands.succeed("sync")
    assert scene.left() == []


@pytest.mark.nightly
def test_a_kill_at_every_step_is_made_good(scene: Scene) -> None:
    before = scene.home.rows(LASTING)
    for quantity, moment in enumerate(MOMENTS, 2):
        child = scene.commands.run(*ERASE, die_at=moment)
        assert child.process.exitcode == KILLED, f"{moment} never came: {child.said()}"
        scene.touch(scene.ids[quantity % 2], quantity)
        scene.commands.succeed("sync")
        assert scene.home.pulls.workshop.ledger.erasures.all()[0].state == "begun"
    scene.commands.succeed(*ERASE)
    assert scene.left() == []
    keys = {row["order_key"] for row in scene.home.rows(LASTING)}
    assert {row["order_key"] for row in before} <= keys
    scene.commands.succeed("replay")
    assert scene.left() == []
