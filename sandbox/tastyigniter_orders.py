"""The bakery's orders: real bakery sales told as TastyIgniter orders.

Belongs here: what becomes of a sale between its checkout and its last change.
Does not belong here: the recorded orders, requests and replies, edits while the sandbox runs.

What is real in the bakery's orders are the days, times, items and quantities of the public data
set. Prices (bakery_prices.csv), people, payments and statuses are invented.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from random import Random
from typing import Any

from sandbox.people import Person, person
from sandbox.tastyigniter_story import (
    DATA,
    LONDON,
    NO_DATE,
    NO_OPTIONS,
    ORDER_TYPES,
    Story,
    number,
    slot_stamp,
    stamp,
)
from sandbox.world import Body

FIRST_BAKERY_ID = 61
"""The recorded shop had 60 orders, of which the first 20 are kept here."""

REPEATED_HOUR = date(2026, 10, 25)
"""The Sunday on which 01:00-01:59 comes twice in London."""

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) Test/1.0"
MINUTE = 60.0
DAY = 86400.0


@dataclass(frozen=True)
class Sale:
    """What somebody bought at a moment (UTC): how many of each item."""

    at: datetime
    items: Mapping[str, int]


@cache
def catalogue() -> dict[str, tuple[int, Decimal]]:
    """Menu id and invented price (GBP, before tax) of every item of the bakery."""
    with (DATA / "bakery_prices.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["item"]: (100 + place, Decimal(row["price"]))
            for place, row in enumerate(csv.DictReader(file))
        }


def sales(lines: Iterable[Mapping[str, Any]], repeat: int = 1) -> list[Sale]:
    """Lines of the sample as sales, oldest first, each of them so many times.

    A line has `transaction_no`, `placed` (naive UK time) and `item`, and stands for one unit.
    """
    items: dict[int, Counter[str]] = {}
    moments: dict[int, datetime] = {}
    for line in lines:
        sale = line["transaction_no"]
        items.setdefault(sale, Counter())[line["item"].strip()] += 1
        moments[sale] = line["placed"].replace(tzinfo=LONDON)
    kept = sorted((at, sale) for sale, at in _with_night_sale(moments).items())
    return [Sale(at, items[sale]) for at, sale in kept for _ in range(repeat)]


def _with_night_sale(moments: dict[int, datetime]) -> dict[int, datetime]:
    """Moments in UTC, with the last two of a Saturday moved into the repeated hour after it.

    The bakery sells nothing at night, and that hour is where stamps are ambiguous.
    """
    eve = REPEATED_HOUR - timedelta(days=1)
    late = sorted((at, key) for key, at in moments.items() if at.date() == eve)[-2:]
    night = datetime.combine(REPEATED_HOUR, time(0, 30), tzinfo=UTC)
    changed = {key: night + timedelta(hours=place) for place, (_, key) in enumerate(late)}
    return {key: changed.get(key, at.astimezone(UTC)) for key, at in moments.items()}


@dataclass
class Numbers:
    """The shop's running numbers."""

    order: Iterator[int] = field(default_factory=lambda: count(FIRST_BAKERY_ID))
    line: Iterator[int] = field(default_factory=lambda: count(1_001))
    edited_line: Iterator[int] = field(default_factory=lambda: count(10_000_001))
    total: Iterator[int] = field(default_factory=lambda: count(1_001))
    history: Iterator[int] = field(default_factory=lambda: count(1_001))


def bakery_stories(bought: Iterable[Sale], numbers: Numbers | None = None) -> Iterator[Story]:
    """Every sale as an order's story. The seventh is posted by an application without a date."""
    numbers = numbers or Numbers()
    for place, sale in enumerate(bought):
        order_id = next(numbers.order)
        story, dice = Story(order_id), Random(f"bakery/{order_id}")
        story.tell(sale.at, **_checkout(sale, order_id, numbers, dice))
        if place == 6:
            _post_without_date(story, numbers)
        elif dice.random() < 0.04:
            _abandon(story, dice)
        else:
            _serve(story, numbers, dice)
        yield story


