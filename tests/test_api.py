"""The HTTP client against a real server on loopback."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from resources.api import (
    Elsewhere,
    Incomplete,
    NotJson,
    Progress,
    Rejected,
    Reply,
    Throttled,
    Unreachable,
    retry_after,
)
from resources.budget import Budget
from tests.api_case import SECRET, VARIABLE, FakeClock, api_at
from tests.loopback import Answer, Loopback, Seen, in_turn

ROOT = Path(__file__).parent.parent
OK = Answer(body=b'{"ok": true}')
BUSY = Answer(429, headers={"wait": "7.5"})


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


def test_params_reach_the_wire_usable() -> None:
    with Loopback(in_turn(OK)) as server, api_at(f"{server.url}/public-api/acme") as api:
        api.get("/orders", {"filters[createdFrom]": "2026-01-01T00:00:00+01:00", "page": 2})
        api.get("orders?a=1", [("id", "1,2-5"), ("id", "é & x")])
    first, second = server.seen
    assert first.path == "/public-api/acme/orders"
    assert first.query == [
        ("filters[createdFrom]", "2026-01-01T00:00:00+01:00"),
        ("page", "2"),
    ]
    assert second.query == [("a", "1"), ("id", "1,2-5"), ("id", "é & x")]
    assert first.headers["api-key"] == SECRET
    assert first.headers["user-agent"].startswith("orderloom/")


def test_reply_carries_the_servers_time() -> None:
    dated = Answer(headers={"Date": "Mon, 02 Nov 2026 07:00:00 GMT"})
    later = Answer(headers={"Date": "Mon, 02 Nov 2026 07:00:05 GMT"})
    undated = Answer(headers={"Date": "yesterday, or so"})
    with Loopback(in_turn(dated, later, undated)) as server, api_at(server.url) as api:
        reply = api.get("orders")
        api.get("orders")
        assert api.get("orders").server_time is None
    assert reply.server_time == datetime(2026, 11, 2, 7, tzinfo=UTC)
    assert reply.fetched_at.tzinfo == UTC
    assert api.first_server_time == datetime(2026, 11, 2, 7, tzinfo=UTC)
    assert api.server_time == datetime(2026, 11, 2, 7, 0, 5, tzinfo=UTC)


def test_post_sends_decimals_digit_by_digit() -> None:
    with Loopback(in_turn(OK)) as server, api_at(server.url) as api:
        api.post("orders", {"total": Decimal("15.0449"), "tenth": Decimal("0.10")})
    assert server.seen[0].body == b'{"total":15.0449,"tenth":0.10}'
    assert server.seen[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "fault",
    [
        Answer(500),
        Answer(502),
        Answer(503),
        Answer(504),
        Answer(408),
        Answer(522),
        Answer(body=b"<html>just a moment</html>"),
        Answer(body=b'{"orders": [1, 2'),
        Answer(body=b""),
        Answer(hang_up=True),
        Answer(body=b'{"orders": [1, 2, 3]}', cut_after=5),
        Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_passing_faults_are_tried_again_with_growing_pauses(fault: Answer) -> None:
    clock = FakeClock()
    with Loopback(in_turn(fault, fault, OK)) as server, api_at(server.url, clock=clock) as api:
        assert api.get("orders").json() == {"ok": True}
    assert api.requests == 3
    assert len(clock.slept) == 2
    assert 0 < clock.slept[0] < clock.slept[1] < 10
    assert api.waited == 0


def test_five_tries_then_one_line() -> None:
    with (
        Loopback(in_turn(Answer(502, b"bad\ngateway"))) as server,
        api_at(server.url) as api,
        pytest.raises(Unreachable) as caught,
    ):
        api.get("orders")
    assert len(server.seen) == 5
    assert "answered 502: bad gateway" in str(caught.value)
    assert "plain.acme" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_listening() -> None:
    with Loopback(in_turn(OK)) as server:
        url = server.url
    with api_at(url) as api, pytest.raises(Unreachable, match=r"ConnectError.*check base_url"):
        api.get("orders")
    assert api.requests == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 501])
def test_refusals_are_not_tried_again(status: int) -> None:
    answer = Answer(status, b'{"message": "Brand not found"}')
    with (
        Loopback(in_turn(answer)) as server,
        api_at(server.url) as api,
        pytest.raises(Rejected) as caught,
    ):
        api.get("orders", {"page": 1})
    assert len(server.seen) == 1
    assert caught.value.status == status
    assert f"GET {server.url}/orders?page=1 answered {status}" in str(caught.value)
    assert "Brand not found" in str(caught.value)


@pytest.mark.parametrize("status", [200, 500, 503])
def test_a_refusal_in_the_body_counts_whatever_the_status(status: int) -> None:
    answer = Answer(status, b'{"errors": ["CMNC-018"]}')
    with (
        Loopback(in_turn(answer)) as server,
        api_at(server.url) as api,
        pytest.raises(Rejected, match="the body says no"),
    ):
        api.get("orders")
    assert len(server.seen) == 1


def test_missing_ok_gives_the_404() -> None:
    with Loopback(in_turn(Answer(404))) as server, api_at(server.url) as api:
        assert api.get("orders/1", missing_ok=True).status == 404


def test_a_post_that_may_have_arrived_is_not_sent_again() -> None:
    with Loopback(in_turn(Answer(hang_up=True))) as server, api_at(server.url) as api:
        with pytest.raises(Unreachable, match="look in the API whether it arrived"):
            api.post("orders", {})
        assert len(server.seen) == 1
        server.answer = in_turn(Answer(503))
        with pytest.raises(Unreachable, match="look in the API whether it arrived"):
            api.post("orders", {})
        assert len(server.seen) == 2
        server.answer = in_turn(BUSY, OK)
        assert api.post("orders", {}).status == 200


def test_throttling_waits_as_told_and_is_no_failure() -> None:
    clock, told = FakeClock(), []
    with (
        Loopback(in_turn(*[BUSY] * 9, OK)) as server,
        api_at(server.url, clock=clock, progress=told.append) as api,
    ):
        assert api.get("orders").status == 200
    assert clock.slept == [7.5] * 9
    assert api.waited == 67.5
    waits = [each for each in told if each.waiting_for is not None]
    assert waits[0] == Progress("plain.acme", 1, "throttled by the API", 7.5)
    assert told[-1] == Progress("plain.acme", 10, None, 0.0)


def test_throttling_ends_after_an_hour_in_all() -> None:
    clock = FakeClock()
    with (
        Loopback(in_turn(Answer(429, headers={"wait": "1000"}))) as server,
        api_at(server.url, clock=clock) as api,
        pytest.raises(Throttled, match="4000 seconds"),
    ):
        api.get("orders")
    assert clock.slept == [1000.0] * 3


@pytest.mark.parametrize("wait", ["1e12", "inf"])
def test_an_enormous_wait_is_refused_at_once(wait: str) -> None:
    clock = FakeClock()
    with (
        Loopback(in_turn(Answer(429, headers={"wait": wait}))) as server,
        api_at(server.url, clock=clock) as api,
        pytest.raises(Throttled),
    ):
        api.get("orders")
    assert clock.slept == []


@pytest.mark.parametrize("wait", ["-5", "0", "nan", "-inf"])
def test_a_senseless_wait_never_becomes_a_tight_loop(wait: str) -> None:
    clock, busy = FakeClock(), Answer(429, headers={"wait": wait})
    with Loopback(in_turn(busy, busy, OK)) as server, api_at(server.url, clock=clock) as api:
        api.get("orders")
    assert clock.slept == [1.0, 1.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30), ("-5", 60), ("1e12", 60), ("soon", 60), ("Mon, 02 Nov 2026 07:01:30 GMT", 90)],
)
def test_a_429_unknown_to_the_dialect(header: str, seconds: float) -> None:
    clock = FakeClock()
    headers = {"Retry-After": header, "Date": "Mon, 02 Nov 2026 07:00:00 GMT"}
    busy = Answer(429, headers=headers)
    with Loopback(in_turn(busy, OK)) as server, api_at(server.url, clock=clock) as api:
        api.get("orders")
    assert clock.slept == [seconds]


def test_a_spent_budget_told_by_headers_is_waited_for() -> None:
    clock = FakeClock()
    spent = Answer(headers={"left": "0", "reset": "12"})
    mad = Answer(headers={"left": "-3", "reset": "1e15"})
    negative = Answer(headers={"left": "0", "reset": "-1"})
    with (
        Loopback(in_turn(spent, mad, negative, OK)) as server,
        api_at(server.url, clock=clock) as api,
    ):
        for _ in range(5):
            api.get("orders")
    assert clock.slept == [12.0, 300.0]
    assert api.waited == 312.0


def test_requests_keep_to_the_budget(tmp_path: Path) -> None:
    clock = FakeClock()
    budget = Budget(tmp_path, "plain.acme", 2, now=clock.now)
    with Loopback(in_turn(OK)) as server, api_at(server.url, clock=clock, budget=budget) as api:
        for _ in range(5):
            api.get("orders")
    assert 120 <= clock.time - 1000 < 121
    assert 120 <= api.waited < 121


def test_redirects_stay_on_the_host() -> None:
    with Loopback(in_turn(OK)) as other, Loopback(in_turn(OK)) as server:
        hops = {"/orders": "/orders/", "/away": f"{other.url}/orders", "/round": "/round"}

        def answer(seen: Seen) -> Answer:
            to = hops.get(seen.path)
            return Answer(307, headers={"Location": to}) if to else OK

        server.answer = answer
        with api_at(server.url) as api:
            assert api.get("orders", {"page": 2}).url == f"{server.url}/orders/"
            assert api.requests == 2
            with pytest.raises(Elsewhere, match=r"127\.0\.0\.1 only"):
                api.get("away")
            with pytest.raises(Elsewhere):
                api.get(f"{other.url}/orders")
            with pytest.raises(Rejected, match="answered 307"):
                api.get("round")
        assert other.seen == []


def test_a_post_that_only_asks_is_sent_again() -> None:
    answers = in_turn(Answer(status=503, body=b"busy"), OK)
    with Loopback(answers) as server, api_at(server.url) as api:
        assert api.post("/search", {}, repeatable=True).json() == {"ok": True}
        assert len(server.seen) == 2


def test_a_post_is_never_turned_into_a_get() -> None:
    moved = Answer(302, headers={"Location": "/elsewhere"})
    with (
        Loopback(in_turn(moved, OK)) as server,
        api_at(server.url) as api,
        pytest.raises(Rejected, match="answered 302"),
    ):
        api.post("orders", {})
    assert len(server.seen) == 1


def test_not_json() -> None:
    page = Answer(body=b"<html>" + b"Sign in " * 100)
    with (
        Loopback(in_turn(page)) as server,
        api_at(server.url) as api,
        pytest.raises(NotJson) as caught,
    ):
        api.get("orders")
    assert len(server.seen) == 5
    assert f"{server.url}/orders" in str(caught.value)
    assert "plain.acme" in str(caught.value)
    assert str(caught.value).count("Sign in") == 9


def test_a_post_whose_reply_cannot_be_read_may_have_arrived() -> None:
    with Loopback(in_turn(Answer(body=b"<html>"))) as server, api_at(server.url) as api:
        with pytest.raises(Unreachable, match="look in the API whether it arrived"):
            api.post("orders", {})
        assert len(server.seen) == 1
        with pytest.raises(NotJson):
            api.post("search", {}, repeatable=True)
    assert len(server.seen) == 6


def test_a_reply_that_leaves_something_out_is_asked_for_again() -> None:
    def flaw(reply: Reply) -> str | None:
        return "orders are missing" if reply.json() == [] else None

    empty = Answer(body=b"[]")
    clock = FakeClock()
    with Loopback(in_turn(empty, empty, OK)) as server, api_at(server.url, clock=clock) as api:
        assert api.get("orders", flaw=flaw).json() == {"ok": True}
        assert len(clock.slept) == 2
        server.answer = in_turn(empty)
        with pytest.raises(Incomplete, match=r"200 OK, but orders are missing \(plain\.acme\)"):
            api.get("orders", flaw=flaw, tries=2)
        assert api.get("orders").json() == []
    assert len(server.seen) == 6


def test_retry_after_reads_seconds_and_dates() -> None:
    now = datetime(2026, 11, 2, 7, tzinfo=UTC)
    with Loopback(in_turn(OK)) as server, api_at(server.url) as api:
        for text in ("-5", "1e12", "20210226103219", "", "Mon, 02 Nov 2020 07:00:00 GMT"):
            server.answer = in_turn(Answer(headers={"Retry-After": text}))
            assert retry_after(api.get("x"), now) is None
