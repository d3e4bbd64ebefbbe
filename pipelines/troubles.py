"""What is wrong right now, account by account and job by job, and what to say of it.

Belongs here: finding troubles in the ledger and among Dagster's runs, and their messages. Does not
belong here: posting them, and remembering which were told (`pipelines/alerts.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets.freshness import is_stale
from assets.ingest import NORMALISE
from assets.pull import CHANGES, HISTORY
from assets.push import PUSH
from assets.run_tags import ACCOUNT, KIND
from assets.sweeping import PRESENCE
from assets.workshop import Workshop
from pipelines.unfinished import is_retried
from resources.accounts import Account
from resources.ledger import PUBLISH, Freshness, Ledger

KINDS = (CHANGES, NORMALISE, PRESENCE, HISTORY, PUSH, PUBLISH)
"""Kinds of runs of an account whose newest failure counts until one succeeds."""
STALE = "stale"
_OF_ONE_ACCOUNT = (CHANGES, NORMALISE, PRESENCE, HISTORY)
"""Kinds of which every run has the tag of its account, as soon as its first asset begins."""
_RUN, _ONCE = "run ", "once "
_ENDS = "the next one that succeeds ends this"
_LONGEST_ERROR = 1000


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong."""

    key: str
    """By which it is known again."""
    kind: str
    """failing, stale or run_failed."""
    subject: str
    """An account, or a job."""
    what: str
    since: datetime
    last_success: datetime | None
    error: str | None
    remedy: str

    def message(self) -> dict[str, object]:
        """`text` for people, and the same in fields."""
        parts = [f"orderloom: {self.subject} {self.what} since {_shown(self.since)}."]
        if self.last_success:
            parts.append(f"Last success: {_shown(self.last_success)}.")
        if self.error:
            parts.append(f"Last error: {self.error}.")
        parts.append(f"What to do: {self.remedy}.")
        return {
            "text": " ".join(parts),
            "event": self.kind,
            "subject": self.subject,
            "since": self.since.isoformat(),
            "last_success": self.last_success.isoformat() if self.last_success else None,
            "last_error": self.error,
            "remedy": self.remedy,
        }


def recovery(
    subject: str,
    watched: Collection[str],
    moment: datetime,
    over: Collection[str],
    still: Collection[str],
) -> dict[str, object]:
    """The message that troubles of a subject are over.

    `watched`: accounts not paused. `over`, `still`: keys of what is, and of what is not.
    """
    message: dict[str, object] = {
        "event": "recovered",
        "subject": subject,
        "since": moment.isoformat(),
    }
    if "." in subject and subject not in watched:
        what = "is paused or gone, and no longer watched."
    elif still:
        message["still"] = " and ".join(_named(key) for key in still)
        ended = " and ".join(_named(key) for key in over)
        what = f'is well again in part. Over: "{ended}". It still {message["still"]}.'
    else:
        what = "is well again."
    return {"text": f"orderloom: {subject} {what}", **message}


def _named(key: str) -> str:
    """What is wrong, in the words of a trouble of this key."""
    if is_run(key):
        return f"has a failed run ({key.split()[-1]})"
    kind = key.rpartition("/")[-1]
    return "is stale" if kind == STALE else f"fails ({kind})"


def of_accounts(workshop: Workshop, now: datetime) -> Iterator[Trouble]:
    """Accounts that fail, and accounts that are stale. Paused ones are neither."""
    ledger = workshop.ledger
    by_kind = {kind: ledger.freshness(kind) for kind in KINDS}
    for account in workshop.accounts:
        if account.settings.paused:
            continue
        for kind, fresh in by_kind.items():
            seen = fresh.get(account.key, Freshness())
            if seen.is_failing:
                yield _failing(account, kind, seen, ledger)
        seen = by_kind[CHANGES].get(account.key, Freshness())
        stale_at = seen.stale_at(account.settings.stale_after_hours)
        if stale_at is not None and is_stale(account, seen, now):
            yield _stale(account, seen, stale_at)


def _failing(account: Account, kind: str, seen: Freshness, ledger: Ledger) -> Trouble:
    since = ledger.failing_since(account.key, kind) or seen.last_failure
    assert since is not None, "what fails has failed once"
    return Trouble(
        key=f"{account.key}/{kind}",
        kind="failing",
        subject=account.key,
        what=f"fails ({kind})",
        since=since,
        last_success=seen.last_success,
        error=(seen.error or "no reason was given")[:_LONGEST_ERROR].rstrip("."),
        remedy="as the error says; `orderloom doctor` looks at credentials and the connection",
    )


def _stale(account: Account, seen: Freshness, stale_at: datetime) -> Trouble:
    return Trouble(
        key=f"{account.key}/{STALE}",
        kind=STALE,
        subject=account.key,
        what="is stale",
        since=stale_at,
        last_success=seen.last_success,
        error=seen.error if seen.is_failing else None,
        remedy=f"see that the service runs and that the schedule {account.source}_sync is on",
    )


def run_key(run: dg.DagsterRun) -> str:
    """What runs are compared by: an account's job of one kind, or a kind; or else the run itself.

    A run that somebody started by a button, or that automation started, and that died before it was
    marked with tags says not what it was for: no later run can be known as its successor.
    """
    account, kind = run.tags.get(ACCOUNT), run.tags.get(KIND)
    if kind is None or (account is None and kind in _OF_ONE_ACCOUNT):
        return f"{_ONCE}{run.run_id}"
    return _RUN + " ".join(part for part in (account, kind) if part)


def is_run(key: str) -> bool:
    """Whether a trouble is a failed run that the next one of its kind ends."""
    return key.startswith(_RUN)


def is_once(key: str) -> bool:
    """Whether a trouble is a failed run that no other one ends: told once, and forgotten."""
    return key.startswith(_ONCE)


def of_run(record: dg.RunRecord, told: Mapping[str, object]) -> Trouble | None:
    """A failed run that the ledger says nothing of: it was killed, or belongs to no account.

    `told`: keys of troubles that say it already. A run that Dagster tries again is none.
    """
    run = record.dagster_run
    if is_retried(run):
        return None
    account, kind = run.tags.get(ACCOUNT), run.tags.get(KIND)
    if account and kind in KINDS and f"{account}/{kind}" in told:
        return None
    ended = record.end_time or record.update_timestamp.timestamp()
    key = run_key(run)
    after = "start it again if it is still needed" if is_once(key) else _ENDS
    return Trouble(
        key=key,
        kind="run_failed",
        subject=account or run.tags.get(KIND, run.job_name),
        what=f"has a failed run ({kind or run.job_name}, {run.run_id})",
        since=_moment(ended),
        last_success=None,
        error=None,
        remedy=f"look at run {run.run_id} in the UI; {after}",
    )


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
