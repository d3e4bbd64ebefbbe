"""Asking TastyIgniter sites that behave oddly: vanishing orders, broken pages, odd replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assets.known import Landed
from assets.sources import tastyigniter, tastyigniter_pages
from assets.sources.tastyigniter import TastyigniterSettings, cheapest
from assets.sources.tastyigniter_pages import blocks, page_from
from assets.workshop import Workshop
from resources.accounts import Account
from resources.errors import ApiError
from tests.api_case import FakeClock
from tests.home import Pulls
from tests.loopback import Answer, Loopback, Seen

KEY = "tastyigniter.bakery"
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT", "Content-Type": "application/json"}
BROKEN = {"message": "Call to a member function on null", "status_code": 500, "debug": {"line": 1}}


@dataclass
class Shop:
    """A site with few orders, whose behaviour a test can bend."""

    ids: list[int]
    statuses: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Id and name of the status of each order that is not completed."""
    broken: set[int] = field(default_factory=set)
    before_page: Callable[[int], None] = lambda _: None
    bend: Callable[[list[int], dict[str, str]], list[int]] | None = None
    wrap: Callable[[list[Any]], Any] = lambda items: {"data": items}
    pages: int = 0

    def answer(self, seen: Seen) -> Answer:
        query = dict(seen.query)
        last = seen.path.rpartition("/")[2]
        if last.isdigit():
            return self._reply([int(last)], lambda items: {"data": items[0]})
        self.pages += 1
        self.before_page(self.pages)
        number, limit = int(query["page"]), int(query["pageLimit"])
        ids = sorted(self.ids, reverse=query["sort"] == "order_id desc")
        chosen = ids[(number - 1) * limit : number * limit]
        return self._reply(self.bend(chosen, query) if self.bend else chosen, self.wrap)

    def _reply(self, ids: list[int], wrap: Callable[[list[Any]], Any]) -> Answer:
        if self.broken & set(ids):
            return Answer(500, json.dumps(BROKEN).encode(), DATE)
        return Answer(200, json.dumps(wrap([self.item(each) for each in ids])).encode(), DATE)

    def item(self, order_id: int) -> dict[str, Any]:
        status, name = self.statuses.get(order_id, (5, "Completed"))
        attributes = {
            "created_at": "2026-01-05T10:00:00.000000Z",
            "status_id": status,
            "status_name": name,
            "order_total": order_id,
            "processed": True,
        }
        return {"type": "orders", "id": str(order_id), "attributes": attributes}


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Shop], Pulls]]:
    """Pulls of an account whose site is the shop; pages hold eight orders at most."""
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("TOKEN_VARIABLE", "canary-token")
    for module in (tastyigniter, tastyigniter_pages):
        monkeypatch.setattr(module, "PAGE", 8)
    servers: list[Loopback] = []

    def start(shop: Shop) -> Pulls:
        servers.append(Loopback(shop.answer).__enter__())
        settings = TastyigniterSettings(
            base_url=servers[0].url,
            timezone="Europe/London",
            started_on=date(2020, 1, 1),
            requests_per_minute=100_000,
        )
        account = Account("tastyigniter", "bakery", settings, {"token": "TOKEN_VARIABLE"})
        monkeypatch.setattr(Pulls, "account", lambda *_: account)
        return Pulls(Workshop(clock=FakeClock()))

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def numbers(pulls: Pulls) -> list[int]:
    ids = Landed(pulls.workshop.lake, pulls.account("tastyigniter.bakery")).ids()
    return sorted(map(int, ids))


@pytest.mark.parametrize("at_page", [2, 3])
def test_orders_deleted_between_two_pages_hide_no_other(
    serve: Callable[[Shop], Pulls], at_page: int
) -> None:
    shop = Shop(list(range(1, 31)))

    def delete(page: int) -> None:
        if page == at_page:
            shop.ids = [each for each in shop.ids if each not in range(2, 8)]

    shop.before_page = delete
    pulls = serve(shop)
    pulls.changes(KEY)
    assert set(numbers(pulls)) >= set(shop.ids)


def test_orders_deleted_while_newest_come_first_hide_no_other(
    serve: Callable[[Shop], Pulls],
) -> None:
    shop = Shop(list(range(1, 11)))
    pulls = serve(shop)
    pulls.changes(KEY)
    shop.ids += range(11, 41)
    shop.pages = 0

    def delete(page: int) -> None:
        if page == 2:
            shop.ids = [each for each in shop.ids if each not in range(35, 40)]

    shop.before_page = delete
    pulls.changes(KEY)
    assert set(numbers(pulls)) >= set(shop.ids)


def test_the_list_ends_with_a_full_page_or_is_empty(serve: Callable[[Shop], Pulls]) -> None:
    shop = Shop([])
    pulls = serve(shop)
    assert pulls.changes(KEY).requests == 1
    shop.ids = list(range(1, 9))
    pulls.changes(KEY)
    assert numbers(pulls) == shop.ids
    assert pulls.workshop.ledger.cursor(KEY)["newest"] == 8  # type: ignore[index]


