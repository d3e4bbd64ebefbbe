"""Pushing: published orders are sent outward, each at most once, and what was accepted is landed.

Belongs here: the order of intent, request, outcome and landing. Does not belong here: choosing
orders (`assets/push_choice.py`), the request (the source), the states
(`resources/registrations.py`), normalising, publishing, Dagster.

The intent is on the disk before the request is sent; what a crash or a lost reply leaves behind is
uncertain, and stays so until a person decides.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from assets.known import Landed
from assets.landing import Landing
from assets.persons import EMAIL, normal_email
from assets.push_choice import Choice, Chosen
from assets.sources import source as source_of
from assets.sources.base import Outcome, Outgoing, Record
from assets.sources.feedback_company_rule import PushRule
from assets.sources.feedback_company_send import ORDERS
from resources import registrations as states
from resources.accounts import Account, Accounts
from resources.api import Api, Progress
from resources.budget import Budget
from resources.erasures import EVERYWHERE, ORDER
from resources.errors import ApiError, ConfigurationError, LedgerError
from resources.lake import Lake
from resources.leases import Lease, LeaseHeld
from resources.ledger import Ledger
from resources.places import Places
from resources.registrations import Registration
from resources.warehouse import open_marts

PUSH = "push"
"""The way outward, the kind of run, and the purpose of the lease."""
REFUSED_IN_A_ROW = 5
"""So many refusals one after the other end a push: it is not the single orders that are wrong."""
LANDED_AT_ONCE = 500

_TAKEN = {
    states.ACCEPTED: "registered already",
    states.REFUSED: "refused before",
    states.INTENDED: "being sent",
    states.UNCERTAIN: "uncertain: waits for a decision",
}
_OUTCOMES = {
    "accepted": states.ACCEPTED,
    "refused": states.REFUSED,
    "uncertain": states.UNCERTAIN,
    "unsent": states.RELEASED,
}
_EMAILS = "$.customer.email"


@dataclass
class Push:
    """One push of one account, while it goes and when it is done."""

    account: Account
    run_id: str
    counts: Counter[str] = field(default_factory=Counter)
    """State -> orders of this push."""
    requests: int = 0
    least_requests: int = 0
    waited_seconds: float = 0.0
    landed: int = 0
    """Accepted orders landed, those of earlier pushes included."""
    unfit: int = 0
    """Orders that satisfy the rule but lack what the API requires."""

    def numbers(self) -> dict[str, float]:
        """What the run history keeps."""
        return {
            "requests": self.requests,
            "least_requests": self.least_requests,
            "waited_seconds": self.waited_seconds,
            "new": self.counts[states.ACCEPTED],
            "quarantined": self.unfit,
        }


@dataclass
class Plan:
    """What a push would send."""

    chosen: list[Chosen]
    """What satisfies the rule: to be sent, or not as the API wants it."""
    skipped: Mapping[str, int]
    """Reason -> other orders of the rule's accounts."""


