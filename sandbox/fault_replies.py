"""How each API words what goes wrong, and what its pages and change stamps look like.

Belongs here: the refusals, throttles and empty pages of the five APIs. Does not belong here: when
they are answered (faults.py) and how they get to the client (faulty.py).

Recorded: Brightpearl's 401, 503 and CMNC-018, TastyIgniter's 401, 403 and 429, the form of
eFiling's Retry-After. Brightpearl's CMNU-003 is documented as its server fault. Other wordings
are ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

from starlette.responses import Response

from sandbox import tastyigniter_reply
from sandbox.api import SandboxApi, Taken, json_reply
from sandbox.brightpearl import THROTTLED, BrightpearlApi, edited
from sandbox.efiling_orders import digits
from sandbox.feedback_company import NOT_AUTHORISED, FeedbackCompanyApi
from sandbox.feedback_company_orders import written
from sandbox.quotevine_orders import local_stamp
from sandbox.tastyigniter_write import change_of
from sandbox.world import Body

Refusal = tuple[int, Body]
REMARK = "edited by a clock that runs ahead"


class Words(ABC):
    """How one API says things. `refusals` has a status and a body for each kind of refusal."""

    refusals: Mapping[str, Refusal]

    @abstractmethod
    def throttled(self, api: SandboxApi, wait: float | None) -> Response:
        """Too many requests; None for as long as the API itself would say."""

    @abstractmethod
    def emptied(self, reply: Any) -> Any:
        """A page without its items; what it says of the whole list stays as it is."""

    @abstractmethod
    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """Edit an order now, with a change stamp of another moment. Raises UnknownOrderError."""

    def revoke(self, api: SandboxApi) -> None:  # noqa: B027
        """Let what an earlier login has brought lose its force."""


class BrightpearlWords(Words):
    """`response` or `errors`; throttling is a 503."""

    refusals: Mapping[str, Refusal] = {
        "unavailable": (503, {"response": "Service temporarily unavailable"}),
        "error": (
            500,
            {"errors": [{"code": "CMNU-003", "message": "An unexpected error has occurred"}]},
        ),
        "rejected": (
            500,
            {
                "errors": [
                    {
                        "code": "CMNC-018",
                        "message": "The filter createdOn=BAD cannot be parsed as: PERIOD",
                    }
                ]
            },
        ),
        "revoked": (401, {"response": "Invalid instance token"}),
        "forbidden": (403, {"response": "You do not have permission to access this resource"}),
    }

    def throttled(self, api: SandboxApi, wait: float | None) -> Response:  # noqa: ARG002
        """503 with its text, and the milliseconds to the next period."""
        period = 60.0 if wait is None else wait
        headers = {
            "Brightpearl-Requests-Remaining": "0",
            "Brightpearl-Next-Throttle-Period": str(int(period * 1000)),
        }
        return json_reply({"response": THROTTLED}, 503, headers)

    def emptied(self, reply: Any) -> Any:
        """No rows of a search, no orders of a GET, no ids of an OPTIONS."""
        found = reply["response"]
        if not isinstance(found, dict):
            return {"response": []}
        if "metaData" not in found:
            return {"response": {"getUris": []}}
        meta = {**found["metaData"], "resultsReturned": 0}
        return {**reply, "response": {**found, "results": [], "metaData": meta}}

    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """`updatedOn`."""
        api.edit(order_id, {})  # a timeline of its own, where repetitions share one
        moment = at.replace(microsecond=0)
        cast("BrightpearlApi", api).shelf.change(
            order_id, lambda version: edited(version, int(order_id), {}, moment)
        )


class TastyigniterWords(Words):
    """`message` and `status_code`, as PHP's framework gives them."""

    refusals: Mapping[str, Refusal] = {
        "unavailable": (503, {"message": "Service Unavailable", "status_code": 503}),
        "error": (500, {"message": "Server Error", "status_code": 500}),
        "rejected": (400, {"message": "Bad Request", "status_code": 400}),
        "revoked": (401, {"message": "Unauthenticated."}),
        "forbidden": (
            403,
            {
                "message": "The API token doesn't have the right abilities to perform this action",
                "status_code": 403,
            },
        ),
    }

    def throttled(self, api: SandboxApi, wait: float | None) -> Response:
        """429 with the seconds to wait."""
        taken = Taken(allowed=False, remaining=0, resets_in=60.0 if wait is None else wait)
        reply = tastyigniter_reply.too_many(taken, api.clock.now())
        reply.headers.update(tastyigniter_reply.counted(taken))
        return reply

    def emptied(self, reply: Any) -> Any:
        """`data` without orders; the pagination still tells the total."""
        if isinstance(reply, list):
            return []
        meta = reply["meta"]
        pagination = {**meta["pagination"], "count": 0}
        return {**reply, "data": [], "meta": {**meta, "pagination": pagination}}

    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """`updated_at`, which moves with a comment."""
        change = change_of(int(order_id), {"comment": REMARK}, at, count(1))
        api.shelf.change(order_id, change.apply)


