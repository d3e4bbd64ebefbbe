"""The states of a registration in the ledger: what may be sent, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.leases import Lease, LeaseLost
from resources.ledger import Ledger
from resources.registrations import ACCEPTED, REFUSED, RELEASED, UNCERTAIN, Registration

KEY = "feedback_company.reviews"
ORDER = "brightpearl:acme:1"
BODY = b'{"external_id": "brightpearl:acme:1"}'


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def lease(ledger: Ledger) -> Iterator[Lease]:
    with ledger.lease(KEY, "push") as lease:
        yield lease


def intend(ledger: Ledger, lease: Lease, run_id: str = "run", body: bytes = BODY) -> bool:
    return ledger.registrations.intend(ORDER, ORDER, body, run_id, lease)


def conclude(ledger: Ledger, state: str, run_id: str = "run") -> bool:
    return ledger.registrations.conclude(KEY, ORDER, run_id, state, response=b"{}")


def found(ledger: Ledger) -> Registration:
    registration = ledger.registrations.get(KEY, ORDER)
    assert registration is not None
    return registration


def test_an_order_is_intended_once_whoever_asks(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    for state in (UNCERTAIN, ACCEPTED):
        assert not intend(ledger, lease, "other", b"{}")
        assert conclude(ledger, state)
    assert not intend(ledger, lease, "other", b"{}")
    assert (found(ledger).state, found(ledger).run_id) == (ACCEPTED, "run")
    assert found(ledger).body == BODY.decode()


def test_the_same_order_may_go_to_two_accounts(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    with ledger.lease("feedback_company.other", "push") as other:
        assert intend(ledger, other)


def test_what_was_released_may_be_sent_again(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    assert conclude(ledger, RELEASED)
    assert found(ledger).body is None
    assert ledger.registrations.taken(KEY) == {}
    assert intend(ledger, lease, "next")
    assert not conclude(ledger, ACCEPTED), "the run before has no more say in it"
    assert conclude(ledger, ACCEPTED, "next")


def test_an_intent_without_outcome_becomes_uncertain(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    assert ledger.registrations.doubt(lease, "died") == 1
    assert (found(ledger).state, found(ledger).reason) == (UNCERTAIN, "died")
    assert ledger.registrations.doubt(lease, "died") == 0
    assert conclude(ledger, ACCEPTED), "a run that was only slow knows better"


def test_nothing_is_intended_or_decided_under_a_lost_lease(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    lease.token -= 1
    try:
        for attempt in (
            lambda: ledger.registrations.intend("x", "x", b"{}", "run", lease),
            lambda: ledger.registrations.doubt(lease, "died"),
            lambda: ledger.registrations.decide(lease, ORDER, ACCEPTED, "decided"),
        ):
            with pytest.raises(LeaseLost):
                attempt()
    finally:
        lease.token += 1
    assert ledger.registrations.get(KEY, "x") is None
    assert found(ledger).state == "intended"


@pytest.mark.parametrize("decision", [ACCEPTED, REFUSED, RELEASED])
@pytest.mark.parametrize("state", [UNCERTAIN, REFUSED])
def test_a_decision_ends_the_doubt(ledger: Ledger, lease: Lease, state: str, decision: str) -> None:
    assert intend(ledger, lease)
    assert conclude(ledger, state)
    assert found(ledger).is_open
    assert ledger.registrations.decide(lease, ORDER, decision, "decided")
    assert (found(ledger).state, found(ledger).is_open) == (decision, False)
    assert (found(ledger).body is not None) == (decision == ACCEPTED)
    assert ledger.registrations.unsettled(KEY) == []


def test_what_was_forgotten_cannot_be_called_accepted(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    assert conclude(ledger, REFUSED)
    assert ledger.registrations.decide(lease, ORDER, REFUSED, "decided")
    assert not ledger.registrations.decide(lease, ORDER, ACCEPTED, "decided")
    assert ledger.registrations.decide(lease, ORDER, RELEASED, "decided")


def test_what_is_landed_is_forgotten_but_for_its_hash(ledger: Ledger, lease: Lease) -> None:
    assert intend(ledger, lease)
    assert conclude(ledger, ACCEPTED)
    (unlanded,) = ledger.registrations.unlanded(KEY, 9)
    ledger.registrations.mark_landed(KEY, [ORDER])
    assert ledger.registrations.unlanded(KEY, 9) == []
    landed = found(ledger)
    assert (landed.body, landed.response) == (None, None)
    assert landed.body_hash == unlanded.body_hash
    assert not ledger.registrations.decide(lease, ORDER, RELEASED, "decided")
    hour = timedelta(hours=1)
    assert len(ledger.registrations.since(KEY, datetime.now(UTC) - hour)) == 1
    assert ledger.registrations.since(KEY, datetime.now(UTC) + hour) == []
