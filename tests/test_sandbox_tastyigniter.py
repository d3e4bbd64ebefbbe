"""The TastyIgniter sandbox answers as the recorded system does, and its bakery lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sandbox.server
from sandbox.api import SandboxApi
from sandbox.server import Sandbox
from sandbox.tastyigniter import TastyigniterApi
from sandbox.tastyigniter_flat import TastyigniterFlatApi
from sandbox.tastyigniter_story import NO_DATE, stamp
from sandbox.tastyigniter_write import UnknownAttributeError
from sandbox.world import UnknownOrderError

ACCOUNT = "tastyigniter.bakery"
RECORDED = Path(__file__).parent / "sandbox_replies" / "tastyigniter"
UNPLACED, PLACED, INVOICED, UNDATED = "14", "1", "18", "67"
LINE = {"name": "Bread", "quantity": 3, "price": 2.4}


@contextmanager
def serving(
    kind: type[SandboxApi] = TastyigniterApi, *, lifted: bool = True, repeat: int = 1
) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.server, "APIS", (kind,))
        with Sandbox(lifted=lifted, repeat=repeat) as running:
            yield running


@contextmanager
def client(running: Sandbox, token: str | None = "sandbox-token") -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
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
def bakery() -> Iterator[Sandbox]:
    with serving() as running:
        yield running


@pytest.fixture
def api(bakery: Sandbox) -> Iterator[httpx.Client]:
    with client(bakery) as opened:
        yield opened


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text(encoding="utf-8"))


def order(api: httpx.Client, order_id: str) -> dict[str, Any]:
    reply = api.get(f"/api/orders/{order_id}")
    assert reply.status_code == 200, reply.text
    attributes: dict[str, Any] = reply.json()["data"]["attributes"]
    return attributes


def ids(api: httpx.Client, **parameters: Any) -> list[int]:
    return [int(item["id"]) for item in listed(api, **parameters)["data"]]


def listed(api: httpx.Client, **parameters: Any) -> Any:
    reply = api.get("/api/orders", params={"pageLimit": 5000, **parameters})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_one_order_is_the_recorded_reply_to_the_byte(reading: httpx.Client) -> None:
    expected = (RECORDED / "order_14_unplaced_checkout.json").read_bytes().strip()
    assert reading.get(f"/api/orders/{UNPLACED}").content == expected


def test_a_page_is_the_recorded_page(reading: httpx.Client) -> None:
    got = reading.get("/api/orders", params={"pageLimit": 5, "page": 4}).json()
    expected = recorded("orders_limit5_page04.json")
    assert got["data"] == expected["data"]
    pages = {name: link.partition("?")[2] for name, link in got["links"].items()}
    assert pages["self"] == "page=4"
    assert pages.keys() == expected["links"].keys()
    assert got["meta"]["pagination"].keys() == expected["meta"]["pagination"].keys()


def test_status_history_is_the_recorded_one(reading: httpx.Client) -> None:
    got = listed(reading, pageLimit=5, sort="order_id asc", include="status_history")
    expected = recorded("orders_include_status_history.json")
    assert got["data"] == expected["data"]
    assert got["included"] == expected["included"]


def test_links_keep_only_the_page_number(reading: httpx.Client) -> None:
    query = "pageLimit=5&page=2&sort=order_id desc&status=5"
    links = reading.get(f"/api/orders?{query}").json()["links"]
    assert links["next"] == f"{reading.base_url}api/orders?page=3"
    assert links["prev"] == f"{reading.base_url}api/orders?page=1"


@pytest.mark.parametrize(
    ("query", "per_page"),
    [("", 20), ("pageLimit=0", 15), ("pageLimit=", 15), ("pageLimit=1000", 1000), ("page=0", 20)],
)
def test_page_limit(reading: httpx.Client, query: str, per_page: int) -> None:
    reply = reading.get(f"/api/orders?{query}").json()
    assert reply["meta"]["pagination"]["per_page"] == per_page
    assert len(reply["data"]) == min(per_page, reply["meta"]["pagination"]["total"])


@pytest.mark.parametrize(
    "path",
    [
        "orders?pageLimit=-1",
        "orders?pageLimit=ten",
        "orders?page=abc",
        "orders?sort=total desc",
        "orders?pageLimit=20&include=status",
        "orders/abc",
    ],
)
def test_what_the_real_system_answers_with_500(reading: httpx.Client, path: str) -> None:
    reply = reading.get(f"/api/{path}")
    assert (reply.status_code, reply.json()["status_code"]) == (500, 500)


def test_beyond_the_last_page_is_an_empty_page(reading: httpx.Client) -> None:
    reply = reading.get("/api/orders", params={"pageLimit": 5, "page": 4000})
    assert (reply.status_code, reply.json()["data"]) == (200, [])
    assert reply.json()["meta"]["pagination"]["total"] > 700


def test_sorting(reading: httpx.Client) -> None:
    ascending = ids(reading, sort="order_id asc")
    assert ascending == sorted(ascending) == ids(reading)
    assert ids(reading, sort="order_id desc") == ascending[::-1] == ids(reading, sort="order_id")
    assert ids(reading, sort="updated_at desc") == ascending


def test_filters_by_id(reading: httpx.Client) -> None:
    everything = ids(reading)
    cancelled = ids(reading, status=9)
    unplaced = ids(reading, status="abc")
    assert {19, 20} <= set(cancelled)
    assert {14, 15, 16, 17} <= set(unplaced)
    assert ids(reading, status=0) == everything
    assert ids(reading, status="9,1") == ids(reading, **{"status[]": [9, 1]}) == cancelled
    assert set(ids(reading, customer=4)) == {4, 9, 16, 17}
    assert ids(reading, location=1, unknown=3) == [i for i in everything if i != int(UNDATED)]


@pytest.mark.parametrize("level", ["orderDateTime", "0"])
def test_the_slot_filter_compares_local_time(reading: httpx.Client, level: str) -> None:
    slot = {
        f"dateTimeFilter[{level}][startAt]": "2026-06-11T00:00:00Z",
        f"dateTimeFilter[{level}][endAt]": "2026-06-11 23:59:59",
    }
    assert ids(reading, **slot) == [11, 13, 14, 15, 16, 17, 18, 19, 20]


def test_the_slot_filter_without_its_level_finds_nothing(reading: httpx.Client) -> None:
    bare = {"dateTimeFilter[startAt]": "2026-01-01", "dateTimeFilter[endAt]": "2027-01-01"}
    assert ids(reading, **bare) == []


def test_status_can_be_included_where_every_order_is_placed(reading: httpx.Client) -> None:
    reply = listed(reading, pageLimit=5, include="status,nothing")
    assert reply["data"][0]["relationships"]["status"]["data"]["id"] == "5"
    assert [status["attributes"]["status_name"] for status in reply["included"]] == ["Completed"]


def test_the_list_of_statuses(reading: httpx.Client) -> None:
    names = {
        s["id"]: s["attributes"]["status_name"] for s in reading.get("/api/status").json()["data"]
    }
    assert (len(names), names["1"], names["9"]) == (9, "Received", "Canceled")


def test_refusals(unchanged: Sandbox) -> None:
    with client(unchanged, token=None) as stranger:
        reply = stranger.get("/api/orders")
        assert (reply.status_code, reply.text) == (401, '{"message":"Unauthenticated."}')
        assert "X-RateLimit-Limit" not in reply.headers
    with client(unchanged, token=TastyigniterApi.read_token) as reader:
        reply = reader.get("/api/orders")
        assert (reply.status_code, reply.json()["status_code"]) == (403, 403)
        assert reply.headers["X-RateLimit-Limit"] == "60"
    with client(unchanged) as known:
        reply = known.get("/api/orders/9999")
        expected = {"message": "Record with identifier [9999] not found.", "status_code": 404}
        assert (reply.status_code, reply.json()) == (404, expected)


def test_the_61st_request_within_a_minute_is_refused() -> None:
    with serving(lifted=False) as running, client(running) as api:
        replies = [api.get("/api/orders?pageLimit=1") for _ in range(61)]
        assert [reply.status_code for reply in replies] == [200] * 60 + [429]
        assert replies[59].headers["X-RateLimit-Remaining"] == "0"
        refused = replies[60]
        wait = int(refused.headers["Retry-After"])
        assert 0 < wait <= 60
        now = int(running.clock.now().timestamp())
        assert int(refused.headers["X-RateLimit-Reset"]) == now + wait
        assert refused.json() == {"message": "Too Many Attempts.", "status_code": 429}


def test_a_patched_order_answers_with_its_old_state(api: httpx.Client, bakery: Sandbox) -> None:
    reply = api.patch(f"/api/orders/{PLACED}", json={"status_id": 9, "unknown": 1})
    assert reply.json()["data"]["attributes"]["status_id"] == 5
    after, now = order(api, PLACED), stamp(bakery.clock.now())
    assert (after["status_id"], after["status_name"]) == (9, "Canceled")
    assert after["updated_at"] == after["status_updated_at"] == after["invoice_date"] == now
    assert after["invoice_prefix"] == "INV-2026-00"
    rows = api.get(f"/api/orders/{PLACED}?include=status_history").json()["included"]
    assert [row["attributes"]["status_id"] for row in rows] == [1, 2, 3, 4, 5, 9]


def test_an_empty_patch_moves_an_order_only_once(api: httpx.Client, bakery: Sandbox) -> None:
    before = order(api, INVOICED)
    api.patch(f"/api/orders/{INVOICED}", json={})
    assert order(api, INVOICED) == before
    api.patch(f"/api/orders/{PLACED}", content=b"not json")
    assert order(api, PLACED)["updated_at"] == stamp(bakery.clock.now())


def test_line_edits_leave_the_order_untouched(api: httpx.Client) -> None:
    before = order(api, INVOICED)
    api.patch(f"/api/orders/{INVOICED}", json={"order_menus": [LINE, *before["order_menus"]]})
    after = order(api, INVOICED)
    assert {**after, "order_menus": before["order_menus"]} == before
    assert (after["order_menus"][0]["subtotal"], after["order_menus"][0]["menu_options"]) == (
        7.2,
        [],
    )
    old, new = ({row["order_menu_id"] for row in o["order_menus"]} for o in (before, after))
    assert (len(new), old & new) == (3, set())
    options = [row for line in after["order_menus"] for row in dict(line["menu_options"]).values()]
    assert options
    assert {row["order_menu_id"] for rows in options for row in rows} <= new


def test_totals_in_the_same_edit_move_it(api: httpx.Client, bakery: Sandbox) -> None:
    totals = [{"code": "subtotal", "value": 7.2}, {"code": "total", "value": 8.64}]
    edit = {"order_menus": [LINE], "order_totals": totals}
    bakery.api(ACCOUNT).edit(INVOICED, edit)
    after = order(api, INVOICED)
    assert (after["order_total"], after["updated_at"]) == (8.64, stamp(bakery.clock.now()))
    assert [row["code"] for row in after["order_totals"]] == ["subtotal", "total"]


def test_an_edit_by_hand(bakery: Sandbox, api: httpx.Client) -> None:
    shop = bakery.api(ACCOUNT)
    shop.edit(PLACED, {"first_name": "Ann", "order_type": "collection"})
    after = order(api, PLACED)
    assert (after["customer_name"], after["order_type_name"]) == ("Ann O'Neill-Çelik", "Pick-up")
    with pytest.raises(UnknownAttributeError, match="colour"):
        shop.edit(PLACED, {"colour": "red"})
    with pytest.raises(UnknownOrderError):
        shop.edit("9999", {"comment": "x"})


def test_deleting(bakery: Sandbox, api: httpx.Client) -> None:
    reply = api.delete(f"/api/orders/{PLACED}")
    assert (reply.status_code, reply.content) == (204, b"")
    assert api.get(f"/api/orders/{PLACED}").status_code == 404
    assert api.delete(f"/api/orders/{PLACED}").status_code == 404
    item = next(one for one in bakery.truth(ACCOUNT) if one["source_order_id"] == PLACED)
    assert item == {"source_order_id": PLACED, "is_deleted": True, "body": None}
    assert 1 not in ids(api)


def test_the_truth_is_what_the_list_says(unchanged: Sandbox, reading: httpx.Client) -> None:
    items = unchanged.truth(ACCOUNT)
    living = [item["body"] for item in items if not item["is_deleted"]]
    assert living == listed(reading)["data"]
    assert any(item["is_deleted"] for item in items)


def test_amounts_agree(reading: httpx.Client) -> None:
    for item in listed(reading, location=1, sort="order_id desc")["data"][:600]:
        attributes = item["attributes"]
        rows = attributes["order_totals"].values()
        assert set(attributes["order_totals"]) == {str(place) for place in range(len(rows))}
        value = {row["code"]: Decimal(str(row["value"])) for row in rows}
        summed = value["subtotal"] + value["tax"] + value.get("delivery", Decimal(0))
        assert value["total"] == summed == Decimal(str(attributes["order_total"]))
        assert attributes["payment"] in (("stripe", "cod") if summed else ("",))


def test_an_order_posted_without_a_date(reading: httpx.Client) -> None:
    undated = order(reading, UNDATED)
    assert undated["order_date"] == undated["order_date_time"] == NO_DATE
    assert (undated["order_time"], undated["location_id"]) == ("00:00:00", 0)
    assert isinstance(undated["order_totals"], list)


def test_the_repeated_hour_is_always_winter_time(reading: httpx.Client) -> None:
    said = "2026-10-25T01:30:00.000000Z"
    night = [
        i["attributes"] for i in listed(reading)["data"] if i["attributes"]["created_at"] == said
    ]
    assert len(night) == 2
    assert {row["order_date_time"][11:16] for row in night if row["order_time_is_asap"]} == {
        "00:46"
    }
    assert stamp(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == said
    assert stamp(datetime(2026, 10, 25, 2, 30, tzinfo=UTC)) == said.replace("T01", "T02")


def test_a_day_brings_orders_status_changes_line_edits_and_deletions(
    bakery: Sandbox, api: httpx.Client
) -> None:
    before = {item["id"]: item["attributes"] for item in listed(api)["data"]}
    bakery.clock.advance(timedelta(days=7))
    after = {item["id"]: item["attributes"] for item in listed(api)["data"]}
    assert len(after.keys() - before.keys()) > 200
    assert before.keys() - after.keys()
    common = [(before[key], after[key]) for key in before.keys() & after.keys()]
    lines = [new for old, new in common if old["order_menus"] != new["order_menus"]]
    assert lines
    assert any(old["status_id"] != new["status_id"] for old, new in common)
    for old, new in common:
        moved = old["updated_at"] != new["updated_at"]
        assert moved == ({**old, "order_menus": 0} != {**new, "order_menus": 0})


def test_orders_of_today_move_on_within_the_hour(bakery: Sandbox, api: httpx.Client) -> None:
    bakery.clock.advance(timedelta(hours=4))
    young = set(ids(api, status=1) + ids(api, status=2) + ids(api, status=3))
    bakery.clock.advance(timedelta(hours=2))
    assert young & set(ids(api, status=5))


def test_every_status_of_the_map_is_seen(unchanged: Sandbox, reading: httpx.Client) -> None:
    seen = {item["attributes"]["status_id"] for item in listed(reading)["data"]}
    mapped = {int(code) for code in unchanged.api(ACCOUNT).settings()["order_status"]}
    assert {0, 2, 3, 5, 9} <= seen <= mapped | {0}


def test_repeated_orders_have_ids_of_their_own(reading: httpx.Client) -> None:
    once = len(ids(reading)) - 20
    with serving(repeat=2) as running, client(running) as api:
        found = ids(api)
        assert len(found) == len(set(found))
        assert 1.9 * once < len(found) < 2.1 * once


def test_the_flat_shape_of_2020() -> None:
    with serving(TastyigniterFlatApi) as running, client(running) as api:
        assert running.api(ACCOUNT).base_path() == "/bakery-2020"
        first = api.get("/api/orders/1").json()
        assert first["date_added"] == first["date_modified"] == "2020-05-24 12:58:43"
        assert (first["order_date"], first["order_time"]) == ("2020-05-24 00:00:00", "13:13:00")
        assert (first["order_total"], first["order_totals"]) == (15.0449, [])
        assert first["invoice_date"] == "2020-05-24T11:58:43.000000Z"
        page = api.get("/api/orders?pageLimit=30").json()
        assert isinstance(page, list)
        assert len(page) == 30
        assert page[0]["order_date_time"] == "2020-05-24 13:13:00"
        assert not {"order_menus", "order_date", "id", "attributes"} & page[0].keys()
        living = [one["body"] for one in running.truth(ACCOUNT) if not one["is_deleted"]]
        assert living[5] == api.get(f"/api/orders/{page[5]['order_id']}").json()


def test_writing_in_the_flat_shape() -> None:
    with serving(TastyigniterFlatApi) as running, client(running) as api:
        answer = api.patch("/api/orders/1", json={"order_type": "delivery", "status_id": 4})
        assert answer.json()["order_id"] == 1
        changed = api.get("/api/orders/1").json()
        assert (changed["status_id"], changed["order_type"]) == (4, "delivery")
        assert changed["date_modified"] == "2026-11-02 07:00:00"
        expected = {"id": 1, "object": "order", "deleted": True}
        assert api.delete("/api/orders/1").json() == expected
        assert api.get("/api/orders/1").status_code == 404
