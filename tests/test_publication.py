"""Publication: only news is read, files are swapped whole, and nobody is disturbed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from canonical_rows import (
    ACME,
    START,
    TWELVE,
    Record,
    land,
    order,
    order_row,
    party,
    quarantined,
    table,
)
from warehouse_home import ACCOUNTS, COUNT, Home, contents, whole

from resources.errors import WarehouseError
from resources.publication import exclusive
from resources.warehouse import Reference, Warehouse, open_marts


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def story() -> list[dict[str, list[Record]]]:
    """Batches in which everything happens that may happen to an order."""
    lists = {"totals": [{"code": "tax", "value": Decimal("1.5")}]}
    return [
        {
            "orders": [order(str(i), i, row_count=2, **lists) for i in range(1, 6)],
            "order_rows": [order_row(str(i), i, r) for i in range(1, 6) for r in ("1", "2")],
            "order_parties": [party(str(i), i) for i in range(1, 6)],
        },
        whole("1", 1, TWELVE),
        whole("1", 6, payment_status="paid", source_payment_status_code="P"),
        {  # rows replaced as a set, one of them under another id; a list that became empty
            "orders": [order("2", 7, row_count=2, order_status="processing")],
            "order_rows": [order_row("2", 7, "2", quantity="9"), order_row("2", 7, "8")],
        },
        {  # several versions in one batch, the last like the first
            "orders": [order("3", 8, order_status="problem"), order("3", 9, row_count=0)],
            "order_rows": [order_row("3", 8)],
            "quarantine": [quarantined("3", 8, is_held=False), quarantined("9", 10)],
        },
        {"orders": [order("4", 11, is_deleted=True, deletion_basis="absent", row_count=0)]},
        {"quarantine": [quarantined("5", 12), quarantined("5", 12, field="id")]},
        whole("5", 13) | {"quarantine": [quarantined("6", 14)]},
        whole("1", 15, payment_status="unpaid", source_payment_status_code=None),
        whole("2", 2, TWELVE, order_type="sales_credit"),
        whole("4", 16),
    ]


def test_keeping_up_to_date_equals_building_anew(home: Home, tmp_path: Path) -> None:
    anew = Home(tmp_path / "anew")
    anew.warehouse = Warehouse(anew.places, home.lake)
    batches = story()
    for number, batch in enumerate(batches, start=1):
        land(home.lake, **batch)
        made = home.publish()
        assert (made.published, made.is_rebuilt) == (True, number == 1)
        if number in {5, 8, len(batches)}:
            assert anew.publish(rebuild=True).is_rebuilt
            assert contents(made.path) == contents(anew.warehouse.path)
    assert home.rows("SELECT order_key FROM quarantine ORDER BY 1") == [
        ("brightpearl:acme:6",),
        ("brightpearl:acme:9",),
    ]
    sql = "SELECT source_row_id FROM order_rows WHERE order_key = 'brightpearl:acme:2' ORDER BY 1"
    assert home.rows(sql) == [("2",), ("8",)]


def test_only_new_files_of_accounts_with_news_are_opened(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    land(home.lake, **whole("1", 1, TWELVE))
    home.publish()
    home.lake.opened.clear()
    land(home.lake, **whole("2", 2))
    made = home.publish()
    assert made.touched == {ACME: 1}
    assert {(file.account, file.last_seq) for file in home.lake.opened} == {(ACME, 2)}
    assert len(home.lake.opened) == 3


def test_a_replaced_account_is_published_anew(home: Home) -> None:
    for seq in (1, 2):
        land(home.lake, **whole(str(seq), seq))
    land(home.lake, **whole("1", 1, TWELVE))
    home.publish()
    for name, records in whole("1", 1, order_status="completed").items():
        home.lake.replace_account(name, ACME, [table(name, records)], stage="x", batch=2)
    kept = contents(home.publish(accept_unlike_before=frozenset({ACME})).path)
    assert home.rows("SELECT order_key, order_status FROM orders ORDER BY 1") == [
        ("brightpearl:acme:1", "completed"),
        ("tastyigniter:12:1", "open"),
    ]
    assert kept == contents(home.publish(rebuild=True).path)
    home.lake.replace_account("orders", ACME, [], stage="x", batch=2)
    home.publish(accept_unlike_before=frozenset({ACME}))
    assert home.rows("SELECT order_key FROM orders") == [("tastyigniter:12:1",)]


def test_nothing_new_makes_no_new_file(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    run = {"run_id": "r", "kind": "changes", "started_at": START, "outcome": "succeeded"}
    again = home.warehouse.publish([COUNT], replace(ACCOUNTS, runs=[run]))
    assert (again.published, again.path, again.orders) == (False, first.path, 1)
    home.lake.compact("orders")
    assert not home.publish().published


def test_changed_marts_or_settings_make_a_new_file(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    home.publish()
    other = replace(COUNT, name="other_count")
    made = home.warehouse.publish([other], ACCOUNTS)
    assert (made.published, made.is_rebuilt, made.touched) == (True, False, {})
    names = home.warehouse.row_counts()
    assert "other_count" in names
    assert "order_count" not in names
    assert home.warehouse.publish([other], Reference()).published


def test_readers_are_neither_stopped_nor_disturbed(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    home.publish()
    with home.warehouse.open() as reader:
        for seq in (2, 3, 4):
            land(home.lake, **whole(str(seq), seq))
            assert home.publish().orders == seq
            assert reader.execute("SELECT COUNT(*) FROM order_rows").fetchall() == [(1,)]
    assert home.rows("SELECT COUNT(*) FROM order_rows") == [(4,)]
    with open_marts(home.places) as reader, pytest.raises(duckdb.Error, match="read-only"):
        reader.execute("DELETE FROM orders")


def test_the_last_two_files_are_kept_and_cannot_be_written(home: Home) -> None:
    for seq in range(1, 5):
        land(home.lake, **whole(str(seq), seq))
        made = home.publish()
    files = list(home.files.glob("marts-*.duckdb"))
    assert len(files) == 2
    assert home.warehouse.path.is_symlink()
    assert os.readlink(home.warehouse.path) == made.path.name
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}
    beside = {"marts.duckdb", "marts.lock", "marts.standing"}
    assert home.names() == {path.name for path in files} | beside


SCRIBBLER = """
import os, sys, duckdb
os.chmod(sys.argv[1], 0o644)
con = duckdb.connect(sys.argv[1])
con.execute("PRAGMA disable_checkpoint_on_shutdown")
con.execute("DELETE FROM orders")
os._exit(0)
"""


def test_a_log_left_by_a_writing_session_never_reaches_the_next_file(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    subprocess.run([sys.executable, "-c", SCRIBBLER, str(first.path)], check=True)
    assert first.path.with_name(f"{first.path.name}.wal").exists()
    assert home.rows("SELECT COUNT(*) FROM orders") == [(0,)], "the session did write"
    land(home.lake, **whole("2", 2))
    made = home.publish()
    assert made.is_rebuilt
    assert home.rows("SELECT COUNT(*) FROM orders") == [(2,)]


CRASHER = """
import os, sys
from pathlib import Path
from resources import publication, warehouse_build
from resources.places import Places
from resources.warehouse import Reference, Warehouse

