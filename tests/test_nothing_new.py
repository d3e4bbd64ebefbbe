"""Whether anything is new is found out without a heavy library, and nothing new is overlooked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from canonical_rows import ACME, TWELVE, land, raw, table
from home import open_sandbox, point_at
from warehouse_home import ACCOUNTS, COUNT, Home, whole

from resources import lake_standing, warehouse_note
from resources.lake import Lake
from resources.warehouse import Reference
from resources.warehouse_build import layout

HEAVY = ("duckdb", "deltalake", "pyarrow", "numpy", "pandas", "dagster", "rich")
TABLES = ("raw", "orders", "order_rows", "order_parties")
ROOT = Path(__file__).parents[1]

ONE_SYNC = """
import json, sys
from assets.holding_back import note
from assets.marts import MARTS
from assets.reference import reference
from assets.workshop import Workshop

workshop = Workshop()
account = workshop.accounts.get("brightpearl.acme")
pull = workshop.puller.changes(account, sys.argv[1])
normalised = workshop.normaliser(account).drain()
made = workshop.warehouse.publish(MARTS, reference(workshop))
note(workshop, made, sys.argv[1])
heavy = sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:]))
said = [pull.counts.received, normalised.orders, made.published, made.orders, heavy]
print(json.dumps(said))
"""


def one_sync(run_id: str) -> list[object]:
    """One sync of one account in a process of its own: what came of it, and what it imported."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_SYNC, run_id, *HEAVY],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: list[object] = json.loads(done.stdout)
    return said


