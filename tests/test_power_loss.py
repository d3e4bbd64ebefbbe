"""Power loss between any two writes: what was never flushed is gone or torn, the rest stands.

A run is killed between its Delta commit and the flush; then what was never flushed is destroyed in
every way a file system may. What had been flushed must still be there, and the rest must come
again by itself.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from canonical_rows import ACME, TWELVE, order, table
from deltalake import DeltaTable
from sqlalchemy import Connection

from resources import lake_flush
from resources.errors import LakeError
from resources.lake import Lake
from resources.ledger import Ledger
from resources.ledger_store import Store
from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.warehouse_home import Home, contents, whole

STAGE = "normalise:brightpearl.acme"

LAST_WORDS = """
import os, signal, sys
from canonical_rows import order, table
from resources import lake_flush
from resources.lake import Lake

lake, batch = Lake(sys.argv[1]), int(sys.argv[2])
lake_flush.flush = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
records = [order(str(batch), batch)]
lake.append("orders", table("orders", records), stage="normalise:brightpearl.acme", batch=batch)
"""


def die_before_the_flush(url: str, batch: int) -> None:
    """Another process commits a batch and is killed before it has flushed it."""
    path = os.pathsep.join(str(Path(__file__).parents[up]) for up in (0, 1))
    command = [sys.executable, "-c", LAST_WORDS, url, str(batch)]
    child = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert child.returncode == -9


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three flushed batches, and a fourth that was committed and never flushed."""
    folder: Path = tmp_path_factory.mktemp("killed") / "lake"
    lake = Lake(str(folder))
    for batch in (1, 2, 3):
        append(lake, batch)
    die_before_the_flush(lake.url, 4)
    assert lake_flush.flushed(folder / "orders") == 3
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    """A copy of that lake; its table's folder."""
    shutil.copytree(killed, tmp_path / "lake")
    return tmp_path / "lake" / "orders"


def append(lake: Lake, batch: int) -> bool:
    records = table("orders", [order(str(batch), batch)])
    return lake.append("orders", records, stage=STAGE, batch=batch)


def ids(lake: Lake) -> list[str]:
    """The orders in the lake, each as often as it stands there."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = lake.read(connection, "orders").order("landing_seq").fetchall()
        place = lake.read(connection, "orders").columns.index("source_order_id")
    return [row[place] for row in rows]


def entry(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def data(folder: Path, version: int) -> Path:
    """The data file that a version added."""
    actions = map(json.loads, entry(folder, version).read_text().splitlines())
    (path,) = [action["add"]["path"] for action in actions if "add" in action]
    return folder / path


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def blank(path: Path) -> None:
    """As long as it was, but the blocks never reached the disk."""
    path.write_bytes(b"PAR1" + bytes(path.stat().st_size - 8) + b"PAR1")


def zero_the_pages(path: Path) -> None:
    """The end is whole, with the footer; the beginning never reached the disk."""
    whole = path.read_bytes()
    half = len(whole) // 4
    path.write_bytes(whole[:4] + bytes(half) + whole[4 + half :])


def empty(path: Path) -> None:
    os.truncate(path, 0)


TORN: dict[str, Callable[[Path], None]] = {
    "log entry empty": lambda f: empty(entry(f, 4)),
    "log entry cut short": lambda f: cut(entry(f, 4)),
    "log entry of zeros": lambda f: entry(f, 4).write_bytes(bytes(entry(f, 4).stat().st_size)),
    "log entry missing, data whole": lambda f: entry(f, 4).unlink(),
    "data file empty": lambda f: empty(data(f, 4)),
    "data file cut short": lambda f: cut(data(f, 4)),
    "data file missing": lambda f: data(f, 4).unlink(),
    "data file of zeros": lambda f: blank(data(f, 4)),
    "data pages of zeros": lambda f: zero_the_pages(data(f, 4)),
    "both missing": lambda f: (data(f, 4).unlink(), entry(f, 4).unlink()),  # type: ignore[dict-item, return-value]
    "both empty": lambda f: (empty(data(f, 4)), empty(entry(f, 4))),  # type: ignore[dict-item, return-value]
}
LEAVES_NO_TRACE = {"log entry missing, data whole", "both missing"}


@pytest.mark.parametrize("how", TORN)
def test_what_was_never_flushed_is_written_again(
    folder: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    TORN[how](folder)
    lake = Lake(str(folder.parent))
    with caplog.at_level(logging.WARNING):
        assert lake.committed("orders", STAGE) == 3
    assert ids(lake) == ["1", "2", "3"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (how not in LEAVES_NO_TRACE)
    if told:
        aside = list((folder / lake_flush.ASIDE).rglob("*.json"))
        assert [path.name for path in aside] == [f"{4:020d}.json"]
        assert str(folder / lake_flush.ASIDE) in told[0]
    assert append(lake, 4), "what was taken out counts as committed"
    assert ids(Lake(lake.url)) == ["1", "2", "3", "4"]
    assert lake_flush.flushed(folder) == 4


def test_what_was_not_torn_is_kept_and_flushed(folder: Path) -> None:
    lake = Lake(str(folder.parent))
    assert lake.committed("orders", STAGE) == 4
    assert lake_flush.flushed(folder) == 4
    assert not append(lake, 4)
    assert ids(lake) == ["1", "2", "3", "4"]
    assert not (folder / lake_flush.ASIDE).exists()


def test_a_reader_flushes_what_another_process_only_committed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a cursor could be moved over, or a mart built on, what a power cut then takes away."""
    flushed = watch_fsync(monkeypatch)
    Lake(str(folder.parent)).files("orders")
    assert {data(folder, 4), entry(folder, 4), folder / "_delta_log"} <= flushed
    flushed.clear()
    Lake(str(folder.parent)).files("orders")
    assert flushed == set(), "nothing is new, and yet something is flushed"


