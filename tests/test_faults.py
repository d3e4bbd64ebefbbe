"""Each source under each fault, passing and lasting: then the marts are the truth again.

Belongs here: faults that strike a sync of changes. Does not belong here: a first load with pages
that mislead (test_faults_in_lists.py), long outages and the command line (test_outages.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from resources.api import TRIES
from tests.faults_case import SOURCES, Case, case_of

PASSING = (
    "error", "unavailable", "reset", "lost_reply", "truncated", "html", "invalid_json", "latency"
)  # fmt: skip
REJECTED = ("rejected", "forbidden", "revoked")
STRANGE = ("duplicated_page", "empty_page", "deletion", "future_stamp")
HOW = {"latency": {"seconds": 3.0}}


@pytest.fixture(scope="module", params=SOURCES)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    """A home that was synced once without any fault."""
    with case_of(request.param, tmp_path_factory.mktemp("faults")) as case:
        case.sync()
        yield case


@pytest.fixture
def case(
    shared: Case, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    """An hour later, with something new to be found. A reply too late is not waited for long."""
    if "latency" in request.node.name:
        monkeypatch.setattr("resources.transport.TIMEOUT", 0.5)
    shared.later(hours=1)
    shared.edit()
    shared.clock.slept.clear()
    shared.box.reset_requests()
    yield shared
    shared.clear()


def recovers(case: Case) -> None:
    """Without the fault the next sync brings everything, and one more brings nothing."""
    case.clear()
    case.sync()
    assert case.wrong() == {}
    again = case.sync()
    assert (again.counts.new, again.counts.changed) == (0, 0)


def some(kind: str) -> Any:
    """Two kinds of passing fault always, the others by night."""
    return kind if kind in ("error", "truncated") else pytest.param(kind, marks=pytest.mark.nightly)


@pytest.mark.parametrize("kind", [some(each) for each in PASSING])
def test_a_passing_fault_is_tried_again_with_growing_pauses(case: Case, kind: str) -> None:
    # Only one of the relationships that Quotevine is asked about side by side.
    path = case.one_path()
    fault = case.arm(kind, times=2, path=path, **HOW.get(kind, {}))
    case.sync()
    assert fault.struck == 2
    assert 0 < case.clock.slept[0] < case.clock.slept[1] < 3
    assert len(case.clock.slept) == 2
    assert case.wrong() == {}


@pytest.mark.parametrize("kind", [some(each) for each in PASSING])
def test_a_lasting_fault_fails_the_sync_and_moves_no_cursor(case: Case, kind: str) -> None:
    cursor = case.pulls.workshop.ledger.cursor(case.account)
    fault = case.arm(kind, times=None, **HOW.get(kind, {}))
    complaint = case.failing_sync()
    assert TRIES <= fault.struck <= 70
    assert case.is_many or case.clock.slept[:4] == sorted(case.clock.slept[:4])
    assert case.account in complaint
    assert any(advice in complaint for advice in ("run again later", "check base_url"))
    assert case.pulls.workshop.ledger.cursor(case.account) == cursor
    recovers(case)


@pytest.mark.parametrize("kind", REJECTED)
def test_a_rejection_is_never_tried_again(case: Case, kind: str) -> None:
    cursor = case.pulls.workshop.ledger.cursor(case.account)
    path = "" if case.source != "feedback_company" else "/invitations"
    fault = case.arm(kind, times=None, path=path)
    complaint = case.failing_sync()
    renewed = kind == "revoked" and case.source == "feedback_company"
    assert fault.struck == (2 if renewed else 1) or (case.is_many and fault.struck <= 8)
    assert case.clock.slept == [] or case.is_many, "others under way may be cut off"
    assert case.account in complaint
    assert case.pulls.workshop.ledger.cursor(case.account) == cursor
    recovers(case)


def test_a_token_revoked_in_the_middle_is_renewed_once(case: Case) -> None:
    fault = case.arm("revoked", after=2)
    if case.source == "feedback_company":
        case.sync()
        assert case.wrong() == {}
    else:
        case.failing_sync()
    assert fault.struck == 1
    recovers(case)


def test_throttling_waits_as_told_and_is_no_failure(case: Case) -> None:
    fault = case.arm("throttled", times=2 * TRIES, wait=7)
    case.sync()
    assert fault.struck == 2 * TRIES
    assert {round(seconds, 6) for seconds in case.clock.slept} == {7.0}
    assert case.is_many or sum(case.clock.slept) == pytest.approx(7 * 2 * TRIES)
    assert case.wrong() == {}


def test_endless_throttling_ends_after_an_hour(case: Case) -> None:
    case.arm("throttled", times=None, wait=60)
    complaint = case.failing_sync()
    assert 3500 <= sum(case.clock.slept) <= 8 * 3700
    assert "run again later, or lower requests_per_minute" in complaint
    recovers(case)


@pytest.mark.parametrize("after", [0, pytest.param(1, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_reply_loses_nothing(case: Case, kind: str, after: int) -> None:
    case.arm(kind, after=after)
    case.sync()
    case.later(days=1)
    recovers(case)
