"""`orderloom doctor`: is everything in place to sync, without pulling anything?

Belongs here: one finding per account and check, each with what to do about it. Does not belong
here: the checks of accounts.toml (`resources/accounts.py`), the probes (the sources).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assets.sources import accounts, source
from pipelines import console
from resources.accounts import Account
from resources.api import Api, Reply
from resources.budget import Budget
from resources.errors import ConfigurationError, OrderloomError
from resources.places import Places

SKEW = timedelta(minutes=2)
"""A difference between our clock and an API's that is worth telling."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    about: str
    check: str
    is_well: bool
    says: str
    is_odd: bool = False
    """True: it works, but is worth a look."""


def examine() -> int:
    """Print every finding; 0 all well, 1 an account is not, 2 the configuration is not."""
    places = Places.from_environment()
    try:
        places.prepare()
        known = accounts(places)
    except ConfigurationError as fault:
        _print([Finding("configuration", "accounts.toml", is_well=False, says=str(fault))])
        return 2
    findings = [
        Finding("configuration", "home", is_well=True, says=str(places.home)),
        Finding("configuration", "accounts", is_well=True, says=f"{len(known)} in {known.path}"),
    ]
    unset = False
    for account in known:
        try:
            account.secrets()
        except ConfigurationError as fault:
            unset = True
            findings.append(Finding(account.key, "credentials", is_well=False, says=str(fault)))
            continue
        findings.append(Finding(account.key, "credentials", is_well=True, says="variables set"))
        findings.extend(_reach(places, account))
    _print(findings)
    if unset:
        return 2
    return 0 if all(each.is_well for each in findings) else 1


def _reach(places: Places, account: Account) -> Iterator[Finding]:
    """Whether the API answers these credentials, and what time it says it is."""
    allowed = account.settings.requests_per_minute or source(account.source).requests_per_minute
    budget = Budget(places.budgets, account.budget_key, allowed)
    try:
        with Api(account, source(account.source), budget=budget) as api:
            asked = datetime.now(UTC)
            reply = source(account.source).probe(api)
    except OrderloomError as fault:
        yield Finding(account.key, "reachability", is_well=False, says=str(fault))
        return
    answered = (reply.fetched_at - asked).total_seconds()
    yield Finding(account.key, "reachability", is_well=True, says=f"answered in {answered:.2f} s")
    yield _clock(account, reply)


def _clock(account: Account, reply: Reply) -> Finding:
    if reply.server_time is None:
        return Finding(account.key, "clock", is_well=True, says="the API does not tell its time")
    skew = reply.fetched_at - reply.server_time
    if abs(skew) <= SKEW:
        return Finding(account.key, "clock", is_well=True, says="agrees with ours")
    told = timedelta(seconds=round(abs(skew).total_seconds()))
    side = "behind" if skew > timedelta(0) else "ahead of"
    return Finding(
        account.key,
        "clock",
        is_well=True,
        says=f"the API's is {told} {side} ours; cursors follow the API's. The sandbox's is meant "
        "to differ; with a real API, check this machine's clock",
        is_odd=True,
    )


def _print(findings: list[Finding]) -> None:
    rows = [(each.about, each.check, _verdict(each), each.says) for each in findings]
    console.table("", ("about", "check", "finding", "says"), rows)


def _verdict(finding: Finding) -> str:
    if not finding.is_well:
        return "NOT WELL"
    return "look" if finding.is_odd else "well"
