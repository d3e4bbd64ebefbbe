"""One version of a Brightpearl order.

Belongs here: when a version's body is written and encoded, and what of it a repetition changes.
Does not belong here: what the body holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from sandbox.world import Body

HEAD = ("id", "parentOrderId", "orderTypeCode", "reference")
"""The keys that differ between repetitions of the sample; they are encoded apart."""

CUSTOM_FIELDS = ("PCF_BOXES", "PCF_CARRIER", "PCF_GIFTNOTE", "PCF_SEASON")


@dataclass(frozen=True, eq=False)
class Version:
    """One version of an order, written and encoded once it is asked for. Moments are UTC."""

    order_id: int
    """The id it was written for; a repetition of the order has a higher one."""
    created: datetime
    placed: datetime
    updated: datetime | None
    """None before the first change."""
    custom: Body
    write: Callable[[], Body]
    write_rows: Callable[[], Body]

    @cached_property
    def outline(self) -> Body:
        """The body with an empty `orderRows`."""
        return self.write()

    @cached_property
    def body(self) -> Body:
        """The whole body, as a GET without optional parts gives it."""
        return {**self.outline, "orderRows": self.write_rows()}

    @cached_property
    def optional(self) -> Body:
        """What includeOptional adds; fields of the account that have no value are null ones."""
        missing = [code for code in CUSTOM_FIELDS if code not in self.custom]
        return {"customFields": self.custom, "nullCustomFields": missing}

    @cached_property
    def _tail(self) -> bytes:
        rest = {key: value for key, value in self.body.items() if key not in HEAD}
        return encoded(rest)[1:-1]

    def head(self, order_id: int) -> Body:
        """The keys that differ between repetitions, for this order or a repetition of it."""
        shift = order_id - self.order_id
        parent, reference = self.outline["parentOrderId"], self.outline["reference"]
        return {
            "id": order_id,
            "parentOrderId": parent + shift if parent else parent,
            "orderTypeCode": self.outline["orderTypeCode"],
            "reference": f"{reference}+{shift}" if shift and reference else reference,
        }

    def for_order(self, order_id: int) -> Version:
        """This version, written for a repetition."""
        outline = {**self.outline, **self.head(order_id)}
        return replace(self, order_id=order_id, write=lambda: outline)

    def changed(self, order_id: int, body: Body, custom: Body, updated: datetime) -> Version:
        """This version with another body, which has to say the same `updatedOn`."""
        return replace(
            self,
            order_id=order_id,
            updated=updated,
            custom=custom,
            write=lambda: {**body, "orderRows": {}},
            write_rows=lambda: body["orderRows"],
        )

    def json(self, order_id: int, wanted: tuple[str, ...] = ()) -> bytes:
        """The encoded body, with the optional parts that are wanted."""
        parts = [encoded(self.head(order_id))[1:-1], self._tail]
        if wanted:
            parts.append(encoded({name: self.optional[name] for name in wanted})[1:-1])
        return b"{" + b",".join(parts) + b"}"


def encoded(value: Any) -> bytes:
    """JSON as recorded: compact, with < > & = ' escaped (as Gson does by default)."""
    text = msgspec.json.encode(value)
    for sign in (b"<", b">", b"&", b"=", b"'"):
        if sign in text:
            text = text.replace(sign, b"\\u%04x" % ord(sign))
    return text
