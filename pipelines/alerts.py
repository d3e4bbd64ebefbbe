"""Telling somebody: one message for each trouble, and one when it is over.

Belongs here: the sensor, and remembering in its cursor what was told. Does not belong here: what is
a trouble (`pipelines/troubles.py`), the request (`resources/webhook.py`).

A message that is not taken is posted again at the next tick, and keeps back no message of another
subject. What was taken is remembered at the end of a tick, so that a process killed in the midst of
one says those few again.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.run_tags import ACCOUNT, KIND
from assets.workshop import Workshop
from pipelines import troubles
from pipelines.troubles import Trouble
from pipelines.unfinished import unfinished
from resources.errors import ConfigurationError
from resources.webhook import WebhookError, post

LOOKED_BACK = timedelta(hours=1)
"""How far the first tick looks back for failed runs."""
OVERLAP = timedelta(minutes=1)
"""Runs that ended while the last tick looked are looked at again."""
MOST_SECONDS = 30.0
"""A tick says no more after this; Dagster would end it after sixty seconds, and forget it all."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass
class Told:
    """What was told and is not over: key of a trouble -> its subject."""

    looked_at: datetime
    """Until when runs were looked at."""
    subjects: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_cursor(cls, cursor: str | None, now: datetime) -> "Told":
        """As the last tick left it."""
        if not cursor:
            return cls(now - LOOKED_BACK)
        said = json.loads(cursor)
        return cls(datetime.fromisoformat(said["looked_at"]), said["told"])

    def to_cursor(self) -> str:
        """For the next tick."""
        return json.dumps({"looked_at": self.looked_at.isoformat(), "told": self.subjects})

    def note(self, news: "News") -> None:
        """Remember what was taken, or what nothing is said of."""
        self.subjects |= dict.fromkeys(news.begun, news.subject)
        for key in news.over:
            del self.subjects[key]


@dataclass(frozen=True)
class News:
    """What is new of one subject: the keys of its troubles that begin, or of those that end."""

    subject: str
    message: dict[str, Any] | None
    """None: nothing is said of it."""
    begun: tuple[str, ...] = ()
    over: tuple[str, ...] = ()


def build() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts one message for each account that fails or is stale and each other run "
        "that failed, and one when it is over, to the webhook of accounts.toml.",
    )
    def telling(
        context: dg.SensorEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            url = workshop.accounts.service.webhook_url()
        except ConfigurationError as fault:
            return dg.SkipReason(str(fault))
        if url is None:
            return dg.SkipReason("nobody is told: accounts.toml names no webhook_url in [alerts]")
        now = datetime.now(UTC)
        told = Told.from_cursor(context.cursor, now)
        said, problem = _tell(context.instance, workshop, told, url, now)
        reason = problem or f"{said}; {len(told.subjects)} troubles go on"
        return dg.SensorResult(skip_reason=reason, cursor=told.to_cursor())

    return telling


def _tell(
    instance: dg.DagsterInstance, workshop: Workshop, told: Told, url: str, now: datetime
) -> tuple[str, str | None]:
    """Post what is new, and note in `told` what was taken; how many were, and what kept the rest.

    What was kept back is found again at the next tick: until all was taken, runs are looked at
    from the same moment on.
    """
    began = time.monotonic()
    said, late, problem = 0, 0, None
    for news in _news(instance, workshop, told, now):
        if time.monotonic() - began > MOST_SECONDS:
            problem = problem or f"{said} messages; the others follow at the next tick"
            break
        try:
            if news.message is not None:
                late += not post(url, news.message)
                said += 1
        except WebhookError as fault:
            problem = problem or str(fault)
        else:
            told.note(news)
    if problem is None:
        told.looked_at = now
    unanswered = f", {late} of them not answered in time" if late else ""
    return f"{said} messages{unanswered}", problem


def _news(
    instance: dg.DagsterInstance, workshop: Workshop, told: Told, now: datetime
) -> Iterator[News]:
    """What to post now, subject by subject; first what begins, then what is over.

    Nothing is said of the end of a run that is told once.
    """
    known = dict(told.subjects)
    accounts = {each.key: each for each in troubles.of_accounts(workshop, now)}
    failed, ended_well = _runs(instance, told, accounts)
    current = accounts | failed
    watched = {each.key for each in workshop.accounts if not each.settings.paused}
    over = [
        key for key in known
        if key not in current and (not troubles.is_run(key) or key in ended_well)
    ]  # fmt: skip
    under_way = _under_way(instance)
    telling = {key: each for key, each in current.items() if key not in under_way}
    for subject, new in _by_subject(telling, known).items():
        begun = tuple(each.key for each in new)
        known |= dict.fromkeys(begun, subject)
        yield News(subject, _together(new), begun=begun)
    for subject in dict.fromkeys(known[key] for key in over):
        ended = tuple(key for key in over if known[key] == subject)
        still = [key for key, of in known.items() if of == subject and key not in ended]
        said, left = ([key for key in keys if not troubles.is_once(key)] for keys in (ended, still))
        message = troubles.recovery(subject, watched, now, said, left) if said else None
        yield News(subject, message, over=ended)


def _under_way(instance: dg.DagsterInstance) -> set[str]:
    """Keys of failures of which a run at hand will tell whether they go on."""
    tags = [run.tags for run, _ in unfinished(instance, {})]
    return {f"{each[ACCOUNT]}/{each[KIND]}" for each in tags if ACCOUNT in each and KIND in each}


def _runs(
    instance: dg.DagsterInstance, told: Told, accounts: dict[str, Trouble]
) -> tuple[dict[str, Trouble], set[str]]:
    """Of the runs that ended since the last look, the newest of each kind: failed, or well."""
    since = told.looked_at - OVERLAP
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_after=since))
    newest: dict[str, dg.RunRecord] = {}
    for record in sorted(records, key=lambda each: each.end_time or 0.0):
        newest[troubles.run_key(record.dagster_run)] = record
    failed, well = {}, set()
    for key, record in newest.items():
        if record.dagster_run.status == dg.DagsterRunStatus.SUCCESS:
            well.add(key)
        elif (trouble := troubles.of_run(record, accounts)) is not None:
            failed[key] = trouble
    return failed, well


def _by_subject(current: dict[str, Trouble], known: dict[str, str]) -> dict[str, list[Trouble]]:
    found: dict[str, list[Trouble]] = {}
    for key, trouble in current.items():
        if key not in known:
            found.setdefault(trouble.subject, []).append(trouble)
    return found


def _together(new: list[Trouble]) -> dict[str, Any]:
    """One message for all that is new of one subject: the longest trouble, and the others."""
    first, *others = sorted(new, key=lambda each: each.since)
    message: dict[str, Any] = first.message()
    if others:
        also = "; ".join(f"{each.what} since {each.since:%Y-%m-%d %H:%M} UTC" for each in others)
        message["text"] = f"{message['text']} Also: {also}."
        message["also"] = also
    return message
