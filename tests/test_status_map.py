"""status_map.csv is executable: every source code becomes the canonical code of its line.

The lines that are rules rather than codes (absent, other, any, account maps, derived from another
field) each have a body of their own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from assets.sources import SOURCES
from schemas.status import DIMENSIONS, status_codes
from tests.document_bodies import Path as BodyPath
from tests.document_bodies import body_of, id_of, path_of, put, take
from tests.mapping_harness import Outcome, outcomes

FILE = Path(__file__).with_name("status_map.csv")


@dataclass(frozen=True)
class Line:
    """One line of status_map.csv."""

    dimension: str
    source: str
    source_code: str
    canonical_code: str
    basis: str
    note: str

    def __str__(self) -> str:
        return f"{self.dimension}-{self.source}-{self.source_code}"


@dataclass(frozen=True)
class Rule:
    """What to change in a complete body, what the account says, and what must come of it."""

    change: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    mapped: bool = False
    """Whether the account has the map of its own that stands in MAPS."""
    code: str | None = None
    """Where it is not the line's own."""
    basis: str | None = None
    """Where it is not the line's own."""
    body: Callable[[], dict[str, Any]] | None = None
    """Where it is not the source's document."""


def _lines() -> list[Line]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [Line(**line) for line in csv.DictReader(file)]


LINES = _lines()

FIELDS = {
    ("brightpearl", "order_type"): "orderTypeCode",
    ("brightpearl", "payment_status"): "orderPaymentStatus",
    ("brightpearl", "shipping_status"): "shippingStatusCode",
    ("brightpearl", "allocation_status"): "allocationStatusCode",
    ("brightpearl", "fulfilment_status"): "stockStatusCode",
    ("tastyigniter", "fulfilment_method"): "order_type",
    ("quotevine", "fulfilment_method"): "delivery_method",
}
"""The fields that hold a dimension's code as such."""

SOURCE_CODES = {
    "order_type": "source_order_type_code",
    "order_status": "source_status_code",
    "fulfilment_method": "source_fulfilment_method",
}
"""The columns that keep the code as received, where not source_DIMENSION_code."""


def _invitation(**flags: bool) -> Callable[[], dict[str, Any]]:
    plain = {"id": 5678, "order_id": 1234, "created_at": "2018-04-01T00:00:00Z"}
    return lambda: {**plain, "is_sent": False, "is_reminder_sent": False, **flags}


_CANCELLED = {"cancellation_date": "2022-08-20"}
_SERVICE = {"orderline.product.is_service": 1}

MAPS: dict[str, dict[str, Any]] = {
    "brightpearl": {
        "order_status": {"27": "cancelled", "1": "processing"},
        "payment_status": {"PAID": "authorized"},
        "fulfilment_method": {"2": "collection"},
    },
    "tastyigniter": {"shipping_status": {"4": "shipped", "5": "delivered"}},
    "efiling": {"order_status": {"700": "completed"}},
    "quotevine": {"order_status": {"Sent": "open"}, "shipping_status": {"Sent": "delivered"}},
    "feedback_company": {},
}
"""What an account may say of its own codes."""

