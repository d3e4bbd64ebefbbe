"""The sandbox's control routes, on a port of their own.

Belongs here: moving the clock, editing and deleting orders, arming faults, asking what is true,
over HTTP.
Does not belong here: anything that one of the five APIs documents.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.api import SandboxApi, json_reply
from sandbox.world import UnknownOrderError

if TYPE_CHECKING:
    from sandbox.server import Sandbox

HELP = """\
The sandbox's control port. Bodies are JSON; ACCOUNT is written like brightpearl.acme.

GET    /clock                        the sandbox's present moment (UTC)
POST   /clock                        {"advance_seconds": 3600} or {"to": "2026-11-03T07:00:00Z"}
GET    /accounts                     base URLs, requests received, orders existing now
GET    /accounts.toml                an accounts.toml for this sandbox
GET    /truth/ACCOUNT                every order ever listed, with its body as it is now
POST   /orders/ACCOUNT/ORDER_ID      edit an order by hand; the body holds the changes
DELETE /orders/ACCOUNT/ORDER_ID      delete an order
POST   /faults/ACCOUNT               arm a fault: {"kind": "throttled", "times": 1, "after": 0,
                                     "path": "part of path or query", "method": "GET", ...};
                                     times null is always; a wrong kind is told all there are
GET    /faults/ACCOUNT               what is armed, and how often each has struck
DELETE /faults/ACCOUNT               disarm all faults of the account
POST   /requests/reset               set the request counts to zero
"""


class Control:
    """The control routes of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def help(self, request: Request) -> Response:
        """What can be asked here."""
        del request
        return PlainTextResponse(HELP)

    async def clock(self, request: Request) -> Response:
        """The present moment, after moving to it if asked to."""
        clock = self._sandbox.clock
        if request.method == "POST":
            wish = await _body(request)
            try:
                if "to" in wish:
                    clock.advance_to(datetime.fromisoformat(wish["to"]))
                else:
                    clock.advance(timedelta(seconds=wish["advance_seconds"]))
            except (KeyError, TypeError, ValueError) as error:
                raise HTTPException(400, f"the clock cannot be moved so: {error!r}") from error
        return json_reply({"now": clock.now()})

    async def accounts(self, request: Request) -> Response:
        """Each account's base URL, requests and orders."""
        del request
        return json_reply(
            {
                account: {
                    "base_url": self._sandbox.base_url(account),
                    "requests": api.requests,
                    "orders": len(api.shelf.present()),
                }
                for account, api in self._sandbox.accounts.items()
            }
        )

    async def accounts_toml(self, request: Request) -> Response:
        """The sandbox's accounts.toml."""
        del request
        return PlainTextResponse(self._sandbox.accounts_toml())

    async def truth(self, request: Request) -> Response:
        """What is so in an account now."""
        return json_reply(self._api(request).truth())

    async def order(self, request: Request) -> Response:
        """Edit or delete one order."""
        api, order_id = self._api(request), request.path_params["order_id"]
        try:
            if request.method == "DELETE":
                api.delete(order_id)
            else:
                api.edit(order_id, await _body(request))
        except UnknownOrderError as error:
            raise HTTPException(404, str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPException(400, f"order {order_id} cannot be edited so: {error}") from error
        return Response(status_code=204)

    async def faults(self, request: Request) -> Response:
        """Arm a fault, tell what is armed, or disarm it."""
        account = self._api(request).setup.account
        if request.method == "DELETE":
            self._sandbox.clear_faults(account)
            return Response(status_code=204)
        if request.method == "POST":
            wish = await _body(request)
            try:
                fault = self._sandbox.fault(account, wish.pop("kind", ""), **wish)
            except (TypeError, ValueError) as error:
                raise HTTPException(400, f"that cannot be armed: {error}") from error
            return json_reply(fault.shown(), 201)
        return json_reply([fault.shown() for fault in self._sandbox.faults(account)])

    async def reset(self, request: Request) -> Response:
        """Set the request counts to zero."""
        del request
        self._sandbox.reset_requests()
        return Response(status_code=204)

    def _api(self, request: Request) -> SandboxApi:
        account = request.path_params["account"]
        try:
            return self._sandbox.api(account)
        except KeyError as error:
            known = ", ".join(self._sandbox.accounts)
            raise HTTPException(404, f"no account {account!r}; there are {known}") from error


async def _body(request: Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise HTTPException(400, f"the body is not a JSON object: {error}") from error


def control_routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the control port."""
    control = Control(sandbox)
    return [
        Route("/", control.help),
        Route("/clock", control.clock, methods=["GET", "POST"]),
        Route("/accounts", control.accounts),
        Route("/accounts.toml", control.accounts_toml),
        Route("/truth/{account}", control.truth),
        Route("/orders/{account}/{order_id}", control.order, methods=["POST", "DELETE"]),
        Route("/faults/{account}", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/requests/reset", control.reset, methods=["POST"]),
    ]