def test_a_run_without_changes_imports_no_heavy_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sandbox(most=5) as box:
        point_at(box, tmp_path, monkeypatch)
        received, normalised, published, orders, heavy = one_sync("first")
        assert (normalised, published, orders) == (received, True, received)
        assert {"duckdb", "deltalake", "pyarrow"} <= set(heavy)  # type: ignore[call-overload]
        assert one_sync("second")[1:] == [0, False, orders, []]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two published accounts."""
    home = Home(tmp_path_factory.mktemp("published"))
    for account in (ACME, TWELVE):
        land(home.lake, **whole("1", 1, account))
        home.lake.append("raw", table("raw", [raw("1", 1, account)]), stage="land", batch=1)
    home.publish()
    return home.files


@pytest.fixture
def place(published: Path, tmp_path: Path) -> Path:
    """A copy of it, of which is noted that nothing is new."""
    folder = tmp_path / "home"
    shutil.copytree(published, folder, symlinks=True)
    home = Home(folder)
    assert not home.publish().published
    home.lake.committed("raw", "land")
    assert is_noted(folder)
    return folder


def is_noted(folder: Path) -> bool:
    """Whether a next process would find out without opening anything."""
    marts = folder / "marts.duckdb"
    said = [lake_standing.noted(folder / "lake" / name) for name in ("orders", "drift")]
    return None not in (*said, warehouse_note.read(marts, marts.resolve()))


@contextmanager
def opening_refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails whoever opens a lake table or a DuckDB file."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "_open", refuse)
        patch.setattr(duckdb, "connect", refuse)
        yield


def test_where_nothing_is_new_nothing_is_opened(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opening_refused(monkeypatch):
        made = Home(place).publish()
        assert (made.published, made.orders, made.rows) == (False, 2, 2)
        assert Home(place).lake.committed("raw", "land") == 1
        assert Home(place).lake.reached("orders") == {ACME: 1, TWELVE: 1}


def commit(place: Path) -> None:
    """A crash follows before anything is noted."""
    land(Home(place).lake, **whole("2", 2))


def empty_batch(place: Path) -> None:
    Home(place).lake.append("orders", table("orders", []), stage="normalise:x", batch=7)


def replay(place: Path) -> None:
    lake = Home(place).lake
    for name in ("order_rows", "order_parties", "orders"):
        records = [table(name, whole("1", 1, currency="EUR")[name])]
        lake.replace_account(name, ACME, records, stage="replay", batch=1)


def compaction(place: Path) -> None:
    commit(place)
    Home(place).publish()
    assert Home(place).lake.compact("orders") == (3, 2)


def purge(place: Path) -> None:
    compaction(place)
    Home(place).lake.purge("orders", with_log=True)


def touched(place: Path) -> None:
    os.utime((place / "marts.duckdb").resolve())


def touched_in_secret(place: Path) -> None:
    """With the size, the times and the name that it had."""
    file = (place / "marts.duckdb").resolve()
    before = file.stat()
    file.chmod(0o644)
    with duckdb.connect(str(file)) as con:
        con.execute("UPDATE orderloom.publication SET orders_seq = 0")
    os.truncate(file, before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def written_to(place: Path) -> None:
    """By a session that was ended before it had written all of it down."""
    file = (place / "marts.duckdb").resolve()
    file.with_name(f"{file.name}.wal").write_bytes(b"")


def deleted(place: Path) -> None:
    (place / "marts.duckdb").resolve().unlink()


def link_deleted(place: Path) -> None:
    (place / "marts.duckdb").unlink()


def notes_torn(place: Path) -> None:
    for note in [place / "marts.standing", *place.glob("lake/*/_standing")]:
        note.write_bytes(note.read_bytes()[:-5])


def note_of_another_file(place: Path) -> None:
    """What is live was published before what the note speaks of."""
    home, older = Home(place), (place / "marts.duckdb").resolve()
    land(home.lake, **whole("2", 2))
    home.publish()
    (place / "marts.duckdb").unlink()
    (place / "marts.duckdb").symlink_to(older.name)


@pytest.mark.parametrize(
    ("event", "publishes"),
    [
        (commit, True),
        (empty_batch, False),
        (replay, True),
        (compaction, False),
        (purge, False),
        (touched, False),
        (touched_in_secret, True),
        (written_to, True),
        (deleted, True),
        (link_deleted, True),
        (notes_torn, False),
        (note_of_another_file, True),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_what_happened_since_is_seen(
    place: Path, event: Callable[[Path], None], publishes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    event(place)
    with opening_refused(monkeypatch), pytest.raises(AssertionError, match="opened"):
        Home(place).publish()
    made = Home(place).publish()
    assert made.published == publishes
    lake = Home(place).lake
    for name in TABLES:
        table_itself = lake.files(name)
        assert Home(place).lake.reached(name) == {
            own: max(file.last_seq for file in table_itself if file.account == own)
            for own in {file.account for file in table_itself}
        }
    with opening_refused(monkeypatch):
        assert not Home(place).publish().published, "and then it is known again"


def test_a_stage_that_nobody_asked_for_is_asked_of_the_table(place: Path) -> None:
    empty_batch(place)
    assert Home(place).lake.committed("orders", "another") == 0
    assert Home(place).lake.committed("orders", "normalise:x") == 7


def test_versions_that_are_not_flushed_are_not_believed(place: Path) -> None:
    folder = place / "lake/orders"
    assert lake_standing.noted(folder) is not None
    mark = int((folder / "_flushed").read_text())
    (folder / "_flushed").write_text(f"{mark - 1}\n")
    assert lake_standing.noted(folder) is None
    assert Home(place).lake.reached("orders") == {ACME: 1, TWELVE: 1}
    assert int((folder / "_flushed").read_text()) == mark, "flushed before it was built on"


def test_another_history_of_as_many_versions_is_not_taken_for_the_same(place: Path) -> None:
    folder, copy = place / "lake/orders", place / "copy"
    shutil.copytree(folder, copy)
    land(Home(place).lake, **whole("2", 2))
    assert Home(place).lake.reached("orders")[ACME] == 2
    note = (folder / lake_standing.NOTE).read_bytes()
    shutil.rmtree(folder)
    copy.rename(folder)
    land(Home(place).lake, **whole("9", 9))
    (folder / lake_standing.NOTE).write_bytes(note)
    assert Home(place).lake.reached("orders")[ACME] == 9


def test_a_lake_of_another_schema_version_is_still_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_standing, "SCHEMA_VERSION", 99)
    assert lake_standing.noted(place / "lake/orders") is None


def test_changed_settings_marts_and_layouts_are_seen(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(reference: Reference = ACCOUNTS, sql: str = COUNT.sql) -> tuple[bool, bool]:
        made = Home(place).warehouse.publish([replace(COUNT, sql=sql)], reference)
        return made.published, made.is_rebuilt

    assert publish() == (False, False)
    moved = [replace(ACCOUNTS.accounts[0], timezone="Europe/Paris"), ACCOUNTS.accounts[1]]
    assert publish(Reference(moved)) == (True, False)
    assert publish(Reference(moved), f"{COUNT.sql} ") == (True, False)
    now = layout()
    monkeypatch.setattr("resources.warehouse_build.layout", lambda: [*now, "another"])
    monkeypatch.setattr(warehouse_note, "CODE", "of another program")
    assert publish(Reference(moved), f"{COUNT.sql} ") == (True, True)


def test_freshness_that_is_out_of_date_is_seen(place: Path) -> None:
    moment = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def publish(succeeded: datetime, error: str | None = None) -> bool:
        fresh = replace(ACCOUNTS.accounts[0], last_success_at=succeeded, last_error=error)
        reference = Reference([fresh, ACCOUNTS.accounts[1]])
        return Home(place).warehouse.publish([COUNT], reference).published

    assert [publish(moment), publish(moment), publish(moment + timedelta(minutes=59))] == [
        True,
        False,
        False,
    ]
    assert publish(moment + timedelta(minutes=61))
    assert publish(moment + timedelta(minutes=61), "it failed")


def test_what_is_held_back_is_tried_again(place: Path) -> None:
    land(Home(place).lake, **whole("2", 2))
    both = frozenset({ACME})
    assert not Home(place).publish(held_back=both).published
    assert Home(place).publish().orders == 3
    land(Home(place).lake, **whole("3", 3, row_count=2))
    for _ in range(2):
        assert Home(place).publish().faults.keys() == {ACME}
    replay(place)
    assert Home(place).publish().faults.keys() == {ACME}, "orders are gone"
    looked = Home(place).publish(rebuild=True, accept_unlike_before=both)
    assert (looked.published, looked.orders) == (True, 2)


def test_what_is_asked_for_is_built_although_nothing_is_new(place: Path) -> None:
    assert Home(place).publish(rebuild=True).is_rebuilt
    assert Home(place).publish(keep_nothing=True).is_rebuilt
    assert not Home(place).publish().published


def test_a_program_that_is_replaced_while_it_runs_notes_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "marts.standing").unlink()
    monkeypatch.setattr(warehouse_note, "CODE", "of the program before")
    Home(place).publish()
    assert not (place / "marts.standing").exists()
