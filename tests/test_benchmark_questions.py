"""The benchmark of the twenty questions, on a few copies of a few orders."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from benchmarks.questions import YEARS, measure, multiply, questions
from resources.warehouse import Warehouse

COPIES = 12


@pytest.fixture(scope="module")
def large(small_marts: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file of so many copies of the small one's orders."""
    orders = small_marts.row_counts()["orders"]
    home = tmp_path_factory.mktemp("large")
    return multiply(small_marts.path, home / "marts.duckdb", orders * (COPIES - 1) + 1)


def test_copies_are_orders_of_their_own_on_earlier_days(
    small_marts: Warehouse, large: Path
) -> None:
    counts = small_marts.row_counts()
    with duckdb.connect(str(large), read_only=True) as con:
        for table in ("orders", "order_rows", "order_parties", "order_status_history"):
            (found,) = con.execute(f"SELECT COUNT(*) FROM {table}").fetchall()
            assert found == (COPIES * counts[table],)
        newest = "SELECT MAX(source_order_id) FROM orders WHERE source_account = 'acme'"
        keys, versions, days = con.execute(
            "SELECT COUNT(DISTINCT order_key), COUNT(DISTINCT version_id),"
            " MAX(created_at)::DATE - MIN(created_at)::DATE FROM orders"
            " WHERE source_account = 'acme' AND ends_with(source_order_id, ?)",
            [small_marts.read(newest).iloc[0, 0]],
        ).fetchall()[0]
        assert (keys, versions) == (COPIES, COPIES)
        assert 365 * (YEARS - 1) < days < 365 * YEARS
        orphans = con.execute(
            "SELECT COUNT(*) FROM order_rows ANTI JOIN orders USING (order_key, version_id)"
        ).fetchall()
        assert orphans == [(0,)]


def test_every_question_is_answered_and_timed(large: Path) -> None:
    timings = list(measure(large, times=2, threads=2))
    assert [each.number for each in timings] == list(questions()) == list(range(1, 21))
    assert all(each.rows > 0 and len(each.wall) == len(each.cpu) == 2 for each in timings)
