"""Logging in, and secrets that show up nowhere: against a real server on loopback."""

from __future__ import annotations

import logging
import threading
import traceback

import pytest

from resources.api import NotJson, Rejected, Reply, Unreachable
from tests.api_case import SECRET, VARIABLE, LoginDialect, PlainDialect, api_at
from tests.loopback import Answer, Loopback, Seen, in_turn

OK = Answer(body=b'{"ok": true}')


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


class TokenServer:
    """Gives tokens, and accepts only the newest."""

    def __init__(self) -> None:
        self.given = 0
        self.lock = threading.Lock()

    def __call__(self, seen: Seen) -> Answer:
        with self.lock:
            if seen.path == "/token":
                assert "authorization" not in seen.headers
                self.given += 1
                return Answer(body=b'{"token": "granted-token-%d"}' % self.given)
            good = seen.headers.get("authorization") == f"Bearer granted-token-{self.given}"
            return OK if good else Answer(401, b"who are you")


def test_login_once_for_all_threads_and_once_more_after_a_401() -> None:
    tokens = TokenServer()
    with Loopback(tokens) as server, api_at(server.url, dialect=LoginDialect()) as api:
        assert len(list(api.get_many([("orders", None)] * 20, at_once=8))) == 20
        assert tokens.given == 1
        tokens.given = 7  # the old token has lapsed
        assert len(list(api.get_many([("orders", None)] * 20, at_once=8))) == 20
        assert tokens.given == 8


def test_a_login_that_does_not_help_is_a_refusal() -> None:
    def answer(seen: Seen) -> Answer:
        return Answer(body=b'{"token": "granted-token"}') if seen.path == "/token" else Answer(401)

    with (
        Loopback(answer) as server,
        api_at(server.url, dialect=LoginDialect()) as api,
        pytest.raises(Rejected, match="credentials"),
    ):
        api.get("orders")
    assert [seen.path for seen in server.seen] == ["/token", "/orders", "/token", "/orders"]


def test_a_refused_login_is_a_refusal() -> None:
    with (
        Loopback(in_turn(Answer(401))) as server,
        api_at(server.url, dialect=LoginDialect()) as api,
        pytest.raises(Rejected),
    ):
        api.get("orders")
    assert len(server.seen) == 1


# Secrets.


@pytest.mark.parametrize("status", [200, 401, 502])
def test_the_canary_appears_nowhere(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Secret in a header and in the URL; the API repeats it in its body and in its headers."""
    caplog.set_level(logging.DEBUG)
    echo = f"token {SECRET} is not valid".encode()
    replies: list[Reply] = []
    said: list[str] = []

    class Secretive(PlainDialect):
        """Keeps what `refusal` sees."""

        def refusal(self, reply: Reply) -> str | None:
            replies.append(reply)
            return None

    with (
        Loopback(in_turn(Answer(status, echo))) as server,
        api_at(server.url, dialect=Secretive()) as api,
    ):
        try:
            api.get("orders", {"client_secret": SECRET, "harmless": SECRET}).json()
        except (Rejected, Unreachable, NotJson) as error:
            said = [*traceback.format_exception(error), repr(error), str(error.__context__)]
    assert said
    assert server.seen[0].query[0] == ("client_secret", SECRET)
    assert caplog.records
    kept = [*said, caplog.text, *(reply.url for reply in replies), *map(repr, replies)]
    for form in (SECRET, "canary%2F7%2Bsecret", "canary%2F7", "canary/7%2B"):
        assert not [text for text in kept if form.lower() in text.lower()]


def test_an_unusable_secret_is_refused_before_any_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "canary\nwith a break")
    with Loopback(in_turn(OK)) as server, pytest.raises(Exception, match=VARIABLE) as caught:
        api_at(server.url)
    assert "canary" not in str(caught.value)
    assert server.seen == []
