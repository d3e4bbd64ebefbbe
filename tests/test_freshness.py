"""How fresh an account is: in the marts, and when a publication is due for that alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from canonical_rows import ACME, START, land
from click.testing import CliRunner
from warehouse_home import COUNT, Home, at, whole

from pipelines.cli import main
from resources.ledger import Ledger
from resources.warehouse import AccountReference, Publication, Reference

SYNCED = AccountReference(
    *ACME, timezone="Europe/London", last_success_at=START, stale_after_hours=6.5
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One account, synced at START and published."""
    home = Home(tmp_path_factory.mktemp("home"))
    land(home.lake, **whole("1", 1))
    assert publish(home).published
    return home


def publish(home: Home, **changed: Any) -> Publication:
    """Publish with the account as it was at START, but for what is given."""
    return home.warehouse.publish([COUNT], Reference([replace(SYNCED, **changed)]))


def seen(home: Home) -> tuple[Any, ...]:
    """What the file says of the account."""
    columns = "last_success_at, stale_after_hours, stale_at, last_error"
    (row,) = home.rows(f"SELECT {columns} FROM dim_account")
    return row


def test_a_file_grows_out_of_date_by_an_hour_and_is_then_made_anew(home: Home) -> None:
    assert seen(home) == (at(0), 6.5, at(390), None)
    assert not publish(home).published
    assert not publish(home, last_success_at=START + timedelta(hours=1)).published
    later = START + timedelta(hours=1, seconds=1)
    opened = len(home.lake.opened)
    made = publish(home, last_success_at=later)
    assert (made.published, made.is_rebuilt, made.orders) == (True, False, 1)
    assert len(home.lake.opened) == opened, "no order is read again for that"
    assert seen(home)[0] == later.replace(tzinfo=None)
    assert home.rows("SELECT orders FROM order_count") == [(1,)]
    assert not publish(home, last_success_at=later).published


def test_beginning_and_ceasing_to_fail_is_published_once_each(home: Home) -> None:
    publish(home, last_success_at=START + timedelta(days=1))
    now = START + timedelta(days=1)
    for error, is_new in (("refused", True), ("timed out", False), (None, True), (None, False)):
        made = publish(home, last_success_at=now, last_failure_at=now, last_error=error)
        assert made.published == is_new
    assert seen(home)[3] is None


def test_an_account_that_never_synced_is_stale_at_no_moment(tmp_path: Path) -> None:
    home = Home(tmp_path)
    land(home.lake, **whole("1", 1))
    assert publish(home, last_success_at=None).published
    assert not publish(home, last_success_at=None).published
    assert seen(home)[:3] == (None, 6.5, None)
    assert publish(home, last_success_at=START).published
    assert publish(home, stale_after_hours=7.0).published
    assert seen(home)[2] == at(420)


TABLE = """
[brightpearl.{name}]
base_url = "https://api.example.com/{name}"
timezone = "Europe/London"
started_on = 2026-01-01
stale_after_hours = 2.0
paused = {paused}
credentials = {{ app_ref = "{name}_REF", account_token = "{name}_TOKEN" }}
"""


def test_status_tells_stale_accounts_since_when_and_ends_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = {"FRESH": 1, "STALE": 3, "BOTH": 3, "PAUSED": 3}
    tables = [TABLE.format(name=n, paused=str(n == "PAUSED").lower()) for n in [*hours, "NEVER"]]
    (tmp_path / "accounts.toml").write_text("".join(tables), encoding="utf-8")
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(tmp_path / "accounts.toml"))
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path))
    now = datetime.now(UTC)
    for name, ago in hours.items():
        moment = now - timedelta(hours=ago)
        with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", now=lambda at=moment: at) as ledger:
            run = ledger.start_run(f"brightpearl.{name}", "changes")
            ledger.finish_run(run, "succeeded")
            if name == "BOTH":
                run = ledger.start_run(f"brightpearl.{name}", "changes")
                ledger.finish_run(run, "failed", error="refused")
    result = CliRunner().invoke(main, ["status"], catch_exceptions=False)
    assert result.exit_code == 1
    since = f"stale since {now - timedelta(hours=1):%Y-%m-%d %H:%M}"
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if "brightpearl." in line}
    assert " fresh " in lines["brightpearl.FRESH"]
    assert since in lines["brightpearl.STALE"]
    assert f"failing, {since}" in lines["brightpearl.BOTH"]
    assert " paused " in lines["brightpearl.PAUSED"]
    assert " never synced " in lines["brightpearl.NEVER"]