@dataclass(frozen=True)
class Pusher:
    """Pushes from the marts of one home."""

    places: Places
    lake: Lake
    ledger: Ledger
    accounts: Accounts
    asking: Callable[[Progress], None] | None = None
    """Told of every request and every wait."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def plan(self, account: Account) -> Plan:
        """What a push would send now. Asks nothing and changes nothing."""
        self._rule(account)
        with self._choice(account) as choice:
            chosen = list(self._chosen(choice))
            return Plan(chosen, choice.skipped)

    def push(self, account: Account, run_id: str, limit: int | None = None) -> Push:
        """Land what earlier pushes left, then send at most `limit` orders and land them.

        Exclusive per account: raises LeaseHeld. Ends at the first order in doubt, and at anything
        that speaks against sending more, with that error; what was accepted is landed before.
        """
        self._rule(account)
        push = Push(account, run_id)
        with self.ledger.lease(account.key, PUSH) as lease:
            self.ledger.start_run(account.key, PUSH, run_id=run_id)
            self.ledger.close_abandoned(account.key, PUSH, run_id)
            began = time.monotonic()
            try:
                self._push(push, lease, limit)
            except BaseException as fault:
                error = str(fault) if isinstance(fault, Exception) else "interrupted"
                self._finish(push, "failed", began, error or type(fault).__name__)
                raise
            self._finish(push, "succeeded", began, None)
        return push

    def settle(self, account: Account, run_id: str) -> int:
        """Land what was accepted and is not landed yet; how many that were."""
        landed = 0
        while found := self.ledger.registrations.unlanded(account.key, LANDED_AT_ONCE):
            landing = Landing(source_of(account.source), account, self.lake, self.ledger, run_id)
            try:
                landing.land([_record(each) for each in found])
            finally:
                landing.close()
            ids = [each.external_id for each in found]
            self.ledger.registrations.mark_landed(account.key, ids)
            landed += len(found)
        return landed

    def open_ones(self, account: Account) -> list[Registration]:
        """What is under way, or waits for a decision."""
        self._abandon(account)
        return self.ledger.registrations.unsettled(account.key)

    def decide(self, account: Account, external_id: str, decision: str) -> None:
        """Record a person's decision on one: accepted, refused or again.

        Raises LeaseHeld while a push is under way, LedgerError for one that is not to be decided.
        """
        state = {"again": states.RELEASED}.get(decision, decision)
        with self.ledger.lease(account.key, PUSH) as lease:
            self.ledger.registrations.doubt(lease, _DIED)
            if self.ledger.registrations.decide(lease, external_id, state, f"decided: {decision}"):
                return
        found = self.ledger.registrations.get(account.key, external_id)
        raise LedgerError(
            f"{external_id} is {found.state if found else 'not known'}: there is nothing to decide",
            account.key,
            f"see `orderloom push {account.key} --list`",
        )

    def _abandon(self, account: Account) -> None:
        """Call uncertain what dead runs left as intended, unless a push is under way."""
        try:
            with self.ledger.lease(account.key, PUSH) as lease:
                self.ledger.registrations.doubt(lease, _DIED)
        except LeaseHeld:
            return

    def _finish(self, push: Push, outcome: str, began: float, error: str | None) -> None:
        seconds = time.monotonic() - began
        self.ledger.finish_run(push.run_id, outcome, error=error, seconds=seconds, **push.numbers())

    def _push(self, push: Push, lease: Lease, limit: int | None) -> None:
        account = push.account
        self.ledger.registrations.doubt(lease, _DIED)
        push.landed += self.settle(account, push.run_id)
        if limit == 0:
            return
        try:
            with self._choice(account) as choice, self._api(account) as api:
                try:
                    self._send(push, api, self._intended(push, choice, lease, limit))
                finally:
                    push.requests = api.requests
                    push.least_requests = api.least_requests
                    push.waited_seconds = api.waited
        finally:
            push.landed += self.settle(account, push.run_id)

    def _send(self, push: Push, api: Api, orders: Iterator[Outgoing]) -> None:
        """Send, and record each outcome before the next order is drawn."""
        refused = 0
        for outcome in source_of(push.account.source).push(api, orders):
            self._conclude(push, outcome)
            if outcome.state == "uncertain":
                raise ApiError(
                    f"{outcome.external_id} may be registered or not: {outcome.reason}",
                    push.account.key,
                    "look there whether it is, then say so with "
                    f"`orderloom push {push.account.key} --resolve ORDER accepted`, or refused",
                )
            if outcome.error is not None:
                raise outcome.error
            refused = refused + 1 if outcome.state == "refused" else 0
            if refused == REFUSED_IN_A_ROW:
                raise ApiError(
                    f"{refused} orders one after the other were refused, the last one: "
                    f"{outcome.reason}",
                    push.account.key,
                    f"see `orderloom push {push.account.key} --list`, and decide on these",
                )

    def _conclude(self, push: Push, outcome: Outcome) -> None:
        state = _OUTCOMES[outcome.state]
        push.counts[state] += 1
        self.ledger.registrations.conclude(
            push.account.key,
            outcome.external_id,
            push.run_id,
            state,
            reason=outcome.reason,
            response=outcome.response,
        )

    def _intended(
        self, push: Push, choice: Choice, lease: Lease, limit: int | None
    ) -> Iterator[Outgoing]:
        """The orders to send, each noted as intended when it is drawn."""
        sent = 0
        for chosen in self._chosen(choice):
            if chosen.outgoing is None:
                push.unfit += 1
                continue
            order = chosen.outgoing
            if limit is not None and sent >= limit:
                return
            if self.ledger.registrations.intend(
                order.external_id, order.order_key, order.body, push.run_id, lease
            ):
                sent += 1
                yield order

    def _chosen(self, choice: Choice) -> Iterator[Chosen]:
        """What satisfies the rule, what speaks against it in the ledger taken into account."""
        account = choice.account
        taken = self.ledger.registrations.taken(account.key)
        days = choice.rule.exclude_emails_seen_days
        seen = self._emails_seen(account, days) if days else set()
        for chosen in choice.orders({key: _TAKEN[state] for key, state in taken.items()}):
            if self._is_erased(chosen):
                choice.skipped["the customer was erased"] += 1
                continue
            email = (chosen.order.email or "").strip().lower()
            if chosen.outgoing is not None and days:
                if email in seen:
                    choice.skipped[f"customer invited within {days} days"] += 1
                    continue
                seen.add(email)
            yield chosen

    def _is_erased(self, chosen: Chosen) -> bool:
        """Whether the order is an erased person's: the marts may be older than the erasure."""
        erasures = self.ledger.erasures
        email = erasures.digest(EMAIL, EVERYWHERE, normal_email(chosen.order.email or ""))
        return erasures.counts(EMAIL, email) or erasures.counts(ORDER, chosen.order.order_key)

    def _emails_seen(self, account: Account, days: int) -> set[str]:
        """Who was sent an invitation, or may have been, in so many days."""
        recent = self.ledger.registrations.since(account.key, self.now() - timedelta(days=days))
        kept = [msgspec.json.decode(each.body) for each in recent if each.body is not None]
        emails = [each["customer"]["email"] for each in kept]
        landed = Landed(self.lake, account)
        try:
            ids = [each.external_id for each in recent if each.body is None]
            values = landed.values([f"$.registration{_EMAILS[1:]}"], ids).values()
            emails += [email for (email,) in values if email]
        finally:
            landed.close()
        return {email.strip().lower() for email in emails}

    @contextmanager
    def _choice(self, account: Account) -> Iterator[Choice]:
        today = self.now().astimezone(account.zone).date()
        with open_marts(self.places) as marts:
            yield Choice(source_of(account.source), account, marts, today)

    def _rule(self, account: Account) -> PushRule:
        """The account's rule. Raises ConfigurationError without one, or for unknown accounts."""
        where = f"{self.places.accounts}, table [{account.key}.push]"
        if PUSH not in source_of(account.source).ways:
            raise ConfigurationError(
                f"{source_of(account.source).title} takes no orders",
                account.key,
                "push to an account of feedback_company",
            )
        rule: PushRule | None = account.settings.push  # type: ignore[attr-defined]
        if rule is None:
            raise ConfigurationError("the account has no rule", where, "add it as README.md shows")
        for key in rule.from_accounts:
            others = [each for each in self.accounts.keys() if each != account.key]  # noqa: SIM118
            if key not in others:
                raise ConfigurationError(
                    f"there are no orders of {key} to push",
                    f"{where}, key from_accounts",
                    f"take some of {', '.join(others)}",
                )
        return rule

    def _api(self, account: Account) -> Api:
        source = source_of(account.source)
        allowed = account.settings.requests_per_minute or source.requests_per_minute
        budget = Budget(self.places.budgets, account.budget_key, allowed)
        return Api(account, source, budget=budget, progress=self.asking)


_DIED = "the run ended before the reply was known"


def _record(registration: Registration) -> Record:
    """What was accepted, as it is landed: the body as sent, and the reply where there was one."""
    assert registration.body is not None, "what is not landed still has its body"
    assert registration.known_at is not None, "what was accepted is known"
    parts = [f'"registration":{registration.body}']
    if registration.response is not None:
        parts.append(f'"response":{registration.response}')
    body = f"{{{','.join(parts)}}}".encode()
    return Record(registration.external_id, ORDERS, body, registration.known_at)
