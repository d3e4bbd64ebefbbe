"""The request budget, alone and shared between processes and threads."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from resources.budget import Budget, BudgetError
from resources.told import BUDGET, GO, THROTTLE, Wait

ROOT = Path(__file__).parent.parent


class Time:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def spend(budget: Budget) -> int:
    """Take what there is; how many."""
    taken = 0
    while budget.take() == GO:
        taken += 1
    return taken


def test_so_many_in_any_minute(tmp_path: Path) -> None:
    now = Time()
    with Budget(tmp_path, "a", 10, now=now) as budget:
        assert [budget.take() for _ in range(4)] == [GO] * 4
        now.seconds += 30
        assert spend(budget) == 6
        assert 30 <= budget.take().seconds <= 30.01
        now.seconds += 30.01
        assert spend(budget) == 4
        assert 29 <= budget.take().seconds <= 30.01


def test_two_budgets_with_one_key_are_one(tmp_path: Path) -> None:
    now = Time()
    with (
        Budget(tmp_path, "shared", 10, now=now) as one,
        Budget(tmp_path, "shared", 10, now=now) as two,
        Budget(tmp_path, "other", 10, now=now) as other,
    ):
        assert [one.take() for _ in range(7)] == [GO] * 7
        assert spend(two) == 3
        assert one.take().seconds > 0
        assert spend(other) == 10


def test_the_count_outlives_the_process(tmp_path: Path) -> None:
    now = Time()
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert spend(budget) == 5
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert spend(budget) == 0


PROCESS = """
import sys
from pathlib import Path
from resources.budget import Budget
from resources.told import GO
with Budget(Path(sys.argv[1]), "a", 40) as budget:
    print(sum(budget.take() == GO for _ in range(40)))
"""


def test_processes_share_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)
    ]
    taken = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert sum(taken) == 40


def test_threads_share_it(tmp_path: Path) -> None:
    with Budget(tmp_path, "a", 50, now=Time()) as budget, ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: budget.take(), range(100)))
    assert taken.count(GO) == 50


def test_a_clock_set_back_does_not_stop_everything(tmp_path: Path) -> None:
    now = Time()
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert spend(budget) == 5
        now.seconds -= 3600  # as after a new start of the host
        assert spend(budget) == 5
        assert budget.take().seconds <= 60.01


def test_what_is_old_is_deleted(tmp_path: Path) -> None:
    now = Time()
    with Budget(tmp_path, "a", 200, now=now) as budget:
        for _ in range(1000):
            assert budget.take() == GO
            now.seconds += 1
            budget.answered()
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM requests").fetchone()[0] <= 200


@pytest.mark.parametrize("limit", [None, 10_000, 10_000_000])
def test_a_lifted_limit_costs_next_to_nothing(tmp_path: Path, limit: int | None) -> None:
    with Budget(tmp_path, "a", limit) as budget:
        best = min(_seconds_of_a_thousand(budget) for _ in range(5))
    assert best < 0.1
    assert list(tmp_path.iterdir()) == []


def _seconds_of_a_thousand(budget: Budget) -> float:
    began = time.perf_counter()
    assert [budget.take() for _ in range(1000)] == [GO] * 1000
    return time.perf_counter() - began


def test_a_high_limit_is_kept_too(tmp_path: Path) -> None:
    now = Time()
    with Budget(tmp_path, "a", 10_000, now=now) as budget:
        assert spend(budget) == 10_000
        now.seconds += 60
        assert spend(budget) == 10_000


def test_an_unusable_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("this is not a database, whatever its name says")
    with pytest.raises(BudgetError, match=r"a\.sqlite.*deleted"):
        Budget(tmp_path, "a", 5)
    with pytest.raises(BudgetError):
        Budget(tmp_path / "a.sqlite", "a", 5)


def test_a_request_counts_from_its_answer(tmp_path: Path) -> None:
    """The API may have counted it at any moment until then."""
    now = Time()
    with Budget(tmp_path, "a", 2, now=now) as budget:
        assert [budget.take(), budget.take()] == [GO, GO]
        budget.answered()
        now.seconds += 20
        budget.answered()
        now.seconds += 41
        assert budget.take() == GO
        assert 18.9 <= budget.take().seconds <= 19.1


def test_what_one_hears_holds_for_all(tmp_path: Path) -> None:
    now = Time()
    with (
        Budget(tmp_path, "a", 100, now=now) as one,
        Budget(tmp_path, "a", 100, now=now) as two,
        Budget(tmp_path, "other", 100, now=now) as other,
    ):
        assert [one.take(), one.take(), two.take()] == [GO] * 3
        one.answered((3, 40.0))  # two others are on their way: one is left
        assert two.take() == GO
        assert 0 < one.take().seconds < 1  # until a reply tells that there is still one
        two.answered((1, 40.0))
        two.answered((2, 40.0))  # overtaken by the one before
        one.answered((0, 40.0))
        assert one.take() == two.take() == Wait(40.0, BUDGET)
        one.close_for(100.0, THROTTLE)
        assert two.take() == Wait(100.0, THROTTLE)
        assert other.take() == GO
        now.seconds += 101
        assert two.take() == GO


def test_what_was_heard_outlives_the_process_but_not_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Time()
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert spend(budget) == 5
        budget.close_for(100.0, THROTTLE)
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert budget.take() == Wait(100.0, THROTTLE)
    monkeypatch.setattr("resources.budget_file.this_process", lambda: "other-boot/1/2/3")
    with Budget(tmp_path, "a", 5, now=now) as budget:
        assert spend(budget) == 5


def test_no_clock_that_can_be_set_is_used(tmp_path: Path) -> None:
    """Whatever happens to the time of day: 60 seconds of any minute are counted alike."""
    with Budget(tmp_path, "a", 2) as budget:
        assert [budget.take(), budget.take()] == [GO, GO]
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as file:
        stamps = file.execute("SELECT item_timestamp FROM requests").fetchall()
    assert all(abs(stamp / 1000 - time.monotonic()) < 60 for (stamp,) in stamps)
