"""Quotevine / QV Accelerate on loopback: relationships, and the orders of each of them.

Belongs here: paths, key, envelopes, paging, validation and errors of the vendor's API v2, and the
older flat shape of its Orders Object page.
Does not belong here: what the orders are; that is quotevine_orders.py.

Sources: the Orders Object page, Orders Object v2, Relationships Search v2, Getting Started.
Assumed, since no page says it: the bodies of errors, the 401 of a wrong key, the limit of 60
requests a minute and its 429 without Retry-After, paging by `page` from 0 as in older Oracle REST
Data Services, the redirect of a path without its last slash, that the search keeps the oldest of
more than 20 matches, that an order never touches its relationship after the first, and that a PUT
leaves alone what it does not name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import SandboxApi, Setup, json_reply
from sandbox.quotevine_checks import documented, refusals, renamed
from sandbox.quotevine_orders import (
    DOCUMENT_FIELDS,
    ORDER_STATUSES,
    VENDOR_FIELDS,
    leasing_world,
    local_day,
    local_stamp,
)
from sandbox.world import Body, Shelf

PAGE_SIZE = 25
SEARCH_LIMIT = 20
SEARCH_REACH = timedelta(days=7)
REPEAT_STEP = 1_000_000
"""What is added to every id for each repetition of the sample."""

Answer = Callable[[Request], Awaitable[Response]]


class RefusalError(Exception):
    """A request that the API refuses, with the status that it answers."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class QuotevineApi(SandboxApi):
    """One tenant of Quotevine, as Orders Object v2 and its recorded reply describe it."""

    source: ClassVar[str] = "quotevine"
    credential_names: ClassVar[tuple[str, ...]] = ("api_key",)
    timezone: ClassVar[str] = "Europe/London"
    currency: ClassVar[str] = "GBP"
    started_on: ClassVar[date] = date(2026, 5, 1)
    requests_per_minute: ClassVar[int] = 60
    mandatory: ClassVar[tuple[str, ...]] = ("proposal_id", "order_status", "target_delivery_date")
    """What a POST must name and may not leave null; Orders Object v2 sends a null dealer_id."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.allowance = self.limit(self.requests_per_minute)
        self.relationships: Shelf[Body] = Shelf(setup.clock)
        self.orders_of: dict[int, list[int]] = {}
        self.opened_at = setup.clock.now()
        for repetition in range(setup.repeat):
            self._stock(repetition * REPEAT_STEP)

    def base_path(self) -> str:
        """Every tenant has a subdomain of its own; here it is the first part of the path."""
        return f"/{self.name}/qvine/quotevine/api/v2"

    def routes(self) -> list[BaseRoute]:
        """Paths end in a slash, except the search; ids are integers."""
        orders = "/relationships/{relationship:int}/orders"
        order = orders + "/{order:int}"
        return [
            Route("/relationships/search", self._answered(self._search), methods=["POST"]),
            Route(orders + "/", self._answered(self._list), methods=["GET"]),
            Route(orders + "/", self._answered(self._create), methods=["POST"]),
            Route(order + "/", self._answered(self._one), methods=["GET"]),
            Route(order + "/", self._answered(self._update), methods=["PUT"]),
            Route(orders, add_slash, methods=["GET", "POST"]),
            Route(order, add_slash, methods=["GET", "PUT"]),
        ]

    def thin(self, most: int) -> None:
        """Orders and relationships alike; those of the orders kept stay."""
        super().thin(most)
        every = dict(self.relationships.timelines)
        self.relationships.thin(max(1, most // 4))
        owners = {order_id.partition("/")[0] for order_id in self.shelf.timelines}
        kept = owners | set(self.relationships.timelines)
        self.relationships.timelines = {key: every[key] for key in every if key in kept}
        self.orders_of = {
            int(owner): [
                n for n in self.orders_of[int(owner)] if f"{owner}/{n}" in self.shelf.timelines
            ]
            for owner in self.relationships.timelines
        }

    def settings(self) -> Body:
        """The relationships known before the sandbox opened, and what its statuses mean."""
        lines = self.relationships.timelines.items()
        known = [int(number) for number, line in lines if line.moments[0] < self.opened_at]
        return {
            "relationships": known,
            "order_status": dict(ORDER_STATUSES),
            "shipping_status": {"Delivered": "delivered", "Completed": "delivered"},
        }

    def truth(self) -> list[Body]:
        """As the base class says; `source_order_id` is `relationship/order`."""
        items = super().truth()
        for item in items:
            if item["body"] is not None:
                number = int(item["source_order_id"].partition("/")[2])
                item["body"] = self.worded(number, item["body"])
        return items

    def edit(self, order_id: str, changes: Body) -> None:
        """Edit order `relationship/order` in the application now. Raises UnknownOrderError."""
        stamp = local_stamp(self.clock.now())

        def alter(body: Body) -> Body:
            touched = {"last_update_date": max(stamp, body["last_update_date"])}
            return {**body, **renamed(changes, body), **touched}

        self.shelf.change(order_id, alter)

    def worded(self, number: int, body: Body) -> Body:
        """An order as a GET gives it, in a list or alone."""
        return {"vehicle_order_id": number, **body}

    def listed(self, orders: list[Body], request: Request) -> object:
        """One page of a relationship's orders in its envelope."""
        page = request.query_params.get("page", "0")
        if not page.isdecimal():
            raise RefusalError(400, "page must be a whole number")
        first, url = int(page) * PAGE_SIZE, request.url
        envelope: Body = {"items": orders[first : first + PAGE_SIZE]}
        envelope["first"] = {"$ref": str(url.remove_query_params("page"))}
        if len(orders) > first + PAGE_SIZE:
            envelope["next"] = {"$ref": str(url.include_query_params(page=int(page) + 1))}
        return envelope

    def _stock(self, step: int) -> None:
        world = leasing_world()
        for relationship in world.relationships:
            number = relationship.number + step
            self.orders_of[number] = []
            for at, body in relationship.versions:
                self.relationships.put(str(number), at, body)
        for order in world.orders:
            owner, number = order.relationship + step, order.number + step
            self.orders_of[owner].append(number)
            for at, body in order.versions:
                self.shelf.put(f"{owner}/{number}", at, body)

    def _answered(self, answer: Answer) -> Answer:
        """Put the key, the allowance and the wording of refusals around an answer."""

        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await answer(request)
            except RefusalError as refusal:
                return json_reply({"message": refusal.message}, refusal.status)

        return guarded

    def _admit(self, request: Request) -> None:
        if request.headers.get("api-key") != self.setup.credentials["api_key"]:
            raise RefusalError(401, "The api-key is missing or not valid")
        if not self.allowance.take().allowed:
            raise RefusalError(429, "Too many requests")

    async def _list(self, request: Request) -> Response:
        owner = self._owner(request)
        found = ((number, self.shelf.get(f"{owner}/{number}")) for number in self.orders_of[owner])
        orders = [self.worded(number, body) for number, body in found if body is not None]
        return json_reply(self.listed(orders, request))

    async def _create(self, request: Request) -> Response:
        owner, fields = self._owner(request), documented(await body_of(request))
        self._check(dict.fromkeys(self.mandatory) | fields)
        number, now = max(map(max, filter(None, self.orders_of.values()))) + 1, self.clock.now()
        body: Body = dict.fromkeys((*VENDOR_FIELDS, *DOCUMENT_FIELDS))
        body |= {"order_date": str(local_day(now)), "quantity": 1, "k4k_flag": "N"}
        body |= {"created_by": "api", "creation_date": local_stamp(now)}
        body |= {"last_updated_by": "api", "last_update_date": local_stamp(now), **fields}
        self.orders_of[owner].append(number)
        self.shelf.put(f"{owner}/{number}", now, body)
        return json_reply(self.worded(number, body))

    async def _one(self, request: Request) -> Response:
        order_id, body = self._order(request)
        return json_reply(self.worded(int(order_id.partition("/")[2]), body))

    async def _update(self, request: Request) -> Response:
        order_id, _ = self._order(request)
        fields = documented(await body_of(request))
        self._check(fields)
        self.edit(order_id, {**fields, "last_updated_by": "api"})
        return json_reply({})

    def _check(self, fields: Body) -> None:
        empty = [name for name in self.mandatory if fields.get(name, "") is None]
        complaints = [f"{name} is mandatory" for name in empty] + refusals(fields)
        if complaints:
            raise RefusalError(400, "; ".join(complaints))

    async def _search(self, request: Request) -> Response:
        wanted = await body_of(request)
        if wanted.get("return_multiple_flag") != "Y":
            raise RefusalError(400, "return_multiple_flag must be Y")
        matches = self._matcher(wanted)
        rows = [
            {"relationship_id": int(number), **body, "relationship_id_hash": id_hash(number)}
            for number, body in self.relationships.present().items()
            if matches(number, body)
        ]
        rows.sort(key=lambda row: str(row["creation_date"]))
        return json_reply(rows[:SEARCH_LIMIT])

    def _matcher(self, wanted: Body) -> Callable[[str, Body], bool]:
        """Relationships Search v2: with `updated_since`, every other criterion is ignored."""
        if wanted.get("updated_since") is not None:
            since = str(self._since(wanted["updated_since"]))
            return lambda _, body: str(body["last_update_date"]) >= since
        keys = ("relationship_name", "email_address", "mobile_number", "external_reference")
        criteria = {key: str(wanted[key]).casefold() for key in keys if wanted.get(key)}
        if not criteria:
            raise RefusalError(400, "at least one search attribute must be specified")
        return lambda number, body: criteria.items() <= searchable(number, body, criteria).items()

    def _since(self, value: object) -> date:
        try:
            since = date.fromisoformat(str(value))
        except ValueError:
            raise RefusalError(400, "updated_since must be a date") from None
        if since < local_day(self.clock.now()) - SEARCH_REACH:
            raise RefusalError(400, "updated_since may reach back seven days at most")
        return since

    def _owner(self, request: Request) -> int:
        owner: int = request.path_params["relationship"]
        if self.relationships.get(str(owner)) is None:
            raise RefusalError(404, "Not found")
        return owner

    def _order(self, request: Request) -> tuple[str, Body]:
        order_id = f"{self._owner(request)}/{request.path_params['order']}"
        body = self.shelf.get(order_id)
        if body is None:
            raise RefusalError(404, "Not found")
        return order_id, body