def test_a_later_commit_never_stands_on_an_unflushed_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = watch_fsync(monkeypatch)
    lake = Lake(str(folder.parent))
    lake.append("orders", table("orders", [order("5", 5, TWELVE)]), stage="x", batch=5)
    assert {entry(folder, n) for n in (4, 5)} | {data(folder, n) for n in (4, 5)} <= flushed


def watch_fsync(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    seen: set[Path] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        seen.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return seen


def test_everything_is_on_the_disk_before_a_cursor_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, missing = watch_fsync(monkeypatch), []
    move = Ledger.move_cursor
    raw = tmp_path / "var" / "lake" / "raw"

    def watched(self: Ledger, *args: Any) -> None:
        files = {path for path in raw.rglob("*") if not path.name.startswith("_flushed")}
        missing.append({*files, raw, raw.parent, raw.parent.parent} - flushed)
        move(self, *args)

    monkeypatch.setattr(Ledger, "move_cursor", watched)
    with Sandbox(lifted=True, sources=("feedback_company",)) as box:
        Pulls(point_at(box, tmp_path, monkeypatch)).changes("feedback_company.reviews")
    assert missing
    assert not any(missing)


def test_several_torn_versions_go_together(folder: Path) -> None:
    die_before_the_flush_of_two(folder)
    empty(data(folder, 4))
    lake = Lake(str(folder.parent))
    assert ids(lake) == ["1", "2", "3"]
    assert [append(lake, batch) for batch in (4, 5)] == [True, True]
    assert ids(lake) == ["1", "2", "3", "4", "5"]


def die_before_the_flush_of_two(folder: Path) -> None:
    """A fifth version beyond the mark, as a second process leaves it that dies likewise."""
    die_before_the_flush(str(folder.parent), 5)
    (folder / lake_flush.MARK).write_text("3\n")


def test_a_hole_in_the_log_ends_it(folder: Path) -> None:
    die_before_the_flush_of_two(folder)
    entry(folder, 4).unlink()
    assert ids(Lake(str(folder.parent))) == ["1", "2", "3"]


def checkpoint(folder: Path) -> Path:
    DeltaTable(str(folder)).create_checkpoint()
    (found,) = (folder / "_delta_log").glob("*.checkpoint.parquet")
    return found


CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "hint cut short": lambda f: cut(f.parent / "_last_checkpoint"),
    "hint empty": lambda f: empty(f.parent / "_last_checkpoint"),
    "checkpoint empty": empty,
    "checkpoint cut short": cut,
    "checkpoint missing": Path.unlink,
}


@pytest.mark.parametrize("how", CHECKPOINTS)
@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_torn_checkpoint_is_done_without(folder: Path, how: str, is_flushed: bool) -> None:
    if is_flushed:
        Lake(str(folder.parent)).version("orders")
    CHECKPOINTS[how](checkpoint(folder))
    lake = Lake(str(folder.parent))
    assert ids(lake) == ["1", "2", "3", "4"]
    assert append(lake, 5)
    assert ids(Lake(lake.url)) == ["1", "2", "3", "4", "5"]


ROTTEN: dict[str, Callable[[Path], None]] = {
    "data file empty": lambda f: empty(data(f, 2)),
    "data file missing": lambda f: data(f, 2).unlink(),
    "data file cut short": lambda f: cut(data(f, 2)),
    "log entry cut short": lambda f: cut(entry(f, 2)),
    "log entry missing": lambda f: entry(f, 2).unlink(),
    "newest log entries missing": lambda f: [entry(f, n).unlink() for n in (2, 3, 4)],  # type: ignore[dict-item, return-value]
    "log gone": lambda f: shutil.rmtree(f / "_delta_log"),
}


