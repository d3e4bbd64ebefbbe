"""Asking the Feedback Company: over real HTTP, against the sandbox's truth and odd replies."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import sandbox.server
from assets.known import Landed
from assets.sources.feedback_company import FeedbackCompany
from assets.workshop import Workshop
from resources.api import Incomplete, Rejected
from resources.errors import ApiError
from sandbox.feedback_company import FeedbackCompanyApi
from sandbox.server import Sandbox
from tests.api_case import FakeClock
from tests.home import Pulls, point_at
from tests.loopback import Answer, Loopback, Seen

KEY = "feedback_company.reviews"
FAST = 1_000_000
"""Requests a minute: no test waits for a budget."""
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}
LOGIN = 1


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox.server, "APIS", (FeedbackCompanyApi,))
    monkeypatch.setattr(FeedbackCompanyApi, "requests_per_minute", FAST)
    with Sandbox() as running:
        yield running


@pytest.fixture
def pulls(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    return Pulls(point_at(box, tmp_path, monkeypatch))


def landed(pulls: Pulls) -> dict[str, Any]:
    known = Landed(pulls.workshop.lake, pulls.account(KEY))
    return {key: json.loads(body) for key, body in known.bodies(known.ids()).items()}


def alive(box: Sandbox) -> dict[str, Any]:
    truth = [item for item in box.truth(KEY) if not item["is_deleted"]]
    return {f"invitation/{item['source_order_id']}": item["body"] for item in truth}


def ours(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged on this side: the sandbox's server runs in the same process."""
    records = (each for each in caplog.records if not each.name.startswith("uvicorn"))
    return "\n".join(f"{each.getMessage()} {each.exc_text}" for each in records)


