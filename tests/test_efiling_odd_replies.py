"""Asking an eFiling whose replies are odd: envelopes, refusals, throttling, lost lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets.known import Landed
from assets.sources.efiling import Efiling, EfilingSettings
from assets.sources.efiling_lines import MOST_AT_ONCE
from assets.workshop import Workshop
from resources.accounts import Account
from resources.api import Api
from resources.budget import Budget
from resources.errors import ApiError
from resources.replies import Reply
from tests.api_case import FakeClock
from tests.home import Pulls
from tests.loopback import Answer, Loopback, Seen, in_turn

KEY = "efiling.formations"
PAGES = Path(__file__).parent / "pages" / "efiling"
NOW = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}
LINES = (PAGES / "orderlines_123.json").read_bytes()


def order(order_id: int, status: int = 700, day: str = "20260105") -> dict[str, Any]:
    documented: dict[str, Any] = json.loads((PAGES / "orders.json").read_bytes())[0]
    return documented | {"id": order_id, "created_at": int(f"{day}100000"), "status": status}


@dataclass
class Brand:
    """A brand with few orders, whose behaviour a test can bend. Filters but created are ignored."""

    orders: list[dict[str, Any]]
    page_size: int = 100
    wrap: Callable[[list[Any], int], Any] = lambda items, _: items
    bend_page: Callable[[int], int] = lambda page: page
    lost: dict[int, Answer] = field(default_factory=dict)
    """What is answered in place of the lines of some orders."""
    lines_asked: list[int] = field(default_factory=list)
    lines: Callable[[int], bytes] = lambda order_id: LINES.replace(b"123", b"%d" % order_id)

    def answer(self, seen: Seen) -> Answer:
        if seen.path.endswith("/orderlines"):
            number = int(seen.path.split("/")[2])
            self.lines_asked.append(number)
            return self.lost.get(number) or Answer(200, self.lines(number), NOW)
        query = dict(seen.query)
        first = int(query.get("filters[createdFrom]", 0))
        last = int(query.get("filters[createdTo]", 99999999))
        chosen = [one for one in self.orders if first <= one["created_at"] // 10**6 <= last]
        page = self.bend_page(int(query["page[number]"]))
        items = chosen[(page - 1) * self.page_size : page * self.page_size]
        return Answer(200, json.dumps(self.wrap(items, page)).encode(), NOW)


Serve = Callable[[Brand], Pulls]


def account_at(url: str) -> Account:
    settings = EfilingSettings(
        base_url=url,
        timezone="Europe/London",
        started_on=date(2026, 1, 1),
        requests_per_minute=100_000,
        order_status={"700": "completed", "100": "open"},
    )
    return Account("efiling", "formations", settings, {"key": "KEY_VARIABLE"})


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Pulls of an account whose API is the brand; nothing is waited for between two tries."""
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("KEY_VARIABLE", "canary-key")
    monkeypatch.setattr("resources.pacing.Clock.sleep", lambda *_: None)
    servers: list[Loopback] = []

    def start(brand: Brand) -> Pulls:
        servers.append(Loopback(brand.answer).__enter__())
        monkeypatch.setattr(Pulls, "account", lambda *_: account_at(servers[0].url))
        return Pulls(Workshop())

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body) for key, body in known.bodies(known.ids()).items()}


def states(pulls: Pulls) -> dict[str, str]:
    return {key: body["orderlines_state"] for key, body in landed(pulls).items()}


def enveloped(items: list[Any], page: int) -> dict[str, Any]:
    """As the vendor's other resources wrap a list; three pages in all."""
    pagination = {"result_count": len(items), "current_page": page, "total_pages": 3}
    return {"error": 0, "request": {}, "response": items, "pagination": pagination, "errors": []}


@pytest.mark.parametrize("page_size", [7, 10, 100])
def test_an_envelope_tells_its_last_page(serve: Serve, page_size: int) -> None:
    brand = Brand([order(n) for n in range(1, 2 * page_size + 4)], page_size, wrap=enveloped)
    brand.lines = lambda n: json.dumps(enveloped([{"order_id": n, "price": 2}], 3)).encode()
    pulls = serve(brand)
    assert pulls.changes(KEY).counts.new == 2 * page_size + 3
    assert landed(pulls)["3"]["orderlines"] == [{"order_id": 3, "price": 2}]


@pytest.mark.parametrize("page_size", [20, 25, 50, 100])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_bare_list_ends_with_its_last_page_whatever_its_size(
    serve: Serve, page_size: int, count: int
) -> None:
    brand = Brand([order(n) for n in range(1, count * page_size + 1)], page_size)
    assert serve(brand).changes(KEY).counts.new == count * page_size


def test_a_page_that_repeats_is_the_last(serve: Serve) -> None:
    brand = Brand([order(n) for n in range(1, 151)], bend_page=lambda _: 1)
    pull = serve(brand).changes(KEY)
    assert (pull.counts.new, pull.requests) == (100, 103)


