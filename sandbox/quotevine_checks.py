"""What Quotevine refuses in an order that is sent to it.

Belongs here: the allowed values and types of the Orders Object page, and the names that an
attribute can also be passed as. Does not belong here: which attributes are mandatory, and replies.
"""

from __future__ import annotations

from datetime import date, datetime

from sandbox.quotevine_orders import ALIASES, DOCUMENT_FIELDS, ORDER_STATUSES
from sandbox.world import Body

CHOICES: dict[str, tuple[object, ...]] = {
    "order_status": tuple(ORDER_STATUSES),
    "delivery_method": ("Transporter", "Delivery Driver", "Customer Collection"),
    "new_used": ("New", "NEW", "Used", "USED", "Pre-reg"),
    "delivery_slot": ("AM", "PM"),
    "vehicle_registree": ("Customer", "Funder", "Your Organisation"),
    "update_frequency_days": (0, 1, 3, 7, 14, 21, 30),
}
NUMBERS = ("proposal_id", "dealer_id", "dealer_contact_id", "paint_option_code",
           "trim_option_code", "update_frequency_days")  # fmt: skip
DATES = ("order_date", "int_target_delivery_date", "confirmed_delivery_date", "cooling_off_date",
         "cancellation_date", "first_registration_date", "profit_date")  # fmt: skip


def renamed(changes: Body, body: Body) -> Body:
    """Changes under the names that the order itself uses; else under the documented ones."""
    used = {ALIASES[name]: name for name in body if name in ALIASES}
    plain = {ALIASES.get(name, name): value for name, value in changes.items()}
    return {used.get(name, name): value for name, value in plain.items()}


def documented(sent: Body) -> Body:
    """The documented attributes of what was sent; anything else has no effect."""
    return {name: value for name, value in renamed(sent, {}).items() if name in DOCUMENT_FIELDS}


def refusals(fields: Body) -> list[str]:
    """Why an order would be refused, one line per attribute; empty if it would not."""
    given = {name: value for name, value in fields.items() if value is not None}
    checked = ((name, complaint(name, value)) for name, value in given.items())
    return [f"{name} {why}" for name, why in checked if why]


def complaint(name: str, value: object) -> str | None:
    """What is wrong with one attribute's value, or None."""
    if name in NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
        return "must be a number"
    if name not in NUMBERS and not isinstance(value, str):
        return "must be a string"
    if name in CHOICES and value not in CHOICES[name]:
        return f"must be one of {', '.join(map(str, CHOICES[name]))}"
    if name in DATES and not is_date(value):
        return "must be a date"
    if name == "last_customer_update" and not is_datetime(value):
        return "must be a datetime"
    return None


def is_date(value: object) -> bool:
    """Whether a value is written like `2022-08-05`."""
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def is_datetime(value: object) -> bool:
    """Whether a value is written like `2022-08-05 11:06:13`."""
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True
