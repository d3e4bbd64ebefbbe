"""The status history of one order in plain Python, to compare the published one with.

Belongs here: the rules of the history, told one version after another. Does not belong here: SQL,
publishing, cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
Code = tuple[str, str | None]
"""Canonical code and the source's own."""


@dataclass(frozen=True)
class Told:
    """An event: since when a code held. `source` None: the source gives no code with it."""

    since: datetime
    code: str
    source: str | None = None


@dataclass(frozen=True)
class Version:
    """One version, as far as one dimension needs it. Moments are UTC."""

    seq: int
    received: datetime
    code: str
    source: str | None = None
    updated: datetime | None = None
    created: datetime | None = None
    events: tuple[Told, ...] = ()


@dataclass
class _Judged:
    """A version, what it tells, and when its own code began by its own word."""

    version: Version
    heard: list[tuple[datetime, Code]]
    lead: str | None
    """The source's code with which the canonical code came."""
    run: int
    told: datetime | None = None
    basis: str = ""
    stated: datetime = FIRST
    reached: datetime = FIRST
    began: datetime = FIRST

    @property
    def own(self) -> Code:
        return self.version.code, self.version.source


@dataclass
class Stretch:
    """One row of the history."""

    since: datetime
    code: Code
    basis: str
    observed: datetime
    seq: int


def history(versions: list[Version]) -> list[Stretch]:
    """The stretches of one order and dimension, oldest first."""
    judged = _read(sorted(versions, key=lambda version: version.seq))
    _state(judged)
    _put_in_order(judged)
    return _stretches(_points(judged))


def _read(versions: list[Version]) -> list[_Judged]:
    sources: dict[str, str] = {}
    for version in versions:
        if version.source is not None:
            sources.setdefault(version.code, version.source)
    found: list[_Judged] = []
    for version in versions:
        before = found[-1] if found else None
        is_led = before is None or before.version.code != version.code
        lead = version.source if is_led or before is None else before.lead
        is_same = before is not None and before.own == (version.code, version.source)
        run = (before.run if before else 0) + (not is_same)
        heard = []
        for event in version.events:
            if event.since <= version.received:
                known = lead if event.code == version.code else sources.get(event.code)
                heard.append((event.since, (event.code, event.source or known)))
        found.append(_Judged(version, sorted(heard, key=lambda e: e[0]), lead, run))
    return found


def _state(judged: list[_Judged]) -> None:
    for one in judged:
        if one.heard and one.heard[-1][1] == one.own:
            one.told = one.heard[-1][0]
    runs: dict[int, datetime] = {}
    for one in judged:
        if one.told is not None:
            runs[one.run] = min(one.told, runs.get(one.run, one.told))
    previous: datetime | None = None
    for place, one in enumerate(judged):
        version, least = one.version, one.heard[-1][0] if one.heard else FIRST
        shared = runs.get(one.run)
        if one.told is None and shared is not None and least <= shared <= version.received:
            one.told = shared
        updated, created = version.updated, version.created
        if one.told is not None:
            one.basis, one.stated = "source_event", one.told
        elif (
            updated is not None
            and least <= updated <= version.received
            and (previous is None or updated > previous)
        ):
            one.basis, one.stated = "source_updated", updated
        elif place == 0 and updated is None and created and least <= created <= version.received:
            one.basis, one.stated = "source_created", created
        else:
            one.basis, one.stated = "observed", version.received
        previous = updated


def _put_in_order(judged: list[_Judged]) -> None:
    """What is landed later bounds what was landed before."""
    latest = LAST
    for one in reversed(judged):
        latest = min(latest, one.version.received)
        one.reached = min(one.stated, latest)
        if one.told is not None:
            latest = min(latest, one.told)
    began = FIRST
    for one in judged:
        began = max(began, one.reached)
        one.began = began


def _points(judged: list[_Judged]) -> list[tuple[tuple[datetime, int, int], Stretch, bool]]:
    points = []
    happened: dict[tuple[datetime, Code], list[tuple[_Judged, int]]] = {}
    for one in judged:
        basis = one.basis if one.began == one.stated else "observed"
        version = one.version
        stretch = Stretch(one.began, one.own, basis, version.received, version.seq)
        points.append(((one.began, version.seq, 1000), stretch, False))
        for place, event in enumerate(one.heard):
            happened.setdefault(event, []).append((one, place))
    for (since, code), tellers in happened.items():
        (first, place), (last, _) = tellers[0], tellers[-1]
        if since <= last.reached:
            version = first.version
            stretch = Stretch(since, code, "source_event", version.received, version.seq)
            points.append(((since, version.seq, place), stretch, True))
    return sorted(points, key=lambda point: point[0])


def _stretches(points: list[tuple[tuple[datetime, int, int], Stretch, bool]]) -> list[Stretch]:
    kept = [
        stretch
        for place, (_, stretch, is_event) in enumerate(points)
        if not (
            is_event
            and place + 1 < len(points)
            and points[place + 1][1].since == stretch.since
            and points[place + 1][1].code != stretch.code
        )
    ]
    found: list[Stretch] = []
    for stretch in kept:
        if not found or found[-1].code != stretch.code:
            found.append(stretch)
            continue
        last = found[-1]
        if stretch.since == last.since and stretch.basis == "source_event":
            last.basis = "source_event"
        if stretch.seq < last.seq:
            last.seq, last.observed = stretch.seq, stretch.observed
    return found
