"""The Feedback Company API v2 on loopback: a token, orders to register, invitations to list.

Belongs here: paths, token, envelopes, paging and errors. Does not belong here: which invitations
exist (feedback_company_orders.py) and what makes an order invalid (feedback_company_checks.py).

Sources: API for Developers: Orders; API for Developers: Invitations (list and get); the token and
the text of an unauthorised reply as public clients rely on them. Orders can be posted only.
Assumed, since no page says it: the bodies of 404, 422 and 429, the limit of 60 requests a minute,
that unknown parameters and properties are ignored, that tokens live for 60 days and that an older
one stays good beside a newer one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.api import SandboxApi, Setup, json_reply
from sandbox.feedback_company_checks import complaints, send_times
from sandbox.feedback_company_orders import Invitation, invitations_of_sample
from sandbox.world import Body

TOKEN_LIFE = timedelta(days=60)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PAGE_SIZES = range(1, 1001)
SORTS = ("created_at", "-created_at")
NOT_AUTHORISED = {"error": "Unauthorized", "description": "No access token, or not a valid one"}

Answer = Callable[[Request], Awaitable[Response]]


class FeedbackCompanyApi(SandboxApi):
    """One merchant at the Feedback Company; its account combines merchant and product reviews."""

    source: ClassVar[str] = "feedback_company"
    credential_names: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    timezone: ClassVar[str] = "Europe/Amsterdam"
    currency: ClassVar[str] = "EUR"
    started_on: ClassVar[date] = date(2026, 9, 1)
    requests_per_minute: ClassVar[int] = 60

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.allowance = self.limit(self.requests_per_minute)
        self._tokens: dict[str, datetime] = {}
        self._registered: dict[str, Body] = {}
        self._last_id, self._last_order_id = 5677, 1233
        for _ in range(setup.repeat):
            for invitation in invitations_of_sample():
                self._invite(invitation, self._next_order_id())

    def base_path(self) -> str:
        """The first part stands for the host."""
        return f"/{self.name}/api/v2"

    def routes(self) -> list[BaseRoute]:
        """The token's path asks for no token; a GET of `/orders` is not offered (405)."""
        return [
            Route("/oauth2/token", self._token, methods=["GET"]),
            Route("/orders", self._answered(self._register), methods=["POST"]),
            Route("/invitations", self._answered(self._list), methods=["GET"]),
            Route("/invitations/{id:int}", self._answered(self._one), methods=["GET"]),
        ]

    def settings(self) -> Body:
        """A rule by which the gift shop's shipped orders are registered; none are by themselves."""
        rule: Body = {
            "from_accounts": ["brightpearl.acme"],
            "shipping_statuses": ["shipped"],
            "max_age_days": 3650,
            "delay": "2 days",
            "reminder": "7 days",
            "filtercode": "gift-shop",
            "exclude_products": ["1000"],
            "product_url": "https://shop.example/products/{product_id}",
        }
        return {"push": rule}

    def forget_tokens(self) -> None:
        """Let every token that was given out lose its force."""
        self._tokens = dict.fromkeys(self._tokens, self.clock.now())

    def registrations(self) -> list[Body]:
        """The orders that were registered by POST, as they were sent, oldest first."""
        return list(self._registered.values())

    def edit(self, order_id: str, changes: Body) -> None:
        """Change an invitation, by its id, from now on; nothing of it tells when."""
        self.shelf.change(order_id, lambda body: {**body, **changes})

    def _next_order_id(self) -> int:
        """The vendor's own number of an order, which no reply to a POST ever tells."""
        self._last_order_id += 1
        return self._last_order_id

    def _invite(self, invitation: Invitation, order_id: int) -> None:
        """Number an invitation and let its flags flip when their moments pass."""
        self._last_id += 1
        for at, body in invitation.versions(self._last_id, order_id):
            self.shelf.put(str(self._last_id), at, body)

    async def _token(self, request: Request) -> Response:
        given = request.query_params
        held = self.setup.credentials
        right = all(given.get(name) == held[name] for name in self.credential_names)
        if not right or given.get("grant_type") != "authorization_code":
            refused = {"error": True, "description": "The client credentials are not valid"}
            return json_reply(refused, 401)
        token, expires = f"sandbox-token-{len(self._tokens) + 1}", self.clock.now() + TOKEN_LIFE
        self._tokens[token] = expires
        written = expires.astimezone(AMSTERDAM).strftime("%b, %d %Y %H:%M:%S %Z")
        return json_reply({"error": False, "access_token": token, "expires_on": written})

    def _answered(self, answer: Answer) -> Answer:
        """Put the token and the allowance before an answer."""

        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            expires = self._tokens.get(token)
            if scheme != "Bearer" or expires is None or expires <= self.clock.now():
                return json_reply(NOT_AUTHORISED, 401)
            if not self.allowance.take().allowed:
                return json_reply({"success": False, "error": "Too many requests"}, 429)
            return await answer(request)

        return guarded

    async def _register(self, request: Request) -> Response:
        try:
            order = msgspec.json.decode(await request.body(), type=Body)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return invalid({"body": "must be a JSON object"})
        now = self.clock.now()
        found = complaints(order, now)
        if order.get("external_id") in self._registered:
            found["external_id"] = "is already in use"
        if found:
            return invalid(found)
        self._registered[order["external_id"]] = order
        order_id = self._next_order_id()
        if order.get("invitation"):
            self._invite(Invitation(now, *send_times(order["invitation"], now)), order_id)
        return json_reply({"success": True}, 201)

    async def _list(self, request: Request) -> Response:
        given = request.query_params
        page, page_size = given.get("page", "1"), given.get("page_size", "25")
        sort = given.get("sort", "-created_at")
        found = {}
        if not page.isdecimal() or int(page) < 1:
            found["page"] = "must be an integer greater than 0"
        if not page_size.isdecimal() or int(page_size) not in PAGE_SIZES:
            found["page_size"] = "must be an integer between 1 and 1000"
        if sort not in SORTS:
            found["sort"] = "must be created_at or -created_at"
        if found:
            return invalid(found)
        rows = self._sorted(newest_first=sort.startswith("-"))
        first = (int(page) - 1) * int(page_size)
        shown = rows[first : first + int(page_size)]
        return json_reply({"meta": {"count": len(rows)}, "success": True, "invitations": shown})

    def _sorted(self, *, newest_first: bool) -> list[Body]:
        rows = self.shelf.present().values()
        return sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=newest_first)

    async def _one(self, request: Request) -> Response:
        body = self.shelf.get(str(request.path_params["id"]))
        if body is None:
            return json_reply({"success": False, "error": "Not found"}, 404)
        return json_reply({"success": True, "invitation": body})


def invalid(found: dict[str, str]) -> Response:
    """A 422 that says per property what is wrong."""
    errors = [{"property": name, "message": why} for name, why in found.items()]
    return json_reply({"success": False, "error": "Invalid data", "errors": errors}, 422)
