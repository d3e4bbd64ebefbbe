"""The company formation API (eFiling JSON API, version 2) on loopback.

Belongs here: routes, filters, refusals and limits as documented. Does not belong here: which
orders there are (efiling_orders.py).

What the document leaves open is decided here as plainly as possible: a page holds 100 orders (as
on the vendor's other resources), orders come by id, days are UK days, and refusals are
`{"error": text}`.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import ClassVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.api import Allowance, SandboxApi, Setup, Taken, json_reply
from sandbox.efiling_orders import LONDON, STATUSES, digits, stories
from sandbox.world import Body

PAGE_SIZE = 100
BY_DAY, BY_NIGHT = 120, 180
"""Requests in 60 seconds, from 08:00 to 18:00 UK time and otherwise, per brand."""

DAY_FILTERS: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "createdFrom": ("created_at", operator.ge),
    "createdTo": ("created_at", operator.le),
    "invoicedFrom": ("invoiced_at", operator.ge),
    "invoicedTo": ("invoiced_at", operator.le),
}
"""The field that each filter compares with its day, and how; both ends are included."""


class BadRequestError(ValueError):
    """A filter or a page that cannot be read: answered with 400 and this text."""


class UnknownFieldError(ValueError):
    """An edit names a field that no order has."""


class EfilingApi(SandboxApi):
    """The orders of one brand."""

    source: ClassVar[str] = "efiling"
    credential_names: ClassVar[tuple[str, ...]] = ("key",)
    timezone: ClassVar[str] = "Europe/London"
    currency: ClassVar[str] = "GBP"
    started_on: ClassVar[date] = date(2020, 1, 1)
    requests_per_minute: ClassVar[int] = BY_DAY

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._by_day = self.limit(BY_DAY)
        self._by_night = self.limit(BY_NIGHT)
        for story in stories(setup.repeat):
            for at, body in story.versions:
                self.shelf.put(str(story.order_id), at, body)

    def base_path(self) -> str:
        """The brand's address with the API's version."""
        return f"/{self.name}/2"

    def settings(self) -> Body:
        """The owner's map of status codes."""
        return {"order_status": {str(code): meaning for code, meaning in STATUSES.items()}}

    def routes(self) -> list[BaseRoute]:
        """Orders, and the lines of one."""
        return [
            Route("/orders", self._guarded(self._orders), methods=["GET"]),
            Route("/orders/{order_id}/orderlines", self._guarded(self._lines), methods=["GET"]),
        ]

    def edit(self, order_id: str, changes: Body) -> None:
        """Edit an order now: its fields by name, and `orderlines` for all of its lines.

        `updated_at` moves, whatever is edited. Raises UnknownOrderError and UnknownFieldError.
        """
        now = digits(self.clock.now())
        order = {name: value for name, value in changes.items() if name != "orderlines"}
        lines = changes.get("orderlines")
        known = self.shelf.get(order_id)
        if known is not None and (unknown := sorted(set(order) - set(known["order"]))):
            raise UnknownFieldError(f"an eFiling order has no {', '.join(unknown)}")

        def alter(body: Body) -> Body:
            moved = max(body["order"]["updated_at"], now)
            return {
                "order": {**body["order"], "updated_at": moved, **order},
                "orderlines": body["orderlines"] if lines is None else lines,
            }

        self.shelf.change(order_id, alter)

    def _guarded(
        self, answer: Callable[[Request], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint behind the key and the limit."""

        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Basic {self.setup.credentials['key']}":
                return json_reply({"error": "Unauthorised: check your auth key"}, 401)
            taken = self._allowance().take()
            if not taken.allowed:
                return self._too_many(taken)
            try:
                return answer(request)
            except BadRequestError as error:
                return json_reply({"error": str(error)}, 400)

        return endpoint

    def _allowance(self) -> Allowance:
        hour = self.clock.now().astimezone(LONDON).hour
        return self._by_day if 8 <= hour < 18 else self._by_night

    def _too_many(self, taken: Taken) -> Response:
        """429 whose `Retry-After` is a clock time, YmdHis; taken here as UK time."""
        again = self.clock.now() + timedelta(seconds=taken.resets_in + 1)
        return json_reply({"error": "Too many requests"}, 429, {"Retry-After": str(digits(again))})

    def _orders(self, request: Request) -> Response:
        wanted = _filters(request.query_params)
        begin = (_page(request.query_params) - 1) * PAGE_SIZE
        orders = (body["order"] for body in self.shelf.present().values())
        found = [order for order in orders if all(test(order) for test in wanted)]
        return json_reply(found[begin : begin + PAGE_SIZE])

    def _lines(self, request: Request) -> Response:
        order_id = request.path_params["order_id"]
        body = self.shelf.get(order_id)
        if body is None:
            return json_reply({"error": f"Order {order_id} not found"}, 404)
        return json_reply(body["orderlines"])


Test = Callable[[Body], bool]


def _filters(query: QueryParams) -> Sequence[Test]:
    """The filters given as `filters[..]`; all others, `filter[..]` among them, are ignored."""
    tests: list[Test] = []
    if statuses := query.get("filters[statuses]"):
        tests.append(partial(_has_status, set(statuses.replace(" ", "").split(","))))
    for name, (field, compare) in DAY_FILTERS.items():
        if text := query.get(f"filters[{name}]"):
            tests.append(partial(_is_within, field, compare, _day(name, text)))
    return tests


def _has_status(statuses: set[str], order: Body) -> bool:
    return str(order["status"]) in statuses


def _is_within(field: str, compare: Callable[[int, int], bool], day: int, order: Body) -> bool:
    """Whether a stamp's day is on the wanted side of a day; never so for an empty stamp."""
    stamp: int | str = order[field]
    return isinstance(stamp, int) and compare(stamp // 10**6, day)


def _day(name: str, text: str) -> int:
    try:
        datetime.strptime(text, "%Y%m%d").replace(tzinfo=LONDON)
    except ValueError as error:
        raise BadRequestError(f"filters[{name}] must be a date as Ymd, not {text}") from error
    return int(text)


def _page(query: QueryParams) -> int:
    text = query.get("page[number]", "1")
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise BadRequestError(f"page[number] must be a number from 1, not {text}")
    return int(text)
