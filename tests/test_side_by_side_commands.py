"""The commands side by side, as a schedule, a backfill and a person run them on one home."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.processes import orderloom, outcomes
from tests.test_truth import Home, differences

ACCOUNT = "brightpearl.acme"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with Sandbox(sources=["brightpearl"]) as box:
        yield Home(box, Pulls(point_at(box, tmp_path, monkeypatch)))


def test_a_second_sync_is_told_who_is_at_it(home: Home) -> None:
    with home.pulls.workshop.ledger.lease(ACCOUNT, "changes"):
        [(code, error)] = outcomes([orderloom("sync", ACCOUNT)])
    assert code == 1
    [line] = [line for line in error.splitlines() if "already under way" in line]
    assert f"{ACCOUNT}: changes is already under way: " in line
    assert f"{socket.gethostname()} process {os.getpid()} since " in line
    assert "Traceback" not in error
    assert home.box.requests(ACCOUNT) == 0


@pytest.mark.nightly
def test_everything_at_once(home: Home) -> None:
    """These commands even make Dagster's databases at the same moment."""
    home.sync()
    for order_id in sorted(each["source_order_id"] for each in home.box.truth(ACCOUNT))[:50]:
        home.box.api(ACCOUNT).edit(order_id, {"reference": f"changed {order_id}"})
    commands: list[tuple[str, ...]] = [
        ("sync", ACCOUNT),
        ("backfill", ACCOUNT, "--from", "2026-09-21", "--to", "2026-11-02"),
        ("replay", ACCOUNT),
        ("rebuild",),
        ("compact",),
    ]
    ended = outcomes([orderloom(*each) for each in commands])
    assert [code for code, _ in ended] == [0] * len(commands), ended
    home.publish()
    assert differences(home) == {}
    kept = home.tables()
    home.publish(rebuild=True)
    assert home.tables() == kept
