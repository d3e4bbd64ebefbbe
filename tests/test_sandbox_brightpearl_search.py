"""The sandbox's Brightpearl order search against what is documented and recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from sandbox.server import Sandbox
from tests.order_service import Orders, OrderService, expand

COLUMNS = [
    "orderId",
    "orderTypeId",
    "contactId",
    "orderStatusId",
    "orderStockStatusId",
    "createdOn",
    "createdById",
    "customerRef",
    "orderPaymentStatusId",
    "updatedOn",
    "parentOrderId",
    "orderShippingStatusId",
    "externalRef",
    "installedIntegrationInstanceId",
    "warehouseId",
    "staffOwnerContactId",
    "taxDate",
    "departmentId",
    "deliveryDate",
]


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


def test_search_has_the_recorded_columns_and_metadata(client: OrderService) -> None:
    body = client.search(pageSize=3)
    meta = body["response"]["metaData"]
    assert [column["name"] for column in meta["columns"]] == COLUMNS
    assert meta["columns"][1] == {
        "name": "orderTypeId",
        "sortable": True,
        "filterable": True,
        "reportDataType": "IDSET",
        "referenceData": ["orderTypeNames"],
        "isFreeTextSearchable": False,
        "required": False,
    }
    assert list(meta) == [
        "morePagesAvailable",
        "resultsAvailable",
        "resultsReturned",
        "firstResult",
        "lastResult",
        "columns",
        "sorting",
    ]
    assert meta["sorting"] == [{"filterable": meta["columns"][0], "direction": "ASC"}]
    assert (meta["firstResult"], meta["lastResult"], meta["resultsReturned"]) == (1, 3, 3)
    assert body["reference"]["orderTypeNames"] == {"1": "SALES_ORDER"}


def test_pages_join_without_gap_or_overlap(client: OrderService) -> None:
    found, first, pages = [], 1, 0
    while True:
        response = client.search(firstResult=first)["response"]
        found += [row[0] for row in response["results"]]
        meta, pages = response["metaData"], pages + 1
        if not meta["morePagesAvailable"]:
            break
        assert meta["resultsReturned"] == 500
        first = meta["lastResult"] + 1
    assert pages > 2
    assert found == sorted(set(found))
    assert len(found) == meta["resultsAvailable"]
    assert found == [number for uri in client.uris() for number in expand(uri)]


def test_a_page_holds_at_most_500(client: OrderService) -> None:
    assert client.search(pageSize=1000)["response"]["metaData"]["resultsReturned"] == 500


def test_without_hits_there_is_no_first_and_last_result(client: OrderService) -> None:
    for asked in ({"orderId": 1}, {"firstResult": 100_000}):
        body = client.search(**asked)
        meta = body["response"]["metaData"]
        assert body["response"]["results"] == []
        assert meta["morePagesAvailable"] is False
        assert not {"firstResult", "lastResult"} & set(meta)
        assert body["reference"] == {}


def test_count_only_returns_no_rows(client: OrderService) -> None:
    meta = client.search(countOnly="true", orderTypeId=3)["response"]["metaData"]
    assert (meta["resultsReturned"], meta["resultsAvailable"]) == (
        0,
        len(client.rows(orderTypeId=3)),
    )


def test_updated_on_is_absent_until_the_first_change(client: OrderService, orders: Orders) -> None:
    fresh = {row["orderId"] for row in client.rows(createdOn="2026-11-01/") if not row["updatedOn"]}
    assert fresh
    assert all("updatedOn" not in orders[number] for number in fresh)
    assert all(orders[number]["version"] == 1 for number in fresh)
    changed = [order for order in orders.values() if "updatedOn" in order]
    assert len(changed) > 1000
    assert all(order["version"] > 1 for order in changed)
    swept = client.search(updatedOn="2020-01-01/")["response"]["metaData"]["resultsAvailable"]
    assert swept == len(changed) < len(orders)


@pytest.mark.parametrize("column", ["createdOn", "updatedOn", "placedOn"])
def test_a_period_holds_its_start_and_not_its_end(
    client: OrderService, orders: Orders, column: str
) -> None:
    start = datetime.fromisoformat("2026-10-22T00:00:00+01:00")
    end = start + timedelta(days=5, hours=1)  # over the end of summer time
    expected = {
        number
        for number, order in orders.items()
        if column in order and start <= datetime.fromisoformat(order[column]) < end
    }
    assert len(expected) > 50
    for period in (
        f"{start.isoformat()}/{end.isoformat()}",
        "2026-10-21T23:00:00Z/2026-10-27T00:00:00.000Z",
        "2026-10-22/2026-10-27",
    ):
        assert {row["orderId"] for row in client.rows(**{column: period})} == expected
    days = [client.rows(**{column: f"2026-10-{day}"}) for day in range(22, 27)]
    assert {row["orderId"] for rows in days for row in rows} == expected
    first = min(expected, key=lambda number: datetime.fromisoformat(orders[number][column]))
    moment = orders[first][column]
    assert first in {row["orderId"] for row in client.rows(**{column: f"{moment}/2026-10-23"})}
    assert first not in {row["orderId"] for row in client.rows(**{column: f"2026-10-20/{moment}"})}


def test_filters_add_up(client: OrderService, orders: Orders) -> None:
    found = client.rows(orderTypeId="1,3", orderStatusId=4, createdOn="2026-10-20/2026-10-23")
    expected = {
        number
        for number, order in orders.items()
        if order["orderTypeCode"] in ("SO", "SC")
        and order["orderStatus"]["orderStatusId"] == 4
        and "2026-10-20" <= order["createdOn"][:10] < "2026-10-23"
    }
    assert {row["orderId"] for row in found} == expected != set()


def test_ids_and_references_can_be_filtered(client: OrderService) -> None:
    ids = expand(client.uris()[0])
    found = client.rows(orderId=f"{ids[0]}-{ids[4]},{ids[7]}")
    assert [row["orderId"] for row in found] == [n for n in ids if n <= ids[4] or n == ids[7]]
    assert client.rows(customerRef=found[0]["customerRef"])[0]["orderId"] == ids[0]


def test_sorting(client: OrderService) -> None:
    updated = [row["updatedOn"] for row in client.rows(sort="updatedOn.DESC", pageSize=500)]
    moments = [datetime.fromisoformat(text) for text in updated]
    assert moments == sorted(moments, reverse=True)
    ascending = client.rows(sort="updatedOn.ASC", updatedOn="2026-10-01/")
    moments = [datetime.fromisoformat(row["updatedOn"]) for row in ascending]
    assert moments == sorted(moments)
    assert client.rows(sort="updatedOn.ASC", pageSize=1)[0]["updatedOn"] is None
    two = client.rows(sort="orderTypeId.DESC,orderId.DESC", createdOn="2026-10-30/")
    keys = [(row["orderTypeId"], row["orderId"]) for row in two]
    assert keys == sorted(keys, reverse=True)


def test_columns_can_be_chosen(client: OrderService) -> None:
    body = client.search(columns="updatedOn,orderId", pageSize=2)
    assert [len(row) for row in body["response"]["results"]] == [2, 2]
    names = [column["name"] for column in body["response"]["metaData"]["columns"]]
    assert names == ["updatedOn", "orderId"]
    assert body["reference"] == {}


def test_a_bad_filter_is_a_500_in_the_recorded_words(client: OrderService) -> None:
    reply = client.http.get("/order-search", params={"orderStatusId": "BAD PARAM"})
    assert reply.status_code == 500
    assert reply.text == (
        '{"errors":[{"code":"CMNC-018","message":"The filter orderStatusId\\u003dBAD PARAM '
        'cannot be parsed as: INTEGER"}]}'
    )


@pytest.mark.parametrize(
    "query",
    [
        "updatedOn=yesterday/",
        "updatedOn=/2026-11-01",
        "updatedOn=2026-11-01T00:00:00+00:00/",  # the plus sign arrives as a space
        "orderId=9-3",
        "orderStatusId=4,5",
        "nonsense=1",
        "columns=orderId,nonsense",
        "sort=nonsense.ASC",
        "sort=updatedOn.UP",
        "pageSize=0",
        "firstResult=0",
        "firstResult=one",
    ],
)
def test_every_other_bad_search_is_refused_likewise(client: OrderService, query: str) -> None:
    assert errors(client.http.get(f"/order-search?{query}")) == (500, "CMNC-018")


def test_search_row_agrees_with_the_order(client: OrderService, orders: Orders) -> None:
    body = client.search(createdOn="2026-10-23/2026-10-26")
    names = body["reference"]
    rows = client.rows(createdOn="2026-10-23/2026-10-26")
    assert len(rows) > 100
    for row in rows:
        order = orders[row["orderId"]]
        party = order["parties"].get("customer") or order["parties"]["supplier"]
        assert row["contactId"] == party["contactId"]
        assert row["createdOn"] == order["createdOn"]
        assert row["updatedOn"] == order.get("updatedOn")
        assert row["customerRef"] == order["reference"]
        assert row["parentOrderId"] == order["parentOrderId"]
        assert row["deliveryDate"] == order["delivery"].get("deliveryDate")
        status = names["orderStatusNames"][str(row["orderStatusId"])]
        assert status == order["orderStatus"]["name"]
        payment = names["orderPaymentStatusNames"][str(row["orderPaymentStatusId"])]
        assert payment == order["orderPaymentStatus"]


def test_tax_date_is_midnight_in_utc_in_search_and_local_in_the_order(
    client: OrderService, orders: Orders
) -> None:
    (row, *_) = client.rows(createdOn="2026-10-20", orderTypeId=1)
    text = orders[row["orderId"]]["invoices"][0]["taxDate"]
    assert text.endswith("T00:00:00.000+01:00")
    assert row["taxDate"] == text.replace("T00:", "T01:")
