"""The invitations of the Feedback Company sandbox: one for about two of three delivered orders.

Belongs here: when an invitation is made, sent and followed by a reminder.
Does not belong here: its numbers and how it is asked for; that is feedback_company.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sandbox.feedback_company_checks import send_times
from sandbox.people import chance
from sandbox.world import Body

SAMPLE = Path(__file__).parent / "data" / "olist.parquet"
LAST = datetime(2026, 11, 16)  # noqa: DTZ001 - the sample's stamps are naive; read as UTC here

PLANS: tuple[Body, ...] = (
    {"delay": {"unit": "days", "amount": 7}, "reminder": {"unit": "days", "amount": 14}},
    {"delay": {"unit": "days", "amount": 7}, "reminder": {"unit": "days", "amount": 14}},
    {"delay": {"unit": "days", "amount": 0}, "reminder": {"unit": "days", "amount": 7}},
    {"delay": {"unit": "weekdays", "amount": 5}, "reminder": {"unit": "days", "amount": 21}},
    {"delay": {"unit": "hours", "amount": 12}},
    {"delay": {"unit": "days", "amount": 14}},
)
"""How invitations are asked for; the longest takes 21 days until its reminder."""


@dataclass(frozen=True)
class Invitation:
    """When an invitation was made, goes out and is repeated (None: never), in UTC."""

    created: datetime
    sent: datetime
    reminded: datetime | None

    def versions(self, number: int, order_id: int) -> Iterator[tuple[datetime, Body]]:
        """What a GET gives of it from each moment on; only the two flags ever change."""
        body: Body = {
            "is_sent": False,
            "order_id": order_id,
            "send_at": written(self.sent),
            "send_reminder_at": written(self.reminded) if self.reminded else None,
            "created_at": written(self.created),
            "id": number,
            "is_reminder_sent": False,
        }
        yield self.created, body
        body = {**body, "is_sent": True}
        yield self.sent, body
        if self.reminded:
            yield self.reminded, {**body, "is_reminder_sent": True}


def written(moment: datetime) -> str:
    """A moment as the API writes it: `2018-04-01T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def invitations_of_sample() -> Iterator[Invitation]:
    """The sample's invitations by delivery, which is when each was made."""
    table = pq.read_table(SAMPLE, columns=["order_id", "delivered"])
    table = table.filter(pc.less(table["delivered"], LAST)).sort_by("delivered")
    for row in table.to_pylist():
        draw = chance("invitation", row["order_id"])
        if draw % 3:
            created = row["delivered"].replace(tzinfo=UTC)
            yield Invitation(created, *send_times(PLANS[draw // 3 % len(PLANS)], created))
