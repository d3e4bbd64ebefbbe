"""Feedback Company: registering one order, and what its reply says of it.

Belongs here: the request, and telling accepted, refused, uncertain and unsent apart. Does not
belong here: what the order holds (`feedback_company_order.py`), remembering what was sent.
Source: API for Developers: Orders; how public clients read refusals.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from assets.sources.base import Outcome, OutcomeState, Outgoing
from resources.api import Api, Rejected, Reply, Unreachable
from resources.budget import BudgetError
from resources.errors import ApiError

ORDERS = "/orders"

_REFUSED = frozenset({400, 409, 413, 415, 422})
"""Statuses by which an API says that it did not take this order."""
_NOT_TAKEN = frozenset({401, 403, 404, 405, 406, 429})
"""Statuses by which it says that it would take none as things are."""

_EMAIL = re.compile(r"[^\s\"'<>:=]+(@|%40)[^\s\"'<>,;]+")


class _Registered(msgspec.Struct):
    success: Any = None


def register(api: Api, order: Outgoing) -> Outcome:
    """Send one order, once. Only a reply of 2xx whose `success` is true says that it is in."""
    api.least_requests += 1
    try:
        reply = api.post(ORDERS, msgspec.Raw(order.body))
    except Rejected as fault:
        return _rejected(order, fault)
    except Unreachable as fault:
        return _outcome(order, "uncertain" if fault.in_doubt else "unsent", fault)
    except (ApiError, BudgetError) as fault:
        # Throttled: told to wait, so not acted on. Elsewhere: told to go to another host, where it
        # was not sent. Any other is of the login, which comes before.
        return _outcome(order, "unsent", fault)
    return _answered(order, reply)


def _rejected(order: Outgoing, fault: Rejected) -> Outcome:
    if fault.method != "POST" or fault.status in _NOT_TAKEN:
        return _outcome(order, "unsent", fault)
    if fault.status in _REFUSED or 200 <= fault.status < 300:
        return _outcome(order, "refused", fault)
    return _outcome(order, "uncertain", fault)


def _answered(order: Outgoing, reply: Reply) -> Outcome:
    try:
        success = msgspec.json.decode(reply.body, type=_Registered).success
        reply.body.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        success = None
    if success is True:
        return Outcome(order.external_id, "accepted", response=reply.body)
    what = f"{reply.method} {reply.url} answered {reply.status}: {reply.excerpt(200)}"
    fault = ApiError(what, reply.account, "compare the reply with Feedback Company's documents")
    return _outcome(order, "refused" if success is False else "uncertain", fault)


def _outcome(order: Outgoing, state: OutcomeState, fault: ApiError | BudgetError) -> Outcome:
    """What is said of it names nobody: a reply may repeat what was sent."""
    what = _EMAIL.sub("[e-mail]", fault.what)
    if what != fault.what:
        fault = ApiError(what, fault.where, fault.remedy)
    return Outcome(order.external_id, state, what, error=fault if state == "unsent" else None)
