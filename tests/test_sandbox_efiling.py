"""The eFiling sandbox answers as documented, and its orders change as time passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

import sandbox.server
from sandbox.efiling import EfilingApi, UnknownFieldError
from sandbox.server import Sandbox
from sandbox.world import UnknownOrderError

ACCOUNT = "efiling.formations"
DOCUMENTED = {
    "id": 123,
    "description": "ABC LTD",
    "created_at": 20200101095500,
    "updated_at": 20200103123518,
    "invoiced_at": 20200101101836,
    "cancelled_at": "",
    "status": 700,
    "mlc_status": 700,
    "net": 17.98,
    "gross": 19.58,
}


@contextmanager
def serving(*, lifted: bool = True, repeat: int = 1) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.server, "APIS", (EfilingApi,))
        with Sandbox(lifted=lifted, repeat=repeat) as running:
            yield running


@contextmanager
def client(running: Sandbox, authorization: str = "Basic sandbox-key") -> Iterator[httpx.Client]:
    headers = {"Authorization": authorization}
    with httpx.Client(base_url=running.base_url(ACCOUNT), headers=headers) as opened:
        yield opened


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Sandbox]:
    """A sandbox that no test writes to or moves."""
    with serving() as running:
        yield running


@pytest.fixture
def reading(unchanged: Sandbox) -> Iterator[httpx.Client]:
    with client(unchanged) as opened:
        yield opened


@pytest.fixture
def formations() -> Iterator[Sandbox]:
    with serving() as running:
        yield running


@pytest.fixture
def api(formations: Sandbox) -> Iterator[httpx.Client]:
    with client(formations) as opened:
        yield opened


def orders(api: httpx.Client, **filters: Any) -> dict[int, dict[str, Any]]:
    """Every page of an order list, by id."""
    found: dict[int, dict[str, Any]] = {}
    page = 1
    while batch := asked(api, page, **filters):
        found |= {order["id"]: order for order in batch}
        page += 1
    return found


def asked(api: httpx.Client, page: int, **filters: Any) -> list[dict[str, Any]]:
    query = {f"filters[{name}]": str(value) for name, value in filters.items()}
    reply = api.get("/orders", params={**query, "page[number]": str(page)})
    assert reply.status_code == 200, reply.text
    batch: list[dict[str, Any]] = reply.json()
    return batch


def lines(api: httpx.Client, order_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/orders/{order_id}/orderlines").json()
    return found


def all_lines(running: Sandbox) -> dict[int, list[dict[str, Any]]]:
    bodies = [item["body"] for item in running.truth(ACCOUNT)]
    return {body["order"]["id"]: body["orderlines"] for body in bodies}


def test_the_documented_order(reading: httpx.Client) -> None:
    day = {"createdFrom": 20200101, "createdTo": 20200101}
    assert orders(reading, statuses="700,900", **day) == {123: DOCUMENTED}
    formation, address = lines(reading, 123)
    assert (formation["price"], formation["tax"], formation["quantity"]) == (2.00, 1.00, 1)
    assert formation["product"]["is_incorporation"] == address["product"]["is_service"] == 1
    assert set(formation["officer"].values()) == {None}
    assert address["officer"] == {"company_name": None, "first_name": "Joe", "last_name": "Bloggs"}


def test_pages_hold_a_hundred_and_end_in_an_empty_one(reading: httpx.Client) -> None:
    assert [len(asked(reading, page)) for page in (1, 2, 3, 4, 5)] == [100] * 5
    rest = len(asked(reading, 6))
    assert 0 < rest < 100
    assert asked(reading, 7) == asked(reading, 70) == []
    assert len(orders(reading)) == 500 + rest


@pytest.mark.parametrize("field", ["created", "invoiced"])
def test_day_filters_include_both_ends(reading: httpx.Client, field: str) -> None:
    day = 20260506
    expected = [
        order["id"]
        for order in orders(reading).values()
        if order[f"{field}_at"] and 20260505 <= order[f"{field}_at"] // 10**6 <= day
    ]
    window = {f"{field}From": 20260505, f"{field}To": day}
    assert expected
    assert list(orders(reading, **window)) == expected


def test_status_filter(reading: httpx.Client) -> None:
    everything = orders(reading)
    chosen = orders(reading, statuses="100,900")
    assert {order["status"] for order in chosen.values()} == {100, 900}
    assert len(chosen) == sum(order["status"] in (100, 900) for order in everything.values())


@pytest.mark.parametrize(
    "unknown", ["filter[statuses]=900", "filters[updatedFrom]=20260101", "page[size]=5", "debug=1"]
)
def test_unknown_parameters_are_ignored(reading: httpx.Client, unknown: str) -> None:
    assert reading.get(f"/orders?{unknown}").json() == asked(reading, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        "filters[createdFrom]=2026-01-01",
        "filters[invoicedTo]=20260230",
        "page[number]=0",
        "page[number]=two",
    ],
)
def test_a_wrong_date_or_page_is_refused(reading: httpx.Client, wrong: str) -> None:
    reply = reading.get(f"/orders?{wrong}")
    assert (reply.status_code, list(reply.json())) == (400, ["error"])


def test_refusals(unchanged: Sandbox, reading: httpx.Client) -> None:
    assert reading.get("/orders/999999/orderlines").status_code == 404
    assert "999999" in reading.get("/orders/999999/orderlines").json()["error"]
    with client(unchanged, "Basic c2FuZGJveC1rZXk=") as stranger:
        assert stranger.get("/orders").status_code == 401


@pytest.mark.parametrize(("hour", "allowed"), [(7, 180), (8, 120), (17, 120), (18, 180)])
def test_the_limit_and_its_clock_time(hour: int, allowed: int) -> None:
    with serving(lifted=False) as running, client(running) as api:
        running.clock.advance_to(datetime(2026, 11, 2, hour, 59, 50, tzinfo=UTC))
        replies = [api.get("/orders/123/orderlines") for _ in range(allowed + 1)]
        assert [reply.status_code for reply in replies] == [200] * allowed + [429]
        again = datetime.strptime(replies[-1].headers["Retry-After"] + "+0000", "%Y%m%d%H%M%S%z")
        wait = again - running.clock.now()
        assert timedelta(0) < wait <= timedelta(seconds=61)


def test_lines_agree_with_their_order(reading: httpx.Client) -> None:
    counts = set()
    for order in asked(reading, 2):
        rows = lines(reading, order["id"])
        counts.add(len(rows))
        money = [{key: Decimal(str(row[key])) for key in ("price", "tax")} for row in rows]
        net = sum(
            (m["price"] * row["quantity"] for m, row in zip(money, rows, strict=True)), Decimal(0)
        )
        gross = net + sum((m["tax"] for m in money), Decimal(0))
        assert (net, gross) == (Decimal(str(order["net"])), Decimal(str(order["gross"])))
        assert {row["order_id"] for row in rows} == {order["id"]}
        assert {row["incorporation"]["company_name"] for row in rows} == {order["description"]}
        assert [row["product"]["is_incorporation"] for row in rows] == [1, *[0] * (len(rows) - 1)]
        assert all(row["tax"] == 0 for row in rows if not row["product"]["taxable"])
    assert counts == {1, 2, 3, 4, 5, 6}


def test_every_kind_of_order_is_there(reading: httpx.Client, unchanged: Sandbox) -> None:
    everything = list(orders(reading).values())
    seen = {order["status"] for order in everything}
    mapped = {int(code) for code in unchanged.api(ACCOUNT).settings()["order_status"]}
    assert {100, 300, 700, 900} <= seen <= mapped
    assert any(order["cancelled_at"] for order in everything)
    assert any(order["invoiced_at"] == "" for order in everything)


def test_two_weeks_bring_new_orders_and_changes(formations: Sandbox, api: httpx.Client) -> None:
    before = orders(api)
    old_lines = all_lines(formations)
    formations.clock.advance(timedelta(days=14))
    after = orders(api)
    assert len(after) - len(before) > 20
    changed = {i for i in before if before[i] != after[i]}
    assert changed
    assert all(after[i]["updated_at"] > before[i]["updated_at"] for i in changed)
    statuses = {i for i in changed if before[i]["status"] != after[i]["status"]}
    assert any(before[i]["created_at"] < 20261001000000 for i in statuses)
    only_lines = {
        i for i in changed if before[i] == {**after[i], "updated_at": before[i]["updated_at"]}
    }
    assert only_lines
    new_lines = all_lines(formations)
    assert all(old_lines[i] != new_lines[i] == lines(api, i) for i in only_lines)


def test_an_edit_by_hand(formations: Sandbox, api: httpx.Client) -> None:
    formations.api(ACCOUNT).edit("123", {"status": 900, "cancelled_at": 20261102070000})
    order = orders(api, statuses="900")[123]
    assert (order["updated_at"], order["cancelled_at"]) == (20261102070000, 20261102070000)
    formations.clock.advance(timedelta(hours=1))
    kept = lines(api, 123)[:1]
    formations.api(ACCOUNT).edit("123", {"orderlines": kept})
    assert lines(api, 123) == kept
    assert orders(api)[123] == {**order, "updated_at": 20261102080000}
    with pytest.raises(UnknownFieldError, match="colour"):
        formations.api(ACCOUNT).edit("123", {"colour": "red"})
    with pytest.raises(UnknownOrderError):
        formations.api(ACCOUNT).edit("124", {"status": 900})


def test_an_edit_lasts_when_the_order_moves_on(formations: Sandbox, api: httpx.Client) -> None:
    before = orders(api)
    with serving() as other, client(other) as elsewhere:
        other.clock.advance(timedelta(days=14))
        moved = next(
            i for i, order in orders(elsewhere).items() if i in before and order != before[i]
        )
    formations.api(ACCOUNT).edit(str(moved), {"description": "RENAMED LTD"})
    formations.clock.advance(timedelta(days=14))
    after = orders(api)[moved]
    assert after["description"] == "RENAMED LTD"
    assert after["updated_at"] > 20261102070000


def test_a_deleted_order_is_gone(formations: Sandbox, api: httpx.Client) -> None:
    formations.api(ACCOUNT).delete("123")
    assert 123 not in orders(api)
    assert api.get("/orders/123/orderlines").status_code == 404
    truth = {item["source_order_id"]: item for item in formations.truth(ACCOUNT)}
    assert truth["123"] == {"source_order_id": "123", "is_deleted": True, "body": None}


def test_the_truth_holds_order_and_lines(unchanged: Sandbox, reading: httpx.Client) -> None:
    bodies = [item["body"] for item in unchanged.truth(ACCOUNT)]
    assert [body["order"] for body in bodies] == list(orders(reading).values())
    assert bodies[7]["orderlines"] == lines(reading, bodies[7]["order"]["id"])


def test_repeated_orders_have_ids_of_their_own(reading: httpx.Client) -> None:
    once = len(orders(reading)) - 1
    with serving(repeat=3) as running, client(running) as other:
        assert len(orders(other)) - 1 == 3 * once