def test_the_flat_shape_may_come_in_an_envelope_or_bare(serve: Callable[[Shop], Pulls]) -> None:
    shop = Shop([1, 2])
    shop.wrap = lambda items: [{"order_id": int(i["id"]), **i["attributes"]} for i in items]
    pulls = serve(shop)
    pulls.changes(KEY)
    shop.ids = [1, 2, 3]
    shop.wrap = lambda items: {
        "data": [{"order_id": int(i["id"]), **i["attributes"]} for i in items],
        "meta": {"pagination": {"total": -5, "total_pages": 10**12}},
        "links": {"next": "http://elsewhere.invalid/api/orders?page=2"},
    }
    assert pulls.changes(KEY).counts.new == 1
    assert numbers(pulls) == [1, 2, 3]


def test_orders_that_the_site_cannot_show_do_not_hide_the_others(
    serve: Callable[[Shop], Pulls],
) -> None:
    shop = Shop(list(range(1, 31)), broken={4, 5, 22})
    pulls = serve(shop)
    pull = pulls.changes(KEY)
    assert numbers(pulls) == [each for each in shop.ids if each not in shop.broken]
    assert pull.counts.new == 30
    assert pulls.changes(KEY).counts.changed == 0


def test_an_open_order_that_the_site_cannot_show_is_counted(
    serve: Callable[[Shop], Pulls],
) -> None:
    shop = Shop(list(range(1, 31)), statuses={3: (1, "Received")})
    pulls = serve(shop)
    pulls.changes(KEY)
    shop.broken = {3}
    pull = pulls.changes(KEY)
    assert (pull.counts.new, pull.counts.changed) == (1, 0)
    assert pulls.changes(KEY).counts.new == 0


@pytest.mark.parametrize("status", [(1, "Received"), (5, "Renamed"), (77, "Baking")])
def test_an_old_order_whose_status_does_not_say_finished_is_asked_for_again(
    serve: Callable[[Shop], Pulls], status: tuple[int, str]
) -> None:
    shop = Shop(list(range(1, 31)), statuses={3: status})
    pulls = serve(shop)
    pulls.changes(KEY)
    assert pulls.changes(KEY).requests == 2
    shop.statuses = {3: (5, "Completed")}
    assert pulls.changes(KEY).counts.changed == 1
    assert pulls.changes(KEY).requests == 1


def test_a_site_that_is_down_is_an_error(serve: Callable[[Shop], Pulls]) -> None:
    shop = Shop(list(range(1, 31)), broken=set(range(1, 31)))
    with pytest.raises(ApiError, match="500") as raised:
        serve(shop).changes(KEY)
    assert "debug" not in str(raised.value)
    assert shop.pages < 60


@pytest.mark.parametrize(
    ("bend", "complaint"),
    [
        (lambda ids, _: list(reversed(ids)), "not sorted"),
        (lambda _, query: list(range(1, 1 + int(query["pageLimit"]))), "again and again"),
        (lambda _, __: list(range(1, 30)), "were asked for"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(
    serve: Callable[[Shop], Pulls], bend: Any, complaint: str
) -> None:
    with pytest.raises(ApiError, match=complaint) as raised:
        serve(Shop(list(range(1, 31)), bend=bend)).changes(KEY)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("odd", [{"data": {"id": 1}}, {"data": None}, {}, {"orders": []}, 3])
def test_a_reply_without_a_list_is_refused(serve: Callable[[Shop], Pulls], odd: object) -> None:
    shop = Shop([1])
    shop.wrap = lambda _: odd
    with pytest.raises(ApiError, match="not a list of orders"):
        serve(shop).changes(KEY)


def test_an_order_without_an_id_is_landed_nameless(serve: Callable[[Shop], Pulls]) -> None:
    shop = Shop([1, 2])
    shop.wrap = lambda items: {"data": [items[0], {"type": "orders"}, "x", items[1]]}
    pulls = serve(shop)
    assert pulls.changes(KEY).counts.new == 4
    assert numbers(pulls) == [1, 2]


def test_an_order_whose_attributes_are_none_keeps_its_id(serve: Callable[[Shop], Pulls]) -> None:
    shop = Shop([1, 2])
    shop.wrap = lambda items: {"data": [items[0], {"type": "orders", "id": "2", "attributes": []}]}
    pulls = serve(shop)
    assert pulls.changes(KEY).counts.new == 2
    assert numbers(pulls) == [1, 2]


@pytest.mark.parametrize("place", [0, 1, 199, 200, 999, 12_345])
def test_a_page_holds_the_place_it_is_asked_for(place: int) -> None:
    number, limit = page_from(place)
    assert (number - 1) * limit <= place < number * limit - limit // 4
    assert limit <= tastyigniter_pages.PAGE


def test_blocks_cover_each_place_once() -> None:
    covered = [
        place
        for number, size in blocks(13, 100, 32)
        for place in range((number - 1) * size, number * size)
    ]
    assert covered == list(range(13, 100))


@pytest.mark.parametrize(
    ("wanted", "by_page"), [([], 0), ([1], 0), ([999, 998, 997], 3), ([999, 998, 500], 2)]
)
def test_open_orders_are_read_by_page_only_where_that_is_fewer(
    wanted: list[int], by_page: int
) -> None:
    assert cheapest(list(range(1000, 0, -1)), wanted) == by_page
