"""The sandbox as a whole: clock, control port, request counts, accounts file, sample."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import duckdb
import httpx
import pytest

from sandbox.api import Allowance
from sandbox.clock import OPENING, Clock
from sandbox.make_sample import DATA, build
from sandbox.people import person
from sandbox.quotevine import QuotevineApi
from sandbox.server import APIS, Sandbox, SandboxStartError
from sandbox.world import Shelf, UnknownOrderError

ACCOUNT = "brightpearl.acme"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """All five APIs; for tests that change nothing."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One API, for tests that move the clock or change orders."""
    with Sandbox(sources=("brightpearl",)) as sandbox:
        yield sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.control_address) as client:
        yield client


def test_five_accounts_are_served(shared: Sandbox) -> None:
    assert len(APIS) == 5
    accounts = httpx.get(f"{shared.control_address}/accounts").json()
    assert set(accounts) == {
        "brightpearl.acme",
        "tastyigniter.bakery",
        "efiling.formations",
        "quotevine.leasing",
        "feedback_company.reviews",
    }
    assert all(account["orders"] > 100 for account in accounts.values())
    assert {httpx.get(account["base_url"] + "/none").status_code for account in accounts.values()}


def test_something_happens_in_every_account_on_every_day(shared: Sandbox) -> None:
    for account, api in shared.accounts.items():
        days = {(moment - OPENING).days for moment in api.shelf.moments() if moment >= OPENING}
        assert days >= set(range(13)), account
        assert api.started_on < OPENING.date()


def test_a_small_sandbox_keeps_some_orders_of_every_time_in_every_account() -> None:
    small = Sandbox(most=10)
    for account, api in small.accounts.items():
        assert len(api.shelf.timelines) == 10
        assert 0 < len(api.shelf.present()) < 10, account
    leasing = small.api("quotevine.leasing")
    assert isinstance(leasing, QuotevineApi)
    owners = {int(order_id.partition("/")[0]) for order_id in leasing.shelf.timelines}
    assert owners <= leasing.orders_of.keys() == set(map(int, leasing.relationships.timelines))


def test_accounts_file_names_what_the_environment_holds(shared: Sandbox) -> None:
    tables = tomllib.loads(shared.accounts_toml())
    environment = shared.environment()
    named = {
        variable
        for source in tables.values()
        for account in source.values()
        for variable in account["credentials"].values()
    }
    assert named == set(environment)
    acme = tables["brightpearl"]["acme"]
    assert acme["base_url"] == shared.base_url(ACCOUNT)
    assert acme["order_status"]["27"] == "cancelled"
    assert acme["credentials"]["app_ref"] == "BRIGHTPEARL_ACME_APP_REF"
    assert environment["BRIGHTPEARL_ACME_APP_REF"] == shared.credentials[ACCOUNT]["app_ref"]
    assert httpx.get(f"{shared.control_address}/accounts.toml").text == shared.accounts_toml()


def test_the_clock_moves_forward_only(sandbox: Sandbox, control: httpx.Client) -> None:
    assert datetime.fromisoformat(control.get("/clock").json()["now"]) == OPENING
    moved = control.post("/clock", json={"advance_seconds": 3600}).json()["now"]
    assert datetime.fromisoformat(moved) == sandbox.clock.now() == OPENING + timedelta(hours=1)
    control.post("/clock", json={"to": "2026-11-03T09:00:00+01:00"})
    assert sandbox.clock.now() == datetime(2026, 11, 3, 8, tzinfo=UTC)
    assert control.post("/clock", json={"advance_seconds": -1}).status_code == 400
    assert control.post("/clock", json={"to": "2026-11-01T00:00:00Z"}).status_code == 400
    assert control.post("/clock", json={}).status_code == 400
    assert control.post("/clock", content=b"soon").status_code == 400
    assert sandbox.clock.now() == datetime(2026, 11, 3, 8, tzinfo=UTC)


def test_replies_are_dated_by_the_sandbox_clock(sandbox: Sandbox) -> None:
    sandbox.clock.advance(DAY)
    reply = httpx.get(sandbox.base_url(ACCOUNT) + "/order-service/order-search")
    assert reply.headers.get_list("date") == ["Tue, 03 Nov 2026 07:00:00 GMT"]
    assert parsedate_to_datetime(reply.headers["date"]) == OPENING + DAY


