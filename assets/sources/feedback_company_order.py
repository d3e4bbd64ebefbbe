"""Feedback Company: the order as its API takes it.

Belongs here: the properties of an order and their limits. Does not belong here: which orders are
chosen (`assets/push_choice.py`), sending (`feedback_company.py`).
Source: API for Developers: Orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from assets.sources.base import Outgoing, PublishedOrder, Unfit
from assets.sources.feedback_company_rule import MOST, PLACEHOLDERS, PushRule, Wait

MOST_OF_URL = 2000
RESERVED = "invitation/"
"""Starts the ids under which invitations are kept; no order may be registered by such a one."""

_EMAIL = re.compile(r"[^@\s<>()\[\],;:\"\\]+@[^@\s.]+(\.[^@\s.]+)+")
_WEIGHTS = (1, 3) * 6


def outgoing(rule: PushRule, order: PublishedOrder) -> Outgoing:
    """The order as it is sent, and what was left out of it. Raises Unfit, saying why."""
    notes: list[str] = []
    body: dict[str, Any] = {
        "external_id": _external_id(order.order_key),
        "customer": _customer(order, notes),
    }
    if rule.with_products:
        products = _products(rule, order, notes)
        if products:
            body["products"] = products
    body["invitation"] = _invitation(rule)
    if rule.filtercode is not None:
        body["filtercode"] = rule.filtercode
    return Outgoing(body["external_id"], order.order_key, msgspec.json.encode(body), tuple(notes))


def _external_id(key: str) -> str:
    """The order's own key: unique, and the way back from the registration to the order."""
    if len(key) > MOST:
        raise Unfit(f"its order key is longer than {MOST} characters")
    if not key or key.startswith(RESERVED):
        raise Unfit(f"its order key starts with {RESERVED}, which stands for invitations")
    return key


def _customer(order: PublishedOrder, notes: list[str]) -> dict[str, str]:
    email = (order.email or "").strip()
    if not email:
        raise Unfit("its customer has no e-mail address")
    if len(email) > MOST or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Unfit("its customer's e-mail address is not valid")
    customer = {"email": email}
    name = _optional("fullname", order.full_name, notes)
    return {**customer, "fullname": name} if name else customer


def _invitation(rule: PushRule) -> dict[str, Any]:
    invitation = {"delay": _wait(rule.delay)}
    if rule.reminder is not None:
        invitation["reminder"] = _wait(rule.reminder)
    return invitation


def _wait(wait: Wait) -> dict[str, Any]:
    return {"unit": wait.unit, "amount": wait.amount}


def _products(rule: PushRule, order: PublishedOrder, notes: list[str]) -> list[dict[str, str]]:
    """The order's products, each once."""
    if order.rows_state not in ("complete", "not_supplied"):
        raise Unfit(f"its order rows are {order.rows_state}")
    found: dict[str, dict[str, str]] = {}
    for row in order.products:
        if row["product_id"] in rule.exclude_products or row["sku"] in rule.exclude_products:
            continue
        product = _product(rule, row, notes)
        found.setdefault(product["external_id"], product)
    return list(found.values())


def _product(rule: PushRule, row: Mapping[str, str | None], notes: list[str]) -> dict[str, str]:
    product_id = row["product_id"] or row["sku"] or ""
    if not product_id:
        raise Unfit("one of its products has neither id nor sku")
    what = f"product {product_id[:40]}"
    name = (row["product_name"] or "").strip()
    if len(product_id) > MOST:
        raise Unfit(f"the id of {what} is longer than {MOST} characters")
    if not name or len(name) > MOST:
        raise Unfit(f"{what} has no name of 1 to {MOST} characters")
    product = {"external_id": product_id, "name": name, "url": _url(rule, row, what)}
    gtin, image_url = row["gtin"], row["image_url"]
    further = {
        "sku": _optional(f"sku of {what}", row["sku"], notes),
        "gtin": _kept(gtin, is_gtin13(gtin or ""), f"gtin of {what}", notes),
        "image_url": _kept(image_url, is_url(image_url or ""), f"image_url of {what}", notes),
    }
    return product | {key: value for key, value in further.items() if value}


def _url(rule: PushRule, row: Mapping[str, str | None], what: str) -> str:
    url = row["product_url"]
    if not url:
        if rule.product_url is None:
            raise Unfit(f"{what} has no url: set product_url")
        url = rule.product_url
        for name in PLACEHOLDERS:
            if f"{{{name}}}" in url:
                value = row[name]
                if not value:
                    raise Unfit(f"{what} has no {name}, which product_url needs")
                url = url.replace(f"{{{name}}}", quote(value, safe=""))
    if not is_url(url):
        raise Unfit(f"the url of {what} is not valid, or longer than {MOST_OF_URL} characters")
    return url


def is_url(text: str) -> bool:
    """Whether a text is a URL that the API takes."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return False
    is_plain = text.isprintable() and not any(character.isspace() for character in text)
    return bool(host) and parts.scheme in ("http", "https") and is_plain and (
        len(text) <= MOST_OF_URL
    )  # fmt: skip


def is_gtin13(text: str) -> bool:
    """Whether a text is thirteen digits of which the last is their check digit (GS1)."""
    if not re.fullmatch("[0-9]{13}", text):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _WEIGHTS, strict=False))
    return (10 - total % 10) % 10 == int(text[12])


def _optional(name: str, value: str | None, notes: list[str]) -> str | None:
    text = (value or "").strip()
    return _kept(text or None, len(text) <= MOST, name, notes)


def _kept(value: str | None, is_fit: bool, name: str, notes: list[str]) -> str | None:
    """An optional value, or None and a note where the API would not take it."""
    if value and not is_fit:
        notes.append(f"{name} is left out: not as the API wants it")
        return None
    return value or None
