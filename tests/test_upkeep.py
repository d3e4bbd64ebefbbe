"""The lake tends itself: when it is due, and that nothing is lost whoever else is at work."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from canonical_rows import ACME, TWELVE, quarantined, raw, table

from assets.normalise import rewriting
from assets.upkeep import Upkeep
from pipelines.definitions import build_definitions
from resources import lake_keeping
from resources.errors import LakeError
from resources.lake import Lake
from resources.lake_files import AccountKey, DataFile
from resources.lake_lock import compacting
from resources.lake_standing import noted
from resources.ledger import Ledger
from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.processes import finished, said, start

CROWD = lake_keeping.SMALL_FILES + 1
STAGE = "land:brightpearl.acme"
TABLE = "quarantine"


def append(lake: Lake, seq: int, account: AccountKey = ACME, stage: str = STAGE) -> bool:
    """One batch of one row."""
    return lake.append(
        TABLE, table(TABLE, [quarantined(str(seq), seq, account)]), stage=stage, batch=seq
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which one account has too many small files and another has two."""
    folder = tmp_path_factory.mktemp("written")
    lake = Lake(str(folder / "lake"))
    for seq in range(1, CROWD + 1):
        assert append(lake, seq)
    for seq in (1, 2):
        assert append(lake, seq, TWELVE, stage="other")
    lake.append("raw", table("raw", [raw("1", 1)]), stage=STAGE, batch=1)
    return folder