def _checkout(sale: Sale, order_id: int, numbers: Numbers, dice: Random) -> Body:
    """The attributes of a checkout that has begun."""
    regular = dice.randrange(101, 161) if dice.random() < 0.4 else None
    buyer = person(f"bakery.{regular or order_id}")
    order_type = "delivery" if dice.random() < 0.12 else "collection"
    lines = [_line(name, sold, order_id, numbers) for name, sold in sale.items.items()]
    totals = _totals(sale, order_id, numbers, delivered=order_type == "delivery")
    due = next(row["value"] for row in totals.values() if row["code"] == "total")
    return {
        **_buyer(buyer, regular, order_id, delivered=order_type == "delivery"),
        **_slot(sale.at, dice),
        "location_id": 1,
        "total_items": sum(sale.items.values()),
        "comment": None,
        "payment": ("stripe" if dice.random() < 0.55 else "cod") if due else "",
        "order_type": order_type,
        "order_type_name": ORDER_TYPES[order_type],
        "created_at": stamp(sale.at),
        "updated_at": stamp(sale.at),
        "order_total": due,
        **_untouched(order_id, dice),
        "order_totals": totals,
        "order_menus": lines,
    }


def _buyer(buyer: Person, customer_id: int | None, order_id: int, *, delivered: bool) -> Body:
    address = f"{buyer.street}, {buyer.town} {buyer.postcode}, United Kingdom"
    return {
        "customer_id": customer_id,
        "first_name": buyer.first_name,
        "last_name": buyer.last_name,
        "customer_name": buyer.full_name,
        "email": buyer.email,
        "telephone": buyer.telephone,
        "address_id": 1_000 + order_id if delivered else None,
        "formatted_address": address if delivered else None,
    }


def _slot(at: datetime, dice: Random) -> Body:
    """When it is wanted: as soon as possible, or, for some, at noon one to three days later."""
    asap = dice.random() >= 0.06
    slot = (at.astimezone(LONDON) + timedelta(minutes=16)).replace(tzinfo=None, second=0, fold=0)
    if not asap:
        slot = datetime.combine(slot.date(), time(12, 0)) + timedelta(days=dice.randint(1, 3))
    return {
        "order_time": f"{slot:%H:%M:%S}",
        "order_date": slot_stamp(datetime.combine(slot.date(), time())),
        "order_date_time": slot_stamp(slot),
        "order_time_is_asap": asap,
    }


def _untouched(order_id: int, dice: Random) -> Body:
    """What a checkout has before anything was done about it."""
    digest = hashlib.md5(f"bakery/{order_id}".encode(), usedforsecurity=False)
    return {
        "status_id": 0,
        "status_name": None,
        "status_updated_at": None,
        "processed": None,
        "ip_address": f"203.0.113.{dice.randint(1, 254)}",
        "user_agent": USER_AGENT,
        "hash": digest.hexdigest(),
        "assignee_id": None,
        "assignee_group_id": None,
        "assignee_updated_at": None,
        "invoice_prefix": None,
        "invoice_date": None,
        "delivery_comment": None,
        "currency": "GBP",
    }


def _line(name: str, sold: int, order_id: int, numbers: Numbers) -> Body:
    menu_id, price = catalogue()[name]
    return {
        "order_menu_id": next(numbers.line),
        "order_id": order_id,
        "menu_id": menu_id,
        "name": name,
        "quantity": sold,
        "price": number(price),
        "subtotal": number(price * sold),
        "option_values": NO_OPTIONS,
        "comment": None,
        "menu_options": [],
    }