RULES: dict[tuple[str, str, str], list[Rule]] = {
    ("payment_status", "tastyigniter", "processed=true"): [Rule({"processed": True})],
    ("payment_status", "tastyigniter", "processed=false"): [Rule({"processed": False})],
    ("payment_status", "tastyigniter", "processed=null"): [
        Rule({"processed": None}),
        Rule(without=("processed",)),
    ],
    ("shipping_status", "tastyigniter", "order_type=collection"): [
        Rule({"order_type": "collection", "status_id": 5})
    ],
    ("shipping_status", "tastyigniter", "order_type=delivery + status_id"): [
        Rule({"status_id": 4}, basis="default"),
        Rule({"status_id": 4}, mapped=True, code="shipped"),
        Rule({"status_id": 5}, mapped=True, code="delivered"),
    ],
    ("shipping_status", "efiling", "all rows service or incorporation"): [
        Rule(_SERVICE),
        Rule({"orderline.product.is_incorporation": 1}),
    ],
    ("shipping_status", "efiling", "(otherwise)"): [Rule(), Rule(without=("orderline",))],
    ("shipping_status", "quotevine", "cancellation_date set"): [
        Rule(_CANCELLED),
        Rule(_CANCELLED, mapped=True),
    ],
    ("shipping_status", "quotevine", "account map of order_status"): [
        Rule(mapped=True, code="delivered")
    ],
    ("shipping_status", "quotevine", "confirmed_delivery_date set"): [
        Rule(),
        Rule({"order_status": "Other"}, mapped=True),
    ],
    ("shipping_status", "quotevine", "(otherwise)"): [
        Rule({"confirmed_delivery_date": None}),
        Rule(without=("confirmed_delivery_date",)),
    ],
    ("allocation_status", "quotevine", "vin set"): [Rule({"vin": "WXX1"})],
    ("allocation_status", "quotevine", "vin empty"): [
        Rule({"vin": ""}),
        Rule({"vin": None}),
        Rule(without=("vin",)),
    ],
    ("order_status", "brightpearl", "account map of orderStatusId"): [
        Rule(
            {"orderStatus.orderStatusId": 27},
            mapped=True,
            code="cancelled",
        ),
        Rule(mapped=True, code="processing"),
    ],
    ("order_status", "brightpearl", "(unmapped) closedOn set"): [
        Rule({"orderStatus.orderStatusId": 27}),
        Rule(without=("orderStatus",)),
    ],
    ("order_status", "brightpearl", "(unmapped) closedOn absent"): [
        Rule({"orderStatus.orderStatusId": 27}, without=("closedOn",))
    ],
    ("order_status", "tastyigniter", "status_id null and processed not true"): [
        Rule({"status_id": None, "processed": None}),
        Rule({"status_id": None, "processed": False}),
    ],
    ("order_status", "tastyigniter", "(unmapped)"): [
        Rule({"status_id": 27}),
        Rule({"status_id": None, "processed": True}),
    ],
    ("order_status", "efiling", "cancelled_at set"): [
        Rule({"order.cancelled_at": 20200105101836}),
        Rule(
            {"order.cancelled_at": 20200105101836},
            mapped=True,
        ),
    ],
    ("order_status", "efiling", "status 700, 900, other"): [
        Rule(basis="default"),
        Rule({"order.status": 900}, basis="default"),
        Rule({"order.status": 3}, basis="default"),
        Rule(mapped=True, code="completed"),
    ],
    ("order_status", "quotevine", "cancellation_date set"): [
        Rule(_CANCELLED),
        Rule(_CANCELLED, mapped=True),
    ],
    ("order_status", "quotevine", "configured order_status"): [
        Rule(basis="default"),
        Rule({"order_status": None}, basis="default"),
        Rule(mapped=True, code="open"),
    ],
    ("invitation_status", "feedback_company", "invitation absent"): [
        Rule(without=("invitation",)),
        Rule({"invitation": None, "response.success": True}),
    ],
    ("invitation_status", "feedback_company", "invitation present, success=true"): [
        Rule({"response.success": True})
    ],
    ("invitation_status", "feedback_company", "response missing or success<>true"): [
        Rule({"response.success": False}),
        Rule(without=("response.success",)),
        Rule(body=lambda: body_of("feedback_company")["registration"]),
    ],
    ("invitation_status", "feedback_company", "is_sent=true"): [
        Rule(body=_invitation(is_sent=True))
    ],
    ("invitation_status", "feedback_company", "is_reminder_sent=true"): [
        Rule(body=_invitation(is_sent=True, is_reminder_sent=True)),
        Rule(body=_invitation(is_reminder_sent=True)),
    ],
    ("fulfilment_method", "brightpearl", "shippingMethodId"): [
        Rule(basis="default"),
        Rule(mapped=True, code="collection"),
    ],
}
"""The lines that no code can be taken from as it stands."""


def _rules(line: Line) -> list[Rule]:
    own = RULES.get((line.dimension, line.source, line.source_code))
    if own is not None:
        return own
    name = FIELDS.get((line.source, line.dimension))
    if line.source_code == "*":
        return [Rule()]
    if line.dimension == "order_status":
        place, _, code = line.source_code.partition("=")
        inside = {"orderStatusId": "orderStatus.orderStatusId"}
        return [Rule({inside.get(place, place): int(code)})]
    assert name is not None, f"nothing is known of {line}"
    if line.source_code == "(absent)":
        return [Rule(without=(name,)), Rule({name: None})]
    if line.source_code == "(other)":
        return [Rule({name: "NO_SUCH_CODE"})]
    return [Rule({name: line.source_code})]


