"""What random sequences (`test_sequences.py`) found, each as the shortest sequence that shows it.

Every test here failed before the mend that its sequence led to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from sandbox.world import Body
from tests.sequence_edits import alive
from tests.sequence_steps import Step
from tests.sequence_world import World

SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> Iterator[Callable[[str], World]]:
    opened: list[World] = []

    def open_world(source: str) -> World:
        opened.append(World((source,)))
        return opened[-1]

    yield open_world
    for each in opened:
        each.close()


def _newest(world: World) -> tuple[str, Body]:
    return list(alive(world.box, world.accounts[0]).items())[-1]


def _requests(world: World) -> tuple[int, int]:
    """Requests made and the least possible of one more sync."""
    (pulled,) = world.do(Step("sync", world.accounts))
    return pulled.requests, pulled.least_requests


def test_brightpearl_tells_one_stamp_for_two_changes_within_a_second(
    world: Callable[[str], World],
) -> None:
    home = world("brightpearl")
    order_id, _ = _newest(home)
    for status in (3, 27):
        home.box.api(home.accounts[0]).edit(order_id, {"orderStatus": {"orderStatusId": status}})
        home.sync(home.accounts)
    home.box.clock.advance(SECOND)
    assert _requests(home) == (3, 3)
    assert _requests(home) == (2, 2)


def test_efiling_tells_one_stamp_for_two_changes_of_the_lines_within_a_second(
    world: Callable[[str], World],
) -> None:
    home = world("efiling")
    orders = alive(home.box, home.accounts[0]).items()
    order_id, body = [each for each in orders if each[1]["order"]["status"] == 100][-1]
    for quantity in (2, 3):
        lines = [{**line, "quantity": quantity} for line in body["orderlines"]]
        home.box.api(home.accounts[0]).edit(order_id, {"orderlines": lines})
        home.sync(home.accounts)
    home.box.clock.advance(SECOND)
    idle = [_requests(home) for _ in range(3)]
    assert idle[0][0] == idle[1][0] + 1
    assert idle[1] == idle[2]
