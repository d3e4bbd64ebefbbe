"""Faults on demand: each kind, of each API, as an HTTP client meets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from sandbox.clock import OPENING
from sandbox.faults import DETAILS, UnknownFaultError
from sandbox.server import Sandbox

BRIGHTPEARL = "brightpearl.acme"
TASTYIGNITER = "tastyigniter.bakery"
EFILING = "efiling.formations"
QUOTEVINE = "quotevine.leasing"
REVIEWS = "feedback_company.reviews"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def box(sandbox: Sandbox) -> Iterator[Sandbox]:
    yield sandbox
    sandbox.clear_faults()


class Client:
    """Asks an account for pages of its orders."""

    def __init__(self, box: Sandbox, account: str) -> None:
        self.box = box
        self.account = account
        self.http = httpx.Client(base_url=box.base_url(account), timeout=5.0)
        self.http.headers.update(self._headers(box.credentials[account]))

    def _headers(self, words: dict[str, str]) -> dict[str, str]:
        if self.account == BRIGHTPEARL:
            return {f"brightpearl-{name.replace('_', '-')}": words[name] for name in words}
        if self.account == REVIEWS:
            asked = {**words, "grant_type": "authorization_code"}
            token = self.http.get("/oauth2/token", params=asked).json()["access_token"]
            return {"Authorization": f"Bearer {token}"}
        return {
            TASTYIGNITER: {"Authorization": f"Bearer {words.get('token')}"},
            EFILING: {"Authorization": f"Basic {words.get('key')}"},
            QUOTEVINE: {"api-key": words.get("api_key", "")},
        }[self.account]

    def page(self, number: int) -> httpx.Response:
        """A page of several that are not alike."""
        path, query = {
            BRIGHTPEARL: (
                "/order-service/order-search",
                {"pageSize": 5, "firstResult": 5 * number - 4},
            ),
            TASTYIGNITER: ("/api/orders", {"pageLimit": 5, "page": number}),
            EFILING: ("/orders", {"page[number]": number}),
            QUOTEVINE: (f"/relationships/{self.largest()}/orders/", {"page": number - 1}),
            REVIEWS: ("/invitations", {"page_size": 5, "page": number}),
        }[self.account]
        return self.http.get(path, params=query)

    def largest(self) -> str:
        """The relationship with the most orders; 0 for another account."""
        owners = [str(item["source_order_id"]).partition("/")[0] for item in self.truth()]
        return max(set(owners), key=owners.count)

    def truth(self) -> list[dict[str, Any]]:
        return [item for item in self.box.truth(self.account) if not item["is_deleted"]]


Connect = Callable[[str], Client]
ACCOUNTS = (BRIGHTPEARL, TASTYIGNITER, EFILING, QUOTEVINE, REVIEWS)


@pytest.fixture
def connect(box: Sandbox) -> Iterator[Connect]:
    with ExitStack() as opened:

        def connected(account: str) -> Client:
            client = Client(box, account)
            opened.callback(client.http.close)
            return client

        yield connected


@pytest.fixture(params=ACCOUNTS)
def client(connect: Connect, request: pytest.FixtureRequest) -> Client:
    return connect(request.param)


def items(reply: httpx.Response) -> list[Any]:
    body = reply.json()
    if isinstance(body, list):
        return body
    found = body.get("data", body.get("items", body.get("invitations")))
    return found if found is not None else body["response"]["results"]


THROTTLES = {
    BRIGHTPEARL: (503, "Brightpearl-Next-Throttle-Period", "7000"),
    TASTYIGNITER: (429, "Retry-After", "7"),
    EFILING: (429, "Retry-After", "20261102070007"),
    QUOTEVINE: (429, "Retry-After", "7"),
    REVIEWS: (429, "Retry-After", "7"),
}


def test_throttling_is_told_as_each_api_tells_it(client: Client) -> None:
    fault = client.box.fault(client.account, "throttled", times=2, wait=7)
    assert client.box.clock.now() == OPENING
    for _ in range(2):
        reply = client.page(1)
        status, header, wait = THROTTLES[client.account]
        assert (reply.status_code, reply.headers[header]) == (status, wait)
        assert "oo" in reply.text
        assert "any" in reply.text
    assert fault.struck == 2
    assert client.page(1).status_code == 200


REFUSED = {
    "unavailable": dict.fromkeys(ACCOUNTS, (503, "navailable")),
    "error": {**dict.fromkeys(ACCOUNTS, (500, "rror")), BRIGHTPEARL: (500, "CMNU-003")},
    "rejected": {**dict.fromkeys(ACCOUNTS, (400, "")), BRIGHTPEARL: (500, "CMNC-018")},
    "revoked": dict.fromkeys(ACCOUNTS, (401, "")),
    "forbidden": dict.fromkeys(ACCOUNTS, (403, "")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_is_worded_as_the_api_words_it(client: Client, kind: str) -> None:
    client.box.fault(client.account, kind)
    reply = client.page(1)
    status, word = REFUSED[kind][client.account]
    assert reply.status_code == status
    words = reply.text.replace("unavailable", "navailable")
    assert word in words
    assert isinstance(reply.json(), dict)
    is_lasting = kind == "revoked" and client.account == REVIEWS
    assert client.page(1).status_code == (401 if is_lasting else 200)


def test_a_new_login_brings_a_new_token(box: Sandbox, connect: Connect) -> None:
    client = connect(REVIEWS)
    box.fault(REVIEWS, "revoked")
    assert [client.page(1).status_code for _ in range(2)] == [401, 401]
    assert connect(REVIEWS).page(1).status_code == 200


@pytest.mark.parametrize("kind", ["reset", "lost_reply", "truncated"])
def test_a_connection_is_cut(client: Client, kind: str) -> None:
    assert client.page(1).status_code == 200
    client.box.fault(client.account, kind)
    errors = {
        "reset": httpx.ReadError,
        "lost_reply": httpx.RemoteProtocolError,
        "truncated": httpx.RemoteProtocolError,
    }
    with pytest.raises(errors[kind]) as caught:
        client.page(1)
    assert ("without sending complete message body" in str(caught.value)) == (kind == "truncated")
    assert client.page(1).status_code == 200


def test_a_lost_reply_was_acted_upon_and_a_reset_was_not(box: Sandbox, connect: Connect) -> None:
    client = connect(TASTYIGNITER)
    kept, gone = (item["source_order_id"] for item in client.truth()[-2:])
    for kind, order_id in (("reset", kept), ("lost_reply", gone)):
        box.fault(TASTYIGNITER, kind, method="delete")
        with pytest.raises(httpx.TransportError):
            client.http.delete(f"/api/orders/{order_id}")
    ids = {item["source_order_id"] for item in client.truth()}
    assert kept in ids
    assert gone not in ids


def test_html_stands_in_the_place_of_json(client: Client) -> None:
    client.box.fault(client.account, "html")
    client.box.fault(client.account, "html", status=502, body="<p>bad gateway</p>")
    first, second = client.page(1), client.page(1)
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/html")
    assert (second.status_code, second.text) == (502, "<p>bad gateway</p>")


def test_json_is_cut(client: Client) -> None:
    whole = client.page(1).content
    client.box.fault(client.account, "invalid_json")
    reply = client.page(1)
    assert reply.status_code == 200
    assert whole.startswith(reply.content)
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        reply.json()


def test_a_page_comes_twice(client: Client) -> None:
    fault = client.box.fault(client.account, "duplicated_page")
    replies = [client.page(number) for number in (1, 2, 2)]
    assert fault.struck == 1
    assert replies[0].content == replies[1].content != replies[2].content


def test_an_empty_page_tells_the_same_totals(client: Client) -> None:
    full = client.page(1)
    client.box.fault(client.account, "empty_page", after=1)
    assert client.page(1).content == full.content
    empty = client.page(1)
    assert items(full)
    assert items(empty) == []
    totals = {
        BRIGHTPEARL: ("response", "metaData", "resultsAvailable"),
        TASTYIGNITER: ("meta", "pagination", "total"),
        REVIEWS: ("meta", "count"),
        QUOTEVINE: ("first",),
        EFILING: (),
    }
    announced, before = empty.json(), full.json()
    for key in totals[client.account]:
        announced, before = announced[key], before[key]
    if totals[client.account]:
        assert announced == before


def test_an_order_is_deleted_just_before_a_page(client: Client) -> None:
    before = client.truth()
    client.box.fault(client.account, "deletion", which="first")
    client.box.fault(client.account, "deletion", order_id=before[1]["source_order_id"])
    client.box.fault(client.account, "deletion")
    for left in (before[1:], before[2:], before[2:-1]):
        client.page(1)
        assert client.truth() == left


def test_an_order_is_stamped_years_ahead(client: Client) -> None:
    order_id = client.truth()[0]["source_order_id"]
    client.box.fault(client.account, "future_stamp", order_id=order_id, years=7)
    client.page(1)
    body = next(i["body"] for i in client.truth() if i["source_order_id"] == order_id)
    stamp = {
        BRIGHTPEARL: lambda: body["updatedOn"],
        TASTYIGNITER: lambda: body["attributes"]["updated_at"],
        EFILING: lambda: f"{datetime.strptime(str(body['order']['updated_at']), '%Y%m%d%H%M%S')}",  # noqa: DTZ007
        QUOTEVINE: lambda: body["last_update_date"],
        REVIEWS: lambda: body["created_at"],
    }[client.account]()
    moment = datetime.fromisoformat(stamp)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("Europe/London"))
    assert moment == OPENING + timedelta(days=7 * 365)


def test_an_answer_may_be_late(client: Client) -> None:
    client.box.fault(client.account, "latency", seconds=0.2)
    client.http.timeout = httpx.Timeout(0.05)
    with pytest.raises(httpx.ReadTimeout):
        client.page(1)
    client.http.timeout = httpx.Timeout(5.0)
    assert client.page(1).status_code == 200


def test_a_broken_order_breaks_every_page_that_holds_it(box: Sandbox, connect: Connect) -> None:
    client = connect(TASTYIGNITER)
    broken = items(client.page(2))[2]["id"]
    box.fault(TASTYIGNITER, "broken_order", times=None, order_id=broken)
    assert [client.page(number).status_code for number in (1, 2, 3, 2)] == [200, 500, 200, 500]
    assert client.http.get(f"/api/orders/{broken}").status_code == 500
    with pytest.raises(UnknownFaultError, match="TastyIgniter"):
        box.fault(EFILING, "broken_order", order_id="1")


def test_a_fault_strikes_what_it_is_meant_for(box: Sandbox, connect: Connect) -> None:
    efiling, quotevine = connect(EFILING), connect(QUOTEVINE)
    always = box.fault(EFILING, "error", times=None, path="page[number]=2")
    later = box.fault(EFILING, "forbidden", times=1, after=2, method="get")
    seen = [efiling.page(number).status_code for number in (1, 2, 1, 2, 1, 1)]
    assert seen == [200, 500, 200, 500, 403, 200]
    assert quotevine.page(1).status_code == 200
    assert (always.struck, later.struck, later.passed) == (2, 1, 2)
    assert box.faults(EFILING) == [always, later]
    box.clear_faults(QUOTEVINE)
    assert efiling.page(2).status_code == 500
    box.clear_faults(EFILING)
    assert efiling.page(2).status_code == 200
    assert box.faults(EFILING) == []


def test_a_reply_may_repeat_the_secrets_that_it_was_sent(client: Client) -> None:
    secret = next(iter(client.http.headers.raw[-1][1:])).decode()
    client.box.fault(client.account, "error", echo=True)
    client.box.fault(client.account, "html", echo=True)
    assert secret in client.page(1).text.replace("\\/", "/")
    assert secret in client.page(1).text


def test_faults_by_the_control_port(box: Sandbox, connect: Connect) -> None:
    client = connect(BRIGHTPEARL)
    with httpx.Client(base_url=f"{box.control_address}/faults") as control:
        made = control.post(f"/{BRIGHTPEARL}", json={"kind": "error", "times": None, "after": 1})
        assert made.status_code == 201
        assert [client.page(1).status_code for _ in range(3)] == [200, 500, 500]
        (armed,) = control.get(f"/{BRIGHTPEARL}").json()
        assert armed == {**made.json(), "passed": 1, "struck": 2}
        assert control.delete(f"/{BRIGHTPEARL}").status_code == 204
        assert control.get(f"/{BRIGHTPEARL}").json() == []
        assert client.page(1).status_code == 200
        assert control.get("/brightpearl.nobody").status_code == 404
        for wrong in WRONG:
            assert control.post(f"/{BRIGHTPEARL}", json=wrong).status_code == 400, wrong
    with pytest.raises(UnknownFaultError, match="throttled"):
        box.fault(BRIGHTPEARL, "fire")
    told = httpx.get(f"{box.control_address}/").text
    assert "/faults/ACCOUNT" in told
    assert len(DETAILS) == 17


WRONG: list[dict[str, Any]] = [
    {"kind": "fire"},
    {"kind": "reset", "wait": 1},
    {"kind": "error", "after": -1},
    {"kind": "error", "times": 0},
    {"kind": "error", "speed": 1},
    {},
]
