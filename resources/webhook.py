"""Posting one message to the webhook of accounts.toml.

Belongs here: the request, and what counts as taken. Does not belong here: what is told, and when
(`pipelines/alerts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from resources.errors import OrderloomError
from resources.lazily import lazily
from resources.redaction import redact
from resources.settings import is_loopback

if TYPE_CHECKING:
    import httpx
else:
    # Its own command line would import rich, click and pygments: a third of its time.
    httpx = lazily("httpx", without=["httpx._main"])

TIMEOUT = 10.0
"""Seconds. Dagster ends a sensor's tick after sixty."""


class WebhookError(OrderloomError):
    """A message that was not taken."""


class _Content:
    """A body of a request that knows whether it was sent."""

    def __init__(self, content: bytes) -> None:
        self.headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
        }
        self.was_sent = False
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        self.was_sent = True


def post(url: str, message: Mapping[str, object]) -> bool:
    """Post a message as JSON, secrets in it redacted; whether it was answered in time.

    Raises WebhookError unless it was taken. What was sent whole counts as taken although its answer
    is late: a receiver that is slow has it, and would get it every minute for ever. A proxy that
    does not answer in time was sent nothing of it.

    A redirect is not followed: the message goes to the host that accounts.toml names, or nowhere.
    """
    content = _Content(json.dumps(_redacted(message), ensure_ascii=False).encode())
    host = httpx.URL(url).host
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=not is_loopback(host)) as client:
            status = client.post(url, content=content, headers=content.headers).status_code
    except httpx.HTTPError as error:
        if isinstance(error, httpx.ReadTimeout) and content.was_sent:
            return False
        problem = type(error).__name__
    else:
        if 200 <= status < 300:
            return True
        problem = f"it answered {status}"
    raise WebhookError(
        f"a message was not taken: {problem}",
        f"webhook at {host}",
        "it is posted again at the next tick; check webhook_url in accounts.toml",
    )


def _redacted(message: Mapping[str, object]) -> dict[str, object]:
    return {key: redact(each) if isinstance(each, str) else each for key, each in message.items()}
