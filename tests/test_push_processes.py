"""Pushing from processes that are killed, that run side by side, or that are typed by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from resources.api import Progress
from resources.leases import LeaseHeld, LeaseLost
from resources.ledger_store import leases
from tests.pushing import KEY, LOGIN, Desk, ids

DIE = """
import os, signal, sys
from assets.landing import Landing
from assets.workshop import Workshop
from resources.registrations import Registrations
from resources.transport import Transport

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def send(self, method, *rest, _send=Transport.send):
    return die() if method == "POST" and sys.argv[2] == "send" else _send(self, method, *rest)

owner = {"send": Transport, "land": Landing}.get(sys.argv[2], Registrations)
setattr(owner, sys.argv[2], send if sys.argv[2] == "send" else die)
workshop = Workshop()
workshop.pusher.push(workshop.accounts.get(sys.argv[1]), "killed", 3)
"""


@pytest.mark.parametrize("point", ["send", "conclude", "land", "mark_landed"])
def test_a_killed_push_sends_nothing_twice_and_loses_nothing(desk: Desk, point: str) -> None:
    killed = desk.python(DIE, KEY, point)
    assert killed.returncode == -9, killed.stderr
    before = ids(desk)
    assert len(before) == {"send": 0, "conclude": 1, "land": 3, "mark_landed": 3}[point]
    push = desk.push(limit=2)
    assert push.counts == {"accepted": 2}
    states = desk.workshop.ledger.registrations.counts(KEY)
    assert states.get("uncertain", 0) == (point in ("send", "conclude")), "the push itself doubts"
    waiting = [each.external_id for each in desk.open()]
    assert len(waiting) == (point in ("send", "conclude"))
    for external_id in waiting:
        decision = "accepted" if external_id in before else "again"
        desk.workshop.pusher.decide(desk.account, external_id, decision)
    desk.push(limit=2)
    desk.publish()
    assert desk.published() == set(ids(desk))
    assert set(before) <= set(ids(desk))
    assert len(ids(desk)) == len(set(ids(desk))) == len(before) + 4
    states = desk.workshop.ledger.registrations.counts(KEY)
    assert states == {"accepted": len(ids(desk))}, "the sandbox refused none as known already"


def test_a_sync_lands_what_a_killed_push_left_accepted(desk: Desk) -> None:
    assert desk.python(DIE, KEY, "land").returncode == -9
    synced = desk.command("sync", KEY)
    assert synced.returncode == 0, synced.stderr
    assert desk.published() == set(ids(desk))
    assert len(ids(desk)) == 3


PUSH = """
import sys
from assets.workshop import Workshop
from resources.leases import LeaseHeld
workshop = Workshop()
try:
    push = workshop.pusher.push(workshop.accounts.get(sys.argv[1]), sys.argv[2], 30)
except LeaseHeld:
    print("held")
else:
    print(push.counts["accepted"])
"""


def test_pushes_side_by_side_send_nothing_twice(desk: Desk) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda n: desk.python(PUSH, KEY, f"side-{n}"), range(3)))
    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]
    said = [run.stdout.strip() for run in runs]
    assert set(said) <= {"held", "30"}
    assert len(ids(desk)) == len(set(ids(desk))) == 30 * said.count("30")
    assert desk.workshop.ledger.registrations.counts(KEY) == {"accepted": len(ids(desk))}


def test_a_push_waits_for_nobody(desk: Desk) -> None:
    with desk.workshop.ledger.lease(KEY, "push"):
        with pytest.raises(LeaseHeld, match="push is already under way"):
            desk.push(limit=1)
        assert desk.open() == []
    assert desk.box.requests(KEY) == 0


def test_a_push_that_lost_its_lease_sends_no_further_order(desk: Desk) -> None:
    """Somebody else took the lease after the second order: the third is not even intended."""
    ledger = desk.workshop.ledger

    def overtake(progress: Progress) -> None:
        if progress.requests == LOGIN + 2 and progress.waiting_for is None:
            with ledger._store.writing() as connection:
                connection.execute(update(leases).values(token=leases.c.token + 1))

    desk.workshop.asking = overtake
    with pytest.raises(LeaseLost):
        desk.push(limit=5)
    assert len(ids(desk)) == 2
    assert ledger.registrations.counts(KEY) == {"accepted": 2}


# The command line.


def test_the_command_shows_sends_lists_and_decides(desk: Desk) -> None:
    shown = desk.command("push", KEY, "--limit", "2")
    assert shown.returncode == 0, shown.stderr
    assert "2 of 1,198 orders would be sent" in shown.stdout
    assert "c***@example.com" in shown.stdout
    assert "customer." not in shown.stdout, "no address is shown"
    assert desk.box.requests(KEY) == 0
    desk.box.fault(KEY, "lost_reply", method="POST", after=2)
    sent = desk.command("push", KEY, "--send", "--limit", "5")
    assert sent.returncode == 1
    assert "2 accepted, 0 refused, 1 uncertain" in sent.stdout
    assert "--resolve" in sent.stderr
    assert "Traceback" not in sent.stderr + sent.stdout
    accepted, lost = set(ids(desk)[:2]), ids(desk)[2]
    assert desk.published() == accepted
    assert lost in desk.command("push", KEY, "--list").stdout
    decided = desk.command("push", KEY, "--resolve", lost, "accepted")
    assert decided.returncode == 0, decided.stderr
    assert desk.published() == accepted | {lost}
    assert "nothing waits" in desk.command("push", KEY, "--list").stdout
