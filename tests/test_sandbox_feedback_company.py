"""The Feedback Company sandbox answers as its pages say, and invitations go out as time passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

import sandbox.server
from sandbox.feedback_company import FeedbackCompanyApi
from sandbox.feedback_company_checks import after
from sandbox.server import Sandbox

ACCOUNT = "feedback_company.reviews"
SECRETS = {
    "client_id": "sandbox-client-id",
    "client_secret": "sandbox-client-secret",
    "grant_type": "authorization_code",
}
DOCUMENT_EXAMPLE: dict[str, Any] = {
    "external_id": "08b747cb-e20a-4644-9900-7db115e2f249",
    "customer": {"email": "appleseed@example.com", "fullname": "John Appleseed"},
    "products": [
        {
            "external_id": "c17b8994-7a31-4dda-b710-a1bb5cd97e55",
            "sku": "rd001",
            "gtin": "0075678164124",
            "name": "Red Delicious",
            "url": "https://www.example.com/producs/red-delicious",
            "image_url": "https://www.example.com/images/red-delicious.jpeg",
        }
    ],
    "invitation": {
        "delay": {"unit": "days", "amount": 0},
        "reminder": {"unit": "days", "amount": 7},
    },
    "filtercode": "filtercode1234",
}


@contextmanager
def serving(*, lifted: bool = True) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.server, "APIS", (FeedbackCompanyApi,))
        with Sandbox(lifted=lifted) as running:
            yield running


@pytest.fixture
def reviews() -> Iterator[Sandbox]:
    with serving() as running:
        yield running


@contextmanager
def client(running: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.base_url(ACCOUNT)) as opened:
        token = opened.get("/oauth2/token", params=SECRETS).raise_for_status().json()
        opened.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield opened


@pytest.fixture
def api(reviews: Sandbox) -> Iterator[httpx.Client]:
    with client(reviews) as opened:
        yield opened


def listed(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    reply = api.get("/invitations", params={"page_size": 1000, **params}).raise_for_status()
    return reply.json()["invitations"]


def test_a_token_is_given_for_sixty_days(reviews: Sandbox, api: httpx.Client) -> None:
    token = api.get("/oauth2/token", params=SECRETS).json()
    assert token["error"] is False
    assert token["expires_on"] == "Jan, 01 2027 08:00:00 CET"
    reviews.clock.advance(timedelta(days=60, seconds=-1))
    assert api.get("/invitations").status_code == 200
    reviews.clock.advance(timedelta(seconds=1))
    refused = api.get("/invitations")
    assert (refused.status_code, refused.json()["error"]) == (401, "Unauthorized")


@pytest.mark.parametrize("name", list(SECRETS))
def test_a_wrong_credential_gets_no_token(api: httpx.Client, name: str) -> None:
    refused = api.get("/oauth2/token", params={**SECRETS, name: "wrong"})
    assert (refused.status_code, refused.json()["error"]) == (401, True)


def test_a_request_without_a_good_token_is_refused(api: httpx.Client) -> None:
    for header in ("", "Bearer nonsense", "sandbox-token-1"):
        refused = api.get("/invitations", headers={"Authorization": header})
        assert refused.status_code == 401
        assert api.post("/orders", headers={"Authorization": header}).status_code == 401


def test_more_requests_than_the_allowance_are_refused() -> None:
    with serving(lifted=False) as running, client(running) as api:
        statuses = [api.get("/invitations").status_code for _ in range(61)]
    assert statuses == [200] * 60 + [429]


def test_orders_cannot_be_read(api: httpx.Client) -> None:
    assert api.get("/orders").status_code == 405
    assert api.get("/orders/1234").status_code == 404


def test_an_invitation_has_the_documented_fields(api: httpx.Client) -> None:
    [row] = listed(api, page_size=1)
    assert set(row) == {
        "is_sent", "order_id", "send_at", "send_reminder_at", "created_at", "id",
        "is_reminder_sent",
    }  # fmt: skip
    assert isinstance(row["order_id"], int)
    datetime.strptime(row["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert api.get(f"/invitations/{row['id']}").json() == {"success": True, "invitation": row}
    assert api.get("/invitations/1").status_code == 404


def test_pages_hold_every_invitation_once(api: httpx.Client) -> None:
    first = api.get("/invitations").json()
    count = first["meta"]["count"]
    assert (first["success"], len(first["invitations"])) == (True, 25)
    assert count > 300
    pages = [listed(api, page=page, page_size=100) for page in range(1, count // 100 + 3)]
    rows = [row for page in pages for row in page]
    assert pages[-1] == []
    assert len({row["id"] for row in rows}) == len(rows) == count
    assert rows == sorted(rows, key=lambda row: row["created_at"], reverse=True)
    assert listed(api, sort="created_at") == rows[::-1]


def test_an_unknown_parameter_is_ignored(api: httpx.Client) -> None:
    assert len(api.get("/invitations", params={"per_page": 100}).json()["invitations"]) == 25


@pytest.mark.parametrize(
    "params", [{"page": 0}, {"page_size": 0}, {"page_size": 1001}, {"sort": "id"}, {"page": "x"}]
)
def test_wrong_parameters_are_refused(api: httpx.Client, params: dict[str, Any]) -> None:
    refused = api.get("/invitations", params=params)
    assert refused.status_code == 422
    assert [error["property"] for error in refused.json()["errors"]] == list(params)


def test_flags_flip_when_their_moments_pass_and_nothing_else_does(
    reviews: Sandbox, api: httpx.Client
) -> None:
    before = {row["id"]: row for row in listed(api)}
    reviews.clock.advance(timedelta(days=7))
    now = reviews.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = {row["id"]: row for row in listed(api)}
    for row in rows.values():
        assert row["created_at"] <= now
        assert row["is_sent"] == (row["send_at"] <= now)
        assert row["is_reminder_sent"] == ((row["send_reminder_at"] or "9") <= now)
    assert len(rows) > len(before)
    flags = {"is_sent", "is_reminder_sent"}
    flipped = [number for number, row in before.items() if row != rows[number]]
    assert flipped
    for number in flipped:
        changed = {name for name in rows[number] if rows[number][name] != before[number][name]}
        assert changed <= flags
    truth = {item["source_order_id"]: item["body"] for item in reviews.truth(ACCOUNT)}
    assert truth == {str(number): row for number, row in rows.items()}


def test_edit_and_delete(reviews: Sandbox, api: httpx.Client) -> None:
    first, second = listed(api, page_size=2)
    reviews.api(ACCOUNT).edit(str(first["id"]), {"send_at": "2026-12-24T00:00:00Z"})
    reviews.api(ACCOUNT).delete(str(second["id"]))
    rows = {row["id"]: row for row in listed(api)}
    assert rows[first["id"]] == {**first, "send_at": "2026-12-24T00:00:00Z"}
    assert second["id"] not in rows
    gone = [item["source_order_id"] for item in reviews.truth(ACCOUNT) if item["is_deleted"]]
    assert gone == [str(second["id"])]


def test_a_registered_order_gets_its_invitation(reviews: Sandbox, api: httpx.Client) -> None:
    count = len(listed(api))
    reply = api.post("/orders", json=DOCUMENT_EXAMPLE)
    assert (reply.status_code, reply.json()) == (201, {"success": True})
    newest, *others = listed(api)
    assert len(others) == count
    assert newest["created_at"] == newest["send_at"] == "2026-11-02T07:00:00Z"
    assert (newest["is_sent"], newest["is_reminder_sent"]) == (True, False)
    assert newest["send_reminder_at"] == "2026-11-09T07:00:00Z"
    without = {key: DOCUMENT_EXAMPLE[key] for key in ("customer", "products")}
    assert api.post("/orders", json={**without, "external_id": "2"}).status_code == 201
    assert len(listed(api)) == count + 1
    kept = reviews.api(ACCOUNT)
    assert isinstance(kept, FeedbackCompanyApi)
    assert [order["external_id"] for order in kept.registrations()] == [
        DOCUMENT_EXAMPLE["external_id"],
        "2",
    ]


def test_an_external_id_is_taken_once(api: httpx.Client) -> None:
    assert api.post("/orders", json=DOCUMENT_EXAMPLE).status_code == 201
    count = len(listed(api))
    refused = api.post("/orders", json=DOCUMENT_EXAMPLE)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["property"] == "external_id"
    assert len(listed(api)) == count


def with_delays(delay: Any, reminder: Any) -> dict[str, Any]:
    return {"invitation": {"delay": delay, "reminder": reminder}}


def with_product(**changes: Any) -> dict[str, Any]:
    return {"products": [{**DOCUMENT_EXAMPLE["products"][0], **changes}]}


DAY, WEEK = {"unit": "days", "amount": 1}, {"unit": "days", "amount": 7}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"external_id": None}, "external_id"),
        ({"external_id": ""}, "external_id"),
        ({"external_id": "x" * 251}, "external_id"),
        ({"customer": None}, "customer"),
        ({"customer": {"fullname": "Jane"}}, "customer.email"),
        ({"customer": {"email": "jane@example"}}, "customer.email"),
        ({"customer": {"email": "j@example.com", "fullname": ""}}, "customer.fullname"),
        ({"filtercode": "x" * 251}, "filtercode"),
        (with_delays(None, None), "invitation.delay"),
        (with_delays({"unit": "weeks", "amount": 1}, None), "invitation.delay"),
        (with_delays({"unit": "days", "amount": -1}, None), "invitation.delay"),
        (with_delays({"unit": "days", "amount": True}, None), "invitation.delay"),
        (with_delays(WEEK, DAY), "invitation.reminder"),
        (with_delays(DAY, {"unit": "hours", "amount": 47}), "invitation.reminder"),
        ({"products": {}}, "products"),
        (with_product(name=None), "products[0].name"),
        (with_product(url="red-delicious"), "products[0].url"),
        (with_product(gtin="75678164124"), "products[0].gtin"),
        (with_product(sku=""), "products[0].sku"),
    ],
)
def test_an_invalid_order_is_refused(
    reviews: Sandbox, api: httpx.Client, changes: dict[str, Any], named: str
) -> None:
    refused = api.post("/orders", json={**DOCUMENT_EXAMPLE, **changes})
    assert refused.status_code == 422
    assert [error["property"] for error in refused.json()["errors"]] == [named]
    assert reviews.api(ACCOUNT).registrations() == []  # type: ignore[attr-defined]


def test_a_body_that_is_no_object_is_refused(api: httpx.Client) -> None:
    for content in (b"[]", b"{"):
        assert api.post("/orders", content=content).status_code == 422


@pytest.mark.parametrize(
    ("start", "amount", "due"),
    [(6, 1, 9), (6, 5, 13), (7, 0, 7), (7, 1, 9), (7, 5, 13), (8, 2, 10), (3, 7, 12)],
)
def test_weekdays_leave_out_the_weekend(start: int, amount: int, due: int) -> None:
    """The second of November 2026 is a Monday."""
    moment = datetime(2026, 11, start, 9, tzinfo=UTC)
    assert after(moment, {"unit": "weekdays", "amount": amount}).day == due
