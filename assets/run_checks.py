"""Asset checks of one run of `changes`: they are told with the run, red or green.

Belongs here: their names, and telling them. Does not belong here: finding out (`assets/pull.py`,
`assets/sources/listing.py`), checks of what is published (`assets/checks.py`).
"""

import dagster as dg

from assets.partitions import accounts_of
from assets.pull import CHANGES, Pull, ReceivedNothing
from resources.api import Incomplete

AS_ANNOUNCED = "as_many_orders_as_announced"
SOMETHING = "receives_something"
NO_WARNING = "nothing_may_be_missing"
_MEANINGS = {
    AS_ANNOUNCED: "The listings held as many orders as the API announced, where it announces any.",
    NO_WARNING: "The API told all that it has, as far as it can be known.",
    SOMETHING: "The run received something, or earlier runs had received nothing as well.",
}
_KINDS: dict[str, type[Exception]] = {AS_ANNOUNCED: Incomplete, SOMETHING: ReceivedNothing}
FAULTS = tuple(_KINDS.values())
"""Errors that are told as a check before they fail the run."""


def specs(source: str) -> list[dg.AssetCheckSpec]:
    """The checks of a source's `changes`."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=[source, CHANGES],
            partitions_def=accounts_of(source),
            description=meaning,
        )
        for name, meaning in _MEANINGS.items()
    ]


def passed(pull: Pull) -> list[dg.AssetCheckResult]:
    """What a run that went well says of each check."""
    numbers = {
        AS_ANNOUNCED: {"announced": pull.announced, "listed": pull.listed},
        SOMETHING: {"received": pull.counts.received, "listed": pull.listed},
    }
    warned = dg.AssetCheckResult(
        check_name=NO_WARNING,
        passed=not pull.warnings,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(pull.warnings) or None,
        metadata={"account": pull.account.key},
    )
    return [warned] + [
        dg.AssetCheckResult(
            check_name=name,
            passed=True,
            metadata={what: number for what, number in said.items() if number is not None},
        )
        for name, said in numbers.items()
    ]


def failed(source: str, account: str, fault: Exception) -> dg.AssetCheckResult:
    """What a run says that is failed by one of FAULTS."""
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([source, CHANGES]),
        check_name=next(name for name, kind in _KINDS.items() if isinstance(fault, kind)),
        passed=False,
        metadata={"account": account},
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(fault),
    )
