"""What every sync and `orderloom status` ask of the ledger is answered by indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from resources.ledger import Ledger

ACCOUNT = "brightpearl.acme"
ASKED: dict[str, Callable[[Ledger], object]] = {
    "freshness": lambda ledger: ledger.freshness(),
    "last_window": lambda ledger: ledger.last_window(ACCOUNT, "changes"),
    "runs": lambda ledger: ledger.runs(),
    "start_run": lambda ledger: ledger.start_run(ACCOUNT, "changes"),
    "always_received": lambda ledger: ledger.always_received(ACCOUNT, "changes", 10),
    "failing_since": lambda ledger: ledger.failing_since(ACCOUNT),
    "close_abandoned": lambda ledger: ledger.close_abandoned(ACCOUNT, "changes", "run"),
}


@contextmanager
def statements() -> Iterator[list[tuple[Connection, str, Any]]]:
    """What is executed meanwhile, by whatever engine."""
    found: list[tuple[Connection, str, Any]] = []

    def note(connection: Connection, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        found.append((connection, sql, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", ASKED)
def test_no_question_reads_every_run(tmp_path: Path, name: str) -> None:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        ledger.finish_run(ledger.start_run(ACCOUNT, "changes"), "succeeded")
        with statements() as found:
            ASKED[name](ledger)
        about_runs = [(sql, values) for _, sql, values in found if "runs" in sql]
        assert about_runs
        with ledger._store.reading() as connection:
            for sql, values in about_runs:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
                steps = [row[-1] for row in plan]
                whole = [step for step in steps if step in ("SCAN runs", "SCAN TABLE runs")]
                assert not whole, f"{sql}: {steps}"
