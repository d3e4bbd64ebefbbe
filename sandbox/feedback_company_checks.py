"""What the Feedback Company refuses in an order that is registered with it.

Belongs here: the properties, limits and units of the Orders page, and when an invitation is sent.
Does not belong here: whether an external_id is taken, and replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.world import Body

EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
URL = re.compile(r"https?://[^\s/]+\S*")
GTIN = re.compile(r"\d{13}")
"""Thirteen digits; the check digit is not looked at, since the page's own example has a wrong one
(0075678164124, where 5 is due)."""
ANYTHING = re.compile(r"(?s).+")
UNITS = ("minutes", "hours", "days", "weekdays")
REMINDER_GAP = timedelta(hours=24)

PRODUCT = (
    ("external_id", ANYTHING, 250, True),
    ("name", ANYTHING, 250, True),
    ("url", URL, 2000, True),
    ("sku", ANYTHING, 250, False),
    ("gtin", GTIN, 13, False),
    ("image_url", URL, 2000, False),
)
"""Property, form, longest length, required."""


def complaints(order: Body, now: datetime) -> dict[str, str]:
    """What is wrong with an order sent at a moment: property -> why; empty if nothing is."""
    found = dict(_text("external_id", order.get("external_id"), ANYTHING, 250, required=True))
    found |= _text("filtercode", order.get("filtercode"), ANYTHING, 250, required=False)
    found |= _customer(order.get("customer"))
    found |= _invitation(order.get("invitation"), now)
    found |= _products(order.get("products"))
    return found


def send_times(invitation: Body, now: datetime) -> tuple[datetime, datetime | None]:
    """When an invitation and its reminder go out. Both are counted from the registration."""
    reminder = invitation.get("reminder")
    return after(now, invitation["delay"]), after(now, reminder) if reminder else None


def after(moment: datetime, delay: Body) -> datetime:
    """A moment some minutes, hours, days or weekdays (Monday to Friday) later."""
    unit, amount = delay["unit"], delay["amount"]
    if unit != "weekdays":
        return moment + timedelta(**{unit: amount})
    if amount and moment.weekday() > 4:
        moment -= timedelta(days=moment.weekday() - 4)
    weeks, days = divmod(amount, 5)
    over_weekend = moment.weekday() + days > 4
    return moment + timedelta(weeks=weeks, days=days + (2 if over_weekend and days else 0))


def _text(
    name: str, value: object, form: re.Pattern[str], longest: int, *, required: bool
) -> Iterator[tuple[str, str]]:
    if value is None:
        if required:
            yield name, "is required"
    elif not isinstance(value, str) or len(value) > longest or not form.fullmatch(value):
        yield name, f"is not valid, or longer than {longest} characters"


def _customer(customer: object) -> dict[str, str]:
    if not isinstance(customer, dict):
        return {"customer": "is required"}
    found = dict(_text("customer.email", customer.get("email"), EMAIL, 250, required=True))
    fullname = customer.get("fullname")
    return found | dict(_text("customer.fullname", fullname, ANYTHING, 250, required=False))


def _invitation(invitation: object, now: datetime) -> dict[str, str]:
    if invitation is None:
        return {}
    if not isinstance(invitation, dict):
        return {"invitation": "must be an object"}
    found = {}
    if not _is_delay(invitation.get("delay")):
        found["invitation.delay"] = "must be a unit and a non-negative amount"
    if invitation.get("reminder") is not None and not _is_delay(invitation["reminder"]):
        found["invitation.reminder"] = "must be a unit and a non-negative amount"
    if not found:
        sent, reminded = send_times(invitation, now)
        if reminded is not None and reminded - sent < REMINDER_GAP:
            found["invitation.reminder"] = "must be at least 24 hours after the delay"
    return found


def _is_delay(delay: object) -> bool:
    if not isinstance(delay, dict) or delay.get("unit") not in UNITS:
        return False
    amount = delay.get("amount")
    return isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= 10**6


def _products(products: object) -> dict[str, str]:
    if products is None:
        return {}
    if not isinstance(products, list):
        return {"products": "must be an array"}
    found: dict[str, str] = {}
    for place, product in enumerate(products):
        if not isinstance(product, dict):
            found[f"products[{place}]"] = "must be an object"
            continue
        for name, form, longest, required in PRODUCT:
            path = f"products[{place}].{name}"
            found |= _text(path, product.get(name), form, longest, required=required)
    return found
