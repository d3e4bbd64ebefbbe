"""What an edit does to a TastyIgniter order.

Belongs here: how the real system writes an edit down. Does not belong here: requests and replies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.tastyigniter_story import (
    NO_OPTIONS,
    ORDER_TYPES,
    as_item,
    number,
    recorded,
    stamp,
    status_names,
)
from sandbox.world import Body


class UnknownAttributeError(ValueError):
    """An edit names an attribute that no TastyIgniter order has."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = names

    def __str__(self) -> str:
        return f"a TastyIgniter order has no {', '.join(self.names)}; use the names of a GET reply"


@dataclass(frozen=True)
class Change:
    """Attributes as they stand from a moment on; `at` is that moment as it is printed."""

    values: Body
    at: str

    def apply(self, item: Body) -> Body:
        """The order with the change in it; later versions keep their own later stamps.

        `updated_at` moves with anything but the lines (recorded).
        """
        before = item["attributes"]
        after = {**before, **self.values}
        after["customer_name"] = f"{after['first_name']} {after['last_name']}"
        after["order_type_name"] = ORDER_TYPES.get(after["order_type"], after["order_type"])
        after["status_name"] = status_names().get(after["status_id"])
        given_status = "status_id" in self.values
        if given_status:
            after["status_updated_at"] = max(before["status_updated_at"] or "", self.at)
        changed = any(after[name] != before[name] for name in after if name != "order_menus")
        if given_status or changed:
            after["updated_at"] = max(before["updated_at"], self.at)
        return as_item(int(item["id"]), after)


def change_of(order_id: int, changes: Body, at: datetime, new_ids: Iterator[int]) -> Change:
    """The change that an edit makes at a moment. Raises UnknownAttributeError."""
    known = recorded()["orders"][0]["attributes"]
    if unknown := sorted(set(changes) - set(known)):
        raise UnknownAttributeError(unknown)
    values = dict(changes)
    if "order_menus" in changes:
        values["order_menus"] = [_line(row, order_id, new_ids) for row in changes["order_menus"]]
    if "order_totals" in changes:
        rows = [_total(row, order_id, new_ids) for row in changes["order_totals"]]
        due = [row["value"] for row in rows if row["code"] == "total"]
        values = {**values, "order_totals": rows, **({"order_total": due[-1]} if due else {})}
    return Change(values, stamp(at))


def invoice_of(attributes: Mapping[str, Any], at: datetime) -> Body:
    """What the first write by the API adds to a placed order: an invoice (recorded)."""
    if not attributes["processed"] or attributes["invoice_date"]:
        return {}
    return {"invoice_prefix": f"INV-{at:%Y}-00", "invoice_date": stamp(at)}


def _line(given: Body, order_id: int, new_ids: Iterator[int]) -> Body:
    """A line as it is inserted: never the id it had before."""
    line_id, quantity, price = next(new_ids), given.get("quantity", 1), given.get("price", 0)
    options = {
        name: [_option(row, order_id, line_id, new_ids) for row in rows]
        for name, rows in dict(given.get("menu_options") or {}).items()
    }
    return {
        "order_menu_id": line_id,
        "order_id": order_id,
        "menu_id": given.get("menu_id", 0),
        "name": given["name"],
        "quantity": quantity,
        "price": price,
        "subtotal": given.get("subtotal", number(Decimal(str(price)) * quantity)),
        "option_values": given.get("option_values", NO_OPTIONS),
        "comment": given.get("comment"),
        "menu_options": options or [],
    }


def _option(given: Body, order_id: int, line_id: int, new_ids: Iterator[int]) -> Body:
    ids = {"order_option_id": next(new_ids), "order_id": order_id, "order_menu_id": line_id}
    return {**given, **ids}


def _total(given: Body, order_id: int, new_ids: Iterator[int]) -> Body:
    usual = {"title": given["code"].title(), "priority": 0, "is_summable": False}
    return {**usual, **given, "order_total_id": next(new_ids), "order_id": order_id}
