"""The Dagster asset of a source's history: backfills by account and day.

Belongs here: its partitions, what one run of many days asks for, and that each day counts as done
as soon as it is. Does not belong here: how days are pulled (`assets/pull.py`), the other assets of
a source (`assets/ingest.py`).

Dagster gives a run a rectangle: contiguous days of one account, or of several where fewer days than
accounts are chosen. Days are recorded by events of their own, not by the run's result, so that what
was done stays done where the run fails or is cancelled later.
"""

import warnings
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.utils import get_tags_from_multi_partition_key
from dagster._core.storage.tags import RESUME_RETRY_TAG

from assets import telling
from assets.partitions import account_key, accounts_of, plainly
from assets.pull import HISTORY
from assets.run_tags import mark
from assets.sources.base import Source
from assets.workshop import Workshop
from resources.accounts import Account

# Dagster 1.13 marks backfill policies as beta; there is no other way to make one run of many days.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")

ACCOUNT = "account"
DAY = "day"
"""The two dimensions, in the order of their names: Dagster sorts them."""
DAYS_PER_RUN = 100
"""A backfill of more days of an account becomes several runs."""
FIRST_DAY = date(2015, 1, 1)
"""Where partitions by day begin when no account says otherwise."""


def days_of(source: str, first_day: date) -> dg.MultiPartitionsDefinition:
    """Account by civil day."""
    days = dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), end_offset=1)
    return dg.MultiPartitionsDefinition({ACCOUNT: accounts_of(source), DAY: days})


def build(source: Source, first_day: date) -> dg.AssetsDefinition:
    """The history of one source; `first_day` is the first that can be asked for."""

    @dg.asset(
        key=[source.name, HISTORY],
        group_name=source.name,
        partitions_def=days_of(source.name, first_day),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_PER_RUN),
        description=_description(source),
        kinds={"json"},
        tags={"orderloom/kind": HISTORY},
        output_required=False,
    )
    def history(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> Iterator[dg.MaterializeResult[None]]:
        Backfill(context, workshop, source).run()
        yield from ()  # each day has been recorded by an event of its own

    return history


def _description(source: Source) -> str:
    return (
        f"What was created in {source.title} on the chosen days, landed untouched.\n\n"
        "To backfill: *Materialize…*, choose accounts and days (a range is written "
        "`[2026-08-01...2026-10-31]`), *Launch backfill*. Contiguous days of an account are one "
        f"run, up to {DAYS_PER_RUN} days. What was landed is normalised and published by itself. "
        "Choosing days again asks for them again; *Backfill only failed and missing partitions* "
        "leaves out those that are done. The cursor of scheduled syncs is not moved, and the "
        "request budget is shared with them."
    )


class Backfill:
    """One run of the asset: its accounts one after the other, each with one window."""

    def __init__(
        self, context: dg.AssetExecutionContext, workshop: Workshop, source: Source
    ) -> None:
        self._context = context
        self._workshop = workshop
        self._source = source
        self._run = context.run.run_id

    def run(self) -> None:
        """Pull every account. One's failure stops no other; in the end it fails the run."""
        chosen = days_by_account(self._context.partition_keys)
        mark(self._context, HISTORY, self._source.name, [name for name, _ in chosen])
        failures: list[dg.Failure] = []
        for name, days in chosen:
            try:
                with plainly():
                    self._account(name, days)
            except dg.Failure as failure:
                failures.append(failure)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            lines = "\n".join(str(each.description) for each in failures)
            raise dg.Failure(description=lines, allow_retries=False)

    def _account(self, name: str, days: Sequence[date]) -> None:
        account = self._workshop.active(account_key(self._source.name, name))
        done = self._done_before(account)
        for first, last in windows([day for day in days if day not in done]):
            self._window(account, first, last)

    def _window(self, account: Account, first: date, last: date) -> None:
        """Ask for contiguous days. The numbers of the whole window go with its last day."""
        numbers = f"of the whole window, with {last}, once it is done"
        of_others = {"window": f"{first} to {last}", "numbers": numbers}

        def finished(start: date, end: date) -> None:
            for day in each_day(start, end):
                if day != last:
                    self._finish(account, day, of_others)

        run_id = f"{self._run}/{account.name}/{first}"
        pull = self._workshop.puller.history(account, first, last, run_id, finished)
        said = telling.pull_metadata(pull) | telling.landed(self._workshop.lake, [pull])
        self._finish(account, last, said)

    def _finish(self, account: Account, day: date, metadata: dict[str, Any]) -> None:
        """Make a day green, and only then note that it need not be asked for again."""
        key = dg.MultiPartitionKey({ACCOUNT: account.name, DAY: day.isoformat()})
        done = dg.AssetMaterialization(
            self._context.asset_key,
            description=f"{account.key}: {day}",
            partition=key,
            metadata=metadata,
            tags=get_tags_from_multi_partition_key(key),
        )
        self._context.log_event(done)
        self._workshop.ledger.mark_day(account.key, day, self._run)

    def _done_before(self, account: Account) -> frozenset[date]:
        """Days that need not be asked for again: done by the failed run that this one goes on from.

        A run that is begun afresh, for the same days, asks for all of them.
        """
        before: list[str] = []
        run: dg.DagsterRun | None = self._context.run
        while run is not None and run.parent_run_id and run.tags.get(RESUME_RETRY_TAG) == "true":
            before.append(run.parent_run_id)
            run = self._context.instance.get_run_by_id(run.parent_run_id)
        return self._workshop.ledger.finished_days(account.key, before)


def windows(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Contiguous days as windows, first and last day included."""
    ordered = sorted(set(days))
    for place, day in enumerate(ordered):
        if place == 0 or day != ordered[place - 1] + timedelta(days=1):
            start = day
        if place == len(ordered) - 1 or ordered[place + 1] != day + timedelta(days=1):
            yield start, day


def days_by_account(partitions: Sequence[str]) -> list[tuple[str, list[date]]]:
    """The days asked for, by account. Multi-partition keys order their parts by name."""
    found: dict[str, list[date]] = {}
    for partition in partitions:
        keys = partition.keys_by_dimension if isinstance(partition, dg.MultiPartitionKey) else {}
        found.setdefault(keys[ACCOUNT], []).append(date.fromisoformat(keys[DAY]))
    return sorted(found.items())


def each_day(first: date, last: date) -> list[date]:
    """The days from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
