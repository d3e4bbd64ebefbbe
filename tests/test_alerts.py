"""Alerts: a real ledger and instance, the sensor daemon, and a receiver on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.ingest import CANONICAL
from assets.sources import accounts
from pipelines import alerts
from pipelines.definitions import build_definitions
from resources import webhook
from resources.ledger import Ledger
from resources.places import Places
from tests.loopback import Answer, Loopback, Seen, in_turn
from tests.ticking import Service, serving

ACME, BETA = "brightpearl.acme", "brightpearl.beta"
TABLES = """
[brightpearl.acme]
base_url = "https://api.example.com/acme"
timezone = "Europe/London"
started_on = 2026-01-01
credentials = { app_ref = "ACME_REF", account_token = "ACME_TOKEN" }
[brightpearl.beta]
base_url = "https://api.example.com/beta"
timezone = "Europe/London"
started_on = 2026-01-01
credentials = { app_ref = "BETA_REF", account_token = "BETA_TOKEN" }
[alerts]
webhook_url = "ALERTS_URL"
"""


ASSETS = "__ASSET_JOB"
"""Job of a run that somebody starts by a button, and of one that automation starts."""
LAST = {"dagster/max_retries": "0"}
"""Tag of a run that Dagster does not try again."""


class Desk:
    """A service whose sensor is ticked, and what the receiver got."""

    def __init__(self, service: Service, receiver: Loopback) -> None:
        self.service = service
        self.receiver = receiver
        self._moment = datetime.now(UTC)
        self._runs = 0

    def tick(self) -> list[dict[str, Any]]:
        """Tick the sensors once; the messages that were posted by it."""
        before = len(self.receiver.seen)
        self._moment += timedelta(minutes=2)
        self.service.sensors(self._moment)
        return [json.loads(seen.body) for seen in self.receiver.seen[before:]]

    @property
    def reason(self) -> str:
        """What the newest tick says of itself."""
        return str(self.service.ticks("alerts")[0].skip_reason)

    def run(
        self, account: str, error: str | None = None, hours_ago: float = 0, kind: str = "changes"
    ) -> None:
        """One run of an account, as the ledger notes it."""
        moment = datetime.now(UTC) - timedelta(hours=hours_ago)
        self._runs += 1
        with Ledger(self.service.places.ledger, now=lambda: moment) as ledger:
            run = ledger.start_run(account, kind, f"run-{self._runs}-{moment.isoformat()}")
            ledger.finish_run(run, "failed" if error else "succeeded", error=error)

    def dagster_run(self, job: str, *, fails: bool, **tags: str) -> str:
        """A run that the service started and that ends now, its process killed if it fails.

        A named job gives its tags.
        """
        context = self.service.workspace.create_request_context()
        repository = context.get_code_location("orderloom").get_repository("__repository__")
        tags = {**repository.get_full_job(job).tags, **tags}
        run = dg.DagsterRun(
            job_name=job,
            status=dg.DagsterRunStatus.STARTED,
            tags=tags,
            remote_job_origin=repository.get_full_job(job).get_remote_origin(),
        )
        instance = self.service.instance
        instance.add_run(run)
        if fails:
            instance.report_run_failed(run)
        else:
            instance.report_dagster_event(
                dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=job), run.run_id
            )
        return run.run_id


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("home")
    (folder / "accounts.toml").write_text(TABLES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, Loopback(lambda _: Answer()) as receiver:
        patch.setenv("ORDERLOOM_HOME", str(folder / "var"))
        patch.setenv("ORDERLOOM_ACCOUNTS", str(folder / "accounts.toml"))
        patch.setenv("ALERTS_URL", f"{receiver.url}/services/canary")
        for name in ("ORDERLOOM_LAKE", "ORDERLOOM_LEDGER"):
            patch.delenv(name, raising=False)
        with serving(accounts(Places.from_environment())) as service:
            for name in ("accounts", "freshness"):
                service.switch(name, on=False)
            yield Desk(service, receiver)


@pytest.fixture(autouse=True)
def _well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both accounts synced just now, and everything that was wrong before is told to be over."""
    places = desk.service.places
    monkeypatch.setenv("ORDERLOOM_HOME", str(places.home))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(places.accounts))
    desk.receiver.answer = lambda _: Answer()
    for account in (ACME, BETA):
        desk.run(account)
    desk.tick()


def test_a_trouble_is_told_once_and_so_is_its_end(desk: Desk) -> None:
    assert desk.tick() == []
    desk.run(ACME, "the API refused the credential (brightpearl.acme): renew it", hours_ago=2)
    desk.run(ACME, "the API refused the credential (brightpearl.acme): renew it", hours_ago=1)
    (message,) = desk.tick()
    assert (message["event"], message["subject"]) == ("failing", ACME)
    assert "renew it" in message["text"]
    assert message["last_error"].startswith("the API refused the credential")
    since = datetime.now(UTC) - datetime.fromisoformat(message["since"])
    assert timedelta(hours=1.9) < since < timedelta(hours=2.1), "since the first of its failures"
    desk.run(ACME, "the API refused the credential (brightpearl.acme): renew it")
    assert desk.tick() == []
    assert "1 troubles go on" in desk.reason
    desk.run(ACME)
    (message,) = desk.tick()
    assert (message["event"], message["subject"]) == ("recovered", ACME)
    assert desk.tick() == []
    (seen, *_) = desk.receiver.seen
    assert seen.path == "/services/canary"
    assert seen.headers["content-type"].startswith("application/json")


