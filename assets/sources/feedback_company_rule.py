"""Feedback Company: which orders are registered for a review invitation, and how.

Belongs here: the table [feedback_company.NAME.push] of accounts.toml, key by key. Does not belong
here: choosing the orders (`assets/push_choice.py`), and what the API takes
(`feedback_company_order.py`).
Source of the limits: API for Developers: Orders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from resources.settings import NAME
from schemas.status import DIMENSIONS

UNITS = ("minutes", "hours", "days", "weekdays")
MOST = 250
"""Characters of an external_id, e-mail address, name, sku or filtercode."""
LEAST_GAP = timedelta(hours=24)
"""From the invitation to its reminder."""
PLACEHOLDERS = ("product_id", "sku", "gtin")
SOLD = ("sales_order", "service_order", "lease_order")
"""Order types that may be registered."""
NEVER = ("cancelled", "returned", "draft")
"""Order statuses that are never registered."""

_WAIT = re.compile(rf"(\d{{1,6}}) ({'|'.join(UNITS)})")


class Wait(BaseModel):
    """How long after the registration; written `"7 days"` in accounts.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str
    amount: int

    @property
    def shortest(self) -> timedelta:
        """The least time that it can be."""
        return timedelta(**{"days" if self.unit == "weekdays" else self.unit: self.amount})

    @property
    def longest(self) -> timedelta:
        """The most: weekdays with the weekends that may lie between them."""
        if self.unit != "weekdays":
            return self.shortest
        return timedelta(days=self.amount + 2 * max(1, -(-self.amount // 5)))

    def least_until(self, later: Wait) -> timedelta:
        """The least time from this to a later one, whenever both are counted from."""
        if self.unit == later.unit == "weekdays":
            return later.shortest - self.shortest
        return later.shortest - self.longest


def _wait(value: object) -> object:
    if isinstance(value, Wait):
        return value
    found = _WAIT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            "wait", 'is no time to wait: write e.g. "7 days", in ' + ", ".join(UNITS)
        )
    return Wait(unit=found[2], amount=int(found[1]))


def _among(known: Iterable[str]) -> AfterValidator:
    allowed = sorted(known)

    def check(code: str) -> str:
        if code not in allowed:
            raise PydanticCustomError(
                "code", "is none of the codes: take some of {codes}", {"codes": ", ".join(allowed)}
            )
        return code

    return AfterValidator(check)


def _template(text: str) -> str:
    plain = re.sub(rf"\{{({'|'.join(PLACEHOLDERS)})\}}", "x", text)
    if not re.fullmatch(r"https?://[^\s/{}?#]+[^\s{}]*", plain) or plain == text:
        names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise PydanticCustomError(
            "template",
            "is no template of a URL: write e.g. {example}, with one of {names}",
            {"names": names, "example": "https://shop.example/p/{sku}"},
        )
    return text


_Text = Annotated[str, Strict()]
_Wait = Annotated[Wait, BeforeValidator(_wait)]
_Days = Annotated[int, Strict(), Field(gt=0, le=3650)]
_AccountKey = Annotated[_Text, StringConstraints(pattern=rf"^{NAME}\.{NAME}$")]


class PushRule(BaseModel):
    """The rule of one account: an order must satisfy all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_accounts: Annotated[list[_AccountKey], Field(min_length=1)]
    """Whose orders, written like `brightpearl.acme`."""
    order_types: Annotated[list[Annotated[_Text, _among(SOLD)]], Field(min_length=1)] = [
        "sales_order"
    ]
    shipping_statuses: Annotated[
        list[
            Annotated[_Text, _among(DIMENSIONS["shipping_status"] - {"cancelled", "not_shipped"})]
        ],
        Field(min_length=1),
    ] = ["delivered"]
    """Canonical codes of which an order has one."""
    order_statuses: list[Annotated[_Text, _among(DIMENSIONS["order_status"] - set(NEVER))]] = []
    """Likewise; empty: any but cancelled, returned and draft, which are never registered."""
    placed_after: Annotated[date, Strict()] | None = None
    """Civil date; orders placed on it or before it are left out."""
    max_age_days: _Days = 30
    """Orders placed longer ago are left out."""
    delay: _Wait
    """From the registration to the invitation."""
    reminder: _Wait | None = None
    """From the registration to the reminder: at least 24 hours after the invitation."""
    filtercode: Annotated[_Text, StringConstraints(min_length=1, max_length=MOST)] | None = None
    with_products: Annotated[bool, Strict()] = True
    """Whether the products are named, so that they can be reviewed, too."""
    exclude_products: list[_Text] = []
    """Ids or skus of what is sold but not reviewed, such as freight."""
    product_url: Annotated[_Text, AfterValidator(_template)] | None = None
    """The page of a product whose order row has no URL of its own."""
    exclude_emails_seen_days: _Days | None = None
    """Nobody is invited who was, by us, in so many days; None: once an order."""

    @model_validator(mode="after")
    def _reminder_is_late_enough(self) -> Self:
        if self.reminder is None or self.delay.least_until(self.reminder) >= LEAST_GAP:
            return self
        raise PydanticCustomError(
            "reminder",
            "may send its reminder within 24 hours of the invitation: raise reminder (both count "
            "from the registration; weekdays may span weekends)",
        )

    @property
    def horizon(self) -> timedelta:
        """How long after a registration its invitation may still change."""
        return max(self.delay.longest, self.reminder.longest if self.reminder else timedelta())
