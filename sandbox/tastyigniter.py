"""TastyIgniter 4.2.3 on loopback: orders, their statuses, and edits as the real system makes them.

Belongs here: routes, replies, refusals and writes of the order API. Does not belong here: which
orders there are (tastyigniter_orders.py), and the API of 2020 (tastyigniter_flat.py).

Replies, headers and oddities are those recorded from a running 4.2.3 (core 4.3.4).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from itertools import count
from typing import ClassVar

import pyarrow.parquet as pq
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox import tastyigniter_reply as replies
from sandbox.api import SandboxApi, Setup
from sandbox.tastyigniter_orders import bakery_stories, sales
from sandbox.tastyigniter_query import Listing, ServerError, listing
from sandbox.tastyigniter_story import DATA, StatusRow, Story, recorded_stories
from sandbox.tastyigniter_write import change_of, invoice_of
from sandbox.world import Body

Answer = Callable[[Request, Body], Response]


class TastyigniterApi(SandboxApi):
    """The bakery's order API in the JSON:API shape."""

    source: ClassVar[str] = "tastyigniter"
    credential_names: ClassVar[tuple[str, ...]] = ("token",)
    timezone: ClassVar[str] = "Europe/London"
    currency: ClassVar[str] = "GBP"
    started_on: ClassVar[date] = date(2026, 3, 28)
    requests_per_minute: ClassVar[int] = replies.REQUESTS_PER_MINUTE
    read_token: ClassVar[str] = "sandbox-token-orders-read"
    """A token whose only ability is the documented `orders:read`: refused with 403 (recorded)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.allowance = self.limit(replies.REQUESTS_PER_MINUTE)
        self.history: dict[str, list[StatusRow]] = {}
        self._row_ids = count(30_000_001)
        self._line_ids = count(20_000_001)
        self._chosen: tuple[object, Listing, Sequence[Body]] | None = None
        for story in self.stories():
            self._shelve(story)

    def stories(self) -> Iterable[Story]:
        """The orders of the account, by id."""
        yield from recorded_stories()
        yield from self.bakery()

    def bakery(self) -> Sequence[Story]:
        """The committed sample as orders."""
        return _bakery(self.setup.repeat)

    def _shelve(self, story: Story) -> None:
        """Keep what can still be seen: the clock never goes back."""
        order_id = str(story.order_id)
        past = sum(at <= self.clock.now() for at, _ in story.versions)
        for at, body in story.versions[max(0, past - 1) :]:
            self.shelf.put(order_id, at, body)
        self.history[order_id] = list(story.history)

    def base_path(self) -> str:
        """Where the site is; the API's own prefix is `/api`."""
        return f"/{self.name}"

    def settings(self) -> Body:
        """The owner's map of the status ids of a stock install."""
        return {
            "order_status": {
                "1": "open",
                "2": "open",
                "3": "processing",
                "4": "in_transit",
                "5": "completed",
                "9": "cancelled",
            }
        }

    def routes(self) -> list[BaseRoute]:
        """Orders and statuses."""
        one = "/api/orders/{order_id}"
        return [
            Route("/api/orders", self._guarded(self._list), methods=["GET"]),
            Route(one, self._guarded(self._get), methods=["GET"]),
            Route(one, self._guarded(self._patch), methods=["PATCH", "PUT"]),
            Route(one, self._guarded(self._delete), methods=["DELETE"]),
            Route("/api/status", self._guarded(self._statuses), methods=["GET"]),
        ]

    def edit(self, order_id: str, changes: Body) -> None:
        """Edit an order now, as the site itself does: attributes by their names in a reply.

        `order_menus` replaces the lines and gives them new ids; alone it leaves `updated_at`,
        `order_total` and `total_items` as they were. A status given again counts as a change.
        Raises UnknownOrderError, and UnknownAttributeError for a name that no reply has.
        """
        change = change_of(int(order_id), changes, self.clock.now(), self._line_ids)
        self.shelf.change(order_id, change.apply)
        if "status_id" in changes:
            row = StatusRow(
                next(self._row_ids), self.clock.now(), changes["status_id"], by_staff=True
            )
            self.history[order_id].append(row)

    def _guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint behind token, rate limit and ability, in that order (recorded)."""

        async def endpoint(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or token not in (
                self.setup.credentials["token"],
                self.read_token,
            ):
                return replies.unauthenticated()
            taken = self.allowance.take()
            if not taken.allowed:
                answered = replies.too_many(taken, self.clock.now())
            elif token == self.read_token:
                answered = replies.forbidden()
            else:
                answered = _answered(answer, request, await _sent(request))
            answered.headers.update(replies.counted(taken))
            return answered

        return endpoint

    def _list(self, request: Request, _: Body) -> Response:
        asked = listing(request.query_params, self.clock.now())
        chosen = self._choose(asked)
        return self.list_reply(request, asked, asked.cut(chosen), len(chosen))

    def _choose(self, asked: Listing) -> Sequence[Body]:
        """The orders asked for, all pages; kept for the next page while nothing has changed."""
        present, same = self.shelf.present(), replace(asked, page=1, page_limit=1)
        kept = self._chosen
        if kept is None or kept[0] is not present or kept[1] != same:
            kept = (present, same, same.choose(present.values()))
            self._chosen = kept
        return kept[2]

    def list_reply(
        self, request: Request, asked: Listing, page: Sequence[Body], total: int
    ) -> Response:
        """A page with its pagination."""
        answer = self._with_included(page, request)
        return replies.reply({**answer, **replies.paging(request, asked, len(page), total)})

    def one_reply(self, request: Request, item: Body) -> Response:
        """One order: `data` is an object."""
        answer = self._with_included([item], request)
        return replies.reply({**answer, "data": answer["data"][0]})

    def deleted_reply(self, _: Body) -> Response:
        """204 and nothing in it, though the document says 200 with a body (recorded)."""
        return Response(status_code=204, headers=replies.SAME_HEADERS)

    def _with_included(self, page: Sequence[Body], request: Request) -> Body:
        names = request.query_params.get("include", "").split(",")
        return replies.with_included(page, names, self.history, self.clock.now())

    def _get(self, request: Request, _: Body) -> Response:
        return self._on_order(request, lambda item: self.one_reply(request, item))

    def _patch(self, request: Request, sent: Body) -> Response:
        """Answers with the order as it was before the write was finished (recorded)."""

        def write(item: Body) -> Response:
            attributes = item["attributes"]
            known = {name: value for name, value in sent.items() if name in attributes}
            self.edit(item["id"], {**known, **invoice_of(attributes, self.clock.now())})
            return self.one_reply(request, item)

        return self._on_order(request, write)

    def _delete(self, request: Request, _: Body) -> Response:
        def remove(item: Body) -> Response:
            self.delete(item["id"])
            return self.deleted_reply(item)

        return self._on_order(request, remove)

    def _on_order(self, request: Request, act: Callable[[Body], Response]) -> Response:
        """Act on the order named in the path, or answer 404; an id that is no number is a 500."""
        order_id = request.path_params["order_id"]
        if not order_id.isdecimal():
            raise ServerError(f"The identifier [{order_id}] is not a number")
        item = self.shelf.get(order_id)
        return replies.not_found(order_id) if item is None else act(item)

    def _statuses(self, request: Request, _: Body) -> Response:
        known = replies.statuses()
        asked = listing(request.query_params, self.clock.now())
        page = asked.cut(known)
        paging = replies.paging(request, asked, len(page), len(known))
        return replies.reply({"data": page, **paging})


@lru_cache(maxsize=1)
def _bakery(repeat: int) -> Sequence[Story]:
    """The bakery's stories; they are never altered, so that every server can share them."""
    lines = pq.read_table(DATA / "bakery.parquet").to_pylist()
    return list(bakery_stories(sales(lines, repeat)))


def _answered(answer: Answer, request: Request, sent: Body) -> Response:
    try:
        return answer(request, sent)
    except ServerError as error:
        return replies.failed(error)


async def _sent(request: Request) -> Body:
    """The JSON object sent; anything else counts as nothing, as the framework takes it."""
    try:
        sent = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}
