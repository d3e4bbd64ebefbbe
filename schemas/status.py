"""The canonical codes of every dimension, and the source codes that lead to them.

Belongs here: code lists. Does not belong here: an account's own map (accounts.toml), and the rules
that look at more than one field (the mappings in `assets/sources/NAME.sql`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

UNKNOWN = "unknown"
NOT_APPLICABLE = "not_applicable"

_CODES: dict[str, dict[str, str]] = {
    "order_type": {
        "sales_order": "goods sold",
        "sales_credit": "goods sold, given back or credited: counts negative",
        "purchase_order": "goods bought",
        "purchase_credit": "goods bought, credited by the supplier: counts negative",
        "service_order": "services ordered",
        "lease_order": "a vehicle ordered on lease",
        "review_registration": "an order registered for a review invitation: never revenue",
    },
    "order_status": {
        "draft": "not yet an order: a quote or an abandoned checkout",
        "open": "placed, nothing done yet",
        "processing": "being worked on",
        "ready_for_pickup": "waiting for the customer to collect it",
        "in_transit": "on its way",
        "completed": "done",
        "cancelled": "called off",
        "returned": "sent back",
        "problem": "needs somebody's attention",
    },
    "payment_status": {
        "paid": "paid in full",
        "partially_paid": "some money received",
        "unpaid": "no money received",
        "authorized": "promised by the card issuer, not received",
        "failed": "a payment was tried and failed",
        "voided": "a promise that was withdrawn",
        "refunded": "paid back in full",
        "partially_refunded": "paid back in part",
    },
    "shipping_status": {
        "not_shipped": "nothing sent",
        "scheduled": "a delivery date is confirmed",
        "partially_shipped": "some of it sent",
        "shipped": "all of it sent",
        "delivered": "arrived",
        "cancelled": "will not be sent",
    },
    "allocation_status": {
        "not_allocated": "no stock set aside",
        "partially_allocated": "stock set aside for some of it",
        "allocated": "stock set aside for all of it",
    },
    "fulfilment_status": {
        "none": "nothing fulfilled",
        "partial": "some of it fulfilled",
        "all": "all of it fulfilled",
    },
    "fulfilment_method": {
        "delivery": "brought to the customer",
        "collection": "collected by the customer",
        "transporter": "brought on a transporter",
        "delivery_driver": "driven to the customer",
    },
    "invitation_status": {
        "none": "no review invitation asked for",
        "scheduled": "invitation waiting for its moment",
        "sent": "invitation sent",
        "reminder_sent": "invitation and reminder sent",
    },
}

_ALWAYS = {
    UNKNOWN: "applies, but the source is silent or its code has no meaning known here",
    NOT_APPLICABLE: "does not apply to this order",
}

MEANINGS: dict[str, dict[str, str]] = {name: codes | _ALWAYS for name, codes in _CODES.items()}
"""Dimension -> canonical code -> what it means."""

DIMENSIONS: dict[str, frozenset[str]] = {name: frozenset(m) for name, m in MEANINGS.items()}
"""Dimension -> its canonical codes, `unknown` and `not_applicable` among them."""

HISTORY_DIMENSIONS: dict[str, str] = {
    "order_status": "source_status_code",
    "payment_status": "source_payment_status_code",
    "shipping_status": "source_shipping_status_code",
    "allocation_status": "source_allocation_status_code",
    "fulfilment_status": "source_fulfilment_status_code",
    "invitation_status": "source_invitation_status_code",
}
"""Dimensions whose changes are kept, and the column of the source's own code of each."""


@dataclass(frozen=True)
class StatusCode:
    """One source code of one dimension and the canonical code that it means."""

    dimension: str
    source: str
    source_code: str
    canonical_code: str
    basis: str
    label: str
    """The name that the source's stock installation gives the code, where that name is known."""


@cache
def status_codes() -> tuple[StatusCode, ...]:
    """Every line of `status_codes.csv`."""
    text = files("schemas").joinpath("status_codes.csv").read_text(encoding="utf-8")
    return tuple(StatusCode(**line) for line in csv.DictReader(text.splitlines()))