def test_requests_are_counted_whatever_their_answer(
    sandbox: Sandbox, control: httpx.Client
) -> None:
    for path in ("/order-service/order-search", "/nowhere"):
        httpx.get(sandbox.base_url(ACCOUNT) + path)
    assert sandbox.requests(ACCOUNT) == control.get("/accounts").json()[ACCOUNT]["requests"] == 2
    control.post("/requests/reset")
    assert sandbox.requests(ACCOUNT) == 0


def test_control_port_edits_and_deletes(sandbox: Sandbox, control: httpx.Client) -> None:
    order_id = sandbox.truth(ACCOUNT)[0]["source_order_id"]
    path = f"/orders/{ACCOUNT}/{order_id}"
    assert control.post(path, json={"reference": "by hand"}).status_code == 204
    truth = {item["source_order_id"]: item for item in control.get(f"/truth/{ACCOUNT}").json()}
    assert truth[order_id]["body"]["reference"] == "by hand"
    assert control.delete(path).status_code == 204
    truth = {item["source_order_id"]: item for item in control.get(f"/truth/{ACCOUNT}").json()}
    assert truth[order_id] == {"source_order_id": order_id, "is_deleted": True, "body": None}
    assert control.delete(path).status_code == 404
    assert control.post(path, json={}).status_code == 404


def test_control_port_refuses_what_does_not_exist(control: httpx.Client) -> None:
    assert control.get("/truth/brightpearl.nobody").status_code == 404
    assert control.post(f"/orders/{ACCOUNT}/1", json={}).status_code == 404
    assert control.post(f"/orders/{ACCOUNT}/1", json=[]).status_code == 400
    assert "POST   /clock" in control.get("/").text


@pytest.mark.parametrize("which", ["port", "control_port"])
def test_a_taken_port_is_refused(sandbox: Sandbox, which: str) -> None:
    port = int(sandbox.address.rpartition(":")[2])
    ports = {which: port}
    with (
        pytest.raises(SandboxStartError, match=str(port)),
        Sandbox(sources=("brightpearl",), **ports),  # type: ignore[arg-type]
    ):
        pass


def test_the_port_is_free_again_afterwards() -> None:
    with Sandbox(sources=("brightpearl",)) as first:
        port = int(first.address.rpartition(":")[2])
    with Sandbox(sources=("brightpearl",), port=port) as second:
        assert second.address == first.address


def test_an_allowance_refuses_and_begins_anew() -> None:
    allowance = Allowance(2, 60.0)
    taken = [allowance.take() for _ in range(3)]
    assert [(item.allowed, item.remaining) for item in taken] == [(True, 1), (True, 0), (False, 0)]
    assert 0 < taken[2].resets_in <= 60
    over_at_once = Allowance(1, 0.0)
    assert [over_at_once.take().allowed for _ in range(3)] == [True] * 3


def test_a_lifted_allowance_never_refuses() -> None:
    allowance = Allowance(2, 60.0, lifted=True)
    assert {(taken.allowed, taken.remaining) for taken in (allowance.take() for _ in range(9))} == {
        (True, 1)
    }


def test_a_change_lasts_and_a_deletion_ends_what_would_follow() -> None:
    clock = Clock()
    shelf: Shelf[str] = Shelf(clock)
    for day, text in enumerate(("new", "paid", "sent")):
        shelf.put("1", OPENING + DAY * day, text)
    first = shelf.present()
    assert shelf.present() is first == {"1": "new"}
    shelf.change("1", str.upper)
    assert shelf.get("1") == "NEW"
    clock.advance(DAY)
    assert shelf.get("1") == "PAID"
    shelf.delete("1")
    clock.advance(DAY * 2)
    assert shelf.get("1") is None
    assert shelf.ever() == {"1": None}
    with pytest.raises(UnknownOrderError, match="'1'"):
        shelf.change("1", str.lower)