home, place, name = sys.argv[1:]
target = {"publication": publication, "build": warehouse_build.Build, "os": os}[place]
setattr(target, name, lambda *_, **__: os._exit(9))
Warehouse(Places(Path(home), home + "/lake", "", Path())).publish([], Reference())
"""


@pytest.mark.parametrize(
    ("place", "name"),
    [("build", "derive"), ("publication", "publish"), ("os", "replace")],
)
def test_a_crash_at_any_step_leaves_the_old_file_live(home: Home, place: str, name: str) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    before = contents(first.path)
    land(home.lake, **whole("2", 2))
    path = os.pathsep.join([str(Path(__file__).parents[1])])
    child = subprocess.run(
        [sys.executable, "-c", CRASHER, str(home.files), place, name],
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert child.returncode == 9
    assert home.warehouse.path.resolve() == first.path
    assert contents(home.warehouse.path) == before
    assert home.publish().orders == 2
    assert not [file for file in home.names() if "building" in file or "link" in file]


def test_an_account_that_does_not_hold_together_is_held_back_alone(home: Home) -> None:
    for account in (ACME, TWELVE):
        land(home.lake, **whole("1", 1, account))
    home.publish()
    land(home.lake, **whole("2", 2, TWELVE))
    land(home.lake, [order("2", 2, row_count=3)], [order_row("2", 2)])
    made = home.publish()
    assert made.held_back == {ACME}
    assert {account: str(fault) for account, fault in made.faults.items()} == {
        ACME: "1 orders lack some of their rows"
    }
    kept = contents(made.path)
    assert home.rows("SELECT * FROM order_count ORDER BY 1") == [("12", 2), ("acme", 1)]
    assert contents(home.publish(rebuild=True).path) == kept
    land(home.lake, **whole("2", 3))
    mended = home.publish()
    assert (mended.held_back, mended.faults, mended.orders) == (frozenset(), {}, 4)


def test_an_account_may_be_held_back_by_the_caller(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    home.publish()
    land(home.lake, **whole("2", 2))
    assert not home.publish(held_back=frozenset({ACME})).published
    assert home.publish(held_back=frozenset({ACME}), rebuild=True).orders == 1
    assert home.publish().orders == 2


def test_a_fault_in_what_was_published_before_is_refused(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    first.path.chmod(0o644)
    with duckdb.connect(str(first.path)) as con:
        con.execute("DELETE FROM order_rows")
    land(home.lake, **whole("1", 1, TWELVE))
    with pytest.raises(WarehouseError, match=r"lack some of their rows .brightpearl\.acme.*replay"):
        home.publish()
    assert home.warehouse.path.resolve() == first.path


def test_a_file_of_another_layout_is_built_anew(home: Home) -> None:
    land(home.lake, **whole("1", 1))
    first = home.publish()
    first.path.chmod(0o644)
    with duckdb.connect(str(first.path)) as con:
        con.execute("UPDATE orderloom.build SET layout = 'older'")
    made = home.publish()
    assert (made.published, made.is_rebuilt) == (True, True)


def test_a_clock_set_back_leaves_the_file_before_to_its_readers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files are kept, the live one and the one before, whatever the clock said."""

    class SetBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - timedelta(days=1)

    files = []
    for seq in range(1, 6):
        if seq == 3:
            monkeypatch.setattr("resources.publication.datetime", SetBack)
        land(home.lake, **whole("1", seq))
        files.append(home.publish().path.name)
    assert files == sorted(files)
    assert home.names() >= set(files[-2:])
    assert not home.names() & set(files[:-2])


def test_a_publication_does_not_wait_for_ever(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.publication.PATIENCE", 0.0)
    land(home.lake, **whole("1", 1))
    with (
        exclusive(home.warehouse.path),
        pytest.raises(WarehouseError, match="another process has been publishing"),
    ):
        home.publish()
