"""What a sync need not have seen yet.

Belongs here: the limits of each API, as the sources document them. Does not belong here: comparing.

Brightpearl tells every change. Feedback Company's invitations are read again for as long as they
may change. TastyIgniter and eFiling cannot be asked what changed: finished orders that are no
longer recent are listed again every so many days. Quotevine tells of a relationship for a week.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from assets.workshop import Workshop
from sandbox.quotevine import QuotevineApi
from sandbox.server import Sandbox
from sandbox.world import Body

LONDON = ZoneInfo("Europe/London")
MARGIN = timedelta(minutes=2)
REREAD = timedelta(days=7)
OPEN = timedelta(days=90)
RELIST = {"tastyigniter": timedelta(days=7), "efiling": timedelta(days=1)}
REACH = timedelta(days=7)


def is_loading(workshop: Workshop, account: str) -> bool:
    """Whether the account's first load was broken off: it goes on where it stopped."""
    return "loaded_to" in (workshop.ledger.cursor(account) or {})


def may_be_late(workshop: Workshop, box: Sandbox, account: str) -> frozenset[str]:
    """The orders of which the account's next sync need not see a change; published ids."""
    source = account.partition(".")[0]
    cursor = workshop.ledger.cursor(account)
    if source not in RELIST or cursor is None:
        return frozenset()
    landed = _landed(workshop, account)
    if is_loading(workshop, account):
        return frozenset(landed)
    now = box.clock.now() - MARGIN
    today = now.astimezone(LONDON).date()
    if today - date.fromisoformat(cursor["listed_on"]) >= RELIST[source]:
        return frozenset()
    if source == "tastyigniter":
        return frozenset(k for k, body in landed.items() if _is_done(body, now - REREAD))
    since = date.fromisoformat(cursor["read_to"]) - REREAD
    return frozenset(k for k, body in landed.items() if _is_filed(body, since))


def _landed(workshop: Workshop, account: str) -> dict[str, Body]:
    """The newest landed body of each order."""
    system, _, name = account.partition(".")
    with duckdb.connect() as con:
        workshop.lake.read(con, "raw", account=(system, name)).create_view("raw")
        rows = con.execute(
            "SELECT source_order_id, arg_max(body, landing_seq) FROM raw"
            " WHERE source_order_id IS NOT NULL GROUP BY source_order_id"
        ).fetchall()
    return {order_id: json.loads(body) for order_id, body in rows}


def _is_done(body: Body, since: datetime) -> bool:
    """Whether a TastyIgniter order, as landed, is finished or abandoned, and not recent."""
    order = body["attributes"]
    return order["status_id"] in (None, 0, 5, 9) and _moment(order["created_at"]) < since


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp).astimezone(UTC)


def _is_filed(body: Body, since: date) -> bool:
    """Whether an eFiling order, as landed, is finished or very old, and not recent."""
    order = body["order"]
    created = _day(order["created_at"])
    finished = order["status"] in (700, 900) or order["cancelled_at"] != ""
    recent = created >= since or (order["invoiced_at"] and _day(order["invoiced_at"]) >= since)
    return not recent and (finished or created < since - OPEN)


def _day(stamp: int) -> date:
    return datetime.strptime(str(stamp)[:8], "%Y%m%d").date()  # noqa: DTZ007


class Discovered:
    """The relationships of Quotevine that the account could come to know."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        apis = [api for api in box.accounts.values() if isinstance(api, QuotevineApi)]
        self._api = apis[0] if apis else None
        self._known = set(self._api.settings()["relationships"]) if self._api else set()
        self._seen: set[int] = set()

    def look(self) -> None:
        """Note what a search would find now."""
        if self._api is not None:
            first = str(self._box.clock.now().astimezone(LONDON).date() - REACH)
            present = self._api.relationships.present().items()
            self._seen = {int(k) for k, body in present if str(body["last_update_date"]) >= first}

    def keep(self, accounts: Collection[str]) -> None:
        """What was noted is known, once a sync has succeeded."""
        if self._api is not None and self._api.setup.account in accounts:
            self._known |= self._seen

    def has(self, account: str, order_id: str) -> bool:
        """Whether an order could be known; every order of the other sources can."""
        if not account.startswith("quotevine"):
            return True
        return int(order_id.partition("/")[0]) in self._known
