"""A backfill as a person does it: clicked in the real UI, in a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import tenacity
from playwright.sync_api import Locator, Page, expect

from sandbox.server import Sandbox
from tests.browser import opened
from tests.staying import ask, dagster_ui

ROOT = Path(__file__).parents[1]
PATIENCE = 120
"""Seconds for what Dagster's daemon starts by itself, on a machine that has other things to do."""


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(lifted=True, most=24, sources=["brightpearl"]) as sandbox:
        yield sandbox


@pytest.fixture
def surroundings(box: Sandbox, tmp_path: Path) -> dict[str, str]:
    """An empty home, as variables, whose queue and backfills are looked at every second."""
    (tmp_path / "accounts.toml").write_text(box.accounts_toml(), encoding="utf-8")
    settings = (ROOT / "pipelines/dagster.yaml").read_text(encoding="utf-8")
    quick = settings.replace(
        "class: QueuedRunCoordinator\n",
        "class: QueuedRunCoordinator\n  config:\n    dequeue_interval_seconds: 1\n",
    )
    (tmp_path / "var/dagster").mkdir(parents=True)
    (tmp_path / "var/dagster/dagster.yaml").write_text(quick, encoding="utf-8")
    return os.environ | box.environment() | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/quick_daemon'}",
        "ORDERLOOM_HOME": str(tmp_path / "var"),
        "ORDERLOOM_ACCOUNTS": str(tmp_path / "accounts.toml"),
    }  # fmt: skip


def _created(box: Sandbox, first: date, last: date) -> set[str]:
    """Ids of the orders that were created on these days, in the account's zone."""
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    truth = box.truth("brightpearl.acme")
    return {each["source_order_id"] for each in truth if each["body"]["createdOn"][:10] in days}


def _published(home: Path) -> set[str]:
    """Ids of the orders in the marts; none before anything was published."""
    if not (home / "marts.duckdb").exists():
        return set()
    with duckdb.connect(str(home / "marts.duckdb"), read_only=True) as marts:
        return {row[0] for row in marts.execute("SELECT source_order_id FROM orders").fetchall()}


def _shown(page: Page, text: str) -> Locator:
    return page.get_by_text(text, exact=True).filter(visible=True)


@tenacity.retry(
    wait=tenacity.wait_fixed(0.5),
    stop=tenacity.stop_after_delay(PATIENCE),
    retry=tenacity.retry_if_result(lambda is_there: not is_there),
)
def _wait_for(home: Path, orders: set[str]) -> bool:
    return _published(home) == orders


def _backfill(url: str) -> str:
    """Id of the backfill that was launched."""
    found = ask(
        url, "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"
    )
    (backfill,) = found["partitionBackfillsOrError"]["results"]
    return str(backfill["id"])


def _launch(page: Page, first: date, last: date) -> None:
    """From the graph: the asset, *Materialize selected...*, its accounts, the days, *Launch*."""
    _shown(page, "brightpearl").nth(1).click()  # the first is the list beside the graph
    _shown(page, "history").first.click()
    page.get_by_role("button", name="Materialize selected").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).first.click()
    days = dialog.get_by_placeholder(re.compile("^ex: "))
    days.fill(f"[{first}...{last}]")
    days.press("Enter")
    expect(dialog.get_by_text("4 partitions")).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    expect(dialog).to_be_hidden()


def test_a_backfill_is_clicked_and_its_orders_are_in_the_marts(
    box: Sandbox, surroundings: dict[str, str], tmp_path: Path
) -> None:
    first, last = date(2026, 10, 20), date(2026, 10, 23)
    wanted = _created(box, first, last)
    expect.set_options(timeout=PATIENCE * 1000)
    with opened() as page, dagster_ui(surroundings, tmp_path / "ui.log") as url:
        page.set_default_timeout(PATIENCE * 1000)
        ask(url, "mutation { setNuxSeen }")
        page.goto(f"{url}/asset-groups")
        _launch(page, first, last)
        page.goto(f"{url}/runs/b/{_backfill(url)}")
        succeeded = page.get_by_text("Succeeded", exact=True)
        expect(succeeded).to_have_count(2)  # its status, and a column
        expect(page.get_by_text("100% completed")).to_be_visible()
        page.goto(f"{url}/assets/brightpearl/history?view=partitions")
        expect(page.get_by_text("Materialized (4)")).to_be_visible()
        expect(page.get_by_text("Failed (0)")).to_be_visible()
        _wait_for(tmp_path / "var", wanted)
    assert wanted
    assert box.requests("brightpearl.acme") == 2, "one window: a search, and one set of ids"
