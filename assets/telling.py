"""What the assets of a source say of themselves on each materialisation.

Belongs here: metadata of runs that pull, sweep and normalise: windows, counts, columns, previews.
Does not belong here: the assets (`assets/ingest.py`, `assets/presence.py`), which columns a preview
may show (`assets/previews.py`), what marts say (`assets/telling_marts.py`).

A number has the same name on every run and is told on every run, so that Dagster's plots of it have
no gaps. No personal data is told.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from assets import previews
from assets.normalise import Normalised
from assets.pull import Pull
from assets.workshop import Workshop
from resources.accounts import Account
from resources.lake import Lake
from resources.registrations import ACCEPTED, INTENDED, REFUSED, RELEASED, UNCERTAIN
from schemas.canonical import LAKE

Metadata = dict[str, Any]
RAW = "raw"
"""Lake table that pulls land in."""
STATES = (INTENDED, ACCEPTED, REFUSED, UNCERTAIN, RELEASED)
"""Of an order that is pushed."""


def column_schema(table: str) -> dg.TableSchema:
    """A lake table's columns as the UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                type=str(field.type),
                description=(field.metadata or {}).get(b"comment", b"").decode(),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in LAKE[table]
        ]
    )


def pull_metadata(pull: Pull) -> Metadata:
    """What a pull of changes or of days says of itself."""
    counts = pull.counts
    return {
        **_window(pull),
        **_effort(pull),
        **{
            name: number
            for name, number in (("announced", pull.announced), ("listed", pull.listed))
            if number is not None
        },
        **({"warnings": "; ".join(pull.warnings)} if pull.warnings else {}),
        "received": counts.received,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "bytes": counts.bytes,
    }


def presence_metadata(pull: Pull) -> Metadata:
    """What a sweep says of itself."""
    swept = pull.swept
    if swept is None:
        return {}
    return {
        "known": swept.known,
        "asked": swept.asked,
        "there": swept.there,
        "suspected": swept.suspected,
        "deleted": swept.deleted,
        "restored": swept.restored,
        **_effort(pull),
    }


def registrations_metadata(counts: Mapping[str, int]) -> Metadata:
    """What a push says of itself: how many of its orders are in which state, none left out."""
    return {state: counts.get(state, 0) for state in STATES}


def normalised_metadata(
    workshop: Workshop, account: Account, table: str, made: Normalised
) -> Metadata:
    """What normalising says of one canonical table of an account."""
    written = {
        "orders": made.orders,
        "order_rows": made.order_rows,
        "order_parties": made.order_parties,
    }
    own = (account.source, account.name)
    files = [file for file in workshop.lake.files(table) if file.account == own]
    return {
        "rows_written": written[table],
        "quarantined": made.quarantined,
        **made.drift_counts,
        "dagster/partition_row_count": sum(file.rows for file in files),
        **(_preview(workshop.lake, account, table) if written[table] else {}),
    }


def landed(lake: Lake, pulls: Sequence[Pull]) -> Metadata:
    """The newest of what pulls landed, without personal data; empty where they landed nothing."""
    found = [pull for pull in pulls if pull.counts.new or pull.counts.changed]
    return _preview(lake, found[-1].account, RAW) if found else {}


def _preview(lake: Lake, account: Account, table: str) -> Metadata:
    found = previews.newest(lake, table, (account.source, account.name))
    return {"preview": dg.MetadataValue.md(previews.as_markdown(found))} if found else {}


def _window(pull: Pull) -> Metadata:
    """From when to when was asked: moments as such, civil days as they are written."""
    since, until = pull.window
    return {
        "window_from": _moment(since) if since else "the start",
        "window_to": _moment(until) if until else "now",
    }


def _moment(text: str) -> dg.MetadataValue[Any]:
    """A moment as the UI shows it; a civil date stays text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return dg.MetadataValue.text(text)
    return dg.MetadataValue.timestamp(moment)


def _effort(pull: Pull) -> Metadata:
    return {
        "requests": pull.requests,
        "least_requests": pull.least_requests,
        "seconds": round(pull.seconds, 3),
        "seconds_waited_for_budget": round(pull.waited_seconds, 3),
    }
