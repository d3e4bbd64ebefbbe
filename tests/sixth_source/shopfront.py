"""Shopfront: how to ask for orders.

Belongs here: pages of orders, oldest change first. Does not belong here: how an order is read
(`shopfront.sql`). An API made up for the test that adds a sixth source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from assets.sources.base import Batch, Cursor, Record, Source, Until
from resources.accounts import Account
from resources.api import Api, Reply


class Page(msgspec.Struct):
    """One page, each order left as the bytes that arrived."""

    orders: list[msgspec.Raw]


class Order(msgspec.Struct):
    """The fields of an order that asking needs."""

    number: str
    changed: str


class Shopfront(Source):
    """Orders by the moment of their last change."""

    name: ClassVar[str] = "shopfront"
    title: ClassVar[str] = "Shopfront"
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"token"}),)
    requests_per_minute: ClassVar[int] = 600
    ways: ClassVar[frozenset[str]] = frozenset({"changes"})

    def headers(self, account: Account, secrets: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """A bearer token."""
        return {"Authorization": f"Bearer {secrets['token']}"}

    def probe(self, api: Api) -> Reply:
        """A page of nothing."""
        return api.get("/orders", {"since": "9999"})

    def changes(self, api: Api, cursor: Cursor | None, until: Until) -> Iterator[Batch]:  # noqa: ARG002
        """One page at a time, from the cursor on, until a page is empty."""
        since = cursor["watermark"] if cursor else ""
        while True:
            reply = api.get("/orders", {"since": since})
            api.least_requests += 1
            bodies = [bytes(raw) for raw in msgspec.json.decode(reply.body, type=Page).orders]
            if not bodies:
                return
            orders = [msgspec.json.decode(body, type=Order) for body in bodies]
            since = orders[-1].changed
            records = [
                Record(order.number, "/orders", body, reply.fetched_at)
                for order, body in zip(orders, bodies, strict=True)
            ]
            yield Batch(records, {"watermark": since})