@pytest.mark.parametrize("how", ROTTEN)
def test_damage_to_what_was_flushed_is_refused(folder: Path, how: str) -> None:
    """A power cut cannot do that: to go on would lose in silence what had been there."""
    ROTTEN[how](folder)
    for _ in range(2):
        with pytest.raises(LakeError) as caught:
            ids(Lake(str(folder.parent)))
        assert "\n" not in str(caught.value)
        assert "orders" in str(caught.value)
    assert not list((folder / lake_flush.ASIDE).rglob(f"{1:020d}.json"))
    assert entry(folder, 1).exists() or how == "log gone"


@pytest.mark.parametrize("left", ["entry empty", "entry cut short", "no entry"])
def test_a_table_that_was_torn_as_it_was_made_is_made_again(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "orders"
    Lake(str(tmp_path)).append("orders", table("orders", []), stage=STAGE, batch=1)
    (folder / lake_flush.MARK).unlink()
    entry(folder, 1).unlink()
    {"entry empty": empty, "entry cut short": cut, "no entry": Path.unlink}[left](entry(folder, 0))
    lake = Lake(str(tmp_path))
    assert lake.committed("orders", STAGE) == 0
    assert append(lake, 1)
    assert ids(lake) == ["1"]


def test_a_lake_without_marks_is_taken_as_it_is(folder: Path) -> None:
    (folder / lake_flush.MARK).unlink()
    assert ids(Lake(str(folder.parent))) == ["1", "2", "3", "4"]
    assert lake_flush.flushed(folder) == 4


def test_the_ledger_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[int] = []
    writing = Store.writing

    @contextmanager
    def noting(self: Store, **options: bool) -> Iterator[Connection]:
        with writing(self, **options) as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)
            yield connection

    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        run = ledger.start_run("a.b", "changes")
        with ledger.lease("a.b", "changes") as lease:
            monkeypatch.setattr(Store, "writing", noting)
            ledger.move_cursor("a.b", "changes", {"watermark": "1"}, run, lease)
            ledger.mark_day("a.b", date(2026, 11, 2), run)
            ledger.finish_run(run, "succeeded")
            monkeypatch.undo()
    full = 2
    assert levels == [full] * 3


def test_a_ledger_without_its_log_is_an_older_one(tmp_path: Path) -> None:
    """The write-ahead log lost, as where it lay on another disk: what it held is done again."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(f"sqlite:///{path}") as ledger:
        with ledger.lease("a.b", "changes") as lease:
            ledger.move_cursor("a.b", "changes", {"watermark": "1"}, "run", lease)
        shutil.copy(path, tmp_path / "copy.sqlite")
    with Ledger(f"sqlite:///{tmp_path / 'copy.sqlite'}") as ledger:
        assert ledger.cursor("a.b") in (None, {"watermark": "1"})
        with ledger.lease("a.b", "changes") as lease:
            ledger.move_cursor("a.b", "changes", {"watermark": "2"}, "run", lease)
    with sqlite3.connect(tmp_path / "copy.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path)
    for seq in (1, 2):
        for name, records in whole(str(seq), seq).items():
            found.lake.append(name, table(name, records), stage="x", batch=seq)
        found.publish()
    return found


def test_a_torn_file_that_never_went_live_is_passed_over(home: Home) -> None:
    """Renamed, torn, and the symlink still leads to the one before."""
    live = home.warehouse.path.resolve()
    torn = live.with_name("marts-99990101T000000000000-ffffff.duckdb")
    shutil.copy(live, torn)
    torn.chmod(0o644)
    cut(torn)
    before = contents(live)
    assert not home.publish().published
    assert contents(home.warehouse.path) == before
    assert home.publish(rebuild=True).orders == 2
    assert home.warehouse.path.resolve() != torn


@pytest.mark.parametrize("how", ["live file cut short", "live file empty", "symlink missing"])
def test_a_live_file_that_is_not_whole_is_built_again(home: Home, how: str) -> None:
    live = home.warehouse.path.resolve()
    before = contents(live)
    if how == "symlink missing":
        home.warehouse.path.unlink()
    else:
        live.chmod(0o644)
        empty(live) if how == "live file empty" else cut(live)
    made = home.publish()
    assert (made.published, made.is_rebuilt, made.orders) == (True, True, 2)
    assert contents(home.warehouse.path) == before


def test_accounts_of_a_mended_table_keep_their_own(folder: Path) -> None:
    empty(data(folder, 4))
    lake = Lake(str(folder.parent))
    assert lake.accounts("orders") == [ACME]