@pytest.mark.parametrize(
    ("odd", "complaint"),
    [
        ({"error": 17, "response": []}, "error 17|: 17"),
        ({"error": "No such brand"}, "No such brand"),
        ({"error": 0, "response": [], "errors": ["bad filter"]}, "bad filter"),
        ({"error": 0}, "not a list"),
        ({"error": 0, "response": {"id": 1}}, "not a list"),
        ({"response": [], "pagination": {"total_pages": -1, "current_page": 1}}, "page 1 of -1"),
        ({"response": [], "pagination": {"total_pages": 10**9, "current_page": 1}}, "page 1 of"),
        (3, "not a list"),
    ],
)
def test_a_refusal_or_an_unreadable_list_is_one_line(
    serve: Serve, odd: object, complaint: str
) -> None:
    pulls = serve(Brand([], wrap=lambda *_: odd))
    with pytest.raises(ApiError, match=complaint) as raised:
        pulls.changes(KEY)
    assert "\n" not in str(raised.value)
    assert pulls.workshop.ledger.cursor(KEY) is None


@pytest.mark.parametrize("nothing", [None, []])
def test_an_envelope_may_be_empty_and_tell_numbers_as_texts(serve: Serve, nothing: object) -> None:
    def wrap(items: list[Any], page: int) -> dict[str, Any]:
        pagination = {"total_pages": "2", "current_page": str(page)}
        return {"error": [], "errors": None, "response": items or nothing, "pagination": pagination}

    brand = Brand([order(n) for n in range(1, 15)], page_size=7, wrap=wrap)
    brand.lost = {1: Answer(200, b'{"error": "0", "response": null}', NOW)}
    pulls = serve(brand)
    assert pulls.changes(KEY).counts.new == 14
    assert set(states(pulls).values()) == {"complete"}
    assert landed(pulls)["1"]["orderlines"] == []


@pytest.mark.parametrize("odd", [b'{"response": {}}', b"7", b"<html>", b'{"error": 0}'])
def test_lines_that_are_no_list_are_missing_and_stop_no_other_order(
    serve: Serve, odd: bytes
) -> None:
    brand = Brand([order(n) for n in range(1, 5)], lost={2: Answer(200, odd, NOW)})
    pulls = serve(brand)
    pulls.changes(KEY)
    assert states(pulls) == {"1": "complete", "2": "missing", "3": "complete", "4": "complete"}


def test_lines_that_are_never_a_list_are_an_error(serve: Serve) -> None:
    odd = Answer(200, b'{"response": {}}', NOW)
    brand = Brand([order(n) for n in range(1, 9)], lost=dict.fromkeys(range(1, 9), odd))
    with pytest.raises(ApiError, match="not a list"):
        serve(brand).changes(KEY)


def test_lines_that_cannot_be_had_are_missing_and_asked_for_again(serve: Serve) -> None:
    brand = Brand([order(1), order(2, status=100), order(3)], lost={2: Answer(503, b"later", NOW)})
    pulls = serve(brand)
    pulls.changes(KEY)
    assert states(pulls) == {"1": "complete", "2": "missing", "3": "complete"}
    brand.lost.clear()
    brand.lines_asked.clear()
    pulls.changes(KEY)
    assert states(pulls)["2"] == "complete"
    assert brand.lines_asked == [2]


def test_lines_that_cannot_be_had_any_more_are_kept_as_stale(serve: Serve) -> None:
    brand = Brand([order(1), order(2, status=100)])
    pulls = serve(brand)
    pulls.changes(KEY)
    before = landed(pulls)["2"]["orderlines"]
    brand.orders[1] = order(2, status=100) | {"updated_at": 20261101090000}
    brand.lost = {2: Answer(404, b"[]", NOW)}
    assert pulls.changes(KEY).counts.changed == 1
    assert states(pulls)["2"] == "stale"
    assert landed(pulls)["2"]["orderlines"] == before
    assert pulls.changes(KEY).counts.changed == 0


def test_an_api_that_gives_no_lines_at_all_is_down(serve: Serve) -> None:
    down = Answer(503, b"down", NOW)
    brand = Brand([order(n) for n in range(1, 9)], lost=dict.fromkeys(range(1, 9), down))
    with pytest.raises(ApiError, match="503"):
        serve(brand).changes(KEY)


def test_lines_lost_to_the_same_trouble_are_asked_for_once_more(serve: Serve) -> None:
    brand = Brand([order(n) for n in range(1, 9)])

    def lines(order_id: int) -> bytes:
        is_first = brand.lines_asked.count(order_id) == 1
        return b"7" if is_first and order_id > 2 else LINES

    brand.lines = lines
    pulls = serve(brand)
    pulls.changes(KEY)
    assert [key for key, state in states(pulls).items() if state == "missing"] == ["3"]
    assert sorted(brand.lines_asked) == sorted([*range(1, 9), *range(4, 9)])


def test_a_page_that_is_no_json_is_asked_for_again(serve: Serve) -> None:
    brand = Brand([order(n) for n in range(1, 4)])
    answer, odd = brand.answer, [b"<html>later", b'[{"id": 1},']

    def lists_late(seen: Seen) -> Answer:
        is_odd = odd and not seen.path.endswith("/orderlines")
        return Answer(200, odd.pop(), NOW) if is_odd else answer(seen)

    brand.answer = lists_late  # type: ignore[method-assign]
    pulls = serve(brand)
    pulls.changes(KEY)
    assert set(states(pulls).values()) == {"complete"}
    assert not odd


