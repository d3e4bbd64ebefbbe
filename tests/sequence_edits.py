"""Edits of a sandbox's orders, chosen by number.

Belongs here: what can be edited in each source, as people do it there. Does not belong here: when,
and what becomes of it in the marts.

Every edit takes its values from a small set, so that a later one may bring back what was there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.server import Sandbox
from sandbox.world import Body

REREAD = timedelta(days=45)
"""How long an invitation may change: what the pipeline assumes unless told otherwise."""

Edit = Callable[[Body, int], Body | None]
"""The changes for an order's body; None where it cannot be edited so."""


def alive(box: Sandbox, account: str) -> dict[str, Body]:
    """The orders that exist in an account now, by id."""
    return {t["source_order_id"]: t["body"] for t in box.truth(account) if not t["is_deleted"]}


def edit(box: Sandbox, account: str, which: int, what: int) -> str | None:
    """Edit one order, both chosen by number; its id, or None where nothing could be edited."""
    orders = list(alive(box, account).items())
    if not orders:
        return None
    order_id, body = orders[which % len(orders)]
    edits = EDITS[account.partition(".")[0]]
    changes = edits[what % len(edits)](body, what // len(edits))
    if account.startswith("feedback_company") and not _is_young(box, body):
        return None
    if changes is None:
        return None
    box.api(account).edit(order_id, changes)
    return order_id


def _is_young(box: Sandbox, body: Body) -> bool:
    return box.clock.now() - datetime.fromisoformat(body["created_at"]) < REREAD


def _brightpearl_status(_: Body, value: int) -> Body:
    return {"orderStatus": {"orderStatusId": (3, 23, 26, 27)[value % 4]}}


def _brightpearl_paid(_: Body, value: int) -> Body:
    return {"orderPaymentStatus": ("PAID", "UNPAID", "PARTIALLY_PAID")[value % 3]}


def _brightpearl_row(body: Body, value: int) -> Body | None:
    for row_id, row in body["orderRows"].items():
        net = ("15.0449", "0.01", "120.0000")[value % 3]
        amounts = row["rowValue"] | {"rowNet": row["rowValue"]["rowNet"] | {"value": net}}
        return {"orderRows": {row_id: row | {"rowValue": amounts}}}
    return None


def _brightpearl_row_gone(body: Body, _: int) -> Body | None:
    rows = list(body["orderRows"])
    return {"orderRows": {rows[-1]: None}} if len(rows) > 1 else None


def _tastyigniter_lines(body: Body, value: int) -> Body:
    """Lines alone: `updated_at` stays as it was."""
    lines = [dict(line) for line in body["attributes"]["order_menus"]]
    if value % 3 == 0 and lines:
        return {"order_menus": lines[1:]}
    if value % 3 == 1:
        lines.append({"name": "Pain au chocolat", "quantity": 1 + value % 2, "price": 1.0449})
    return {"order_menus": [{**line, "quantity": 1 + value % 3} for line in lines]}


def _tastyigniter_status(_: Body, value: int) -> Body:
    return {"status_id": (1, 3, 4, 5, 9)[value % 5]}


def _tastyigniter_email(_: Body, value: int) -> Body:
    return {"email": ("a@example.org", "b@example.org")[value % 2]}


def _efiling_lines(body: Body, value: int) -> Body:
    lines = [{**line, "quantity": 1 + value % 3, "tax": 0.07} for line in body["orderlines"]]
    return {"orderlines": [*lines, lines[0]] if value % 2 and lines else lines[:1]}


def _efiling_status(_: Body, value: int) -> Body:
    return {"status": (100, 300, 500, 700, 900)[value % 5]}


def _efiling_description(_: Body, value: int) -> Body:
    return {"description": ("FIRST LTD", "SECOND LTD")[value % 2]}


def _quotevine_status(_: Body, value: int) -> Body:
    return {"order_status": ("New Order", "In Build", "Delivered", "Cancelled")[value % 4]}


def _quotevine_vehicle(_: Body, value: int) -> Body:
    return {"vin": (None, "WXX1", "WXX2")[value % 3]}


def _feedback_company_flags(_: Body, value: int) -> Body:
    return {"is_sent": value % 2 == 0, "is_reminder_sent": value % 4 == 0}


EDITS: dict[str, tuple[Edit, ...]] = {
    "brightpearl": (
        _brightpearl_status,
        _brightpearl_row,
        _brightpearl_paid,
        _brightpearl_row_gone,
    ),
    "tastyigniter": (_tastyigniter_lines, _tastyigniter_status, _tastyigniter_email),
    "efiling": (_efiling_lines, _efiling_status, _efiling_description),
    "quotevine": (_quotevine_status, _quotevine_vehicle),
    "feedback_company": (_feedback_company_flags,),
}
