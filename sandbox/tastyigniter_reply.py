"""How TastyIgniter words its replies.

Belongs here: JSON as PHP writes it, headers, pagination, refusals and what `include` adds.
Does not belong here: which orders a reply holds.

Recorded from a running 4.2.3 unless a line says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api import Taken
from sandbox.tastyigniter_query import Listing, ServerError
from sandbox.tastyigniter_story import StatusRow, recorded, stamp, status_names
from sandbox.world import Body

REQUESTS_PER_MINUTE = 60
"""Per IP address, all tokens together."""

SAME_HEADERS = {"Cache-Control": "no-cache, private", "Access-Control-Allow-Origin": "*"}


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON reply as PHP writes it: ASCII only, slashes escaped."""
    text = json.dumps(value, separators=(",", ":")).replace("/", "\\/")
    return Response(text, status, {**SAME_HEADERS, **(headers or {})}, "application/json")


def counted(taken: Taken) -> dict[str, str]:
    """The headers of a request that was counted."""
    return {
        "X-RateLimit-Limit": str(REQUESTS_PER_MINUTE),
        "X-RateLimit-Remaining": str(taken.remaining),
    }


def unauthenticated() -> Response:
    """401: without rate headers, and not counted."""
    return reply({"message": "Unauthenticated."}, 401)


def forbidden() -> Response:
    """403 for a token without the ability `orders:*`."""
    message = "The API token doesn't have the right abilities to perform this action"
    return reply({"message": message, "status_code": 403}, 403)


def not_found(order_id: str) -> Response:
    """404 for an order that is not there."""
    return reply(
        {"message": f"Record with identifier [{order_id}] not found.", "status_code": 404}, 404
    )


def too_many(taken: Taken, now: datetime) -> Response:
    """429 with the seconds to wait, and the moment as seconds since 1970."""
    wait = ceil(taken.resets_in)
    headers = {"Retry-After": str(wait), "X-RateLimit-Reset": str(int(now.timestamp()) + wait)}
    return reply({"message": "Too Many Attempts.", "status_code": 429}, 429, headers)


def failed(error: ServerError) -> Response:
    """500, with the SQL state where there is one."""
    code = {"code": error.code} if error.code else {}
    return reply({"message": error.message, "status_code": 500, **code}, 500)


def paging(request: Request, asked: Listing, returned: int, total: int) -> Body:
    """`meta` and `links`; the links are absolute, keep the page number and drop all else."""
    last = max(1, -(-total // asked.page_limit))
    pages = {"self": asked.page, "first": 1, "prev": asked.page - 1, "next": asked.page + 1}
    if asked.page <= 1:
        del pages["prev"]
    if asked.page >= last:
        del pages["next"]
    pages["last"] = last
    pagination = {
        "total": total,
        "count": returned,
        "per_page": asked.page_limit,
        "current_page": asked.page,
        "total_pages": last,
    }
    address = request.url.replace(query="")
    links = {name: f"{address}?page={page}" for name, page in pages.items()}
    return {"meta": {"pagination": pagination}, "links": links}


def statuses() -> list[Body]:
    """Every status as GET /api/status lists it."""
    return [
        {
            "type": "status",
            "id": status["id"],
            "attributes": {name: value for name, value in status.items() if name != "id"},
        }
        for status in recorded()["statuses"]
    ]


def with_included(
    page: Sequence[Body],
    names: Sequence[str],
    history: Mapping[str, list[StatusRow]],
    now: datetime,
) -> Body:
    """`data`, and `included` where something known was asked for; unknown names are ignored.

    Raises ServerError for `status` on a page that holds an unplaced order.
    """
    related: dict[str, Body] = {item["id"]: {} for item in page}
    included: list[Body] = []
    if "status" in names:
        included += _statuses_of(page, related)
    if "status_history" in names:
        included += _history_of(related, history, now)
    data = [
        {**item, "relationships": related[item["id"]]} if related[item["id"]] else item
        for item in page
    ]
    return {"data": data, "included": included} if included else {"data": data}


def _statuses_of(page: Sequence[Body], related: dict[str, Body]) -> list[Body]:
    known = {status["id"]: status for status in statuses()}
    used = {}
    for item in page:
        status = known.get(str(item["attributes"]["status_id"]))
        if status is None:
            raise ServerError("OrderTransformer::includeStatus(): Return value must not be null")
        used[status["id"]] = status
        related[item["id"]]["status"] = {"data": {"type": "status", "id": status["id"]}}
    return list(used.values())


def _history_of(
    related: dict[str, Body], history: Mapping[str, list[StatusRow]], now: datetime
) -> list[Body]:
    included = []
    for order_id, relationships in related.items():
        rows = [row for row in history.get(order_id, []) if row.at <= now]
        included += [_history_row(order_id, row, now) for row in rows]
        data = [{"type": "status_history", "id": str(row.row_id)} for row in rows]
        relationships["status_history"] = {"data": data}
    return included


def _history_row(order_id: str, row: StatusRow, now: datetime) -> Body:
    """One row of status history, with the staff user and the status as they stand in it."""
    status = next(one for one in recorded()["statuses"] if one["id"] == str(row.status_id))
    staff = recorded()["staff"] if row.by_staff else None
    attributes = {
        "object_id": int(order_id),
        "object_type": "orders",
        "user_id": staff and staff["user_id"],
        "status_id": row.status_id,
        "notify": False,
        "comment": status["status_comment"],
        "created_at": stamp(row.at),
        "updated_at": stamp(row.at),
        "staff_name": staff and staff["full_name"],
        "status_name": status_names()[row.status_id],
        "notified": "No",
        "date_added_since": since(row.at, now),
        "user": staff,
        "status": {**status, "id": row.status_id},
    }
    attributes["status"]["status_id"] = attributes["status"].pop("id")
    return {"type": "status_history", "id": str(row.row_id), "attributes": attributes}


def since(then: datetime, now: datetime) -> str:
    """How long ago, in words that change as time passes: `7 months ago`."""
    months = (now.year - then.year) * 12 + now.month - then.month
    if (now.day, now.timetz()) < (then.day, then.timetz()):
        months -= 1
    passed = max(timedelta(0), now - then)
    lengths = (
        ("year", months // 12),
        ("month", months),
        ("week", passed.days // 7),
        ("day", passed.days),
        ("hour", passed.seconds // 3600),
        ("minute", passed.seconds // 60),
        ("second", passed.seconds),
    )
    unit, length = next((pair for pair in lengths if pair[1] > 0), ("second", 0))
    return f"{length} {unit}{'' if length == 1 else 's'} ago"
