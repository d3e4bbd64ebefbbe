"""Events that say since when a status holds, source by source, through the mappings.

Belongs here: which moments of which source tell of which status. Does not belong here: what the
history makes of them (test_status_history.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from document_bodies import body_of, id_of

from tests.mapping_harness import outcome

SHOWN = ("event_type", "dimension", "code", "canonical_code", "valid_from_utc")
Event = tuple[str, str, str | None, str, datetime]
INVITATION = {
    "id": 5678,
    "order_id": 1234,
    "created_at": "2026-04-01T08:00:00Z",
    "send_at": "2026-04-08T08:00:00Z",
    "send_reminder_at": "2026-04-15T08:00:00Z",
    "is_sent": False,
    "is_reminder_sent": False,
}


def of_statuses(source: str, body: Any, order_id: str = "1", **settings: Any) -> list[Event]:
    found = outcome(source, body, order_id, **settings)
    assert found.order is not None, found.faults
    return [
        tuple(event[name] for name in SHOWN)
        for event in found.order["events"]
        if event["dimension"]
    ]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(("is_sent", "is_reminded", "told"), [(0, 0, 1), (1, 0, 2), (1, 1, 3)])
def test_an_invitation_tells_what_has_happened_and_not_what_is_planned(
    is_sent: int, is_reminded: int, told: int
) -> None:
    flags = {"is_sent": bool(is_sent), "is_reminder_sent": bool(is_reminded)}
    dimension = "invitation_status"
    assert (
        of_statuses("feedback_company", INVITATION | flags, "invitation/5678")
        == [
            ("invitation_scheduled", dimension, None, "scheduled", utc(2026, 4, 1, 8)),
            ("invitation_sent", dimension, None, "sent", utc(2026, 4, 8, 8)),
            ("invitation_reminded", dimension, None, "reminder_sent", utc(2026, 4, 15, 8)),
        ][:told]
    )


@pytest.mark.parametrize(("order_type", "dimensions"), [("delivery", 2), ("collection", 1)])
def test_tastyigniter_tells_of_its_newest_status(order_type: str, dimensions: int) -> None:
    body = body_of("tastyigniter")
    body |= {"status_id": 3, "status_name": "Preparation", "order_type": order_type}
    body["status_updated_at"] = "2026-04-08T08:00:00.000000Z"
    at = utc(2026, 4, 8, 8)
    found = of_statuses("tastyigniter", body, id_of("tastyigniter", body))
    assert (
        found
        == [
            ("status_changed", "order_status", "3", "processing", at),
            ("status_changed", "shipping_status", "3", "unknown", at),
        ][:dimensions]
    )
    renamed = body | {"status_name": "Something else"}
    assert of_statuses("tastyigniter", renamed)[0][3] == "unknown"


def test_a_cancelled_formation_tells_when() -> None:
    body = body_of("efiling")
    assert of_statuses("efiling", body, "123") == []
    body["order"]["cancelled_at"] = 20200701001500
    told = ("cancelled", "order_status", None, "cancelled", utc(2020, 6, 30, 23, 15))
    assert of_statuses("efiling", body, "123") == [told]


@pytest.mark.parametrize(
    ("updated", "is_told"),
    [
        ("2026-07-05 15:00:00", False),  # that very day: the stamp says it better
        ("2026-07-06 00:00:01", True),
        ("", True),
    ],
)
def test_a_cancellation_date_holds_from_its_end(updated: str, is_told: bool) -> None:
    body = body_of("quotevine")
    body["order"] |= {"cancellation_date": "2026-07-05", "last_update_date": updated}
    end = utc(2026, 7, 5, 23)
    assert (
        of_statuses("quotevine", body)
        == [
            ("cancelled", "order_status", None, "cancelled", end),
            ("cancelled", "shipping_status", None, "cancelled", end),
        ][: 2 * is_told]
    )


def test_closed_on_tells_only_where_the_status_rests_on_it() -> None:
    body = body_of("brightpearl")
    body |= {"closedOn": "2026-04-08T09:00:00.000+01:00"}
    body["orderStatus"] = {"orderStatusId": 77, "name": "Ours"}
    told = ("closed", "order_status", None, "completed", utc(2026, 4, 8, 8))
    assert of_statuses("brightpearl", body) == [told]
    assert of_statuses("brightpearl", body, order_status={"77": "completed"}) == []
