"""What happens to a Brightpearl order during its life.

Belongs here: the dated steps of a sale, a credit, a purchase and a marketplace order.
Does not belong here: what an order holds, and how it is worded.

Online Retail II has one stamp an invoice, so its later steps are invented; Olist's steps are at
its own stamps, and only what has no stamp there is invented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.orders import Dice
from sandbox.world import Body


@dataclass(frozen=True)
class Step:
    """A moment (UTC) and the fields of State that change at it, or the order's deletion."""

    at: datetime
    changes: Body = field(default_factory=dict)
    deletes: bool = False


def step(at: datetime, **changes: Any) -> Step:
    """A step that changes something."""
    return Step(at, changes)


def sale_steps(created: datetime, dice: Dice, *, stocked: bool, on_account: bool) -> list[Step]:
    """A shop sale: paid, allocated, shipped and invoiced, or cancelled, or left as it is."""
    if dice.one_in("untouched", 20):
        return []
    if dice.one_in("cancelled", 30):
        return cancelled_steps(created, dice)
    steps: list[Step] = []
    at = created
    if stocked:
        at = allocate(steps, at, dice)
        at = ship(steps, at, dice)
    at += dice.delay("invoice", 0.1, 6)
    steps.append(step(at, status=4, invoiced_at=at, closed_at=at))
    return steps + payment_steps(created, at, dice, on_account=on_account)


def cancelled_steps(created: datetime, dice: Dice) -> list[Step]:
    """Cancelled within a day or so; half of them are deleted some days later."""
    at = created + dice.delay("cancel", 2, 30)
    steps = [step(at, status=27, closed_at=at)]
    if dice.one_in("deleted", 2):
        steps.append(Step(at + dice.delay("delete", 20, 150), deletes=True))
    return steps


def allocate(steps: list[Step], at: datetime, dice: Dice) -> datetime:
    """Stock is set aside, for some orders in two parts."""
    at += dice.delay("allocate", 1, 20)
    if dice.one_in("part allocated", 8):
        steps.append(step(at, allocation="APA"))
        at += dice.delay("rest allocated", 12, 60)
    steps.append(step(at, allocation="AAA", status=20))
    return at


def ship(steps: list[Step], at: datetime, dice: Dice) -> datetime:
    """Goods leave, for some orders in two parts; then the number of boxes is known."""
    at += dice.delay("ship", 4, 48)
    if dice.one_in("part shipped", 10):
        steps.append(step(at, shipping="SPS", fulfilled="P", status=22))
        at += dice.delay("rest shipped", 24, 96)
    changes: Body = {"shipping": "ASS", "fulfilled": "A", "status": 23}
    if dice.one_in("boxes", 3):
        carrier = {"id": 7, "value": "Parcel post"}
        changes["custom"] = {"PCF_BOXES": 1 + dice.draw("box", 6), "PCF_CARRIER": carrier}
    steps.append(step(at, **changes))
    return at


def payment_steps(
    created: datetime, invoiced: datetime, dice: Dice, *, on_account: bool
) -> list[Step]:
    """Paid at once, on shipping by card, or on account weeks later; some are never paid."""
    if not on_account:
        return [step(invoiced - timedelta(seconds=40), payment="PAID")]
    if dice.one_in("prepaid", 3):
        return [step(created + dice.delay("prepay", 0.05, 1), payment="PAID")]
    if dice.one_in("never paid", 15):
        return []
    at = created + dice.delay("pay", 60, 600)
    if dice.one_in("part paid", 8):
        rest = step(at + dice.delay("pay rest", 24, 240), payment="PAID")
        return [step(at, payment="PARTIALLY_PAID"), rest]
    return [step(at, payment="PAID")]


def credit_steps(created: datetime, dice: Dice) -> list[Step]:
    """A sales credit: goods back, money back; every sixth is left as it is."""
    if dice.one_in("untouched", 6):
        return []
    back = created + dice.delay("return", 12, 96)
    paid = back + dice.delay("refund", 1, 48)
    return [
        step(back, fulfilled="A", shipping="ASS"),
        step(paid, payment="PAID", invoiced_at=paid, closed_at=paid),
    ]


def purchase_steps(created: datetime, dice: Dice) -> list[Step]:
    """A purchase order: sent, received (some in two parts), invoiced and paid."""
    sent = created + dice.delay("send", 0.2, 4)
    at = sent + dice.delay("receive", 72, 300)
    steps = [step(sent, status=7)]
    if dice.one_in("part received", 4):
        steps.append(step(at, status=8, fulfilled="P", shipping="SPS"))
        at += dice.delay("rest received", 24, 120)
    steps.append(step(at, status=9, fulfilled="A", shipping="ASS", closed_at=at))
    billed = at + dice.delay("billed", 6, 72)
    steps.append(step(billed, invoiced_at=billed))
    steps.append(step(billed + dice.delay("pay", 48, 500), payment="PAID"))
    return steps


def market_steps(row: Body, stamps: dict[str, datetime], dice: Dice) -> list[Step]:
    """An Olist order: approved, handed over and delivered at its own stamps."""
    steps = market_payments(row, stamps, dice)
    if approved := stamps.get("approved"):
        steps.append(step(approved, status=21))
        packed = approved + dice.delay("pack", 0.5, 5)
        if row["status"] in ("processing", "delivered") and dice.one_in("packed", 3):
            steps.append(step(packed, status=26, allocation="AAA"))
        if row["status"] == "invoiced":
            steps.append(step(packed, status=4, invoiced_at=packed))
    if at := stamps.get("handed_over"):
        billed = at - timedelta(seconds=20)
        steps.append(step(billed, allocation="AAA", invoiced_at=billed))
        steps.append(step(at, shipping="ASS", fulfilled="A", status=23))
    if at := stamps.get("delivered"):
        steps.append(step(at, status=24, closed_at=at))
    return steps + market_ending(row["status"], max(stamps.values()), dice)


def market_payments(row: Body, stamps: dict[str, datetime], dice: Dice) -> list[Step]:
    """Paid when approved; of several payments the first comes first; less than due is part paid."""
    approved = stamps.get("approved")
    steps = []
    if len(row["payments"]) > 1:
        first = stamps["purchased"] + dice.delay("first payment", 0.02, 0.1)
        steps.append(step(first, payment="PARTIALLY_PAID"))
    if approved:
        due = sum(item["price"] + item["freight"] for item in row["items"] or [])
        paid = sum(payment["value"] for payment in row["payments"])
        steps.append(step(approved, payment="PAID" if paid >= due else "PARTIALLY_PAID"))
    return steps


def market_ending(status: str, last: datetime, dice: Dice) -> list[Step]:
    """Cancellation and unavailability, which Olist does not date."""
    at = last + dice.delay("ending", 3, 60)
    if status == "canceled":
        return [step(at, status=27, closed_at=at)]
    if status == "unavailable":
        return [step(at, status=28, closed_at=at)]
    return []
