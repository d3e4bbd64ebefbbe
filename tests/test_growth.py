"""How cost grows: the benchmark runs, at a tiny size, and shows what it measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import growth, growth_report


def test_a_year_of_one_day_is_measured_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ORDERLOOM_HOME", "ORDERLOOM_ACCOUNTS", "BENCH_APP_REF", "BENCH_TOKEN"):
        monkeypatch.setenv(name, "")  # put back afterwards: the case sets them
    monkeypatch.setattr(growth, "AT_FIRST", 50)
    monkeypatch.setattr(growth, "A_DAY", 3)
    rows = growth.year(1, folder=tmp_path / "orders")
    assert [row["orders"] for row in rows] == [50, 53]
    assert [row["touched"] for row in rows] == [50, 6]
    assert all(row["requests"] == row["least"] for row in rows)
    written = rows[-1]["written"]
    assert isinstance(written, dict)
    assert min(written[stage] for stage in ("pull", "normalise", "publish")) > 0
    growth_report.keep("year", rows, tmp_path)
    shown = (tmp_path / "growth.md").read_text(encoding="utf-8")
    assert shown.count("\n| ") == 2 + len({"all of 50", "first", "middle", "last", "slowest"})
    assert "| 0 | 50 | " in shown
