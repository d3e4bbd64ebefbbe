"""What an API answered.

Belongs here: one reply, and reading its body and its headers. Does not belong here: judging it
(the source's dialect) and asking again (`api.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from resources.errors import ApiError
from resources.redaction import redact

if TYPE_CHECKING:
    import httpx

LONGEST_WAIT = 86_400.0
"""Seconds. A header that asks for more is taken for nonsense or a mistaken unit."""

Form = TypeVar("Form")


class NotJson(ApiError):
    """A reply that should be JSON and is not."""


class _Complaint(msgspec.Struct):
    """The usual form of an error in JSON."""

    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply of an API."""

    method: str
    url: str
    """As sent, after redirects, with secrets redacted."""
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    """Decompressed."""
    fetched_at: datetime
    """When the whole body had arrived; UTC, by the local clock."""
    server_time: datetime | None
    """The Date header; UTC, whole seconds; None if absent or unreadable."""
    account: str = ""
    """Whose reply, for messages: `brightpearl.acme`."""
    _read: dict[type, Any] = field(default_factory=dict, repr=False, compare=False)

    def json(self) -> Any:
        """The body, decoded. Raises NotJson. Numbers become int and float: never use it for money
        that is kept."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # raised below, so that no traceback shows the body
        raise self.not_json()

    def read(self, form: type[Form]) -> Form:
        """The body in a form that msgspec decodes; the same object however often it is asked for.

        Raises msgspec.DecodeError for what is no JSON, its ValidationError for another form.
        """
        if form not in self._read:
            self._read[form] = msgspec.json.decode(self.body, type=form)
        found: Form = self._read[form]
        return found

    @property
    def is_json(self) -> bool:
        """Whether the body is one whole JSON value."""
        if self._read:
            return True
        try:
            msgspec.json.decode(self.body, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def not_json(self) -> NotJson:
        """The error for a body that is none."""
        return NotJson(
            f"{self.method} {self.url} answered {self.status} with something that is not JSON: "
            f"{self.excerpt(80)!r}",
            self.account,
            "check base_url, or whether a proxy or a login page answers in the API's place",
        )

    def words(self, length: int) -> str:
        """What an error reply says: its `message` where it has one, which may stand beside a stack
        trace, else the beginning of its body. Redacted, one line."""
        try:
            message = msgspec.json.decode(self.body, type=_Complaint).message
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self.excerpt(length)
        return " ".join(redact(message).split())[:length]

    def excerpt(self, length: int) -> str:
        """The first characters of the body as one line of text, redacted."""
        text = redact(self.body[: 4 * length + 1024].decode("utf-8", errors="replace"))
        return " ".join(text.split())[:length]


def read_reply(response: httpx.Response, account: str) -> Reply:
    """The reply in a response whose body has been read."""
    return Reply(
        method=response.request.method,
        url=redact(str(response.request.url)),
        status=response.status_code,
        headers=response.headers,
        body=response.content,
        fetched_at=datetime.now(UTC),
        server_time=http_date(response.headers.get("Date")),
        account=account,
    )


def http_date(text: str | None) -> datetime | None:
    """The moment in an HTTP date (RFC 9110, 5.6.7), UTC; None if there is none."""
    try:
        moment = parsedate_to_datetime(text) if text else None
        if moment is None:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Seconds to wait by the Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date).

    None where the header is absent, negative, no number or more than a day.
    """
    text = reply.headers.get("Retry-After")
    moment = http_date(text) if text and not text.strip().isdigit() else None
    if moment is not None:
        return sensible_seconds((moment - now).total_seconds())
    return sensible_seconds(text)


def sensible_seconds(value: str | float | None) -> float | None:
    """A header's number of seconds, or None where it is no number between 0 and a day."""
    try:
        seconds = float(value) if value is not None else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= LONGEST_WAIT else None
