"""The commands that do work: sync, backfill, sweep, replay, rebuild, compact.

Belongs here: which runs a command starts, and its exit code. Does not belong here: starting a run
(`pipelines/running.py`), printing (`pipelines/console.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from assets.holding_back import accepted
from assets.pull import require_history
from assets.sweeping import can_sweep, require_sweep
from assets.telling_marts import HELD_BACK
from assets.workshop import Workshop
from pipelines import console
from pipelines.maintenance import COMPACT, REPLAY
from pipelines.running import Ran, Runner
from pipelines.summary import Synced, print_sweeps, print_syncs
from resources.accounts import Account
from resources.errors import ConfigurationError


def sync(keys: Sequence[str]) -> int:
    """Pull the accounts one after the other, then publish. One's failure stops no other."""
    with console.Watch() as watch:
        workshop = Workshop(asking=watch.asking, landed=watch.landed)
        accounts = chosen(workshop, keys)
        with Runner(workshop) as runner:
            synced, published = sync_accounts(runner, accounts, watch)
    print_syncs(workshop, synced)
    return exit_code([*(each.ran for each in synced), published])


def sync_accounts(
    runner: Runner, accounts: Sequence[Account], watch: console.Watch
) -> tuple[list[Synced], Ran]:
    """Pull each account and publish; problems are told as they happen."""
    synced = []
    for account in accounts:
        watch.begin(account.key)
        ran = runner.sync(account)
        if ran.problem:
            console.complain(f"{account.key}: {ran.problem}")
        if warnings := ran.metadata.get("changes", {}).get("warnings"):
            console.complain(f"{account.key}: warning: {warnings}")
        synced.append(Synced(account.key, ran))
    watch.begin("publishing")
    published = runner.publish()
    tell([published])
    return synced, published


def backfill(key: str, first: date, last: date) -> int:
    """Pull one account's days, normalise, publish."""
    if last < first:
        raise ConfigurationError(
            f"--to {last} lies before --from {first}", "orderloom backfill", "swap them"
        )
    with console.Watch() as watch:
        workshop = Workshop(asking=watch.asking, landed=watch.landed)
        account = workshop.active(key)
        require_history(account)
        with Runner(workshop) as runner:
            watch.begin(f"{key} {first} to {last}")
            ran = [runner.backfill(account, first, last)]
            ran.append(runner.normalise(account))
            watch.begin("publishing")
            ran.append(runner.publish())
    tell(ran)
    said = ran[0].metadata.get("history", {})
    if said:
        console.out.print(
            f"{key}: {said['received']:,} received, {said['new']:,} new, {said['changed']:,} "
            f"changed, {said['unchanged']:,} unchanged, {said['requests']:,} requests"
        )
    return exit_code(ran)


def sweep(keys: Sequence[str], *, accept_mass_deletion: bool = False) -> int:
    """Sweep the accounts one after the other, then publish. One's failure stops no other."""
    with console.Watch() as watch:
        workshop = Workshop(asking=watch.asking, landed=watch.landed)
        accounts = sweepable(workshop, keys)
        swept, rest = [], []
        with Runner(workshop) as runner:
            for account in accounts:
                watch.begin(account.key)
                ran = runner.sweep(account, accept_mass_deletion=accept_mass_deletion)
                if ran.problem:
                    console.complain(f"{account.key}: {ran.problem}")
                else:
                    rest.append(runner.normalise(account))
                swept.append(Synced(account.key, ran))
            watch.begin("publishing")
            rest.append(runner.publish())
            tell(rest)
    print_sweeps(swept)
    return exit_code([*(each.ran for each in swept), *rest])


def sweepable(workshop: Workshop, keys: Sequence[str]) -> list[Account]:
    """The accounts named, or all that can be swept. Raises ConfigurationError for any other."""
    found = chosen(workshop, keys)
    if not keys:
        found = [each for each in found if can_sweep(each)] or found
    for account in found:
        require_sweep(account)
    return found


def replay(keys: Sequence[str]) -> int:
    """Normalise the accounts afresh, and publish."""
    workshop = Workshop()
    accounts = [each.key for each in chosen(workshop, keys)]
    with Runner(workshop) as runner:
        ran = [runner.maintain(REPLAY, accounts), runner.publish(rebuild=True)]
    tell(ran)
    return exit_code(ran)


def rebuild(*, accept_unlike_before: Sequence[str] = ()) -> int:
    """Build the marts afresh; the accounts named may be unlike before.

    Raises ConfigurationError for an account that is not known.
    """
    workshop = Workshop()
    accepted(workshop, accept_unlike_before)
    with Runner(workshop) as runner:
        ran = [runner.publish(rebuild=True, accept_unlike_before=accept_unlike_before)]
    tell(ran)
    return exit_code(ran)


def compact() -> int:
    """Compact the lake."""
    with Runner(Workshop()) as runner:
        ran = [runner.maintain(COMPACT)]
    tell(ran)
    return exit_code(ran)


def chosen(workshop: Workshop, keys: Sequence[str]) -> list[Account]:
    """The accounts named, or all that are not paused. Raises ConfigurationError for none."""
    if keys:
        return [workshop.active(key) for key in dict.fromkeys(keys)]
    found = [each for each in workshop.accounts if not each.settings.paused]
    if not found:
        raise ConfigurationError(
            "no account to work on",
            where=str(workshop.places.accounts),
            remedy="add one, or set paused = false",
        )
    return found


def tell(ran: Sequence[Ran]) -> None:
    """Complain of what went wrong in these runs."""
    for each in ran:
        if problem := each.problem or _held_back(each):
            console.complain(problem)


def _held_back(ran: Ran) -> str | None:
    """What a publication says of accounts whose new versions it left out."""
    return next((said[HELD_BACK] for said in ran.metadata.values() if HELD_BACK in said), None)


def exit_code(ran: Sequence[Ran]) -> int:
    """0 where all of these runs did all of their work, else 1."""
    return 0 if all(each.success and not _held_back(each) for each in ran) else 1