def _path(source: str, name: str) -> BodyPath:
    return ["orderlines", 0] if name == "orderline" else path_of(source, name)


def _raw(line: Line, rule: Rule) -> tuple[str, dict[str, Any]]:
    if rule.body:
        return "other", rule.body()
    body = body_of(line.source)
    for name, value in rule.change.items():
        put(body, _path(line.source, name), value)
    for name in rule.without:
        take(body, _path(line.source, name))
    return id_of(line.source, body), body


CASES = [(line, rule) for line in LINES for rule in _rules(line)]


@cache
def _found(source: str, mapped: bool) -> dict[int, Outcome]:
    """The outcomes of every case of one source, by place in CASES."""
    places = [
        place
        for place, (line, rule) in enumerate(CASES)
        if (line.source, rule.mapped) == (source, mapped)
    ]
    bodies = [_raw(*CASES[place]) for place in places]
    settings = MAPS[source] if mapped else {}
    return dict(zip(places, outcomes(source, bodies, **settings), strict=True))


@pytest.mark.parametrize("place", range(len(CASES)), ids=[str(line) for line, _ in CASES])
def test_a_code_becomes_the_canonical_code_of_its_line(place: int) -> None:
    line, rule = CASES[place]
    found = _found(line.source, rule.mapped)[place]
    assert found.order is not None, found.faults
    order = found.order
    assert order[line.dimension] == (rule.code or line.canonical_code)
    assert order[f"{line.dimension}_basis"] == (rule.basis or line.basis)
    if (line.source, line.dimension) in FIELDS and not line.source_code.startswith("("):
        raw = SOURCE_CODES.get(line.dimension, f"source_{line.dimension}_code")
        assert order[raw] == line.source_code


@pytest.mark.parametrize("source", sorted({source for source, _ in FIELDS}))
def test_an_unmapped_code_is_flagged_and_kept(source: str) -> None:
    fields = {name: dimension for (owner, dimension), name in FIELDS.items() if owner == source}
    body = body_of(source)
    for name in fields:
        put(body, _path(source, name), "NO_SUCH_CODE")
    [found] = outcomes(source, [(id_of(source, body), body)])
    assert found.order is not None
    for dimension in fields.values():
        raw = SOURCE_CODES.get(dimension, f"source_{dimension}_code")
        assert f"unmapped_code:{dimension}" in found.order["quality_flags"]
        assert (found.order[dimension], found.order[raw]) == ("unknown", "NO_SUCH_CODE")


def test_a_fulfilment_code_of_another_order_type_is_flagged() -> None:
    pairs = [
        (line, order_type)
        for line in LINES
        if "prefix must" in line.note
        for order_type in ("SO", "SC", "PO", "PC")
    ]
    bodies = [
        _raw(line, Rule({"stockStatusCode": line.source_code, "orderTypeCode": order_type}))
        for line, order_type in pairs
    ]
    assert len(pairs) == 12 * 4
    for (line, order_type), found in zip(pairs, outcomes("brightpearl", bodies), strict=True):
        assert found.order is not None
        is_odd = not line.source_code.startswith(order_type)
        assert ("fulfilment_prefix" in found.order["quality_flags"]) is is_odd


def test_an_account_map_comes_before_the_documented_code() -> None:
    body = body_of("brightpearl")
    put(body, ["orderPaymentStatus"], "PAID")
    [found] = outcomes("brightpearl", [("1", body)], **MAPS["brightpearl"])
    assert found.order is not None
    assert found.order["payment_status"] == "authorized"
    assert found.order["payment_status_basis"] == "account_map"


@pytest.mark.parametrize("source", SOURCES)
def test_every_dimension_of_every_source_has_a_canonical_code(source: str) -> None:
    body = body_of(source)
    order = outcomes(source, [(id_of(source, body), body)])[0].order
    assert order is not None
    for dimension, codes in DIMENSIONS.items():
        assert order[dimension] in codes


def test_every_shipped_code_stands_in_the_status_map() -> None:
    known = {(line.dimension, line.source, line.canonical_code) for line in LINES}
    assert {(each.dimension, each.source, each.canonical_code) for each in status_codes()} <= known
    assert len(LINES) == 97
