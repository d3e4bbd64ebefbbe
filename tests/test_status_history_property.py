"""The status history of random orders: as the rules in plain Python have it, however published.

Belongs here: random versions and events. Does not belong here: cases worked out by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canonical_rows import START, land, order
from history_model import Told, Version, history
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warehouse_home import ACCOUNTS, COUNT, Home, contents

from tests.home import IS_NIGHTLY

DIMENSION, SOURCE = "order_status", "source_status_code"
CODES = [("open", "1"), ("open", "2"), ("processing", "3"), ("cancelled", None), ("problem", "9")]
MOMENTS = st.integers(-5, 30)
"""Minutes after START: few, so that moments often coincide."""

TELLING = st.tuples(MOMENTS, st.sampled_from(CODES), st.booleans())
STEP = st.fixed_dictionaries(
    {
        "order": st.integers(0, 5),
        "wait": st.sampled_from([0, 1, 1, 2, 5, -3]),
        "code": st.sampled_from(CODES),
        "updated": st.none() | MOMENTS,
        "created": st.none() | MOMENTS,
        "events": st.lists(TELLING, max_size=3),
        "is_deleted": st.booleans(),
    }
)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def versions_of(steps: list[dict[str, Any]]) -> Iterator[tuple[str, Version, dict[str, Any]]]:
    """Each step as (order id, version, step), numbered in landing order."""
    clock = 0
    for seq, step in enumerate(steps, start=1):
        clock += step["wait"]
        events = tuple(
            Told(at(minutes), code, source if is_coded else None)
            for minutes, (code, source), is_coded in step["events"]
        )
        code, source = step["code"]
        updated, created = (
            None if step[name] is None else at(step[name]) for name in ("updated", "created")
        )
        version = Version(seq, at(clock), code, source, updated, created, events)
        yield str(step["order"]), version, step


def landed(order_id: str, version: Version, is_deleted: bool) -> dict[str, Any]:
    told = [
        {
            "event_type": "status_changed",
            "dimension": DIMENSION,
            "code": event.source,
            "canonical_code": event.code,
            "valid_from_utc": event.since,
        }
        for event in version.events
    ]
    told += [{"event_type": "deleted"}] * is_deleted
    values = {
        "row_count": 0,
        DIMENSION: version.code,
        SOURCE: version.source,
        "last_seen_at": version.received,
        "updated_at": version.updated,
        "created_at": version.created,
        "events": told,
        "is_deleted": is_deleted,
    }
    return order(order_id, version.seq, **values)


def check(home: Home, known: dict[str, list[Version]]) -> None:
    rows = home.rows(
        "SELECT order_key, dimension, code, source_code, valid_from_utc, valid_to_utc,"
        " valid_from_basis, observed_at, landing_seq, is_current FROM order_status_history"
        " ORDER BY order_key, dimension, is_current, valid_from_utc, valid_to_utc, landing_seq"
    )
    current = dict(home.rows(f"SELECT order_key, {DIMENSION} FROM orders"))
    for (key, dimension), group in groupby(rows, key=lambda row: row[:2]):
        stretches = list(group)
        assert [row[-1] for row in stretches].count(True) == 1
        assert all(row[4] <= row[7] for row in stretches), "begins in the future"
        assert stretches[-1][5] is None
        assert all(one[5] == next_one[4] for one, next_one in pairwise(stretches)), "a gap"
        if dimension == DIMENSION:
            assert stretches[-1][2] == current[key]
            compare(stretches, known[key.rpartition(":")[2]])


def compare(rows: list[tuple[Any, ...]], versions: list[Version]) -> None:
    """Empty stretches that begin alike have no order of their own in the published table."""
    expected = [
        (s.code[0], s.code[1], s.since.replace(tzinfo=None), s.basis,
         s.observed.replace(tzinfo=None), s.seq)
        for s in history(versions)
    ]  # fmt: skip
    found = [(row[2], row[3], row[4], row[6], row[7], row[8]) for row in rows]
    assert found[-1] == expected[-1]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def believed(home: Home, known: dict[str, list[Version]], minute: int) -> None:
    moment = at(minute)
    expected = {}
    for order_id, versions in known.items():
        held = [version for version in versions if version.received <= moment]
        if held:
            newest = max(held, key=lambda version: version.seq)
            expected[f"brightpearl:acme:{order_id}"] = (newest.code, newest.source)
    found = home.rows(
        "SELECT order_key, code, source_code"
        f" FROM status_believed_on(TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}')"
        f" WHERE dimension = '{DIMENSION}'"
    )
    assert {key: tuple(codes) for key, *codes in found} == expected


def split(steps: list[dict[str, Any]], cuts: set[int]) -> Iterator[list[Any]]:
    """The versions in landing order, in batches that end where the cuts are."""
    batch = []
    for found in versions_of(steps):
        batch.append(found)
        if found[1].seq in cuts:
            yield batch
            batch = []
    yield batch


@settings(
    max_examples=10 if IS_NIGHTLY else 5, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.lists(STEP, min_size=1, max_size=40), st.sets(st.integers(1, 39), max_size=3), MOMENTS)
def test_any_versions_in_any_publications(
    steps: list[dict[str, Any]], cuts: set[int], minute: int
) -> None:
    with TemporaryDirectory() as folder:
        home, known = Home(Path(folder)), {}
        for batch in split(steps, cuts):
            for order_id, version, _ in batch:
                known.setdefault(order_id, []).append(version)
            land(home.lake, [landed(key, each, step["is_deleted"]) for key, each, step in batch])
            kept = home.publish().path
        check(home, known)
        believed(home, known, minute)
        again = home.warehouse.publish([COUNT], ACCOUNTS, rebuild=True).path
        assert contents(again) == contents(kept)
