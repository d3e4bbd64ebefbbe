"""Normalising while a pull lands: nothing is told twice, left out, or made the pull's fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from assets import ahead, mapping
from assets.ahead import normalising
from assets.normalise import LEASE as NORMALISE
from assets.normalise import Normaliser
from assets.pull import Pull
from assets.sources.efiling import Efiling
from assets.workshop import Workshop
from pipelines.running import Runner
from sandbox.server import Sandbox
from tests.home import open_sandbox, point_at

KEY = "efiling.formations"
SOURCE = "efiling"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with open_sandbox(most=120) as opened:
        yield opened


@pytest.fixture
def workshop(box: Sandbox, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A home whose account lands a dozen orders at a time, each of them enough to begin."""
    monkeypatch.setattr(Efiling, "batch_size", 12)
    monkeypatch.setattr(ahead, "ENOUGH", 12)
    opened = point_at(box, tmp_path, monkeypatch)
    yield opened
    opened.close()


def _pulled(workshop: Workshop, run: str, **changed: Any) -> Pull:
    account = workshop.accounts.get(KEY)
    with normalising(workshop, account, run) as puller:
        for name, value in changed.items():
            object.__setattr__(puller, name, value)
        return puller.changes(account, run)


def _versions(workshop: Workshop) -> int:
    """Versions in the lake; every one of them once."""
    with duckdb.connect() as connection:
        orders = workshop.lake.read(connection, "orders")
        ((rows, different),) = orders.aggregate("COUNT(*), COUNT(DISTINCT version_id)").fetchall()
    assert rows == different
    return int(rows)


def _runs(workshop: Workshop) -> list[tuple[str, str, int | None]]:
    return [
        (run["run_id"], run["outcome"], run["quarantined"])
        for run in workshop.ledger.runs(None, KEY, NORMALISE)
    ]


def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = mapping.sections(SOURCE) | {"orders": "SELECT nothing FROM parsed"}
    monkeypatch.setattr(mapping, "sections", lambda _: parts)


def test_a_run_tells_of_all_that_it_normalised(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_ahead = []
    close = ahead.Ahead.close

    def closed(self: ahead.Ahead) -> Any:
        made_ahead.append(close(self))
        return made_ahead[-1]

    monkeypatch.setattr(ahead.Ahead, "close", closed)
    with Runner(workshop) as runner:
        ran = runner.sync(workshop.accounts.get(KEY))
    assert ran.success, ran.problem
    landed = ran.metadata["changes"]["new"]
    assert 0 < made_ahead[0].orders <= landed
    told = ran.metadata["orders"]
    assert (
        told["rows_written"] == told["dagster/partition_row_count"] == landed == _versions(workshop)
    )
    rows = ran.metadata["order_rows"]
    assert rows["rows_written"] == rows["dagster/partition_row_count"] > landed
    assert _runs(workshop) == [(f"{ran.run_id}/{NORMALISE}", "succeeded", told["quarantined"])]
    assert workshop.ahead == {}


def test_a_mapping_that_fails_fails_the_step_that_normalises(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = workshop.accounts.get(KEY)
    with Runner(workshop) as runner, monkeypatch.context() as patch:
        _broken(patch)
        ran = runner.sync(account)
    assert not ran.success
    assert "section orders does not run" in str(ran.problem)
    assert {run["outcome"] for run in workshop.ledger.runs(None, KEY, "changes")} == {"succeeded"}
    assert [outcome for _, outcome, _ in _runs(workshop)] == ["failed"]
    made = workshop.normaliser(account).drain()
    assert made.orders == ran.metadata["changes"]["new"] == _versions(workshop)


def test_where_somebody_else_normalises_nobody_waits(workshop: Workshop) -> None:
    account = workshop.accounts.get(KEY)
    with workshop.ledger.lease(KEY, NORMALISE):
        pull = _pulled(workshop, "first")
    assert workshop.ahead == {}
    assert _runs(workshop) == []
    assert workshop.normaliser(account).drain().orders == pull.counts.new


def test_a_pull_that_fails_leaves_what_was_made_and_says_so(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tried again in the same run, both parts are told together."""
    account = workshop.accounts.get(KEY)
    write, written = Normaliser._write, threading.Event()

    def note(*given: Any) -> None:
        write(*given)
        written.set()

    def fail(pull: Pull) -> None:
        if pull.counts.new > 36:
            assert written.wait(60)
            raise OSError("the line is cut")

    monkeypatch.setattr(Normaliser, "_write", note)

    workshop.landed = fail
    with pytest.raises(OSError, match="cut"):
        _pulled(workshop, "first")
    workshop.landed = None
    before = _versions(workshop)
    assert [outcome for _, outcome, _ in _runs(workshop)] == ["succeeded"]
    assert workshop.ahead["first", KEY].orders == before > 0
    _pulled(workshop, "first")
    made = workshop.ahead.pop(("first", KEY))
    made.add(workshop.normaliser(account).drain())
    assert made.orders == _versions(workshop) > before
    assert made.after == 0


def test_a_small_pull_starts_nothing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "ENOUGH", 4000)
    monkeypatch.setattr(ahead.Ahead, "_normalise", None)
    assert _pulled(workshop, "first").counts.new
    assert workshop.ahead == {}