def _totals(sale: Sale, order_id: int, numbers: Numbers, *, delivered: bool) -> dict[str, Body]:
    """The totals as the checkout leaves them: an object whose keys tell the order of insertion.

    VAT of 20 % is added to the lines, delivery costs 3 GBP untaxed (recorded).
    """
    goods = sum((catalogue()[name][1] * sold for name, sold in sale.items.items()), Decimal(0))
    tax = (goods * Decimal("0.2")).quantize(Decimal("0.01"))
    fee = Decimal(3 if delivered else 0)
    inserted = [
        *([("delivery", "Delivery", fee, 100, True)] if delivered else []),
        ("tax", "VAT [20%]", tax, 127, True),
        ("subtotal", "Sub Total", goods, 0, False),
        ("total", "Order Total", goods + tax + fee, 127, False),
    ]
    rows = {
        str(place): {
            "order_total_id": next(numbers.total),
            "order_id": order_id,
            "code": code,
            "title": title,
            "value": number(value),
            "priority": priority,
            "is_summable": summable,
        }
        for place, (code, title, value, priority, summable) in enumerate(inserted)
    }
    return dict(sorted(rows.items(), key=lambda keyed: keyed[1]["priority"]))


def _after(story: Story, dice: Random, shortest: float, longest: float) -> datetime:
    """A moment so many seconds after the newest version."""
    return story.at + timedelta(seconds=round(dice.uniform(shortest, longest)))


def _post_without_date(story: Story, numbers: Numbers) -> None:
    """An order posted by an application that gave no date; its totals are an array (recorded)."""
    at, body = story.versions[-1]
    totals = list(body["attributes"]["order_totals"].values()) if body else []
    undated = {"order_date": NO_DATE, "order_date_time": NO_DATE, "order_time": "00:00:00"}
    story.tell(at, **undated, location_id=0, order_totals=totals)
    story.tell_status(at, next(numbers.history), 1, processed=True)


def _abandon(story: Story, dice: Random) -> None:
    """Nothing more happens, or the payment fails."""
    if dice.random() < 0.4:
        at = _after(story, dice, 30, 90)
        story.tell(at, processed=False, payment="stripe", updated_at=stamp(at))


def _serve(story: Story, numbers: Numbers, dice: Random) -> None:
    """Received, pending, in preparation, perhaps under way, completed - or cancelled or stuck."""
    placed = _after(story, dice, 35, 80)
    story.tell_status(placed, next(numbers.history), 1, processed=True)
    body = story.versions[-1][1]
    delivered = body is not None and body["attributes"]["order_type"] == "delivery"
    steps = [2, 3, 4, 5] if delivered else [2, 3, 5]
    fate = dice.random()
    if fate < 0.05:
        steps = [2, 9]
    elif fate < 0.07:
        steps = steps[: dice.randint(1, 2)]
    for status_id in steps:
        at = _after(story, dice, 5 * MINUTE, 16 * MINUTE)
        story.tell_status(at, next(numbers.history), status_id)
    if steps[-1] == 5:
        _afterwards(story, numbers, dice)


def _afterwards(story: Story, numbers: Numbers, dice: Random) -> None:
    """What happens to few orders, hours or days after they were completed."""
    fate, at = dice.random(), _after(story, dice, DAY / 24, 9 * DAY)
    body = story.versions[-1][1]
    if body is None or fate >= 0.07:
        return
    if fate < 0.03:
        story.tell(at, order_menus=_edited(body["attributes"]["order_menus"], numbers))
    elif fate < 0.05:
        invoice = {"invoice_prefix": f"INV-{at:%Y}-00", "invoice_date": stamp(at)}
        story.tell(at, comment="Kept a table by the window", updated_at=stamp(at), **invoice)
    elif fate < 0.06:
        story.tell_status(at, next(numbers.history), 9)
    else:
        story.versions.append((at, None))


def _edited(lines: list[Body], numbers: Numbers) -> list[Body]:
    """The lines saved again, one more of the first: new ids, and nothing else moves."""
    saved = [{**line, "order_menu_id": next(numbers.edited_line)} for line in lines]
    first = saved[0]
    price = Decimal(str(first["price"]))
    more = first["quantity"] + 1
    saved[0] = {**first, "quantity": more, "subtotal": number(price * more), "comment": "one more"}
    return saved