def test_an_account_that_fails_and_is_stale_gets_one_message(desk: Desk) -> None:
    with Ledger(desk.service.places.ledger) as ledger:
        before = ledger.freshness()[BETA].last_success
    assert before is not None
    text = TABLES.replace('beta"\n', 'beta"\nstale_after_hours = 0.00001\n', 1)
    desk.service.places.accounts.write_text(text, encoding="utf-8")
    try:
        desk.run(BETA, "timed out")
        (message,) = desk.tick()
        assert message["event"] == "stale"
        assert "fails (changes)" in message["also"]
        assert "Last error: timed out." in message["text"]
    finally:
        desk.service.places.accounts.write_text(TABLES, encoding="utf-8")
    (message,) = desk.tick()
    assert (message["event"], message["still"]) == ("recovered", "fails (changes)")
    assert 'Over: "is stale". It still fails (changes).' in message["text"]
    assert desk.tick() == []
    desk.run(BETA)
    (message,) = desk.tick()
    assert message["text"] == f"orderloom: {BETA} is well again."
    assert "still" not in message


def test_a_backfill_that_failed_does_not_hide_that_the_sync_works_again(desk: Desk) -> None:
    for kind in ("history", "changes"):
        desk.run(ACME, "timed out", kind=kind)
    (message,) = desk.tick()
    for _ in range(2):
        desk.run(ACME)
        (message,) = desk.tick()
        assert (message["event"], message["subject"]) == ("recovered", ACME)
        assert message["still"] == "fails (history)"
        assert 'Over: "fails (changes)". It still fails (history).' in message["text"]
        desk.run(ACME, "timed out")
        assert [each["event"] for each in desk.tick()] == ["failing"]
    desk.run(ACME)
    desk.run(ACME, kind="history")
    (message,) = desk.tick()
    assert message["text"] == f"orderloom: {ACME} is well again."


def test_an_account_with_nothing_left_to_normalise_is_well_again(desk: Desk) -> None:
    desk.run(ACME, "the disk is full", kind="normalise")
    (message,) = desk.tick()
    assert "fails (normalise)" in message["text"]
    job = build_definitions().resolve_implicit_global_asset_job_def()
    tables = [dg.AssetKey(["brightpearl", table]) for table in CANONICAL]
    for _ in range(2):
        assert job.execute_in_process(
            instance=desk.service.instance, partition_key="acme", asset_selection=tables
        ).success
    (message,) = desk.tick()
    assert message["text"] == f"orderloom: {ACME} is well again."
    with Ledger(desk.service.places.ledger) as ledger:
        rows = ledger.runs(account=ACME, kind="normalise")
    assert [each["outcome"] for each in rows] == ["succeeded", "failed"], "one row of what ended it"


def test_a_message_that_is_not_taken_is_posted_again_and_none_is_lost(desk: Desk) -> None:
    desk.run(ACME, "one")
    desk.run(BETA, "two")
    desk.dagster_run("compact", fails=True, **LAST)
    desk.receiver.answer = in_turn(Answer(status=500), Answer(hang_up=True), Answer())
    assert [each["subject"] for each in desk.tick()] == [ACME, BETA, "compact"]
    assert "it answered 500" in desk.reason, "the first problem"
    assert "canary" not in desk.reason
    desk.receiver.answer = in_turn(Answer(), Answer(status=500))
    assert [each["subject"] for each in desk.tick()] == [ACME, BETA]
    desk.receiver.answer = lambda _: Answer()
    assert [each["subject"] for each in desk.tick()] == [BETA]
    assert desk.tick() == []
    desk.dagster_run("compact", fails=False)
    assert [each["event"] for each in desk.tick()] == ["recovered"]


def test_a_run_whose_message_is_not_taken_is_found_again(desk: Desk) -> None:
    desk.dagster_run("compact", fails=True, **LAST)
    desk.receiver.answer = lambda _: Answer(status=500)
    for _ in range(2):
        assert [each["subject"] for each in desk.tick()] == ["compact"]
    desk.receiver.answer = lambda _: Answer()
    assert [each["subject"] for each in desk.tick()] == ["compact"]
    desk.dagster_run("compact", fails=False)
    assert [each["event"] for each in desk.tick()] == ["recovered"]


