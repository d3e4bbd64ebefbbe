"""A process that stood still until others took its place writes nothing, wherever it stood."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.normalise import WRITTEN, Normaliser, rewriting
from resources.errors import LakeError
from resources.lake import Lake
from resources.ledger import Ledger
from tests.late import ACCOUNT, land, move_cursor
from tests.processes import LIMIT, module

OVERTAKEN = ("another process went on while this one stood still", "lost the lease")


def late(
    work: str, point: str, nth: int, folder: Path, meanwhile: Callable[[], None]
) -> tuple[int, str]:
    """Let a process stop in its work, do something meanwhile, wake it; its exit code and error."""
    with module("tests.late", work, point, nth, folder) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), "it ended without stopping"
            meanwhile()
        finally:
            process.send_signal(signal.SIGCONT)
            error = process.communicate(timeout=LIMIT)[1]
    return process.returncode, error


def rows(lake: Lake, table: str, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return sorted(lake.read(con, table).project(columns).fetchall())


@pytest.mark.parametrize("point", ["look", "commit"])
def test_landing(tmp_path: Path, lake: Lake, ledger: Ledger, point: str) -> None:
    """What the other one landed is there once, and what the late one had comes with the next."""
    land(lake, ledger, 9)
    code, error = late("land", point, 0, tmp_path, lambda: land(lake, ledger, 2, 3, 4))
    assert code == 1
    assert any(words in error for words in OVERTAKEN), error
    landed = [("9", 1), ("2", 2), ("3", 3), ("4", 4)]
    assert rows(lake, "raw", "source_order_id, landing_seq") == sorted(landed)
    land(lake, ledger, 1, 2)
    assert rows(lake, "raw", "source_order_id, landing_seq") == sorted([*landed, ("1", 5)])


def test_the_cursor(tmp_path: Path, ledger: Ledger) -> None:
    code, error = late("move", "look", 0, tmp_path, lambda: move_cursor(ledger, 2))
    assert code == 1
    assert "lost the lease for changes" in error
    assert ledger.cursor(ACCOUNT.key) == {"reached": 2}


@pytest.mark.parametrize(
    ("work", "point", "nth"),
    [
        ("drain", "look", 0),
        ("drain", "commit", 0),
        pytest.param("drain", "commit", 1, marks=pytest.mark.nightly),
        pytest.param("replay", "look", 0, marks=pytest.mark.nightly),
        ("replay", "commit", 3),
    ],
)
def test_normalising(
    tmp_path: Path, lake: Lake, ledger: Ledger, work: str, point: str, nth: int
) -> None:
    """Every version is there once, with its rows, whichever tables the late one had written."""
    normaliser = Normaliser(ACCOUNT, lake, ledger)
    land(lake, ledger, 1, 2, 3)
    if work == "replay":
        normaliser.drain()

    def meanwhile() -> None:
        land(lake, ledger, 4)
        normaliser.drain()

    code, error = late(work, point, nth, tmp_path, meanwhile)
    assert code == 1, error
    for table in set(WRITTEN) - {"quarantine", "order_parties"}:
        found = rows(lake, table, "landing_seq")
        assert found == [(1,), (2,), (3,), (4,)], table
    normaliser.replay()
    assert rows(lake, "orders", "landing_seq") == [(1,), (2,), (3,), (4,)]


def test_compacting(tmp_path: Path, lake: Lake, ledger: Ledger) -> None:
    """Its lease may run out, its lock does not: delta-rs would double every row."""
    for number in range(1, 5):
        land(lake, ledger, number)

    def meanwhile() -> None:
        with (
            rewriting(ledger, "raw"),
            pytest.raises(LakeError, match="being compacted by another process"),
        ):
            lake.compact("raw")
        land(lake, ledger, 5)

    code, error = late("compact", "commit", 0, tmp_path, meanwhile)
    assert code == 0, error
    assert len(rows(lake, "raw", "landing_seq")) == 5
    assert lake.compact("raw")[1] == 1
