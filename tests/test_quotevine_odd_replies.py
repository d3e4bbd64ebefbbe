"""Quotevine answering oddly: other shapes, links, searches that are full or find nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from assets.known import Landed
from assets.workshop import Workshop
from resources.api import Incomplete
from resources.errors import ApiError
from tests.api_case import FakeClock
from tests.home import Pulls
from tests.loopback import Answer, Loopback, Seen

KEY = "quotevine.leasing"
FAST = 1_000_000
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body)["order"] for key, body in known.bodies(known.ids()).items()}


def reply(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), DATE)


Routes = dict[str, Callable[[Seen], Answer]]


ACCOUNTS = """
[quotevine.leasing]
base_url = "{url}"
timezone = "Europe/London"
started_on = 2020-01-01
requests_per_minute = {fast}
relationships = {relationships}
[quotevine.leasing.credentials]
api_key = "LEASING_KEY"
"""

Changes = Callable[..., tuple[Pulls, list[Seen]]]


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Changes]:
    """Syncs an account whose API answers by routes; elsewhere it has nothing."""
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(tmp_path / "accounts.toml"))
    monkeypatch.setenv("LEASING_KEY", "canary-key")

    with ExitStack() as servers:

        def run(routes: Routes, *relationships: int) -> tuple[Pulls, list[Seen]]:
            def answer(seen: Seen) -> Answer:
                if seen.path in routes:
                    return routes[seen.path](seen)
                return reply([]) if seen.method == "POST" else reply({"message": "None"}, 404)

            server = servers.enter_context(Loopback(answer))
            text = ACCOUNTS.format(
                url=server.url, fast=FAST, relationships=list(relationships or (7,))
            )
            (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
            pulls = Pulls(Workshop(clock=FakeClock()))
            pulls.changes(KEY)
            return pulls, server.seen

        yield run


def listing(*orders: Any, following: str | None = None) -> Answer:
    envelope: dict[str, Any] = {"items": list(orders)}
    if following is not None:
        envelope["next"] = {"$ref": following}
    return reply(envelope)


ORDERS = "/relationships/7/orders/"


def warnings_of(pulls: Pulls) -> str:
    """What the newest run says may be missing."""
    return pulls.workshop.ledger.runs(limit=1)[0]["warnings"] or ""


def test_an_order_without_an_id_is_quarantined_and_the_others_are_loaded(changes: Changes) -> None:
    odd = [{"vin": "X"}, {"vehicle_order_id": None}, {"order_id": ""}, 5, {"id": 2.5}]
    pulls, _ = changes({ORDERS: lambda _: listing(*odd, {"vehicle_order_id": 1}, {"id": "b"})})
    assert landed(pulls).keys() == {"7/1", "7/b"}
    raw = pulls.workshop.lake.committed("raw", f"land:{KEY}")
    assert raw == len(odd) + 2


def test_numbers_and_unknown_fields_arrive_byte_for_byte(changes: Changes) -> None:
    text = b'[ {"order_id":1, "price": 15.04490000000000000001, "new":{"a":[1.10]}} ]'
    pulls, _ = changes({ORDERS: lambda _: Answer(200, text, DATE)})
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    assert known.bodies(["7/1"])["7/1"] == (
        b'{"relationship_id": 7, "order": '
        b'{"order_id":1, "price": 15.04490000000000000001, "new":{"a":[1.10]}}}'
    )


def test_a_missing_relationship_is_a_warning_and_not_a_failure(changes: Changes) -> None:
    pulls, _ = changes({ORDERS: lambda _: listing({"id": 1})}, 6, 7)
    assert landed(pulls).keys() == {"7/1"}
    assert "1 relationships were answered 404" in warnings_of(pulls)


@pytest.mark.parametrize(("count", "warned"), [(24, False), (25, True)])
def test_a_full_page_without_a_next_one_is_a_warning(
    changes: Changes, count: int, warned: bool
) -> None:
    pulls, _ = changes({ORDERS: lambda _: listing(*({"id": n} for n in range(1, count + 1)))})
    assert ("lists exactly 25 orders" in warnings_of(pulls)) is warned


def test_a_next_link_is_followed_relative_or_absolute(changes: Changes) -> None:
    def pages(seen: Seen) -> Answer:
        page = dict(seen.query).get("page", "0")
        absolute = f"http://{seen.headers['host']}{ORDERS}?page=2"
        following = {"0": "?page=1", "1": absolute, "2": None}[page]
        return listing({"id": int(page) + 1}, following=following)

    pulls, _ = changes({ORDERS: pages})
    assert landed(pulls).keys() == {"7/1", "7/2", "7/3"}


def test_the_links_of_newer_services_are_followed(changes: Changes) -> None:
    def pages(seen: Seen) -> Answer:
        first = "offset" not in dict(seen.query)
        links = [{"rel": "self", "href": ORDERS}, {"rel": "next", "href": f"{ORDERS}?offset=1"}]
        more = {"hasMore": first, "links": links[: 1 + first], "limit": 1}
        return reply({"items": [{"id": 1 if first else 2}], **more})

    pulls, _ = changes({ORDERS: pages})
    assert landed(pulls).keys() == {"7/1", "7/2"}


def test_more_orders_without_a_link_to_them_are_a_warning(changes: Changes) -> None:
    pulls, _ = changes({ORDERS: lambda _: reply({"items": [{"id": 1}], "hasMore": True})})
    assert "lists exactly 1 orders and no next page" in warnings_of(pulls)


def test_a_relationship_may_come_as_a_text(changes: Changes) -> None:
    found = {"/relationships/search": lambda _: reply([{"relationship_id": "8"}])}
    orders = {f"/relationships/{n}/orders/": lambda _: listing({"id": 1}) for n in (7, 8)}
    pulls, _ = changes(found | orders)
    assert landed(pulls).keys() == {"7/1", "8/1"}


def test_the_key_never_goes_to_another_host(changes: Changes) -> None:
    with Loopback(lambda _: listing()) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ApiError, match="points to"):
            changes({ORDERS: lambda _: listing({"id": 1}, following=elsewhere + ORDERS)})
        assert other.seen == []


def test_an_empty_or_repeated_page_is_asked_for_again(changes: Changes) -> None:
    first, second = listing({"id": 1}, following="?page=1"), listing({"id": 2})
    answers = [listing(following="?page=1"), first, first, second]
    pulls, _ = changes({ORDERS: lambda _: answers.pop(0)})
    assert landed(pulls).keys() == {"7/1", "7/2"}
    with pytest.raises(Incomplete, match="empty though it links to a further page"):
        changes({ORDERS: lambda _: listing(following="?page=1")})


def test_a_search_that_found_nothing_is_widened_next_time(changes: Changes) -> None:
    def asked_on(day: str, found: list[int]) -> str:
        date = {"Date": f"{day} Nov 2026 07:00:00 GMT"}
        rows = json.dumps([{"relationship_id": each} for each in found]).encode()
        _, seen = changes(
            {
                ORDERS: lambda _: Answer(200, b"[]", date),
                "/relationships/search": lambda _: Answer(200, rows, date),
            }
        )
        (since,) = (json.loads(s.body)["updated_since"] for s in seen if s.method == "POST")
        return str(since)

    asked = [asked_on(*each) for each in (
        ("Mon, 02", [7]), ("Wed, 04", []), ("Fri, 06", []), ("Sat, 07", [7]), ("Sun, 08", [])
    )]  # fmt: skip
    assert asked == ["2026-10-26", "2026-11-01", "2026-11-01", "2026-11-01", "2026-11-06"]


def test_links_in_a_circle_end(changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.sources.quotevine.MOST_PAGES", 5)
    ids = count(1)
    with pytest.raises(ApiError, match="go on after 5 pages"):
        changes({ORDERS: lambda _: listing({"id": next(ids)}, following="?page=1")})


@pytest.mark.parametrize("body", [b"{}", b'{"items": null}', b"7", b'"x"', b"[1", b"\xff"])
def test_a_malformed_list_is_one_line_that_says_where(changes: Changes, body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        changes({ORDERS: lambda _: Answer(200, body, DATE)})
    assert ORDERS in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("found", [{"items": []}, [{"relationship_id": "x"}], [{}], None])
def test_a_malformed_search_is_one_line_that_says_where(changes: Changes, found: Any) -> None:
    routes = {ORDERS: lambda _: listing(), "/relationships/search": lambda _: reply(found)}
    with pytest.raises(ApiError, match="search"):
        changes(routes)


def test_twenty_rows_are_taken_for_truncation_and_narrowed(changes: Changes) -> None:
    def search(seen: Seen) -> Answer:
        since = json.loads(seen.body)["updated_since"]
        day = int(since[-2:])
        numbers = range(100, 120) if day != 30 else range(200, 205)
        return reply([{"relationship_id": number} for number in numbers])

    pulls, seen = changes({ORDERS: lambda _: listing(), "/relationships/search": search})
    asked = [json.loads(each.body)["updated_since"] for each in seen if each.method == "POST"]
    assert asked == ["2026-10-26", "2026-10-27", "2026-10-28", "2026-10-29", "2026-10-30"]
    assert "gave 20 rows, the most it ever gives" in warnings_of(pulls)
    cursor = pulls.workshop.ledger.cursor(KEY)
    assert cursor["relationships"] == [7, *range(100, 120), *range(200, 205)]


def test_a_gap_of_more_than_a_week_is_a_warning(changes: Changes) -> None:
    changes({ORDERS: lambda _: listing()})
    later = {"Date": "Fri, 20 Nov 2026 07:00:00 GMT"}
    pulls, _ = changes({ORDERS: lambda _: Answer(200, b"[]", later)})
    assert "the last search was on 2026-11-02" in warnings_of(pulls)