def test_the_first_sync_lands_every_invitation_once(box: Sandbox, pulls: Pulls) -> None:
    pull = pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    pages = -(-len(alive(box)) // 100)
    assert pages > 2
    assert (pull.counts.new, pull.counts.received) == (len(alive(box)), len(alive(box)))
    assert pull.requests == box.requests(KEY) == LOGIN + pages
    assert pull.least_requests == pages


def test_flags_that_flip_without_a_stamp_are_seen(box: Sandbox, pulls: Pulls) -> None:
    pulls.changes(KEY)
    for _ in range(3):
        before = alive(box)
        box.clock.advance(timedelta(days=4))
        pull = pulls.changes(KEY)
        flipped = [key for key, body in alive(box).items() if before.get(key, body) != body]
        assert pull.counts.changed == len(flipped) > 0
        assert pull.counts.new == len(alive(box)) - len(before)
        assert landed(pulls) == alive(box)


def test_a_second_sync_reads_back_over_the_delay_and_no_further(
    box: Sandbox, pulls: Pulls, tmp_path: Path
) -> None:
    accounts = tmp_path / "accounts.toml"
    text = accounts.read_text(encoding="utf-8")
    accounts.write_text(text.replace("started_on", "reread_days = 10\nstarted_on", 1))
    pulls.changes(KEY)
    cursor = pulls.workshop.ledger.cursor(KEY)
    again = pulls.changes(KEY)
    since = (box.clock.now() - timedelta(days=10, minutes=2)).isoformat()
    young = [body for body in alive(box).values() if body["created_at"] > since]
    assert again.requests == LOGIN + len(young) // 100 + 1 < LOGIN + len(alive(box)) // 100 + 1
    assert again.least_requests == again.requests - LOGIN
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert pulls.workshop.ledger.cursor(KEY) == cursor


def test_a_load_cut_short_goes_on_with_its_next_page_and_misses_nothing(
    box: Sandbox, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.sources.feedback_company import FeedbackCompany

    monkeypatch.setattr(FeedbackCompany, "batch_size", 100)
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
    assert (cursor["page"], cursor["rows"]) == (3, 200)
    box.clock.advance(timedelta(days=5))
    pulls.changes(KEY)
    assert landed(pulls) == alive(box)
    assert workshop.ledger.cursor(KEY) == {"read_until": "2026-11-07T06:58:00+00:00"}


def test_an_expired_token_is_renewed_once(box: Sandbox, pulls: Pulls) -> None:
    with pulls.workshop.puller._api(pulls.account(KEY)) as api:
        api.get("/invitations", {"page_size": 1})
        box.clock.advance(timedelta(days=61))
        assert api.get("/invitations", {"page_size": 1}).status == 200
        assert api.requests == 5


def test_secrets_and_tokens_are_told_nowhere(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FEEDBACK_COMPANY_REVIEWS_CLIENT_SECRET", "canary secret/+")
    with caplog.at_level(logging.DEBUG), pytest.raises(ApiError, match="401") as raised:
        pulls.changes(KEY)
    assert "/oauth2/token" in str(raised.value)
    for text in (str(raised.value), ours(caplog)):
        assert "canary" not in text
        assert "sandbox-client-id" not in text


def test_a_token_is_not_told_either(pulls: Pulls, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        pulls.changes(KEY)
    assert "/invitations" in ours(caplog)
    assert "sandbox-token" not in ours(caplog)
    assert "sandbox-client-secret" not in ours(caplog)


# Odd replies.


def reply(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), DATE)


def page(rows: list[Any], count: int | str) -> dict[str, Any]:
    return {"meta": {"count": count}, "success": True, "invitations": rows}


def invitation(number: int, **changes: Any) -> dict[str, Any]:
    stamp = f"2026-10-{31 - number // 100:02d}T00:00:00Z"
    return {"id": number, "created_at": stamp, "is_sent": False, **changes}


ACCOUNTS = """
[feedback_company.reviews]
base_url = "{url}"
timezone = "Europe/Amsterdam"
started_on = 2020-01-01
requests_per_minute = {fast}
[feedback_company.reviews.credentials]
client_id = "REVIEWS_ID"
client_secret = "REVIEWS_SECRET"
"""

Changes = Callable[[Callable[[dict[str, str]], Answer]], tuple[Pulls, list[dict[str, str]]]]


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Changes]:
    """Syncs an account whose list of invitations answers as the test says."""
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(tmp_path / "accounts.toml"))
    monkeypatch.setenv("REVIEWS_ID", "canary-id")
    monkeypatch.setenv("REVIEWS_SECRET", "canary-secret")

    with ExitStack() as servers:

        def run(
            listed: Callable[[dict[str, str]], Answer],
        ) -> tuple[Pulls, list[dict[str, str]]]:
            def answer(seen: Seen) -> Answer:
                if seen.path == "/oauth2/token":
                    return reply({"error": False, "access_token": "canary-token"})
                return listed(dict(seen.query))

            server = servers.enter_context(Loopback(answer))
            text = ACCOUNTS.format(url=server.url, fast=FAST)
            (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
            pulls = Pulls(Workshop(clock=FakeClock()))
            pulls.changes(KEY)
            asked = [dict(seen.query) for seen in server.seen if seen.path == "/invitations"]
            return pulls, asked

        yield run


def served(rows: list[Any], query: dict[str, str], *, most: int = 1000) -> Answer:
    """A page as documented, of at most so many rows whatever was asked for."""
    size = min(int(query["page_size"]), most)
    first = (int(query["page"]) - 1) * size
    ordered = rows if query["sort"] == "created_at" else rows[::-1]
    return reply(page(ordered[first : first + size], len(rows)))


def test_a_smaller_page_than_asked_for_does_not_end_the_list(changes: Changes) -> None:
    rows = [invitation(number) for number in range(130)]
    pulls, asked = changes(lambda query: served(rows, query, most=25))
    assert len(landed(pulls)) == 130
    assert [query["page"] for query in asked] == ["1", "2", "3", "4", "5", "6"]
    assert {query["sort"] for query in asked} == {"created_at"}


@pytest.mark.parametrize(("announced", "pages"), [(230, 3), (1, 3), (200, 2)])
def test_the_announced_number_alone_does_not_end_the_list(
    changes: Changes, announced: int, pages: int
) -> None:
    """But where it is met exactly, no empty page is asked for."""
    rows = [invitation(number) for number in range(200 if announced == 200 else 230)]

    def listed(query: dict[str, str]) -> Answer:
        answer = json.loads(served(rows, query).body)
        return reply(page(answer["invitations"], announced))

    pulls, asked = changes(listed)
    assert len(landed(pulls)) == len(rows)
    assert len(asked) == pages


def test_a_list_shorter_than_announced_is_not_taken_for_complete(changes: Changes) -> None:
    rows = [invitation(number) for number in range(230)]

    def listed(query: dict[str, str]) -> Answer:
        return reply(page(json.loads(served(rows, query).body)["invitations"], 500))

    with pytest.raises(Incomplete, match="empty though 500 are announced and 230 have come"):
        changes(listed)


def test_rows_that_leave_the_list_while_a_load_is_broken_off_hide_no_others(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FeedbackCompany, "batch_size", 100)
    rows = [invitation(number) for number in range(250)]

    def breaking(query: dict[str, str]) -> Answer:
        return Answer(403) if query["page"] == "3" else served(rows, query)

    with pytest.raises(Rejected):
        changes(breaking)
    del rows[:30]
    pulls, asked = changes(lambda query: served(rows, query))
    assert [query["page"] for query in asked[:3]] == ["3", "2", "3"]
    assert landed(pulls).keys() == {f"invitation/{number}" for number in range(250)}


def test_rows_that_leave_the_list_meanwhile_hide_no_others(changes: Changes) -> None:
    rows = [invitation(number) for number in range(250)]
    pages: list[str] = []

    def shrinking(query: dict[str, str]) -> Answer:
        pages.append(query["page"])
        if len(pages) == 2:
            del rows[:30]
        return served(rows, query)

    pulls, _ = changes(shrinking)
    assert pages == ["1", "2", "1", "2", "3"]
    assert landed(pulls).keys() == {f"invitation/{number}" for number in range(250)}


def test_pages_that_shift_bring_no_invitation_twice(changes: Changes) -> None:
    rows = [invitation(number) for number in range(150)]
    pulls, _ = changes(lambda query: served(rows, query))
    before = pulls.workshop.lake.committed("raw", f"land:{KEY}")

    def growing(query: dict[str, str]) -> Answer:
        answer = served(list(rows), query)
        rows.append(invitation(len(rows)))
        return answer

    pulls, _ = changes(growing)
    assert pulls.workshop.lake.committed("raw", f"land:{KEY}") == before
    assert len(landed(pulls)) == 150


def test_rows_without_an_id_are_quarantined_and_the_others_are_loaded(changes: Changes) -> None:
    odd: list[Any] = [{"created_at": "2026-10-01T00:00:00Z"}, 5, {"id": ""}, {"id": True}, [1]]
    rows = [*odd, invitation(1, created_at=7), {"id": "x"}]
    pulls, _ = changes(lambda query: served(rows, query))
    assert landed(pulls).keys() == {"invitation/1", "invitation/x"}
    assert pulls.workshop.lake.committed("raw", f"land:{KEY}") == len(rows)


def test_an_unsorted_page_does_not_end_the_rereading(changes: Changes) -> None:
    rows = [invitation(number) for number in range(250)]
    rows[170]["created_at"] = "2020-01-01T00:00:00Z"
    changes(lambda query: served(rows, query))
    _, asked = changes(lambda query: served(rows, query))
    assert [query["page"] for query in asked] == ["1", "2", "3"]
    assert {query["sort"] for query in asked} == {"-created_at"}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"[1",
        b"\xff",
        b'{"meta":{"count":1},"invitations":null}',
        b'{"meta":{"count":-1},"invitations":[]}',
        b'{"meta":{"count":99999999999},"invitations":[]}',
        b'{"success":false,"error":"Unauthorized","invitations":[],"meta":{"count":0}}',
        b'{"error":"No access"}',
    ],
)
def test_a_malformed_list_is_one_line_that_says_where(changes: Changes, body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        changes(lambda _: Answer(200, body, DATE))
    assert "/invitations" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "canary" not in str(raised.value)


def test_a_list_that_ignores_its_paging_does_not_go_on_for_ever(changes: Changes) -> None:
    rows = [invitation(number) for number in range(100)]
    with pytest.raises(ApiError, match="repeats the page before"):
        changes(lambda _: reply(page(rows, 5000)))


def test_a_number_that_keeps_falling_does_not_go_on_for_ever(changes: Changes) -> None:
    rows = [invitation(number) for number in range(100)]

    def listed(query: dict[str, str]) -> Answer:
        return reply(page(rows, 5000 if query["page"] == "1" else 4000))

    with pytest.raises(ApiError, match="keeps falling"):
        changes(listed)


def test_an_empty_list_is_no_order(changes: Changes) -> None:
    pulls, asked = changes(lambda query: served([], query))
    assert len(asked) == 1
    assert pulls.workshop.ledger.cursor(KEY) == {"read_until": "2026-11-02T06:58:00+00:00"}


def test_a_number_may_come_as_a_text(changes: Changes) -> None:
    pulls, _ = changes(lambda _: reply(page([invitation(1)], "1")))
    assert landed(pulls).keys() == {"invitation/1"}
