"""TastyIgniter as it was in 2020, before JSON:API: flat orders, bare lists, no lines.

Belongs here: how the older shape words an order. Does not belong here: anything that both
shapes share (tastyigniter.py). The document describes no list; a bare array is what the shape of
its single order suggests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from sandbox import tastyigniter_reply as replies
from sandbox.tastyigniter import TastyigniterApi
from sandbox.tastyigniter_query import Listing
from sandbox.tastyigniter_story import Story, local, recorded
from sandbox.world import Body

EVERY = 8
"""The older site holds one in so many of the bakery's orders."""

FIELDS = (
    "customer_id",
    "location_id",
    "address_id",
    "first_name",
    "last_name",
    "email",
    "telephone",
    "notify",
    "order_type",
    "order_date_time",
    "order_time",
    "order_date",
    "processed",
    "total_items",
    "order_total",
    "comment",
    "payment",
    "invoice_prefix",
    "invoice_date",
    "status_id",
    "status_updated_at",
    "assignee_id",
    "assignee_group_id",
    "assignee_updated_at",
    "ip_address",
    "hash",
    "user_agent",
    "date_added",
    "date_modified",
    "order_totals",
)
"""The documented attributes, in the order of the document's example."""

WRITTEN = (
    "order_id",
    "customer_id",
    "location_id",
    "address_id",
    "first_name",
    "last_name",
    "notify",
    "order_type",
    "processed",
    "comment",
    "payment",
    "status_id",
)
"""What the documented reply to an update holds."""

DOCUMENTED: Body = {
    "customer_id": 1,
    "location_id": 1,
    "first_name": "Tucker",
    "last_name": "Vega",
    "customer_name": "Tucker Vega",
    "email": "tucker.vega@example.com",
    "telephone": "+1 (604) 376-2674",
    "order_type": "collection",
    "order_time": "13:13:00",
    "order_date": "2020-05-23T23:00:00.000000Z",
    "order_date_time": "2020-05-24T12:13:00.000000Z",
    "processed": True,
    "total_items": 3,
    "order_total": 15.0449,
    "comment": "",
    "payment": "cod",
    "invoice_prefix": "INV-2020-00",
    "invoice_date": "2020-05-24T11:58:43.000000Z",
    "status_id": 3,
    "status_updated_at": "2020-05-24T11:58:43.000000Z",
    "ip_address": "192.168.10.1",
    "hash": "7158b25ef2f10b151f87fc4d26b3b27d",
    "user_agent": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:76.0) Gecko/20100101 Firefox/76.0"
    ),
    "created_at": "2020-05-24T11:58:43.000000Z",
    "updated_at": "2020-05-24T11:58:43.000000Z",
    "order_totals": [],
}
"""The document's example, as far as it differs from an order about which nothing is known."""


class TastyigniterFlatApi(TastyigniterApi):
    """The same bakery on a site of 2020; its account is `tastyigniter.bakery2020`."""

    started_on: ClassVar[date] = date(2020, 5, 24)

    def stories(self) -> Iterable[Story]:
        """The document's order, and every eighth of the bakery's."""
        nothing = dict.fromkeys(recorded()["orders"][0]["attributes"])
        example = Story(1)
        placed_at = datetime.fromisoformat(DOCUMENTED["created_at"])
        example.tell(placed_at, **{**nothing, **DOCUMENTED})
        yield example
        yield from islice(self.bakery(), 0, None, EVERY)

    def base_path(self) -> str:
        """Where the site is."""
        return "/bakery-2020"

    def list_reply(
        self, request: Request, asked: Listing, page: Sequence[Body], total: int
    ) -> Response:
        """A bare array; nothing tells how many orders there are."""
        del request, asked, total
        return replies.reply([flat(item, listed=True) for item in page])

    def one_reply(self, request: Request, item: Body) -> Response:
        """A bare object; to a write, only the attributes that the document shows."""
        order = flat(item, listed=False)
        if request.method != "GET":
            order = {name: order[name] for name in WRITTEN}
        return replies.reply(order)

    def deleted_reply(self, item: Body) -> Response:
        """200 with the documented body."""
        return replies.reply({"id": int(item["id"]), "object": "order", "deleted": True})

    def truth(self) -> list[Body]:
        """See SandboxApi; bodies are those of a GET of one order."""
        return [
            {**one, "body": one["body"] and flat(one["body"], listed=False)}
            for one in super().truth()
        ]


def flat(item: Body, *, listed: bool) -> Body:
    """An order in the older shape: naive site-local times, and Z where the document shows it.

    A list holds `order_date_time`; a single order holds `order_date` and `order_time` instead.
    """
    attributes = item["attributes"]
    totals = attributes["order_totals"]
    words = {
        **attributes,
        "notify": None,
        "status_id": attributes["status_id"] or None,
        "order_date_time": naive(attributes["order_date_time"]),
        "order_date": naive(attributes["order_date"]),
        "date_added": naive(attributes["created_at"]),
        "date_modified": naive(attributes["updated_at"]),
        "order_totals": list(totals.values()) if isinstance(totals, dict) else totals,
    }
    left_out = {"order_time", "order_date"} if listed else {"order_date_time"}
    shown = {name: words[name] for name in FIELDS if name not in left_out}
    return {"order_id": int(item["id"]), **shown}


def naive(text: str) -> str:
    """A printed stamp as naive site-local text: `2020-05-24 12:58:43`."""
    return f"{local(text):%Y-%m-%d %H:%M:%S}"