def test_what_is_listed_before_a_page_that_always_fails_is_landed(serve: Serve) -> None:
    brand = Brand([order(n) for n in range(1, 121)])
    answer = brand.answer

    def broken(seen: Seen) -> Answer:
        is_broken = dict(seen.query).get("page[number]") == "2"
        return Answer(500, b"broken", NOW) if is_broken else answer(seen)

    brand.answer = broken  # type: ignore[method-assign]
    pulls = serve(brand)
    with pytest.raises(ApiError, match="500"):
        pulls.changes(KEY)
    assert len(states(pulls)) == 100


def test_lines_are_asked_for_many_at_a_time_and_beside_the_next_page(serve: Serve) -> None:
    brand = Brand([order(n) for n in range(1, 111)])
    together = threading.Barrier(MOST_AT_ONCE, timeout=10)
    is_listed = threading.Event()

    def bend_page(page: int) -> int:
        if page == 2:
            is_listed.set()
        return page

    def lines(order_id: int) -> bytes:
        if order_id <= MOST_AT_ONCE:
            together.wait()  # passes only if so many requests are under way
            assert is_listed.wait(10)
        return LINES

    brand.bend_page, brand.lines = bend_page, lines
    pulls = serve(brand)
    pull = pulls.changes(KEY)
    assert set(states(pulls).values()) == {"complete"}
    assert pull.requests == pull.least_requests == 112
    known = Landed(pulls.workshop.lake, pulls.account(KEY)).standings()
    assert sorted(known, key=lambda key: known[key].landing_seq) == [f"{n}" for n in range(1, 111)]


def test_a_refusal_of_lines_is_an_error(serve: Serve) -> None:
    brand = Brand([order(1)], lost={1: Answer(200, b'{"error": "not yours"}', NOW)})
    with pytest.raises(ApiError, match="not yours"):
        serve(brand).changes(KEY)


def test_an_order_without_an_id_is_landed_nameless(serve: Serve) -> None:
    brand = Brand([order(1)])
    brand.wrap = lambda items, _: [*items, {"description": "no id"}, "x"]
    pulls = serve(brand)
    assert pulls.changes(KEY).counts.new == 3
    assert landed(pulls).keys() == {"1"}


def test_an_order_in_two_lists_is_read_once(serve: Serve) -> None:
    brand = Brand([order(1, day="20261101"), order(2, status=100)])
    pulls = serve(brand)
    pulls.changes(KEY)
    brand.orders[0]["updated_at"] = 20261102060000
    brand.lines_asked.clear()
    assert pulls.changes(KEY).counts.received == 1
    assert brand.lines_asked == [1]


def reply_429(retry_after: str) -> Reply:
    headers = httpx.Headers({"Retry-After": retry_after} if retry_after else {})
    now = datetime(2021, 2, 26, 10, 31, tzinfo=UTC)
    return Reply("GET", "http://x", 429, headers, b"", now, now, "efiling.formations")


@pytest.mark.parametrize(
    ("retry_after", "zone", "seconds"),
    [
        ("20210226103219", "Europe/London", 79.0),
        ("20210226113219", "Europe/Paris", 79.0),
        ("20210226113219", "Europe/London", 120.0),
        ("20210226103000", "Europe/London", -60.0),
        ("17", "Europe/London", 17.0),
        ("Fri, 26 Feb 2021 10:31:09 GMT", "Europe/London", 9.0),
        ("soon", "Europe/London", 60.0),
        ("", "Europe/London", 60.0),
    ],
)
def test_retry_after_is_a_clock_time_in_the_accounts_zone(
    retry_after: str, zone: str, seconds: float
) -> None:
    account = account_at("http://127.0.0.1")
    settings = account.settings.model_copy(update={"timezone": zone})
    source = Efiling()
    source.headers(Account("efiling", "formations", settings, {}), {"key": "x"})
    reply = reply_429(retry_after)
    assert reply.server_time is not None
    assert source.throttle(reply, reply.server_time) == seconds


def test_a_throttled_request_waits_until_that_clock_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY_VARIABLE", "canary-key")
    recorded = (PAGES / "rate_limit_429.headers.txt").read_text(encoding="utf-8")
    retry_after = recorded.split("Retry-After:")[1].split()[0]
    date_header = "Fri, 26 Feb 2021 10:32:00 GMT"
    throttled = Answer(429, b"", {"Retry-After": retry_after, "Date": date_header})
    clock = FakeClock()
    with (
        Loopback(in_turn(throttled, Answer(200, b"[]", NOW))) as server,
        Api(account_at(server.url), Efiling(), budget=Budget.unlimited(), clock=clock) as api,
    ):
        assert api.get("/orders", {"filters[createdFrom]": "20260101"}).json() == []
    assert clock.slept == [19.0]
    assert ("filters[createdFrom]", "20260101") in server.seen[0].query
    assert server.seen[0].headers["authorization"] == "Basic canary-key"