def test_a_slow_receiver_gets_each_message_once_and_those_behind_it_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run(ACME, "one")
    desk.run(BETA, "two")
    is_done = threading.Event()

    def slow(seen: Seen) -> Answer:
        if ACME.encode() in seen.body:
            is_done.wait(30)
        return Answer()

    desk.receiver.answer = slow
    monkeypatch.setattr(webhook, "TIMEOUT", 0.3)
    try:
        assert [each["subject"] for each in desk.tick()] == [ACME, BETA]
        assert "1 of them not answered in time; 2 troubles go on" in desk.reason
        assert desk.tick() == []
    finally:
        is_done.set()


def test_what_a_slow_proxy_was_not_sent_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.3)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(webhook.WebhookError, match="ReadTimeout"):
            webhook.post("https://alerts.example.com/x", {"text": "one"})


def test_runs_that_the_ledger_knows_nothing_of_are_told(desk: Desk) -> None:
    account = {"orderloom/account": ACME, "orderloom/kind": "changes"}
    again = desk.dagster_run("brightpearl_sync", fails=True, **account)
    assert desk.tick() == [], "Dagster tries it again"
    desk.service.instance.delete_run(again)
    killed = desk.dagster_run("brightpearl_sync", fails=True, **account, **LAST)
    published = desk.dagster_run("publish", fails=True, **LAST)
    told = {each["subject"]: each["text"] for each in desk.tick()}
    assert killed in told[ACME]
    assert published in told["publish"]
    desk.dagster_run("publish", fails=True, **LAST)
    assert desk.tick() == []
    desk.dagster_run("brightpearl_sync", fails=False, **account)
    desk.dagster_run("publish", fails=False)
    assert {each["event"] for each in desk.tick()} == {"recovered"}


def test_a_run_that_died_before_it_had_its_tags_is_told_once_and_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    normalise = {"orderloom/kind": "normalise"}
    for tags in ({}, normalise):  # by a button; by automation
        first = desk.dagster_run(ASSETS, fails=True, **tags, **LAST)
        (message,) = desk.tick()
        assert first in message["text"]
        assert "ends this" not in message["text"]
        desk.dagster_run(ASSETS, fails=False, **normalise, **{"orderloom/account": ACME})
        assert desk.tick() == []
        second = desk.dagster_run(ASSETS, fails=True, **tags, **LAST)
        (message,) = desk.tick()
        assert second in message["text"]
    monkeypatch.setattr(alerts, "OVERLAP", -timedelta(minutes=1))
    assert desk.tick() == []
    assert "0 troubles go on" in desk.reason


def test_a_failure_is_told_when_no_run_is_at_hand_that_may_end_it(desk: Desk) -> None:
    tags = {"orderloom/account": ACME, "orderloom/kind": "changes"}
    state = dg.DagsterRunStatus.STARTED
    working = dg.DagsterRun(job_name="brightpearl_sync", status=state, tags=tags)
    desk.service.instance.add_run(working)
    desk.run(ACME, "ended without saying so: its process was stopped")
    assert desk.tick() == []
    desk.service.instance.report_run_canceled(working)
    assert [each["event"] for each in desk.tick()] == ["failing"]
    desk.run(ACME)
    assert [each["event"] for each in desk.tick()] == ["recovered"]


def test_secrets_do_not_get_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources import redaction

    desk.run(ACME, "GET https://api.example.com?access_token=s3cretcanary failed")
    redaction.register("another-canary")
    desk.run(BETA, "said another-canary")
    body = json.dumps(desk.tick())
    assert "canary" not in body
    assert "[redacted]" in body


def test_without_a_webhook_nothing_is_posted_and_the_tick_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run(ACME, "one")
    desk.service.places.accounts.write_text(TABLES.split("[alerts]")[0], encoding="utf-8")
    try:
        assert desk.tick() == []
        assert "names no webhook_url" in desk.reason
    finally:
        desk.service.places.accounts.write_text(TABLES, encoding="utf-8")
    monkeypatch.delenv("ALERTS_URL")
    assert desk.tick() == []
    assert "ALERTS_URL is not set" in desk.reason


def test_the_ui_says_which_account_is_stale_though_nothing_of_it_runs(desk: Desk) -> None:
    text = TABLES.replace('beta"\n', 'beta"\nstale_after_hours = 0.00001\n', 1)
    desk.service.switch("freshness", on=True)
    desk.tick()
    job = dg.RunsFilter(job_name="freshness")
    instance = desk.service.instance
    definitions = build_definitions()
    for is_stale in (True, False):
        before = {run.run_id for run in instance.get_runs(job)}
        content = text if is_stale else TABLES
        desk.service.places.accounts.write_text(content, encoding="utf-8")
        desk.tick()
        desk.tick()
        (run,) = [run for run in instance.get_runs(job) if run.run_id not in before]
        made = definitions.resolve_job_def(run.job_name).execute_in_process(
            instance=instance, run_config=run.run_config
        )
        (told,) = [
            event.asset_check_evaluation_data for event in made.all_node_events
            if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]  # fmt: skip
        assert (told.passed, told.partition) == (not is_stale, "beta")
        assert ("brightpearl.beta is stale since" in str(told.description)) == is_stale
    assert desk.service.ticks("freshness")[0].skip_reason == "stale: no account"
