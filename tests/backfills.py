"""Backfills on a real Dagster instance, launched by the UI's own mutations, without waiting.

Belongs here: two accounts of one source, Dagster's workspace, schema and backfill daemon in this
process, and what the ledger and Dagster say afterwards. Does not belong here: assertions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import graphene
import pytest
from dagster._core.instance_for_test import instance_for_test
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster_graphql.schema import create_schema

from assets.workshop import Workshop
from pipelines.registration import register
from sandbox.server import Sandbox
from tests.home import point_at

ACME, BETA = "brightpearl.acme", "brightpearl.beta"
HISTORY = dg.AssetKey(["brightpearl", "history"])
LAUNCH = """mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""
CANCEL = """mutation ($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { ... on CancelBackfillSuccess { backfillId } } }"""
RETRY = """mutation ($params: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""
REEXECUTE = """mutation ($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { id } } ... on Error { message } } }"""
STATUS = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status assetBackfillData { assetBackfillStatuses {
      ... on AssetPartitionsStatusCounts {
        numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed } } } } } }"""
PARTITIONS = """{ assetNodeOrError(assetKey: {path: ["brightpearl", "history"]}) {
  ... on AssetNode { assetPartitionStatuses { ... on MultiPartitionStatuses {
    ranges { primaryDimStartKey primaryDimEndKey secondaryDim {
      ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } } } } }"""
SECOND = """
[brightpearl.beta]
base_url = "{url}"
timezone = "Europe/London"
currency = "GBP"
started_on = 2026-07-01
requests_per_minute = 1000000
[brightpearl.beta.credentials]
app_ref = "BRIGHTPEARL_ACME_APP_REF"
account_token = "BETA_TOKEN"
"""


@dataclass
class Backfills:
    """A home with the accounts `brightpearl.acme` and `brightpearl.beta`, and its Dagster."""

    box: Sandbox
    workshop: Workshop
    context: WorkspaceProcessContext

    @cached_property
    def schema(self) -> graphene.Schema:
        """The UI's interface."""
        return create_schema()

    @property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance."""
        return self.context.instance

    def launch(self, accounts: Sequence[str], days: Sequence[date]) -> str:
        """*Launch backfill*; its id."""
        asked = {
            "assetSelection": [{"path": list(HISTORY.path)}],
            "partitionNames": [f"{account}|{day}" for account in accounts for day in days],
        }
        return self._launched(self.ask(LAUNCH, params=asked)["launchPartitionBackfill"])

    def retry(self, backfill: str) -> str:
        """*Re-execute from failure*; the id of the new backfill."""
        asked = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        return self._launched(self.ask(RETRY, params=asked)["reexecutePartitionBackfill"])

    def cancel(self, backfill: str) -> None:
        """*Cancel backfill*."""
        assert self.ask(CANCEL, id=backfill)["cancelPartitionBackfill"]["backfillId"] == backfill

    def reexecute(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """*Re-execute*, *From failure*, of a single run; the new run, queued."""
        asked = {"parentRunId": run.run_id, "strategy": "FROM_FAILURE"}
        answer = self.ask(REEXECUTE, params=asked)["launchRunReexecution"]
        assert "run" in answer, answer
        found = self.instance.get_run_by_id(answer["run"]["id"])
        assert found is not None
        return found

    def _launched(self, answer: dict[str, str]) -> str:
        assert "backfillId" in answer, answer
        return answer["backfillId"]

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """What the UI would be answered."""
        request = self.context.create_request_context()
        asked = self.schema.execute_async(query, context_value=request, variables=variables)
        result = asyncio.run(asked)
        assert not result.errors, result.errors
        data: dict[str, Any] = result.data
        return data

    def look(self) -> None:
        """One look of the daemon for backfills: runs are queued, and what has ended is noted."""
        for fault in execute_backfill_iteration(self.context, logging.getLogger("daemon")):
            assert fault is None, fault

    def work(self) -> None:
        """Run what is queued, one run after the other, to its end."""
        for fault in QueuedRunCoordinatorDaemon(1).run_iteration(self.context):
            assert fault is None, fault

    def finish(self, backfill: str) -> dict[str, int | str]:
        """Let the daemon look until the backfill has ended; how."""
        for _ in range(9):
            self.look()
            self.work()
            status = self.status(backfill)
            if status["status"] not in ("REQUESTED", "CANCELING"):
                return status
        raise AssertionError(f"{backfill} does not end")

    def status(self, backfill: str) -> dict[str, int | str]:
        """Status, and numbers of partitions."""
        found = self.ask(STATUS, id=backfill)["partitionBackfillOrError"]
        (counts,) = found["assetBackfillData"]["assetBackfillStatuses"]
        return {
            "status": found["status"],
            "materialized": counts["numPartitionsMaterialized"],
            "failed": counts["numPartitionsFailed"],
        }

    def runs(self, backfill: str) -> list[dg.DagsterRun]:
        """Runs of the backfill."""
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})))

    def windows(self, runs: Sequence[dg.DagsterRun]) -> list[tuple[str, str, str, str]]:
        """Account, first day, last day and outcome of each window that these runs asked for."""
        ids = tuple(run.run_id for run in runs)
        asked = [
            r
            for r in self.workshop.ledger.runs(None, kind="history")
            if r["run_id"].startswith(ids)
        ]
        return sorted((r["account"], r["window_from"], r["window_to"], r["outcome"]) for r in asked)

    def shown(self, kind: str) -> set[tuple[str, str]]:
        """Account and day of what the partitions page shows as `materialized` or `failed`."""
        found = self.ask(PARTITIONS)["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
        return {
            (account, day.isoformat())
            for each in found
            for account in each["secondaryDim"][f"{kind}Partitions"]
            for day in days(
                date.fromisoformat(each["primaryDimStartKey"]),
                date.fromisoformat(each["primaryDimEndKey"]),
            )
        }


def days(first: date, last: date) -> list[date]:
    """From the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


DEFINITIONS = """
from pathlib import Path

from assets.workshop import Workshop
from pipelines.definitions import build_definitions
from resources.places import Places

home = Path({home!r})
ledger = f"sqlite:///{{home / 'ledger.sqlite'}}"
places = Places(home, str(home / "lake"), ledger, Path({accounts!r}))
defs = build_definitions(Workshop(places))
"""
"""Of this home, whatever the environment says by then."""
SETTINGS = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
    },
    "concurrency": {"runs": {"max_concurrent_runs": 1}},
}


@contextmanager
def backfills(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backfills]:
    """A home of its own, some months old."""
    with Sandbox(lifted=True, most=24, sources=["brightpearl"]) as box:
        workshop = point_at(box, folder, monkeypatch)
        monkeypatch.setenv("BETA_TOKEN", box.credentials[ACME]["account_token"])
        accounts = workshop.places.accounts
        older = accounts.read_text().replace("started_on = 2026-09-21", "started_on = 2026-07-01")
        accounts.write_text(older + SECOND.format(url=box.base_url(ACME)))
        definitions = folder / "definitions.py"
        home = str(workshop.places.home)
        definitions.write_text(DEFINITIONS.format(home=home, accounts=str(accounts)))
        origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(python_file=str(definitions)), location_name="orderloom"
        )
        (folder / "dagster").mkdir()
        with (
            instance_for_test(
                overrides=SETTINGS, temp_dir=str(folder / "dagster"), synchronous_run_launcher=True
            ) as instance,
            WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as context,
        ):
            register(instance, workshop.accounts)
            yield Backfills(box, workshop, context)
            workshop.close()
