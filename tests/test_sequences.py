"""Invariants 1 to 3: whatever happens in whatever order, nothing is lost, twice or wrong.

Random sequences drive a sandbox and a home; every sync is held against what its source promises,
and every sequence ends with all the promises. `make test` runs a few, the same ones every time;
`make nightly` runs hundreds, others every time, and says how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from sandbox.faults import DETAILS
from sandbox.server import ACCOUNT_NAMES
from tests.sequence_edits import alive, edit
from tests.sequence_steps import Step
from tests.sequence_world import World

Action = tuple[str, dict[str, Any]]
ALONE = ("pull", "drain", "publish", "rebuild", "replay", "compact", "backfill", "sweep", "sweep")
KILLED = ("sync", "sync", "backfill", "replay", "rebuild", "compact", "sweep")
PULLS = ("sync", "sync", "backfill", "sweep")
OTHERS = ("edit", "delete", "wait", "sync", "backfill", "sweep")
FAULTS = tuple(sorted(set(DETAILS) - {"latency", "future_stamp", "broken_order"}))
"""What can go wrong anywhere, and needs no waiting."""
SWEPT = ("brightpearl", "tastyigniter", "efiling", "quotevine")
BACKFILLED = ("brightpearl", "tastyigniter", "efiling")
PAUSES = (1, 1, 50, 600, 3_600, 43_200, 86_400, 259_200, 691_200, 1_728_000)
"""Seconds by which the clock moves: to twenty days."""
number = st.integers(0, 1_000)
few = st.integers(1, 40)
"""Commits and requests of a step before it is killed or disturbed."""


window = {"back": st.integers(-3, 60), "length": st.integers(0, 30)}
"""Days of a backfill: how long ago the first one was, and how many follow."""


def action(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Action]:
    """A method of Sequence and what it is given."""
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


ACTIONS = st.one_of(
    action("edit", which=number, order=number, what=number),
    action("wait", seconds=st.sampled_from(PAUSES)),
    action("sync", which=number),
    action("sync_all"),
    action("delete", which=number, order=number),
    action("do", kind=st.sampled_from(ALONE), which=number, **window),
    action(
        "crash",
        kind=st.sampled_from(KILLED),
        which=number,
        place=few,
        at_requests=st.booleans(),
        **window,
    ),
    action(
        "meanwhile",
        kind=st.sampled_from(PULLS),
        other=st.sampled_from(OTHERS),
        which=number,
        what=number,
        after=few,
        landed=st.booleans(),
        **window,
    ),
    action("edit", which=number, order=st.integers(0, 2), what=number),
    action(
        "fault",
        which=number,
        kind=st.sampled_from(FAULTS),
        times=st.sampled_from((1, 1, 2, 6, 30)),
        after=st.integers(0, 20),
    ),
    action("faults_over"),
)
"""All in one rule: Hypothesis leaves out rules by sequence, which few sequences cannot afford."""


class Sequence(RuleBasedStateMachine):
    """One sequence: a sandbox and a home of some sources, and what happens to them."""

    sources: ClassVar[tuple[str, ...]] = tuple(ACCOUNT_NAMES)
    ran: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.ran["sequence"] += 1
        self.world = World(self.sources)

    def teardown(self) -> None:
        """Settle, unless the sequence has failed already."""
        try:
            if self.world.is_sound:
                self.world.settle()
                self.ran["settle"] += 1
        finally:
            self.world.close()

    @rule(action=ACTIONS)
    def act(self, action: Action) -> None:
        """Do one thing."""
        name, arguments = action
        getattr(self, name)(**arguments)

    def account(self, which: int, among: tuple[str, ...] | None = None) -> str:
        keys = [k for k in self.world.accounts if among is None or k.partition(".")[0] in among]
        return keys[which % len(keys)]

    def step(self, kind: str, which: int, back: int, length: int) -> Step:
        if kind == "backfill":
            if not set(BACKFILLED) & set(self.sources):
                return Step("publish")
            first = self.world.box.clock.now().date() - timedelta(days=back)
            last = first + timedelta(days=length)
            return Step(kind, (self.account(which, BACKFILLED),), first, last)
        if kind == "sweep":
            if not set(SWEPT) & set(self.sources):
                return Step("publish")
            return Step(kind, (self.account(which, SWEPT),))
        if kind in ("publish", "rebuild", "compact"):
            return Step(kind)
        return Step(kind, (self.account(which),))

    def wait(self, seconds: int) -> None:
        self.ran["wait"] += 1
        self.world.box.clock.advance(timedelta(seconds=seconds))

    def edit(self, which: int, order: int, what: int) -> None:
        if edit(self.world.box, self.account(which), order, what) is not None:
            self.ran["edit"] += 1

    def delete(self, which: int, order: int) -> None:
        self.remove(self.account(which), order)

    def remove(self, account: str, order: int) -> None:
        orders = list(alive(self.world.box, account))
        if len(orders) > 5:
            self.ran["delete"] += 1
            self.world.box.api(account).delete(orders[order % len(orders)])

    def fault(self, which: int, kind: str, times: int, after: int) -> None:
        self.ran[f"fault {kind}"] += 1
        self.world.box.fault(self.account(which), kind, times=times, after=after)

    def faults_over(self) -> None:
        self.world.clear_faults()

    def sync(self, which: int) -> None:
        self.ran["sync"] += 1
        self.world.sync((self.account(which),))

    def sync_all(self) -> None:
        self.ran["sync"] += 1
        self.world.sync(self.world.accounts)

    def do(self, kind: str, which: int, back: int, length: int) -> None:
        self.ran[kind] += 1
        self.world.do(self.step(kind, which, back, length))

    def crash(
        self, kind: str, which: int, back: int, length: int, place: int, at_requests: bool
    ) -> None:
        step = self.step(kind, which, back, length)
        was_killed = self.world.crash(step, place, at_requests=at_requests)
        self.ran[f"crash in {step.kind}" if was_killed else "crash that came too late"] += 1

    def meanwhile(
        self,
        kind: str,
        other: str,
        which: int,
        what: int,
        back: int,
        length: int,
        after: int,
        landed: bool,
    ) -> None:
        step = self.step(kind, which, back, length)
        account = step.accounts[0] if step.accounts else self.world.accounts[0]
        act = self.acts(account, which, what)[other]
        if self.world.meanwhile(
            step, after, act, landed=landed or other in ("sync", "backfill", "sweep")
        ):
            self.ran[f"{other} during {kind}"] += 1

    def acts(self, account: str, which: int, what: int) -> dict[str, Callable[[], Any]]:
        box = self.world.box

        def second_sync() -> None:
            if self.world.do(Step("pull", (account,))) is None:
                self.ran["refused by the lease"] += 1

        def backfill() -> None:
            step = self.step("backfill", which, what % 60, 20)
            self.world.do(step)

        return {
            "edit": lambda: edit(box, account, which, what),
            "delete": lambda: self.remove(account, which),
            "wait": lambda: box.clock.advance(timedelta(seconds=PAUSES[what % 7])),
            "sync": second_sync,
            "backfill": backfill,
            "sweep": lambda: self.world.do(self.step("sweep", which, 0, 0)),
        }


PARTS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "brightpearl": (("brightpearl",), 1, 50),
    "tastyigniter": (("tastyigniter",), 1, 50),
    "efiling": (("efiling",), 1, 50),
    "quotevine": (("quotevine",), 1, 40),
    "feedback_company": (("feedback_company",), 1, 40),
    "all": (tuple(ACCOUNT_NAMES), 1, 30),
}
"""The sources of a sandbox, and how many sequences by default and by night."""


@pytest.mark.parametrize("part", PARTS)
def test_nothing_lost_twice_or_wrong(part: str, record_property: Callable[..., None]) -> None:
    sources, few_sequences, many = PARTS[part]
    is_night = settings.get_current_profile_name() == "nightly"
    ran: Counter[str] = Counter()
    machine = type("Sequence", (Sequence,), {"sources": sources, "ran": ran})
    if not is_night:
        machine = seed(part)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many if is_night else few_sequences,
            stateful_step_count=12,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, times in sorted(ran.items()):
        record_property(name, times)
    print(f"\n{part}: {dict(sorted(ran.items()))}")  # noqa: T201
    assert ran["settle"] >= few_sequences
