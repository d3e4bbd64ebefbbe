"""No form of a secret survives redaction, and harmless text does."""

from __future__ import annotations

import base64
import io
import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.errors import OrderloomError
from resources.redaction import REDACTED, RedactingFilter, forget, redact, register

SECRET = 'can/ary+7 =&"\\x'
"""Has a character for each way of writing it differently."""


@pytest.fixture(autouse=True)
def _registered() -> None:
    register(SECRET)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote_plus(SECRET).replace("%2F", "%2f").replace("%3D", "="),
        json.dumps(SECRET)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form_is_replaced(form: str) -> None:
    assert form not in redact(f"before {form} after")
    assert redact(f"before {form} after").startswith("before ")
    assert redact(f"before {form} after").endswith(" after")


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
def test_base64_of_a_longer_text_does_not_give_it_away(user: str) -> None:
    """HTTP's basic authentication encodes user and password together."""
    whole = base64.b64encode(f"{user}:{SECRET}:rest".encode()).decode()
    assert REDACTED in redact(f"Basic {whole}")
    for part in redact(whole).split(REDACTED):
        shown = base64.b64decode(part + "=" * (-len(part) % 4) if len(part) % 4 != 1 else part[:-1])
        assert b"ary+7" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /token?client_secret=abc&page=2", "GET /token?client_secret=[redacted]&page=2"),
        ("?page=1&access_token=abc", "?page=1&access_token=[redacted]"),
        ("?api-key=abc#x", "?api-key=[redacted]#x"),
        ("?token=abc 200 OK", "?token=[redacted] 200 OK"),
        ("Authorization: Bearer abcdef.ghi", "Authorization: Bearer [redacted]"),
        ("order_key=abc token 7 monkey=1", "order_key=abc token 7 monkey=1"),
    ],
)
def test_secrets_that_nobody_registered(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_short_secret_is_replaced_as_a_word_only() -> None:
    register("q7x")
    assert redact("key q7x, q7xy and q7x") == "key [redacted], q7xy and [redacted]"


def test_registering_nothing_redacts_nothing() -> None:
    register("")
    assert redact("text") == "text"


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(codec="ascii"), min_size=8, max_size=40))
def test_whatever_the_secret(secret: str) -> None:
    forget()
    register(secret)
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert secret not in redact(f"<{form}>").replace(REDACTED, "")


def test_the_filter_redacts_message_arguments_and_traceback() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("orderloom.test")
    logger.addHandler(handler)
    try:
        try:
            raise ValueError(SECRET)
        except ValueError:
            logger.exception("asking %s with %s", f"https://h/?token={SECRET}", SECRET)
    finally:
        logger.removeHandler(handler)
    assert SECRET not in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert out.getvalue().startswith("asking https://h/?token=[redacted] with [redacted]")


def test_an_error_is_one_line_without_secrets() -> None:
    error = OrderloomError(f"said\n  {SECRET}", "here", "do that")
    assert str(error) == "said [redacted] (here): do that"
    assert SECRET not in repr(error)
