"""Asking Quotevine: over real HTTP, against the sandbox's truth and against odd replies."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import sandbox.server
from assets.known import Landed
from assets.pull import Puller
from assets.sources.quotevine import Quotevine
from assets.workshop import Workshop
from resources.errors import ApiError
from resources.places import Places
from sandbox.quotevine import QuotevineApi, QuotevineFlatApi
from sandbox.server import Sandbox
from tests.home import Pulls, point_at
from tests.loopback import Answer, Loopback, Seen
from tests.mapping_harness import outcome

KEY = "quotevine.leasing"
PAGES = Path(__file__).parent / "pages" / "quotevine"
FAST = 1_000_000
"""Requests a minute: no test waits for a budget."""
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}


@pytest.fixture(params=[QuotevineApi])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox.server, "APIS", (request.param,))
    monkeypatch.setattr(request.param, "requests_per_minute", FAST)
    with Sandbox() as running:
        yield running


@pytest.fixture
def pulls(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    return Pulls(point_at(box, tmp_path, monkeypatch))


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body)["order"] for key, body in known.bodies(known.ids()).items()}


def alive(box: Sandbox) -> dict[str, Any]:
    return {t["source_order_id"]: t["body"] for t in box.truth(KEY) if not t["is_deleted"]}


@pytest.mark.parametrize("box", [QuotevineApi, QuotevineFlatApi], indirect=True)
def test_every_order_is_landed_as_it_is_in_both_shapes(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new == len(alive(box)) > 300
    assert pull.requests == pull.least_requests == box.requests(KEY)


def test_a_second_sync_asks_each_relationship_once_and_lands_nothing(
    box: Sandbox, pulls: Pulls
) -> None:
    pulls.changes(KEY)
    cursor = pulls.workshop.ledger.cursor(KEY)
    box.reset_requests()
    again = pulls.changes(KEY)
    following_pages = 1  # one relationship has more than 25 orders
    assert cursor is not None
    assert box.requests(KEY) == 1 + len(cursor["relationships"]) + following_pages
    assert again.requests == again.least_requests
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert pulls.workshop.ledger.cursor(KEY) == cursor


def test_a_week_brings_new_relationships_and_changed_orders(box: Sandbox, pulls: Pulls) -> None:
    configured = len(pulls.account(KEY).settings.relationships)  # type: ignore[attr-defined]
    pulls.changes(KEY)
    box.clock.advance(timedelta(days=6))
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert pull.counts.new > 0
    assert pull.counts.changed > 0
    cursor = pulls.workshop.ledger.cursor(KEY)
    assert cursor is not None
    assert len(cursor["relationships"]) > configured
    assert cursor["searched"] == "2026-11-08"


def test_what_was_discovered_is_remembered_without_a_cursor(
    box: Sandbox, pulls: Pulls, tmp_path: Path
) -> None:
    box.clock.advance(timedelta(days=6))
    pulls.changes(KEY)
    (tmp_path / "var" / "ledger.sqlite").unlink()
    box.clock.advance(timedelta(days=8))
    fresh = Pulls(Workshop(Places.from_environment()))
    fresh.changes(KEY)
    assert landed(fresh).keys() >= set(landed(pulls))


def test_nothing_is_known_beforehand(box: Sandbox, pulls: Pulls, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    lines = accounts.read_text().splitlines()
    accounts.write_text("\n".join(line for line in lines if not line.startswith("relationships")))
    pull = pulls.changes(KEY)
    assert 0 < pull.counts.new < len(alive(box))
    assert pull.requests == pull.least_requests + 1  # the first one tells the server's day


def test_a_walk_cut_short_goes_on_and_then_reads_the_rest(
    box: Sandbox, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.sources.quotevine.RELATIONSHIPS_PER_BATCH", 40)
    landings: list[object] = []

    def cut(pull: object) -> None:
        landings.append(pull)
        if len(landings) == 3:
            raise KeyboardInterrupt

    workshop = pulls.workshop
    workshop.landed = cut
    with pytest.raises(KeyboardInterrupt):
        pulls.changes(KEY)
    workshop.landed = None
    cursor = workshop.ledger.cursor(KEY)
    assert cursor is not None
    assert cursor["after"] == cursor["relationships"][79]
    edited = min(landed(pulls), key=lambda order_id: int(order_id.partition("/")[0]))
    assert int(edited.partition("/")[0]) < cursor["after"]
    box.api(KEY).edit(edited, {"contact_notes": "after the cut"})
    reached: list[int] = []
    workshop.landed = lambda _: reached.append((workshop.ledger.cursor(KEY) or {})["after"])
    pulls.changes(KEY)
    assert reached[1] == cursor["relationships"][119]
    assert landed(pulls) == alive(box)


def test_a_wrong_key_is_one_line_without_the_key(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTEVINE_LEASING_API_KEY", "canary-wrong-key")
    with pytest.raises(ApiError, match="401") as raised:
        pulls.changes(KEY)
    assert "canary" not in str(raised.value)
    assert "\n" not in str(raised.value)


# Odd replies.


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
            pulls = Pulls(Workshop())
            pulls.changes(KEY)
            return pulls, server.seen

        yield run


def listing(*orders: Any, following: str | None = None) -> Answer:
    envelope: dict[str, Any] = {"items": list(orders)}
    if following is not None:
        envelope["next"] = {"$ref": following}
    return reply(envelope)


ORDERS = "/relationships/7/orders/"


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


def test_a_missing_relationship_is_a_warning_and_not_a_failure(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pulls, _ = changes({ORDERS: lambda _: listing({"id": 1})}, 6, 7)
    assert landed(pulls).keys() == {"7/1"}
    assert "1 relationships were answered 404" in caplog.text


@pytest.mark.parametrize(("count", "warned"), [(24, False), (25, True)])
def test_a_full_page_without_a_next_one_is_a_warning(
    changes: Changes, caplog: pytest.LogCaptureFixture, count: int, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        changes({ORDERS: lambda _: listing(*({"id": n} for n in range(1, count + 1)))})
    assert ("lists exactly 25 orders" in caplog.text) is warned


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


def test_more_orders_without_a_link_to_them_are_a_warning(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        changes({ORDERS: lambda _: reply({"items": [{"id": 1}], "hasMore": True})})
    assert "lists exactly 1 orders and no next page" in caplog.text


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


def test_links_in_a_circle_end(changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.sources.quotevine.MOST_PAGES", 5)
    with pytest.raises(ApiError, match="go on after 5 pages"):
        changes({ORDERS: lambda _: listing({"id": 1}, following="?page=1")})


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


def test_twenty_rows_are_taken_for_truncation_and_narrowed(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    def search(seen: Seen) -> Answer:
        since = json.loads(seen.body)["updated_since"]
        day = int(since[-2:])
        numbers = range(100, 120) if day != 30 else range(200, 205)
        return reply([{"relationship_id": number} for number in numbers])

    with caplog.at_level(logging.WARNING):
        pulls, seen = changes({ORDERS: lambda _: listing(), "/relationships/search": search})
    asked = [json.loads(each.body)["updated_since"] for each in seen if each.method == "POST"]
    assert asked == ["2026-10-26", "2026-10-27", "2026-10-28", "2026-10-29", "2026-10-30"]
    assert "gave 20 rows, the most it ever gives" in caplog.text
    cursor = pulls.workshop.ledger.cursor(KEY)
    assert cursor["relationships"] == [7, *range(100, 120), *range(200, 205)]


def test_a_gap_of_more_than_a_week_is_a_warning(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    changes({ORDERS: lambda _: listing()})
    later = {"Date": "Fri, 20 Nov 2026 07:00:00 GMT"}
    with caplog.at_level(logging.WARNING):
        changes({ORDERS: lambda _: Answer(200, b"[]", later)})
    assert "the last search was on 2026-11-02" in caplog.text


def test_the_recorded_list_becomes_an_order() -> None:
    order = json.loads((PAGES / "orders_list_200.json").read_text())["items"][0]
    found = outcome("quotevine", {"relationship_id": 7, "order": order}, "7/154709")
    assert found.order is not None
    assert found.order["placed_on"] == date(2022, 8, 5)
    assert found.order["placed_at"] is None
    assert found.order["created_at"].isoformat() == "2022-08-05T10:06:13+00:00"
    assert found.order["created_tz_basis"] == "configured"
    assert found.order["requested_delivery_text"] == "End of August"
    assert found.order["currency"] is None
    assert found.order["rows_state"] == "not_supplied"
    assert found.extra["new_used"] == "NEW"
    assert [party["role"] for party in found.parties] == ["delivery"]
    assert found.faults == []


def test_what_cannot_be_read_is_told_and_the_order_is_loaded() -> None:
    order = {
        "order_status": "Sent", "target_delivery_date": "soon", "proposal_id": "many",
        "order_date": "15-08-2022", "cancellation_date": "never", "update_frequency_days": 99999,
        "creation_date": "2022-10-30 01:30:00", "last_update_date": "yesterday",
        "delivery_property": "a", "delivery_address": "b",
    }  # fmt: skip
    found = outcome("quotevine", {"relationship_id": 7, "order": order}, "7/1")
    assert found.order is not None
    assert found.reasons() == {
        ("proposal_id", False),
        ("order_date", False),
        ("cancellation_date", False),
        ("update_frequency_days", False),
        ("last_update_date", False),
    }
    assert found.order["order_status"] == "unknown"
    assert {"repeated_hour", "alias_differs"} <= set(found.order["quality_flags"])
    assert found.party("delivery")["address_line_1"] == "a"


def test_absent_mandatory_fields_are_told() -> None:
    found = outcome("quotevine", {"relationship_id": 7, "order": {}}, "7/1")
    assert found.reasons() == {
        ("proposal_id", False),
        ("order_status", False),
        ("target_delivery_date", False),
    }
    assert found.parties == []


def test_probe_asks_once_and_brings_no_orders(box: Sandbox, pulls: Pulls) -> None:
    puller: Puller = pulls.workshop.puller
    with puller._api(pulls.account(KEY)) as api:
        assert Quotevine().probe(api).json() == []
    assert box.requests(KEY) == 1