class QuotevineFlatApi(QuotevineApi):
    """The older Orders Object page alone: flat orders in a bare array, its attributes and no more.

    That page puts the order's id into the URL only. Assumed: a list gives it as `order_id`, since
    no client could otherwise ask for an order. It documents `New`, `Used` and no change stamp, and
    says that `dealer_id` is mandatory.
    """

    mandatory: ClassVar[tuple[str, ...]] = (*QuotevineApi.mandatory, "dealer_id")

    def worded(self, number: int, body: Body) -> Body:
        """The documented attributes, with the id beside them."""
        flat = {name: value for name, value in body.items() if name not in VENDOR_FIELDS}
        flat["new_used"] = {"NEW": "New", "USED": "Used"}.get(flat["new_used"], flat["new_used"])
        return {"order_id": number, **flat}

    def listed(self, orders: list[Body], request: Request) -> object:  # noqa: ARG002
        """All of them at once: that page knows no paging."""
        return orders


async def add_slash(request: Request) -> Response:
    """Send a path without its last slash on to the one that has it; 308 keeps the method."""
    return RedirectResponse(request.url.replace(path=request.url.path + "/"), 308)


async def body_of(request: Request) -> Body:
    """The JSON object that was sent. Raises RefusalError (400) for anything else."""
    try:
        return msgspec.json.decode(await request.body(), type=Body)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise RefusalError(400, "the body must be a JSON object") from None


def id_hash(number: str) -> str:
    """The 32 upper-case hexadecimal digits that the search gives beside an id."""
    return hashlib.md5(number.encode(), usedforsecurity=False).hexdigest().upper()


def searchable(number: str, body: Body, criteria: Body) -> Body:
    """What a relationship answers to each criterion; a mobile number finds a landline too."""
    telephones = (body["mobile_number"], body["telephone_number"], body["telephone_number_2"])
    wanted = str(criteria.get("mobile_number", "")).replace(" ", "")
    return {
        "relationship_name": body["display_name"].casefold(),
        "email_address": body["email_address"].casefold(),
        "mobile_number": criteria.get("mobile_number") if wanted in telephones else None,
        "external_reference": number,
    }
