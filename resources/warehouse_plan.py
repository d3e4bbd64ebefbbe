"""What a publication has to do, and upon which file.

Belongs here: comparing how far the lake goes with how far the published file goes. Does not belong
here: doing it (`resources/warehouse_build.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from resources.errors import WarehouseError
from resources.lake import AccountKey, Lake
from resources.warehouse_accounts import Shown
from resources.warehouse_checks import Fault

_BLOAT = 2
_SPARE_BYTES = 64 * 2**20
"""A file that has grown to `_BLOAT` times its size when built from scratch, and this much more, is
built from scratch again: replaced rows leave gaps behind."""

FOLLOWED = ("orders", "quarantine", "drift")
"""Lake tables of which each remembers for itself how far it is published."""


@dataclass(frozen=True)
class Reach:
    """How far an account is published; landing sequences, 0 for nothing."""

    orders_seq: int = 0
    quarantine_seq: int = 0
    generation: int = 0
    drift_seq: int = 0


@dataclass(frozen=True)
class Step:
    """What of one account is to be published now: from one reach to the next."""

    account: AccountKey
    since: Reach
    """Reach() where everything of the account is put in the old one's place."""
    until: Reach


@dataclass(frozen=True)
class Published:
    """What a published file says of itself."""

    path: Path
    layout: str
    fingerprint: str
    orders: int
    order_rows: int
    rebuilt_bytes: int
    reaches: Mapping[AccountKey, Reach]
    accounts: Mapping[AccountKey, Shown]
    drift: Sequence[tuple[str, str, int]] = ()
    """Account, kind of drift, and how many different fields and codes it was seen in."""

    @property
    def rebuilt_size(self) -> int:
        """Bytes of the file that was last built from scratch; that may be this one."""
        return self.rebuilt_bytes or self.path.stat().st_size

    @property
    def is_bloated(self) -> bool:
        return self.path.stat().st_size > _BLOAT * self.rebuilt_size + _SPARE_BYTES


@dataclass(frozen=True)
class Plan:
    """What to build, and upon what."""

    base: Published | None
    """The file to bring up to date; None: from scratch."""
    steps: Sequence[Step]
    reaches: Mapping[AccountKey, Reach]
    """How far every account is published afterwards."""
    held_back: frozenset[AccountKey]
    faults: Mapping[AccountKey, Fault] = field(default_factory=dict)


def make_plan(
    lake: Lake, found: Published | None, *, rebuild: bool, held_back: frozenset[AccountKey]
) -> Plan:
    known = found.reaches if found else {}
    newest = _newest(lake, known)
    reaches = {
        account: known.get(account, Reach()) if account in held_back else reach
        for account, reach in newest.items()
    }
    steps = _steps(reaches, {} if rebuild else known)
    return Plan(None if rebuild else found, steps, reaches, held_back & newest.keys())


def pending(plan: Plan, found: Published | None) -> frozenset[AccountKey]:
    """The accounts of which something new is published: they can be held back."""
    known = found.reaches if found else {}
    return frozenset(step.account for step in plan.steps if step.until != known.get(step.account))


def without(
    plan: Plan, found: Published | None, faults: Mapping[AccountKey, Fault], *, can_go_back: bool
) -> Plan:
    """The plan with faulty accounts held back.

    `can_go_back`: what `found` holds may be kept. Then a plan from scratch becomes one upon it,
    since of an account that was replaced in the lake its older versions are there alone.

    Raises WarehouseError if one of them is at fault as it was published before.
    """
    known = found.reaches if found else {}
    goes_back = can_go_back and plan.base is None
    for account, fault in faults.items():
        if not goes_back and account not in pending(plan, found):
            first = plan.faults.get(account, fault)
            replay = "run orderloom replay for the account, then rebuild"
            raise WarehouseError(str(first), ".".join(account), first.remedy(account) or replay)
    reaches = {
        account: known.get(account, Reach()) if account in faults else reach
        for account, reach in plan.reaches.items()
    }
    if goes_back:
        steps = _steps(reaches, known)
    else:
        steps = [
            replace(step, until=reaches[step.account])
            for step in plan.steps
            if plan.base is None or step.account not in faults
        ]
    return replace(
        plan,
        base=found if goes_back else plan.base,
        steps=steps,
        reaches=reaches,
        held_back=plan.held_back | faults.keys(),
        faults={**plan.faults, **faults},
    )


def _steps(reaches: Mapping[AccountKey, Reach], known: Mapping[AccountKey, Reach]) -> list[Step]:
    """What lies between two reaches; an account that was replaced begins anew."""
    steps = []
    for account, until in reaches.items():
        since = known.get(account, Reach())
        if since.generation != until.generation:
            since = Reach()
        if since != until:
            steps.append(Step(account, since, until))
    return steps


def _newest(lake: Lake, known: Iterable[AccountKey]) -> dict[AccountKey, Reach]:
    """How far the lake goes, per account, also of those that were replaced by nothing.

    Generations are read first: a replacement in between is then published twice, never missed.
    """
    with_data = (account for table in FOLLOWED for account in lake.reached(table))
    accounts = sorted({*with_data, *known})
    generations = {account: lake.generation("orders", account) for account in accounts}
    orders, quarantine, drift = map(lake.reached, FOLLOWED)
    return {
        account: Reach(
            orders_seq=orders.get(account, 0),
            quarantine_seq=quarantine.get(account, 0),
            generation=generations[account],
            drift_seq=drift.get(account, 0),
        )
        for account in accounts
    }
