"""The sandbox's Brightpearl GET, OPTIONS, refusals and limits against document and record."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from sandbox.server import Sandbox
from tests.order_service import ACCOUNT, HEADERS, Orders, OrderService, expand

NOT_FOUND = {"response": []}


@pytest.fixture(scope="module")
def client() -> Iterator[OrderService]:
    """For tests that change nothing."""
    with Sandbox(sources=("brightpearl",)) as sandbox, OrderService(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def orders(client: OrderService) -> Orders:
    """Every order at the opening."""
    return client.all()


def errors(reply: httpx.Response) -> tuple[int, str]:
    (error,) = reply.json()["errors"]
    return reply.status_code, error["code"]


# GET


def test_get_gives_exactly_what_exists(client: OrderService) -> None:
    existing = expand(client.uris()[0])[:40]
    asked = f"1-2,{existing[0]}-{existing[-1]}"
    found = [order["id"] for order in client.orders(asked)]
    assert sorted(found) == existing
    assert found != existing  # in another order than asked for, as recorded


def test_every_form_of_id_set(client: OrderService) -> None:
    a, b, c = expand(client.uris()[0])[:3]
    for ids in (f"{a},{b},{c}", f"{a}.{b}.{c}", f"{c}.{a}.{b}.{b}", f"{a}-{b}.{c}", f"{a}-{c}"):
        assert {order["id"] for order in client.orders(ids)} == {a, b, c}


def test_ids_that_do_not_exist_are_an_empty_list(client: OrderService) -> None:
    for ids in ("1", "1-200", "9999999"):
        reply = client.http.get(f"/order/{ids}")
        assert (reply.status_code, reply.json()) == (200, NOT_FOUND)


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ("1-201", "CMNC-010"),
        (",".join(map(str, range(1, 202))), "CMNC-010"),
        ("20-10", "CMNC-006"),
        ("5-5", "CMNC-006"),
        ("3,2", "CMNC-006"),
        ("2,2", "CMNC-006"),
        ("abc", "CMNC-008"),
        ("1,,2", "CMNC-008"),
        ("0", "CMNC-008"),
        ("1-", "CMNC-008"),
        ("1;2", "CMNC-008"),
    ],
)
def test_id_sets_that_are_refused(client: OrderService, ids: str, code: str) -> None:
    assert errors(client.http.get(f"/order/{ids}")) == (400, code)


def test_200_ids_are_served(client: OrderService) -> None:
    uri = client.uris()[0]
    assert len(client.orders(uri.removeprefix("/order/"))) == len(expand(uri)) == 200


def test_custom_fields_come_only_when_asked_for(client: OrderService, orders: Orders) -> None:
    number = next(number for number, order in orders.items() if order["customFields"])
    (plain,) = client.orders(str(number))
    assert not {"customFields", "nullCustomFields"} & set(plain)
    (some,) = client.orders(str(number), includeOptional="customFields")
    assert some == plain | {"customFields": orders[number]["customFields"]}
    filled = set(orders[number]["customFields"])
    nulls = set(orders[number]["nullCustomFields"])
    assert filled
    assert nulls
    assert not filled & nulls


# OPTIONS


def test_options_gives_existing_ids_200_in_a_uri(client: OrderService) -> None:
    uris = client.uris()
    ids = [expand(uri) for uri in uris]
    assert [len(part) for part in ids[:-1]] == [200] * (len(ids) - 1)
    flat = [number for part in ids for number in part]
    assert flat == sorted(flat)
    assert all(re.fullmatch(r"/order/[\d,-]+", uri) for uri in uris)
    assert any("," in uri for uri in uris), "some ids are missing"


def test_options_of_an_id_set(client: OrderService) -> None:
    first, *_, last = expand(client.uris()[1])
    assert client.uris(f"{first}-{last}") == [client.uris()[1]]
    assert client.uris("1-50") == []
    assert errors(client.http.options("/order/9-1")) == (400, "CMNC-006")


# Status list, authentication, limits


def test_order_status_lists_the_accounts_own(client: OrderService) -> None:
    statuses = {
        item["statusId"]: item for item in client.http.get("/order-status").json()["response"]
    }
    assert statuses[27]["name"] == "Cancelled"
    assert statuses[6]["orderTypeCode"] == "PO"
    assert client.sandbox.api(ACCOUNT).settings()["order_status"]["27"] == "cancelled"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Not authenticated"),
        ({"brightpearl-app-ref": "sandbox-app-ref"}, "Not authenticated"),
        (HEADERS | {"brightpearl-app-ref": "other"}, "Not authenticated"),
        (HEADERS | {"brightpearl-account-token": "other"}, "Invalid instance token"),
    ],
)
def test_authentication(client: OrderService, headers: dict[str, str], words: str) -> None:
    reply = httpx.get(f"{client.http.base_url}order-search", headers=headers)
    assert (reply.status_code, reply.json()) == (401, {"response": words})
    assert int(reply.headers["brightpearl-requests-remaining"]) >= 0
    assert 0 < int(reply.headers["brightpearl-next-throttle-period"]) <= 60_000


def test_there_is_no_other_route(client: OrderService) -> None:
    assert errors(client.http.delete("/order/100183")) == (404, "CMNC-404")
    assert errors(client.http.get("/order")) == (404, "CMNC-404")


def test_the_201st_request_of_a_minute_is_refused() -> None:
    with (
        Sandbox(sources=("brightpearl",), lifted=False) as sandbox,
        OrderService(sandbox) as client,
    ):
        remaining = [
            int(client.http.get("/order/1").headers["Brightpearl-Requests-Remaining"])
            for _ in range(200)
        ]
        assert remaining == list(range(199, -1, -1))
        refused = client.http.get("/order/1")
        assert refused.status_code == 503
        assert refused.json() == {
            "response": "You have sent too many requests. Please wait before sending another "
            "request"
        }
        assert refused.headers["brightpearl-requests-remaining"] == "0"
        assert 0 < int(refused.headers["brightpearl-next-throttle-period"]) <= 60_000
        assert httpx.get(f"{client.http.base_url}order/1").status_code == 503


def test_a_lifted_limit_never_refuses(client: OrderService) -> None:
    replies = [client.http.get("/order/1") for _ in range(205)]
    assert {reply.status_code for reply in replies} == {200}
    assert {reply.headers["brightpearl-requests-remaining"] for reply in replies} == {"199"}
