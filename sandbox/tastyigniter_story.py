"""How a TastyIgniter order comes about, version by version, and the orders that were recorded.

Belongs here: stories of orders, stamps and numbers as TastyIgniter 4.2.3 prints them, and the
recorded replies. Does not belong here: the bakery's own orders, requests and replies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.world import Body

LONDON = ZoneInfo("Europe/London")
"""The site's zone; TastyIgniter's default."""

DATA = Path(__file__).parent / "data"
NO_DATE = "-000001-11-30T00:01:15.000000Z"
"""Recorded: `order_date` and `order_date_time` of an order posted without a date."""

NO_OPTIONS = (
    's:101:"O:28:"Igniter\\Cart\\CartItemOptions":2:{s:8:"\0*\0items";a:0:{}'
    's:28:"\0*\0escapeWhenCastingToString";b:0;}";'
)
"""Recorded: `option_values` of a line without options, doubly PHP-serialised."""

ORDER_TYPES = {"delivery": "Delivery", "collection": "Pick-up"}


@dataclass(frozen=True)
class StatusRow:
    """One row of an order's status history; `by_staff` is False for the checkout's own row."""

    row_id: int
    at: datetime
    status_id: int
    by_staff: bool


@dataclass
class Story:
    """One order as it comes about: its dated versions and its status history, oldest first."""

    order_id: int
    versions: list[tuple[datetime, Body | None]] = field(default_factory=list)
    history: list[StatusRow] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """The moment of the newest version."""
        return self.versions[-1][0]

    def tell(self, at: datetime, **changes: Any) -> None:
        """Add a version: the one before with some attributes changed."""
        before = self.versions[-1][1] if self.versions else None
        attributes = {**(before["attributes"] if before else {}), **changes}
        self.versions.append((at, as_item(self.order_id, attributes)))

    def tell_status(self, at: datetime, row_id: int, status_id: int, **changes: Any) -> None:
        """Add a version of another status, with its row of history."""
        self.history.append(StatusRow(row_id, at, status_id, by_staff=status_id != 1))
        self.tell(
            at,
            status_id=status_id,
            status_name=status_names()[status_id],
            status_updated_at=stamp(at),
            updated_at=stamp(at),
            **changes,
        )


def as_item(order_id: int, attributes: Body) -> Body:
    """A JSON:API item as it stands in `data`."""
    return {"type": "orders", "id": str(order_id), "attributes": attributes}


def stamp(at: datetime) -> str:
    """A moment as TastyIgniter stores and prints it: UTC, six decimals and Z, whole seconds.

    Moments are stored naive in the site's zone, and 01:00-01:59 on the day the clocks go back is
    always read as winter time: what happened at 00:30Z is printed as 01:30Z (recorded).
    """
    stored = at.astimezone(LONDON).replace(fold=1, microsecond=0)
    return _zulu(stored)


def slot_stamp(slot: datetime) -> str:
    """A naive site-local slot in UTC; in the repeated hour the summer reading (recorded)."""
    return _zulu(slot.replace(tzinfo=LONDON))


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def local(text: str) -> datetime:
    """A printed stamp as naive site-local time. Raises ValueError for NO_DATE."""
    return datetime.fromisoformat(text).astimezone(LONDON).replace(tzinfo=None)


def number(value: Decimal) -> int | float:
    """A JSON number as PHP writes it: whole values have no decimals."""
    return int(value) if value == value.to_integral_value() else float(value)


@cache
def recorded() -> Body:
    """Replies recorded from a running 4.2.3: orders, statuses, status_history rows and staff."""
    text = (DATA / "tastyigniter_recorded.json").read_text(encoding="utf-8")
    content: Body = json.loads(text)
    return content


@cache
def status_names() -> dict[int, str]:
    """Names of the status ids of a stock install, reservation statuses included."""
    return {int(status["id"]): status["status_name"] for status in recorded()["statuses"]}


def recorded_stories() -> Iterator[Story]:
    """The recorded orders, as they were when recorded; ids and dates are kept.

    The status history of orders 1-5 is recorded; of the others only the newest row is known.
    """
    rows: dict[int, list[StatusRow]] = {}
    for row_id, row in enumerate(recorded()["status_history"], start=1):
        at = datetime.fromisoformat(row["created_at"])
        known = StatusRow(row_id, at, row["status_id"], row["user_id"] is not None)
        rows.setdefault(row["object_id"], []).append(known)
    further = count(24)
    for item in recorded()["orders"]:
        order_id, attributes = int(item["id"]), item["attributes"]
        if order_id not in rows and attributes["status_updated_at"]:
            at = datetime.fromisoformat(attributes["status_updated_at"])
            rows[order_id] = [StatusRow(next(further), at, attributes["status_id"], by_staff=True)]
        known_from = datetime.fromisoformat(attributes["updated_at"])
        yield Story(order_id, [(known_from, item)], rows.get(order_id, []))
