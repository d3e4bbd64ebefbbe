"""Looking up what has landed: as little as needed, and never less."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from assets.known import Landed, Newest
from assets.landed_keys import LandedKeys
from assets.landing import Landing
from assets.sources import source
from assets.sources.base import Record
from assets.sources.brightpearl_found import NO_STAMP, Found, stamp_of
from resources import lake_pick
from resources.accounts import Account
from resources.arrays import micros, moment_of, moments, numbers, texts
from resources.errors import LakeError
from resources.lake import Lake
from resources.lake_pick import pick
from resources.lake_write import write_file
from resources.ledger import Ledger
from schemas.lake import LAKE

NOW = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
OWN = ("brightpearl", "acme")


def record(number: int, text: str = "", minutes: int = 0) -> Record:
    body = b'{"id":%d,"reference":"%s"}' % (number, text.encode())
    return Record(str(number), "/order/", body, NOW + timedelta(minutes=minutes))


def landing(account: Account, lake: Lake, ledger: Ledger) -> Landing:
    return Landing(source("brightpearl"), account, lake, ledger, "run")


def key(number: int) -> str:
    return f"brightpearl:acme:{number}"


def test_of_an_account_with_nothing_landed_nothing_is_looked_up(lake: Lake) -> None:
    assert not LandedKeys(lake, OWN).among([key(1)], 0)
    assert not (lake.root or Path()).exists()


def test_what_this_run_landed_is_found_and_nothing_else(
    account: Account, lake: Lake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third batch holds an order of the first one: it is looked up, the others are not."""
    run = landing(account, lake, ledger)
    asked: list[list[str]] = []
    real = Landed.newest

    def newest(self: Landed, keys: list[str]) -> dict[str, Newest]:
        asked.append([*keys])
        return real(self, keys)

    monkeypatch.setattr(Landed, "newest", newest)
    run.land([record(1), record(2)])
    run.land([record(3), record(4)])
    counts = run.land([record(5), record(2, minutes=1), record(3, "changed", 1)])
    assert asked == [[], [], [key(2), key(3)]]
    assert (counts.new, counts.changed, counts.unchanged) == (1, 1, 1)


def test_what_others_land_meanwhile_is_found(account: Account, lake: Lake, ledger: Ledger) -> None:
    """Two runs side by side, of which neither knows what the other one lands."""
    run, other = landing(account, lake, ledger), landing(account, lake, ledger)
    run.land([record(1)])
    run.land([record(2)])
    other.land([record(3)])
    other.land([record(4)])
    counts = run.land([record(3, minutes=1), record(4, minutes=1), record(5)])
    assert (counts.new, counts.unchanged) == (1, 2)


def test_a_later_run_finds_what_an_earlier_one_landed(
    account: Account, lake: Lake, ledger: Ledger
) -> None:
    landing(account, lake, ledger).land([record(1), record(2), record(3)])
    later = landing(account, lake, ledger)
    assert later.land([record(1, minutes=1)]).unchanged == 1
    assert later.land([record(2, minutes=1)]).unchanged == 1
    assert later.land([record(3, "changed", minutes=1), record(4)]).changed == 1


