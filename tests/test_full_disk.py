"""A disk that takes nothing more: one clear line, nothing torn, and on with it once there is room.

A limit on the length of files, which every process may set for itself, stands for the full disk;
where the tests may mount one, a real one is filled as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import Sandbox
from tests.crashing import Child, Commands
from tests.home import Pulls, point_at
from tests.test_truth import Home, alive, differences

KEY = "feedback_company.reviews"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(lifted=True, sources=("feedback_company",)) as found:
        yield found


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    found = Commands(tmp_path)
    yield found
    found.end()


@pytest.fixture
def home(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(box, Pulls(point_at(box, tmp_path, monkeypatch)))


def says_so(child: Child, *named: str) -> None:
    """One line for each thing that failed, with what to do, and never a traceback."""
    assert child.process.exitcode == 1, child.said()
    complaints = child.complaints()
    assert 1 <= len(complaints) <= 2, child.said()
    assert "room" in complaints[-1]
    assert all(any(name in line for line in complaints) for name in named), complaints
    assert "Traceback" not in child.said()


SIZES = {"Dagster's own files": 60_000, "ledger": 200_000, "marts": 1_000_000}
"""Of what is too long for the limit, in bytes."""


@pytest.mark.nightly
@pytest.mark.parametrize("what", SIZES)
def test_a_first_sync_that_runs_out_of_room_is_completed_by_the_next(
    home: Home, commands: Commands, what: str
) -> None:
    says_so(commands.run("sync", most_bytes=SIZES[what]), str(home.warehouse.path.parent))
    assert not home.warehouse.path.exists()
    landed = home.pulls.workshop.lake.version("raw")
    commands.succeed("sync")
    assert differences(home) == {}
    if what == "marts":
        assert home.pulls.workshop.lake.version("raw") == landed, "it was landed before"


@pytest.mark.nightly
def test_the_live_file_outlasts_a_full_disk(home: Home, commands: Commands, box: Sandbox) -> None:
    commands.succeed("sync")
    live, before = home.warehouse.path.resolve(), home.tables()
    order_id = list(alive(box, KEY))[-1]
    sent = alive(box, KEY)[order_id]["is_sent"]
    box.api(KEY).edit(order_id, {"is_sent": not sent})
    for command in ("sync", "rebuild"):
        says_so(commands.run(command, most_bytes=1_000_000))
        assert home.warehouse.path.resolve() == live
        assert home.tables() == before
        left = {path.name for path in live.parent.glob("marts*")}
        live_ones = {"marts.duckdb", "marts.lock", "marts.standing", live.name}
        assert left == live_ones, "a build was left behind"
    commands.succeed("sync")
    assert differences(home) == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and os.geteuid() == 0 and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)],
        check=False, capture_output=True,
    ).returncode == 0  # fmt: skip
    if not made:
        pytest.skip("no file system can be mounted here; the limit on files is tried in any case")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(
    home: Home, commands: Commands, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERLOOM_HOME", str(small_disk / "var"))
    pulls = Pulls(type(home.pulls.workshop)())
    full = Home(home.box, pulls)
    ballast = small_disk / "ballast"
    for left in (200_000, 1_000_000, 1_500_000):
        room = os.statvfs(small_disk)
        ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_bsize - left)))
        says_so(commands.run("sync"))
        assert not full.warehouse.path.exists()
        ballast.unlink()
    commands.succeed("sync")
    assert differences(full) == {}
