"""The Quotevine sandbox answers as its pages say, and its orders change as time passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

import sandbox.server
from sandbox.api import SandboxApi
from sandbox.quotevine import QuotevineApi, QuotevineFlatApi
from sandbox.quotevine_orders import DOCUMENT_FIELDS
from sandbox.server import Sandbox

ACCOUNT = "quotevine.leasing"
FLEET = 2227188
FIRST = f"/relationships/{FLEET}/orders/154709/"
RECORDED_FIELDS = {
    "vehicle_order_id", "driver_id", "order_date", "target_delivery_date",
    "confirmed_delivery_date", "created_by", "creation_date", "last_updated_by",
    "last_update_date", "delivery_property", "delivery_postcode", "k4k_flag",
    "k4k_registration_number", "external_reference", "order_number", "dealer_id", "proposal_id",
    "funder_fleet_number", "delivery_method", "vehicle_registree", "discount_bonus_code_1",
    "discount_bonus_code_2", "quantity", "paint_option_code", "registration_number", "vin",
    "new_used", "int_target_delivery_date", "order_status",
}  # fmt: skip
NEW_ORDER = {"proposal_id": 20295213, "order_status": "New Order", "target_delivery_date": "ASAP"}


@contextmanager
def serving(
    kind: type[SandboxApi] = QuotevineApi, *, lifted: bool = True, repeat: int = 1
) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.server, "APIS", (kind,))
        with Sandbox(lifted=lifted, repeat=repeat) as running:
            yield running


@pytest.fixture
def leasing() -> Iterator[Sandbox]:
    with serving() as running:
        yield running


@contextmanager
def client(running: Sandbox, key: str = "sandbox-api-key") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.base_url(ACCOUNT), headers={"API-key": key}) as opened:
        yield opened


@pytest.fixture
def api(leasing: Sandbox) -> Iterator[httpx.Client]:
    with client(leasing) as opened:
        yield opened


def listed(api: httpx.Client, relationship: int) -> list[dict]:
    orders, url = [], f"/relationships/{relationship}/orders/"
    while url:
        page = api.get(url).raise_for_status().json()
        orders += page["items"]
        url = page.get("next", {}).get("$ref")
    return orders


def search(api: httpx.Client, **criteria: object) -> httpx.Response:
    return api.post("/relationships/search", json={"return_multiple_flag": "Y", **criteria})


def days_later(running: Sandbox, days: int) -> str:
    """Move the clock, and give the new London time as the API would write it."""
    now = running.clock.advance(timedelta(days=days))
    return now.astimezone(ZoneInfo("Europe/London")).strftime("%Y-%m-%d %H:%M:%S")


def test_an_order_has_the_recorded_and_the_documented_fields(api: httpx.Client) -> None:
    order = api.get(FIRST).json()
    assert set(order) == RECORDED_FIELDS | set(DOCUMENT_FIELDS)
    assert (order["vehicle_order_id"], order["order_status"]) == (154709, "Completed")
    assert order["new_used"] in {"NEW", "USED", "Pre-reg"}
    assert isinstance(order["external_reference"], int)


def test_a_list_is_paged_by_twenty_five_and_linked(api: httpx.Client) -> None:
    page = api.get(f"/relationships/{FLEET}/orders/").json()
    assert len(page["items"]) == 25
    assert page["next"]["$ref"].startswith(str(api.base_url))
    orders = listed(api, FLEET)
    assert len({order["vehicle_order_id"] for order in orders}) == len(orders) == 29
    assert "next" not in api.get(page["next"]["$ref"]).json()
    assert listed(api, 2227195) == []


def test_a_path_without_its_last_slash_is_redirected(api: httpx.Client) -> None:
    for path in (f"/relationships/{FLEET}/orders", FIRST.rstrip("/")):
        assert api.get(path).status_code == 308
        assert api.get(path, follow_redirects=True).json() == api.get(path + "/").json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/relationships/99/orders/", 404),
        ("GET", f"/relationships/{FLEET}/orders/99/", 404),
        ("GET", "/relationships/2227189/orders/154709/", 404),
        ("GET", f"/relationships/{FLEET}/orders/?page=x", 400),
        ("DELETE", FIRST, 405),
        ("POST", "/relationships/search", 400),
    ],
)
def test_refusals(api: httpx.Client, method: str, path: str, status: int) -> None:
    assert api.request(method, path).status_code == status


def test_a_wrong_key_is_refused(leasing: Sandbox) -> None:
    with client(leasing, "wrong") as stranger:
        assert stranger.get(FIRST).status_code == 401
        assert "message" in search(stranger, relationship_name="x").json()


def test_more_requests_than_the_allowance_are_refused() -> None:
    with serving(lifted=False) as running, client(running) as api:
        statuses = [api.get(FIRST).status_code for _ in range(61)]
    assert statuses == [200] * 60 + [429]


def test_search_by_updated_since_reaches_back_seven_days(api: httpx.Client) -> None:
    rows = search(api, updated_since="2026-10-26", relationship_name="nobody").json()
    assert rows
    assert all(row["last_update_date"] >= "2026-10-26" for row in rows)
    assert [row["creation_date"] for row in rows] == sorted(row["creation_date"] for row in rows)
    assert rows[0]["date_of_birth"] == ""
    assert search(api, updated_since="2026-10-25").status_code == 400
    assert search(api, updated_since="26-10-2026").status_code == 400


def test_search_needs_a_criterion_and_the_flag(api: httpx.Client) -> None:
    assert search(api).status_code == 400
    assert search(api, relationship_name="x", return_multiple_flag="N").status_code == 400


def test_search_by_other_criteria(api: httpx.Client) -> None:
    [row] = search(api, external_reference=str(FLEET)).json()
    assert row["relationship_id"] == FLEET
    assert len(row["relationship_id_hash"]) == 32
    for key in ("display_name", "email_address", "telephone_number"):
        criterion = {"display_name": "relationship_name", "telephone_number": "mobile_number"}
        found = search(api, **{criterion.get(key, key): row[key].upper()}).json()
        assert row in found, key
    assert search(api, email_address="nobody@example.com").json() == []


def test_search_is_cut_at_twenty_but_the_sample_stays_below() -> None:
    with serving(repeat=5) as running, client(running) as api:
        assert len(search(api, updated_since="2026-10-26").json()) == 20
    with serving() as running, client(running) as api:
        for day in range(15):
            since = date(2026, 10, 26) + timedelta(days=day)
            assert 0 < len(search(api, updated_since=str(since)).json()) < 20
            days_later(running, 1)


def test_new_relationships_are_found_by_search_alone(leasing: Sandbox, api: httpx.Client) -> None:
    known = leasing.api(ACCOUNT).settings()["relationships"]
    assert len(known) > 130
    days_later(leasing, 7)
    assert leasing.api(ACCOUNT).settings()["relationships"] == known
    found = search(api, updated_since="2026-11-02").json()
    new = [row["relationship_id"] for row in found if row["relationship_id"] not in known]
    assert new
    assert any(listed(api, relationship) for relationship in new)


def test_the_truth_is_what_the_lists_say_at_every_moment(
    leasing: Sandbox, api: httpx.Client
) -> None:
    statuses = leasing.api(ACCOUNT).settings()["order_status"]
    seen: set[str] = set()
    for days in (0, 1, 13):
        now = days_later(leasing, days)
        truth = {item["source_order_id"]: item["body"] for item in leasing.truth(ACCOUNT)}
        owners = {int(order_id.partition("/")[0]) for order_id in truth}
        orders = {
            f"{owner}/{order['vehicle_order_id']}": order
            for owner in owners
            for order in listed(api, owner)
        }
        assert orders == truth
        assert all(order["last_update_date"] <= now for order in orders.values())
        assert {order["order_status"] for order in orders.values()} <= set(statuses)
        seen |= {repr(sorted(truth.items()))}
    assert len(seen) == 3


def test_orders_go_from_new_to_completed(leasing: Sandbox) -> None:
    bodies = [item["body"] for item in leasing.truth(ACCOUNT)]
    for body in bodies:
        status = body["order_status"]
        assert (status == "Cancelled") == (body["cancellation_date"] is not None)
        if status in {"Awaiting Delivery", "Delivered", "Completed"}:
            assert len(body["vin"]) == 17
        if status in {"New Order", "Sent to Customer", "Order Placed", "In Build"}:
            assert body["vin"] is body["confirmed_delivery_date"] is None
        if status in {"Delivered", "Completed"}:
            assert body["confirmed_delivery_date"] <= body["last_update_date"]
    assert {"discount_bonus_1", "delivery_address"} <= {name for body in bodies for name in body}


def test_an_edit_is_stamped_and_outlives_later_changes(leasing: Sandbox, api: httpx.Client) -> None:
    moving = next(
        item["source_order_id"]
        for item in leasing.truth(ACCOUNT)
        if item["body"]["order_status"] == "Order Placed" and item["body"]["new_used"] == "NEW"
    )
    leasing.api(ACCOUNT).edit(moving, {"contact_notes": "Ring twice"})
    path = "/relationships/{}/orders/{}/".format(*moving.split("/"))
    before = api.get(path).json()
    assert before["last_update_date"] == "2026-11-02 07:00:00"
    days_later(leasing, 90)
    after = api.get(path).json()
    assert after["order_status"] != before["order_status"]
    assert after["last_update_date"] > before["last_update_date"]
    assert after["contact_notes"] == before["contact_notes"] == "Ring twice"


def test_a_deleted_order_is_gone_without_a_trace(leasing: Sandbox, api: httpx.Client) -> None:
    leasing.api(ACCOUNT).delete(f"{FLEET}/154709")
    assert api.get(FIRST).status_code == 404
    assert 154709 not in {order["vehicle_order_id"] for order in listed(api, FLEET)}
    [gone] = [item for item in leasing.truth(ACCOUNT) if item["is_deleted"]]
    assert gone == {"source_order_id": f"{FLEET}/154709", "is_deleted": True, "body": None}


def test_put_changes_what_it_names(api: httpx.Client) -> None:
    before = api.get(FIRST).json()
    reply = api.put(FIRST, json={"discount_bonus_1": "DB1", "no_such_attribute": 1})
    assert (reply.status_code, reply.json()) == (200, {})
    after = api.get(FIRST).json()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"discount_bonus_code_1", "last_update_date", "last_updated_by"}
    assert api.put(FIRST, json={"order_status": "Lost"}).status_code == 400
    assert api.put(FIRST, json={"order_status": None}).status_code == 400


def test_post_creates_an_order(api: httpx.Client) -> None:
    path = f"/relationships/{FLEET}/orders/"
    made = api.post(path, json=NEW_ORDER).raise_for_status().json()
    assert made["order_date"] == "2026-11-02"
    assert listed(api, FLEET)[-1] == made
    assert made["vehicle_order_id"] > 154709 + 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"proposal_id": None},
        {"proposal_id": "20295213"},
        {"order_status": "Lost"},
        {"delivery_slot": "NOON"},
        {"update_frequency_days": 2},
        {"cooling_off_date": "05-08-2026"},
        {"last_customer_update": "soon"},
    ],
)
def test_post_refuses_what_the_page_does_not_allow(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    path = f"/relationships/{FLEET}/orders/"
    reply = api.post(path, json={**NEW_ORDER, **wrong})
    assert reply.status_code == 400
    assert next(iter(wrong)) in reply.json()["message"]
    assert len(listed(api, FLEET)) == 29


def test_the_flat_variant_gives_the_documented_attributes_alone() -> None:
    with serving(QuotevineFlatApi) as running, client(running) as api:
        orders = api.get(f"/relationships/{FLEET}/orders/").json()
        assert len(orders) == 29
        assert set(orders[0]) == {"order_id", *DOCUMENT_FIELDS}
        assert {order["new_used"] for order in orders} <= {"New", "Used", "Pre-reg"}
        assert api.get(FIRST).json() == orders[0]
        refused = api.post(f"/relationships/{FLEET}/orders/", json=NEW_ORDER)
        assert "dealer_id" in refused.json()["message"]
        truth = {item["source_order_id"]: item["body"] for item in running.truth(ACCOUNT)}
        assert truth[f"{FLEET}/154709"] == orders[0]