def test_only_bodies_that_are_asked_for_are_read(
    account: Account, lake: Lake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = landing(account, lake, ledger)
    for first in (1, 11, 21):
        run.land([record(number) for number in range(first, first + 10)])
    run.land([record(5, "changed", 1)])
    opened: list[list[str]] = []
    real = pq.ParquetFile.read_row_group

    def read(self: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
        opened.append(columns)
        return real(self, group, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    found = {each.source_order_id: each for each in Landed(lake, account).observed(["5", "12"])}
    assert {i: each.body for i, each in found.items()} == {
        "5": '{"id":5,"reference":"changed"}',
        "12": '{"id":12,"reference":""}',
    }
    assert sum("body" in columns for columns in opened) == 2


def test_a_file_that_is_gone_is_said_and_not_passed_over(
    account: Account, lake: Lake, ledger: Ledger
) -> None:
    landing(account, lake, ledger).land([record(1)])
    Path(lake.files("raw")[0].path).unlink()
    with pytest.raises(LakeError, match="cannot be read"):
        list(pick(lake, "raw", ["order_key"], account=OWN))


def test_an_object_store_gives_the_same_rows(account: Account, lake: Lake, ledger: Ledger) -> None:
    """What is read through delta-rs's own file system, as from an object store."""
    run = landing(account, lake, ledger)
    run.land([record(number) for number in range(1, 6)])
    run.land([record(3, "changed", 1)])
    columns, having = ["order_key", "landing_seq"], ("order_key", [key(3), key(5)])
    near = list(pick(lake, "raw", columns, account=OWN, having=having))
    condition = pc.field("order_key").isin(having[1])
    far = list(lake_pick._picked_remotely(f"{lake.url}/raw", OWN, columns, condition))
    rows = [sorted(zip(*(c.to_pylist() for c in pa.table(b).columns), strict=True))
            for b in (pa.Table.from_batches(near), pa.Table.from_batches(far))]  # fmt: skip
    assert rows[0] == rows[1] == [(key(3), 3), (key(3), 6), (key(5), 5)]


def test_columns_hold_what_they_are_given() -> None:
    assert texts(["a", None, b"\xc3\xa9", b"\xff!", ""]).to_pylist() == [
        "a",
        None,
        "é",
        "\ufffd!",
        "",
    ]
    assert numbers([-1, 2**63 - 1]).to_pylist() == [-1, 2**63 - 1]
    assert numbers([2**64 - 1], "Q").to_pylist() == [2**64 - 1]
    assert numbers([2], "h").type == pa.int16()
    late = NOW.astimezone(tz=None) + timedelta(microseconds=1)
    assert moments([NOW, late, NOW]).to_pylist() == [NOW, late, NOW]
    with pytest.raises(OverflowError):
        numbers([2**63])


def test_each_order_is_listed_once_by_the_last_of_its_stamps() -> None:
    found = Found([7, 5, 7, 9, 3, 5], [30, 20, 10, NO_STAMP, 20, NO_STAMP])
    arranged = found.arranged()
    assert list(zip(arranged.ids, arranged.stamps, strict=True)) == [
        (3, 20), (7, 30), (5, NO_STAMP), (9, NO_STAMP)
    ]  # fmt: skip
    assert list(arranged.only([0, 1, 0, 1]).ids) == [7, 9]


def test_stamps_are_moments_to_the_microsecond() -> None:
    assert moment_of(stamp_of("2026-11-02T08:00:00.000001+01:00")) == NOW + timedelta(
        microseconds=1
    )
    assert stamp_of("2026-11-02T07:00:00") == micros(NOW)
    assert {stamp_of(each) for each in (None, "", "soon", 7)} == {NO_STAMP}


def test_a_raw_file_is_like_any_other_of_the_lake(
    account: Account, lake: Lake, ledger: Ledger
) -> None:
    """Statistics on the keys alone, in the log and in the file; row groups small enough to skip."""
    run = landing(account, lake, ledger)
    run.land([record(number) for number in range(1, 2502)])
    (file,) = lake.files("raw")
    assert (file.rows, file.first_seq, file.last_seq, file.account) == (2501, 1, 2501, OWN)
    group = pq.ParquetFile(file.path).metadata.row_group(0)
    assert group.num_rows == 1000
    columns = (group.column(place) for place in range(group.num_columns))
    assert {c.path_in_schema for c in columns if c.statistics} == {"order_key", "landing_seq"}


@pytest.mark.parametrize("names", [("acme", "zenith"), ("a b", "a b"), ()])
def test_rows_of_no_one_plain_account_are_left_to_delta(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Of two, of none, or of one that is written otherwise in a path."""
    columns = {name: pa.nulls(len(names), field.type) for name, field in _fields().items()}
    columns |= {"source_system": texts(["x"] * len(names)), "source_account": texts(names)}
    assert write_file(tmp_path, "raw", pa.table(columns)) is None
    assert not [*tmp_path.iterdir()]


def _fields() -> dict[str, pa.Field]:
    return {field.name: field for field in LAKE["raw"]}


def test_nobody_waits_for_one_table_while_another_is_at_work(
    account: Account, lake: Lake, ledger: Ledger
) -> None:
    landing(account, lake, ledger).land([record(1)])
    answers: list[int] = []
    with lake._alone("orders"):
        other = threading.Thread(target=lambda: answers.append(lake.version("raw")))
        other.start()
        other.join(20)
    assert answers == [1]