@pytest.fixture
def lake(written: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return Lake(str(tmp_path / "lake"))


def contents(lake: Lake) -> dict[str, list[object]]:
    """Every row of every table."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return {name: sorted(map(repr, lake.read(con, name).fetchall())) for name in (TABLE, "raw")}


def parquet(lake: Lake) -> list[Path]:
    """The data files on the disk, named by the log or not."""
    return [*Path(lake.url, TABLE).glob("source_system=*/**/*.parquet")]


def tree(lake: Lake) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in Path(lake.url).rglob("*") if p.is_file()}


def files(account: AccountKey, *sizes: int) -> list[DataFile]:
    return [DataFile(f"/{n}", account, 1, n, size, n) for n, size in enumerate(sizes)]


KB, MB = 2**10, 2**20


@pytest.mark.parametrize(
    ("sizes", "due"),
    [
        ([40 * KB] * (CROWD - 1), None),
        ([40 * KB] * CROWD, 4 * MB),
        ([40 * KB] * (CROWD - 1) + [600 * KB], None),
        ([600 * KB] * CROWD, 32 * MB),
        ([40 * KB] * CROWD + [600 * KB] * CROWD, 32 * MB),
        ([5 * MB] * CROWD, 128 * MB),
        ([20 * MB] * 500, None),
    ],
    ids=["few", "too many", "one is larger", "larger", "of both", "large", "very large"],
)
def test_files_are_due_once_too_many_are_small(sizes: list[int], due: int | None) -> None:
    found = lake_keeping.crowded(files(ACME, *sizes) + files(TWELVE, 40 * KB))
    assert found == ({} if due is None else {ACME: due})


def test_what_is_due_is_merged_and_nothing_is_forgotten(lake: Lake, ledger: Ledger) -> None:
    before = contents(lake)
    log = Path(lake.url, TABLE, "_delta_log")
    tended = Upkeep(lake, ledger, days=7, log_hours=0).where_due()
    assert (tended.merged, tended.left) == ({TABLE: (CROWD + 2, 3)}, {})
    assert contents(lake) == before
    assert [file.rows for file in lake.files(TABLE, account=ACME)] == [CROWD]
    assert len([*log.glob("*.json")]) == 1, "the checkpoint stands in for the rest"
    assert len(parquet(lake)) == CROWD + 3, "replaced files stay for readers"
    afresh = Lake(lake.url)
    assert afresh.committed(TABLE, STAGE) == CROWD
    assert afresh.committed(TABLE, "other") == 2
    assert not append(afresh, CROWD), "a batch that was committed is not committed again"
    assert append(afresh, CROWD + 1)
    assert afresh.committed(TABLE, "other") == 2


def test_where_nothing_is_due_nothing_is_written(lake: Lake, ledger: Ledger) -> None:
    Upkeep(lake, ledger, days=7).where_due()
    before = tree(lake)
    again = Upkeep(Lake(lake.url), ledger, days=7, log_hours=0).where_due()
    assert (again.merged, again.deleted, again.left) == ({}, 0, {})
    assert tree(lake) == before


def test_the_next_run_that_finds_nothing_new_opens_no_table(lake: Lake, ledger: Ledger) -> None:
    assert lake.committed(TABLE, STAGE) == CROWD
    lake.reached(TABLE)
    Upkeep(lake, ledger, days=7, log_hours=0).where_due()
    known = noted(Path(lake.url, TABLE))
    assert known is not None
    assert known.version == lake.version(TABLE)
    assert (known.batch(STAGE), known.reached) == (CROWD, {ACME: CROWD, TWELVE: 2})


def test_a_long_log_is_shortened_though_no_file_is_merged(lake: Lake, ledger: Ledger) -> None:
    for seq in range(3, 3 + lake_keeping.LONG_LOG):
        append(lake, seq, TWELVE, stage="other")
    Upkeep(lake, ledger, days=7).where_due()
    reached = lake.version(TABLE)
    assert not lake_keeping.has_long_log(Path(lake.url, TABLE), reached)
    assert lake_keeping.has_long_log(Path(lake.url, TABLE), reached + lake_keeping.LONG_LOG + 1)


def test_a_process_that_had_the_table_open_goes_on(lake: Lake, ledger: Ledger) -> None:
    other = Lake(lake.url)
    assert other.committed(TABLE, STAGE) == CROWD
    append(lake, CROWD + 1)
    Upkeep(lake, ledger, days=7, log_hours=0).where_due()
    append(lake, CROWD + 2)
    for _ in range(2):  # what it would have followed is gone: it may say so once
        try:
            found = other.committed(TABLE, STAGE)
        except LakeError:
            continue
    assert found == CROWD + 2
    assert append(other, CROWD + 3)
    assert lake.committed(TABLE, STAGE) == CROWD + 3


def test_replaced_and_unfinished_files_go_when_they_are_old(lake: Lake, ledger: Ledger) -> None:
    folder = parquet(lake)[0].parent
    young, old = folder / "part-of-now.parquet", folder / "part-of-long-ago.parquet"
    for path in (young, old):
        path.write_bytes(b"unfinished")
    os.utime(old, (0, 0))
    before = contents(lake)
    Upkeep(lake, ledger, days=7).where_due()
    assert (young.exists(), old.exists()) == (True, False)
    gone = Upkeep(lake, ledger, days=0).delete_what_is_old()
    assert gone == CROWD + 1
    assert not young.exists()
    assert contents(lake) == before


def test_a_reader_goes_on_while_files_are_merged(lake: Lake, ledger: Ledger) -> None:
    reader = Lake(lake.url)
    named = reader.files(TABLE)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        opened = lake.read(con, TABLE)
        Upkeep(lake, ledger, days=7, log_hours=0).where_due()
        assert len(reader.read_files(con, TABLE, named).fetchall()) == CROWD + 2
        assert len(opened.fetchall()) == CROWD + 2
        Upkeep(lake, ledger, days=0).delete_what_is_old()
        with pytest.raises((LakeError, duckdb.Error)):
            reader.read_files(con, TABLE, named).fetchall()


def test_what_somebody_else_rewrites_is_left_alone(lake: Lake, ledger: Ledger) -> None:
    with rewriting(ledger, TABLE):
        held = Upkeep(lake, ledger, days=7).where_due()
        assert Upkeep(lake, ledger, days=0).delete_what_is_old() == 0
    assert (held.merged, [*held.left]) == ({}, [TABLE])
    assert "already under way" in held.lines[0]
    with compacting(lake.root, TABLE):
        locked = Upkeep(lake, ledger, days=7).where_due()
    assert "compacted by another process" in locked.left[TABLE]
    assert Upkeep(lake, ledger, days=7).where_due().merged == {TABLE: (CROWD + 2, 3)}


def test_time_that_is_up_begins_nothing(lake: Lake, ledger: Ledger) -> None:
    assert Upkeep(lake, ledger, days=7).where_due(most_seconds=0).merged == {}


def test_lost_rows_are_not_passed_over(
    lake: Lake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.lake_keeping.expected_rows", lambda *_: CROWD + 3)
    with pytest.raises(lake_keeping.RowsLost, match="restore version"):
        Upkeep(lake, ledger, days=7).where_due()


APPENDS = """
import sys
sys.path.insert(0, "tests")
from test_upkeep import CROWD, append
from resources.lake import Lake
lake = Lake(sys.argv[1])
print("ready", flush=True)
for seq in range(CROWD + 1, CROWD + 21):
    assert append(lake, seq)
"""


def test_an_appending_process_loses_nothing(lake: Lake, ledger: Ledger) -> None:
    appending = start(APPENDS, lake.url)
    assert said(appending) == "ready"
    merged = 0
    while appending.poll() is None:
        tended = Upkeep(lake, ledger, days=7).where_due()
        assert tended.left == {}
        merged += len(tended.merged)
        lake.compact(TABLE)
    finished(appending)
    assert merged == 1
    assert lake.committed(TABLE, STAGE) == CROWD + 20
    with duckdb.connect() as con:
        rows = lake.read(con, TABLE, account=ACME).aggregate("count(*), count(DISTINCT version_id)")
        assert rows.fetchall() == [(CROWD + 20, CROWD + 20)]


DIES = """
import sys
from assets.upkeep import Upkeep
from resources.lake import Lake
from resources.ledger import Ledger
from tests.crashing import Moment
Moment(sys.argv[3], sys.argv[4], count=int(sys.argv[5])).arm()
Upkeep(Lake(sys.argv[1]), Ledger(sys.argv[2]), days=0, log_hours=0).where_due()
"""


@pytest.mark.parametrize(
    ("where", "when", "count"),
    [
        ("resources.lake_keeping:merge", "after", 1),
        pytest.param("resources.lake_keeping:vacuum", "after", 1, marks=pytest.mark.nightly),
        pytest.param("resources.lake_keeping:checkpoint", "after", 1, marks=pytest.mark.nightly),
        ("pathlib:Path.unlink", "after", 5),
    ],
    ids=["merged", "deleted", "checkpoint", "log"],
)
def test_killed_in_the_middle(
    lake: Lake, ledger: Ledger, tmp_path: Path, where: str, when: str, count: int
) -> None:
    before = contents(lake)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    killed = start(DIES, lake.url, url, where, when, count)
    _, error = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, error
    afresh = Lake(lake.url)
    assert contents(afresh) == before
    Upkeep(afresh, ledger, days=0, log_hours=0).everything()
    assert contents(afresh) == before
    assert len(parquet(afresh)) == 2, "what was left half done is gone"
    assert [afresh.committed(TABLE, stage) for stage in (STAGE, "other")] == [CROWD, 2]


def test_it_runs_by_itself_after_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_keeping, "SMALL_FILES", 0)
    with Sandbox(lifted=True, sources=("feedback_company",)) as box:
        workshop = point_at(box, tmp_path, monkeypatch)
        Pulls(workshop).changes("feedback_company.reviews")
        lake = workshop.lake
        counts = {name: len(lake.files(name)) for name in ("raw", "orders")}
        with dg.DagsterInstance.ephemeral() as instance:
            publish = build_definitions(workshop).resolve_job_def("publish")
            made = publish.execute_in_process(instance=instance)
            assert made.success
            observed = instance.fetch_observations(dg.AssetKey(["marts", "orders"]), limit=1)
        said_of = observed.records[0].asset_observation
        assert said_of is not None
        assert said_of.metadata["tables"].value >= len(counts)
        workshop.close()
