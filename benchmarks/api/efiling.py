"""Company formation orders with their lines, a request an order, as eFiling documents them.

Belongs here: which orders there are, and answering the requests for them. Does not belong here:
HTTP (`server.py`), the documented refusals and limits (`sandbox/efiling.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qs

import msgspec

from benchmarks.api.brightpearl import Answer

PAGE = 100
BEGAN = datetime(2026, 1, 1, 9, tzinfo=UTC)
DAYS = 280
"""The orders are spread over so many days."""
_LINES = re.compile(r"/orders/(\d+)/orderlines")


class Efiling:
    """The orders of one brand; none ever changes."""

    def __init__(self, count: int) -> None:
        self._orders: list[tuple[int, bytes]] = []
        self._lines: list[bytes] = []
        self._rows, self._net, self._tax = 0, 0, 0
        for number in range(count):
            self._add(number, BEGAN + number * timedelta(days=DAYS) / count)

    def answer(self, path: str, query: str) -> Answer | None:
        """The reply; None for a path that is not of this API."""
        if path.endswith("/orders"):
            return 200, self._page(query)
        if found := _LINES.search(path):
            number = int(found[1]) - 1
            return (200, self._lines[number]) if number < len(self._lines) else (404, b"{}")
        return None

    def least(self) -> int:
        """The least possible requests: after a full page, only the next one tells of the end."""
        return len(self._orders) + len(self._orders) // PAGE + 1

    def truth(self) -> dict[str, int]:
        """How many orders and lines there are, and their sums in pence."""
        orders = len(self._orders)
        return {"orders": orders, "order_rows": self._rows, "net": self._net, "tax": self._tax}

    def _page(self, query: str) -> bytes:
        """Orders by id, 100 a page, by day of creation; other filters find none."""
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        page = int(asked.pop("page[number]", "1"))
        first = int(asked.pop("filters[createdFrom]", "0"))
        last = int(asked.pop("filters[createdTo]", "99999999"))
        found = [] if asked else [body for day, body in self._orders if first <= day <= last]
        return b"[" + b",".join(found[(page - 1) * PAGE : page * PAGE]) + b"]"

    def _add(self, number: int, created: datetime) -> None:
        lines = _lines(Random(number), number)
        net = sum(round(each["price"] * 100) for each in lines)
        tax = sum(round(each["tax"] * 100) for each in lines)
        order = {
            "id": number + 1,
            "description": f"COMPANY {number} LTD",
            "created_at": _digits(created),
            "updated_at": _digits(created + timedelta(hours=20)),
            "invoiced_at": _digits(created + timedelta(hours=2)),
            "cancelled_at": "",
            "status": 700,
            "mlc_status": 700,
            "net": net / 100,
            "gross": (net + tax) / 100,
        }
        self._orders.append((int(f"{created:%Y%m%d}"), msgspec.json.encode(order)))
        self._lines.append(msgspec.json.encode(lines))
        self._rows += len(lines)
        self._net += net
        self._tax += tax


def _lines(dice: Random, number: int) -> list[dict[str, Any]]:
    """The formation, and up to five services."""
    company = {"incorporation_id": 456 + number, "company_name": f"COMPANY {number} LTD"}
    lines = []
    for place in range(dice.randint(1, 6)):
        price = dice.randrange(199, 4_999)
        lines.append(
            {
                "order_id": number + 1,
                "description": "",
                "quantity": 1,
                "price": price / 100,
                "tax": price // 5 / 100,
                "package": {"name": "Bronze Package"},
                "incorporation": company,
                "product": {
                    "name": f"Service {place}" if place else "Limited Company Formation",
                    "is_service": int(place > 0),
                    "is_incorporation": int(place == 0),
                    "taxable": 1,
                },
                "officer": {
                    "company_name": None,
                    "first_name": "Joe" if place else None,
                    "last_name": "Bloggs" if place else None,
                },
            }
        )
    return lines


def _digits(moment: datetime) -> int:
    return int(f"{moment:%Y%m%d%H%M%S}")
