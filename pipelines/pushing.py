"""`orderloom push`: which runs it starts, and what it shows.

Belongs here: what would be sent, what was, and what waits for a decision, as tables that name
nobody. Does not belong here: the work (`assets/push.py`), starting a run (`pipelines/running.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from assets.push import PUSH
from assets.push_choice import Chosen
from assets.workshop import Workshop
from pipelines import console
from pipelines.commands import exit_code, tell
from pipelines.running import Ran, Runner
from resources import registrations as states
from resources.accounts import Account

MOST_SHOWN = 50
"""Orders named one by one; of more, the number is told."""


def show_plan(key: str, limit: int | None) -> int:
    """Show what `--send` would send now, and why the other orders are left out."""
    workshop = Workshop()
    account = workshop.active(key)
    plan = workshop.pusher.plan(account)
    ready = [each for each in plan.chosen if each.outgoing is not None]
    _show_ready(ready[:limit])
    _show_unfit([each for each in plan.chosen if each.outgoing is None])
    _show_skipped(plan.skipped)
    sending = len(ready[:limit])
    console.out.print(f"{sending:,} of {len(ready):,} orders would be sent to {key}; none was.")
    if sending:
        console.out.print(f"Send them: orderloom push {key} --send", highlight=False)
    return 0


def send(key: str, limit: int | None) -> int:
    """Send, normalise what was accepted, publish."""
    with console.Watch() as watch:
        workshop = Workshop(asking=watch.asking)
        account = workshop.active(key)
        with Runner(workshop) as runner:
            watch.begin(f"pushing to {key}")
            ran = _push(runner, account, limit)
            counts = workshop.ledger.registrations.counts(key, ran[0].run_id)
            last = workshop.ledger.runs(limit=1, account=key, kind=PUSH)
            unfit = last[0]["quarantined"] if last else 0
            waiting = len(workshop.ledger.registrations.unsettled(key))
    tell(ran)
    said = ", ".join(f"{counts.get(each, 0):,} {each}" for each in _SHOWN)
    console.out.print(f"{key}: {said}")
    console.out.print(f"{unfit:,} not as the API wants it, {waiting:,} waiting for a decision")
    if waiting:
        console.complain(f"{key}: see `orderloom push {key} --list`, and decide")
    return max(exit_code(ran), int(any(counts.get(each) for each in _SHOWN[1:])))


def show_open(key: str) -> int:
    """Show what waits for a decision."""
    workshop = Workshop()
    account = workshop.active(key)
    found = workshop.pusher.open_ones(account)
    rows = [
        (each.external_id, each.state, f"{each.intended_at:%Y-%m-%d %H:%M:%S}", each.reason or "")
        for each in found
    ]
    if rows:
        console.table("", ("order", "state", "sent (UTC)", "reason"), rows)
        console.out.print(
            f"Look there which of them it has, then: orderloom push {key} --resolve ORDER accepted "
            "(it has it), refused (never send it) or again (send it again)",
            soft_wrap=True,
        )
    else:
        counts = workshop.ledger.registrations.counts(key)
        console.out.print(f"{key}: nothing waits for a decision")
        console.out.print(", ".join(f"{counts.get(each, 0):,} {each}" for each in _SHOWN))
    workshop.close()
    return 0


def resolve(key: str, external_id: str, decision: str) -> int:
    """Record a decision; what is decided to be accepted is landed and published."""
    workshop = Workshop()
    account = workshop.active(key)
    workshop.pusher.decide(account, external_id, decision)
    console.out.print(f"{external_id}: {decision}", soft_wrap=True)
    ran: list[Ran] = []
    if decision == states.ACCEPTED:
        with Runner(workshop) as runner:
            ran = _push(runner, account, limit=0)
    tell(ran)
    workshop.close()
    return exit_code(ran)


_SHOWN = (states.ACCEPTED, states.REFUSED, states.UNCERTAIN)


def _push(runner: Runner, account: Account, limit: int | None) -> list[Ran]:
    return [runner.push(account, limit), runner.normalise(account), runner.publish()]


def _show_ready(ready: list[Chosen]) -> None:
    rows = [
        (
            each.order.order_key,
            each.order.order_number,
            f"{each.order.placed_on:%Y-%m-%d}",
            masked(each.order.email or ""),
            len(each.order.products),
            "; ".join(each.outgoing.notes) if each.outgoing else "",
        )
        for each in islice(ready, MOST_SHOWN)
    ]
    if rows:
        columns = ("order", "number", "placed", "customer", "rows", "note")
        console.table("Would be sent", columns, rows)
        _say_how_many_more(len(ready))


def _show_unfit(unfit: list[Chosen]) -> None:
    rows = [(each.order.order_key, each.reason) for each in islice(unfit, MOST_SHOWN)]
    if rows:
        console.table("Not as the API wants it", ("order", "reason"), rows)
        _say_how_many_more(len(unfit))


def _show_skipped(skipped: Mapping[str, int]) -> None:
    rows = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    if rows:
        console.table("Left out", ("reason", "orders"), rows)


def _say_how_many_more(count: int) -> None:
    if count > MOST_SHOWN:
        console.out.print(f"... and {count - MOST_SHOWN:,} more")


def masked(email: str) -> str:
    """An e-mail address as an operator may see it: `j***@example.com`."""
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}***{at}{domain}"
