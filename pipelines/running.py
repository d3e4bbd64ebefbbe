"""Running jobs from a command, through Dagster, so that the UI shows them.

Belongs here: the Dagster instance of a home, and executing one job in this process. Does not belong
here: which jobs there are (`pipelines/jobs.py`), what is printed (`pipelines/console.py`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from assets.history import ACCOUNT, DAY
from assets.run_tags import PROCESS, tags
from assets.sweeping import PRESENCE
from assets.workshop import Workshop
from pipelines import erasure, instance_settings, jobs, maintenance, outbound
from pipelines.interrupts import Interrupts
from pipelines.registration import register
from resources.accounts import Account
from resources.places import Places
from resources.processes import this_process


@dataclass(frozen=True)
class Ran:
    """How one run ended. `problem` is the line that says what went wrong and what to do."""

    run_id: str
    success: bool
    problem: str | None
    metadata: Mapping[str, Mapping[str, Any]]
    """What each materialised asset said of itself, by the last part of its key."""


@contextmanager
def _in_turn(places: Places) -> Iterator[None]:
    """One process at a time: of two that make Dagster's databases at once, one would fail."""
    places.prepare()
    places.dagster.mkdir(mode=0o700, exist_ok=True)
    with (places.dagster / ".making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def instance(places: Places) -> dg.DagsterInstance:
    """The Dagster instance of a home; its folder and settings are made where they are missing."""
    with _in_turn(places):
        instance_settings.provide(places.dagster)
        os.environ["DAGSTER_HOME"] = str(places.dagster)
        return dg.DagsterInstance.from_config(str(places.dagster))


class Runner(AbstractContextManager["Runner"]):
    """Executes jobs in this process, one after the other."""

    def __init__(self, workshop: Workshop) -> None:
        accounts = workshop.accounts  # a mistake there is told before anything is loaded
        from pipelines.building import build_definitions

        self._workshop = workshop
        self._definitions = build_definitions(workshop)
        self._instance = instance(workshop.places)
        with _in_turn(workshop.places):
            register(self._instance, accounts)
        self._interrupts = Interrupts()

    def __exit__(self, *exc: object) -> None:
        self._instance.dispose()
        self._workshop.close()
        self._interrupts.__exit__(*exc)

    def sync(self, account: Account) -> Ran:
        """Pull the changes of one account and normalise them."""
        return self._run(
            jobs.sync_job(account.source),
            tags=tags(account.source, account.name, "changes"),
            partition=account.name,
        )

    def backfill(self, account: Account, first: date, last: date) -> Ran:
        """Pull what was created in these days, both included: one run, one window."""
        keys = [
            dg.MultiPartitionKey({ACCOUNT: account.name, DAY: day.isoformat()})
            for day in (first, last)
        ]
        window = {
            ASSET_PARTITION_RANGE_START_TAG: str(keys[0]),
            ASSET_PARTITION_RANGE_END_TAG: str(keys[1]),
        }
        return self._run(
            jobs.history_job(account.source),
            tags=tags(account.source, account.name, "history") | window,
        )

    def sweep(self, account: Account, *, accept_mass_deletion: bool = False) -> Ran:
        """Look which known orders of one account are still there."""
        op = f"{account.source}__{PRESENCE}"
        chosen = {"accept_mass_deletion": accept_mass_deletion}
        return self._run(
            jobs.sweep_job(account.source),
            tags=tags(account.source, account.name, PRESENCE),
            partition=account.name,
            config={"ops": {op: {"config": chosen}}},
        )

    def normalise(self, account: Account) -> Ran:
        """Normalise what was landed of one account."""
        return self._run(
            jobs.normalise_job(account.source),
            tags=tags(account.source, account.name, "normalise"),
            partition=account.name,
        )

    def publish(self, *, rebuild: bool = False, accept_unlike_before: Sequence[str] = ()) -> Ran:
        """Publish the marts; `accept_unlike_before`: accounts that somebody has looked at."""
        chosen = {"rebuild": rebuild, "accept_unlike_before": list(accept_unlike_before)}
        return self._run(jobs.PUBLISH, config={"ops": {"publish_marts": {"config": chosen}}})

    def maintain(self, job: str, accounts: Sequence[str] = ()) -> Ran:
        """Run a maintenance job: replay of accounts, or compaction."""
        config = {"ops": {maintenance.OPS[job]: {"config": {"accounts": list(accounts)}}}}
        return self._run(job, config=config)

    def push(self, account: Account, limit: int | None) -> Ran:
        """Send at most so many orders to an account, and land what it accepted."""
        config = {"account": account.key, "send": True, "limit": limit}
        return self._run(
            outbound.JOB,
            tags=tags(account.source, account.name, outbound.JOB),
            config={"ops": {outbound.OP: {"config": config}}},
        )

    def erase(self, erasure_id: str) -> Ran:
        """Carry out an erasure that the ledger has."""
        config = {"ops": {erasure.OP: {"config": {"erasure": erasure_id}}}}
        return self._run(erasure.JOB, config=config)

    def _run(
        self,
        job: str,
        *,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Ran:
        try:
            result = self._definitions.resolve_job_def(job).execute_in_process(
                instance=self._instance,
                tags={**(tags or {}), PROCESS: this_process()},
                partition_key=partition,
                run_config={"loggers": {"console": {}}, **(config or {})},
                raise_on_error=False,
            )
        except DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        self._interrupts.raise_any()
        return Ran(result.run_id, result.success, _problem(result), _metadata(result))


def _problem(result: dg.ExecuteInProcessResult) -> str | None:
    """The first failure's own line; of an unexpected error, its kind and message."""
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
        while error is not None and error.cause is not None:
            error = error.cause
        return error.message.strip() if error is not None else "the run failed"
    return None if result.success else "the run failed"


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        said = event.step_materialization_data.materialization
        found[said.asset_key.path[-1]] = {k: v.value for k, v in said.metadata.items()}
    return found
