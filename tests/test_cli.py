"""The command line on bad input: one clear line, a non-zero exit, nothing half done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from click.testing import CliRunner, Result

from assets.known import Landed
from pipelines.cli import main
from sandbox.server import Sandbox
from tests.home import open_sandbox, point_at
from tests.loopback import Answer, Loopback, Seen

GOOD = """
[brightpearl.acme]
base_url = "{url}"
timezone = "Europe/London"
currency = "GBP"
started_on = 2026-01-01
requests_per_minute = 100000
[brightpearl.acme.credentials]
app_ref = "ACME_APP_REF"
account_token = "ACME_TOKEN"
"""

Command = Callable[..., Result]


@pytest.fixture
def orderloom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_APP_REF", "app-ref-of-acme")
    monkeypatch.setenv("ACME_TOKEN", "canary-of-acme")
    monkeypatch.setattr("resources.pacing.Clock.sleep", lambda *_: None)
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with open_sandbox(most=150) as sandbox:
        point_at(sandbox, tmp_path, monkeypatch)
        yield sandbox


def _one_line(result: Result) -> str:
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD + "[[[", ("accounts.toml", "line")),
        (GOOD.replace("brightpearl.acme", "brightperl.acme"), ("brightperl", "brightpearl")),
        (GOOD.replace("timezone", "time_zone"), ("time_zone", "[brightpearl.acme]")),
        (GOOD.replace("{url}", "http://shop.example.com"), ("base_url", "https")),
        (GOOD.replace('"ACME_TOKEN"', '"UNSET_TOKEN"'), ("UNSET_TOKEN", "account_token")),
        (GOOD + '[brightpearl.acme.order_status]\n"27" = "gone"', ("order_status", "27")),
    ],
)
def test_a_mistake_in_the_accounts_file_is_told_before_any_request(
    orderloom: Command, tmp_path: Path, text: str, named: tuple[str, ...]
) -> None:
    with Loopback(lambda _: Answer()) as server:
        (tmp_path / "accounts.toml").write_text(text.replace("{url}", server.url))
        result = orderloom("sync")
        assert server.seen == []
    line = _one_line_or_first(result)
    assert result.exit_code == (1 if "UNSET_TOKEN" in text else 2)
    assert all(word in line for word in named), line


def _one_line_or_first(result: Result) -> str:
    return next(line for line in result.stderr.splitlines() if line.startswith("orderloom: "))


def test_without_an_accounts_file_a_hint_tells_how_to_make_one(orderloom: Command) -> None:
    result = orderloom("sync")
    assert result.exit_code == 2
    assert "orderloom sandbox" in _one_line(result)


def test_an_unknown_account_is_named(orderloom: Command, box: Sandbox) -> None:
    result = orderloom("sync", "brightpearl.acne")
    assert result.exit_code == 2
    assert "brightpearl.acme" in _one_line(result)
    assert box.requests("brightpearl.acme") == 0


def _sync_against(
    orderloom: Command, tmp_path: Path, answer: Callable[[Seen], Answer]
) -> tuple[Result, str]:
    with Loopback(answer) as server:
        (tmp_path / "accounts.toml").write_text(GOOD.replace("{url}", server.url))
        result = orderloom("sync")
    return result, _one_line_or_first(result)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"<html>sign in</html>", "not JSON"),
        (b'{"response": "orders"}', "readable results"),
        (b'{"response": {"results": [], "metaData": {"columns": [{"name": "orderId"}, '
         b'{"name": "createdOn"}, {"name": "updatedOn"}], "resultsAvailable": -5}}}',
         "announces -5"),
        (b'{"response": {"results": [], "metaData": {"columns": [{"name": "orderId"}, '
         b'{"name": "createdOn"}, {"name": "updatedOn"}], "resultsAvailable": 99999999999}}}',
         "announces 99999999999"),
    ],
)  # fmt: skip
def test_a_reply_that_is_none_fails_that_account_in_one_line(
    orderloom: Command, tmp_path: Path, body: bytes, named: str
) -> None:
    result, line = _sync_against(orderloom, tmp_path, lambda _: Answer(body=body))
    assert result.exit_code == 1
    assert "brightpearl.acme" in line
    assert named in line
    assert "Traceback" not in result.output


def test_a_wrong_credential_is_told_without_repeating_it(
    orderloom: Command, tmp_path: Path
) -> None:
    refused = Answer(status=401, body=b'{"response":"Authorization token expired"}')
    result, line = _sync_against(orderloom, tmp_path, lambda _: refused)
    assert result.exit_code == 1
    assert "Authorization token expired" in line
    assert "canary-of-acme" not in result.output
    kept = [file for file in (tmp_path / "var").rglob("*") if file.is_file()]
    assert len(kept) > 3
    assert not [file for file in kept if b"canary-of-acme" in file.read_bytes()]


def test_a_failing_account_does_not_stop_the_others(orderloom: Command, box: Sandbox) -> None:
    import os

    os.environ["BRIGHTPEARL_ACME_ACCOUNT_TOKEN"] = "wrong"
    result = orderloom("sync")
    assert result.exit_code == 1
    assert "brightpearl.acme FAILED" in result.stdout
    answer = orderloom("query", "SELECT count(DISTINCT source_system) AS n FROM orders",
                       "--format", "json")  # fmt: skip
    assert json.loads(answer.stdout) == [{"n": 4}]


def test_nothing_changed_nothing_published(
    orderloom: Command, box: Sandbox, tmp_path: Path
) -> None:
    assert orderloom("sync").exit_code == 0
    live = (tmp_path / "var/marts.duckdb").resolve()
    versions = _versions(orderloom)
    box.reset_requests()
    again = orderloom("sync")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "var/marts.duckdb").resolve() == live
    assert _versions(orderloom) == versions
    assert box.requests("brightpearl.acme") == 2
    box.clock.advance(timedelta(days=1))
    assert orderloom("sync", "brightpearl.acme").exit_code == 0
    assert (tmp_path / "var/marts.duckdb").resolve() != live


def _versions(orderloom: Command) -> str:
    return orderloom("query", "SELECT count(*), max(landing_seq) FROM orders").stdout


def test_status_names_each_account_and_its_state(orderloom: Command, box: Sandbox) -> None:
    assert "nothing has been synced" in orderloom("status").stdout
    assert orderloom("sync", "feedback_company.reviews").exit_code == 0
    shown = orderloom("status").stdout
    assert "feedback_company.reviews" in shown
    assert "never synced" in shown


def test_doctor_finds_what_is_wrong_and_pulls_nothing(orderloom: Command, box: Sandbox) -> None:
    import os

    well = orderloom("doctor")
    assert well.exit_code == 0, well.stdout
    os.environ["QUOTEVINE_LEASING_API_KEY"] = "wrong"
    result = orderloom("doctor")
    assert result.exit_code == 1
    assert "NOT WELL" in result.stdout
    del os.environ["QUOTEVINE_LEASING_API_KEY"]
    unset = orderloom("doctor")
    assert unset.exit_code == 2
    assert "QUOTEVINE_LEASING_API_KEY" in unset.stdout


@pytest.mark.parametrize("style", ["table", "csv", "json", "markdown"])
def test_query_prints_in_every_style(orderloom: Command, box: Sandbox, style: str) -> None:
    assert orderloom("sync", "feedback_company.reviews").exit_code == 0
    shown = orderloom("query", "SELECT order_type, count(*) AS n FROM orders GROUP BY 1",
                      "--format", style)  # fmt: skip
    assert "review_registration" in shown.stdout


def test_query_explains_wrong_sql_and_missing_marts(orderloom: Command, box: Sandbox) -> None:
    assert "orderloom sync" in _one_line(orderloom("query", "SELECT 1"))
    assert orderloom("sync", "feedback_company.reviews").exit_code == 0
    wrong = orderloom("query", "SELEC 1")
    assert wrong.exit_code == 2
    assert "DESCRIBE" in _one_line(wrong)


@pytest.mark.nightly
def test_rebuild_replay_and_compact_leave_the_same_answers(
    orderloom: Command, box: Sandbox
) -> None:
    assert orderloom("sync").exit_code == 0
    box.clock.advance(timedelta(days=1))
    assert orderloom("sync").exit_code == 0
    question = "SELECT source_system, count(*), sum(hash(o)) FROM orders AS o GROUP BY 1 ORDER BY 1"
    before = orderloom("query", question).stdout
    for command in ("compact", "replay", "rebuild"):
        assert orderloom(command).exit_code == 0, command
        assert orderloom("query", question).stdout == before, command


def test_a_backfill_of_days_publishes_them(orderloom: Command, box: Sandbox) -> None:
    result = orderloom("backfill", "brightpearl.acme", "--from", "2026-10-26", "--to", "2026-10-28")
    assert result.exit_code == 0, result.output
    days = orderloom("query", "SELECT DISTINCT CAST(created_at AS DATE) AS d FROM orders "
                     "ORDER BY d", "--format", "csv").stdout.split()  # fmt: skip
    assert days == ["d", "2026-10-26", "2026-10-27", "2026-10-28"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("backfill", "quotevine.leasing", "--from", "2026-10-01", "--to", "2026-10-02"),
         "no date window"),
        (("backfill", "brightpearl.acme", "--from", "2026-10-02", "--to", "2026-10-01"),
         "lies before"),
        (("backfill", "brightpearl.acme", "--from", "soon", "--to", "2026-10-01"), "no day"),
    ],
)  # fmt: skip
def test_an_impossible_backfill_is_explained(
    orderloom: Command, box: Sandbox, arguments: tuple[str, ...], named: str
) -> None:
    result = orderloom(*arguments)
    assert result.exit_code != 0
    assert named in result.stderr
    assert box.requests("brightpearl.acme") == 0


def test_ctrl_c_keeps_what_was_landed_and_the_next_sync_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in a wait for the budget: the wait ends, and so does the command."""
    key = "efiling.formations"
    with Sandbox(lifted=False, sources=("efiling",)) as box:
        workshop = point_at(box, tmp_path, monkeypatch)
        command = [Path(sys.executable).with_name("orderloom"), "sync"]
        process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True)
        assert process.stdout is not None
        shown = next(line for line in process.stdout if "waiting" in line)
        process.send_signal(signal.SIGINT)
        rest, complaint = process.communicate(timeout=60)
        assert process.returncode == 130, complaint
        assert key in shown
        assert "interrupted" in complaint
        assert "Traceback" not in rest + complaint
        landed = Landed(workshop.lake, workshop.accounts.get(key)).last_seq
        assert landed >= 60
        (failed,) = workshop.ledger.runs()
        assert (failed["outcome"], failed["error"]) == ("failed", "interrupted")


def test_what_is_accepted_is_of_a_known_account(orderloom: Command, tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text(GOOD.format(url="http://127.0.0.1:9"))
    refused = orderloom("rebuild", "--accept-unlike-before", "brightpearl.acne")
    assert refused.exit_code == 2
    assert "brightpearl.acne" in _one_line(refused)
    assert not (tmp_path / "var" / "marts.duckdb").exists()