class EfilingWords(Words):
    """`error` alone; `Retry-After` is a clock time."""

    refusals: Mapping[str, Refusal] = {
        "unavailable": (503, {"error": "Service unavailable"}),
        "error": (500, {"error": "Internal server error"}),
        "rejected": (400, {"error": "filters[createdFrom] must be a date as Ymd"}),
        "revoked": (401, {"error": "Unauthorised: check your auth key"}),
        "forbidden": (403, {"error": "Forbidden"}),
    }

    def throttled(self, api: SandboxApi, wait: float | None) -> Response:
        """429 whose `Retry-After` is YmdHis, UK time."""
        again = api.clock.now() + timedelta(seconds=60.0 if wait is None else wait)
        return json_reply({"error": "Too many requests"}, 429, {"Retry-After": str(digits(again))})

    def emptied(self, reply: Any) -> Any:  # noqa: ARG002
        """An empty array: a list says nothing else."""
        return []

    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """`updated_at`."""
        api.edit(order_id, {"updated_at": digits(at)})


class QuotevineWords(Words):
    """`message` alone."""

    refusals: Mapping[str, Refusal] = {
        "unavailable": (503, {"message": "Service unavailable"}),
        "error": (500, {"message": "Internal server error"}),
        "rejected": (400, {"message": "The request is not valid"}),
        "revoked": (401, {"message": "The api-key is missing or not valid"}),
        "forbidden": (403, {"message": "Forbidden"}),
    }

    def throttled(self, api: SandboxApi, wait: float | None) -> Response:  # noqa: ARG002
        """429; without `Retry-After` unless a wait is given."""
        return json_reply({"message": "Too many requests"}, 429, _retry_after(wait))

    def emptied(self, reply: Any) -> Any:
        """`items` without orders; a link to the next page stays. A search is a bare array."""
        return {**reply, "items": []} if isinstance(reply, dict) else []

    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """`last_update_date`."""
        stamp = {"last_update_date": local_stamp(at)}
        api.shelf.change(order_id, lambda body: {**body, **stamp})


class FeedbackCompanyWords(Words):
    """`success` and `error`."""

    refusals: Mapping[str, Refusal] = {
        "unavailable": (503, {"success": False, "error": "Service unavailable"}),
        "error": (500, {"success": False, "error": "Internal server error"}),
        "rejected": (400, {"success": False, "error": "Invalid request"}),
        "revoked": (401, NOT_AUTHORISED),
        "forbidden": (403, {"success": False, "error": "Forbidden"}),
    }

    def throttled(self, api: SandboxApi, wait: float | None) -> Response:  # noqa: ARG002
        """429; without `Retry-After` unless a wait is given."""
        refused = {"success": False, "error": "Too many requests"}
        return json_reply(refused, 429, _retry_after(wait))

    def emptied(self, reply: Any) -> Any:
        """`invitations` without any; the count still tells how many there are."""
        return {**reply, "invitations": []}

    def date(self, api: SandboxApi, order_id: str, at: datetime) -> None:
        """`created_at`, the only stamp of an invitation that is not a plan."""
        api.edit(order_id, {"created_at": written(at)})

    def revoke(self, api: SandboxApi) -> None:
        """Every token that was given out."""
        cast("FeedbackCompanyApi", api).forget_tokens()


WORDS: Mapping[str, Words] = {
    "brightpearl": BrightpearlWords(),
    "tastyigniter": TastyigniterWords(),
    "efiling": EfilingWords(),
    "quotevine": QuotevineWords(),
    "feedback_company": FeedbackCompanyWords(),
}


def _retry_after(wait: float | None) -> dict[str, str]:
    return {} if wait is None else {"Retry-After": f"{wait:g}"}