def test_nothing_was_before_the_first_version() -> None:
    shelf: Shelf[str] = Shelf(Clock())
    shelf.put("later", OPENING + DAY, "new")
    assert shelf.present() == shelf.ever() == {}
    with pytest.raises(UnknownOrderError):
        shelf.delete("later")


def test_the_sample_is_small_and_states_its_licences() -> None:
    sizes = {path.name: path.stat().st_size for path in DATA.iterdir()}
    assert sum(sizes.values()) < 8_000_000
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name in set(sizes) - {"README.md"}:
        assert f"`{name}`" in readme
    for licence in ("CC BY 4.0", "doi 10.24432/C5CG6D", "olist/work-at-olist-data", "MIT"):
        assert licence in readme


def test_people_are_invented_and_stay_the_same() -> None:
    assert person(17) == person(17) != person(18)
    assert person("x").email.endswith("@example.com")
    assert person("x").telephone.startswith("01632 960")


SETS = {
    "online_retail_ii/order_lines": """
        SELECT 2 AS source_part, 1 AS source_row, '5' AS invoice_no, '10001A' AS stock_code,
            'CUP' AS description, 13 AS quantity, TIMESTAMP '2011-08-02 10:30' AS invoice_date,
            1.5::DECIMAL(12, 3) AS unit_price, 7 AS customer_id, 'France' AS country
        UNION ALL SELECT 2, 2, '6', '1', '', 1, TIMESTAMP '2011-07-31 23:59', 1, 7, 'France'""",
    "olist/orders": """
        SELECT 'o' AS order_id, 'c' AS customer_id, 'shipped' AS order_status,
            TIMESTAMP '2017-02-13 00:00:01' AS order_purchase_timestamp,
            NULL::TIMESTAMP AS order_approved_at, NULL::TIMESTAMP AS order_delivered_carrier_date,
            NULL::TIMESTAMP AS order_delivered_customer_date,
            TIMESTAMP '2017-03-01' AS order_estimated_delivery_date""",
    "olist/order_items": """
        SELECT 'o' AS order_id, number AS order_item_id, 'p' AS product_id, 's' AS seller_id,
            1.25 AS price, 0.5 AS freight_value FROM unnest([2, 1]) AS numbers(number)""",
    "olist/order_payments_all": """
        SELECT 'o' AS order_id, 1 AS payment_sequential, 'boleto' AS payment_type,
            1 AS payment_installments, 3.5 AS payment_value""",
    "olist/products": "SELECT 'p' AS product_id, 'mesa' AS product_category_name",
    "olist/product_category_translation": """
        SELECT 'mesa' AS product_category_name, 'table' AS product_category_name_english""",
    "olist/customers": """
        SELECT 'c' AS customer_id, 'u' AS customer_unique_id, 'natal' AS customer_city,
            'RN' AS customer_state""",
    "bread_basket/order_lines": """
        SELECT 1 AS source_row, '2017-02-06' AS "date", '08:15:00' AS "time", 9 AS transaction_no,
            'Bread' AS item""",
}


def test_the_sample_is_built_from_the_public_sets(tmp_path: Path) -> None:
    for name, query in SETS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        duckdb.execute(f"COPY ({query}) TO '{tmp_path / name}.parquet' (FORMAT parquet)")
    build(tmp_path, tmp_path)

    def rows(name: str) -> list[tuple[object, ...]]:
        return duckdb.sql(f"SELECT * FROM '{tmp_path / name}.parquet'").fetchall()

    (line,) = rows("online_retail")
    assert line[4] == datetime(2026, 10, 20, 10, 30)  # noqa: DTZ001
    ((placed, _, code, _, quantity, cost),) = rows("purchases")
    assert (placed.strftime("%a"), code, quantity, str(cost)) == ("Thu", "10001A", 24, "0.900")
    (order,) = rows("olist")
    assert order[5] == datetime(2026, 9, 21, 0, 0, 1)  # noqa: DTZ001
    assert len(order[-2]) == 2
    assert order[-2][0]["category"] == "table"
    assert order[-1][0]["type"] == "boleto"
    assert rows("bakery") == [(9, datetime(2026, 10, 19, 8, 15), "Bread")]  # noqa: DTZ001
