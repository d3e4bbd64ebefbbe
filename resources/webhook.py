"""Posting one message to the webhook of accounts.toml.

Belongs here: the request, and what counts as taken. Does not belong here: what is told, and when
(`pipelines/alerts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx

from resources.errors import OrderloomError
from resources.redaction import redact
from resources.settings import is_loopback

TIMEOUT = httpx.Timeout(10.0)
"""Seconds. Dagster ends a sensor's tick after sixty."""


class WebhookError(OrderloomError):
    """A message that was not taken."""


def post(url: str, message: Mapping[str, object]) -> None:
    """Post a message as JSON, secrets in it redacted. Raises WebhookError unless it was taken.

    A redirect is not followed: the message goes to the host that accounts.toml names, or nowhere.
    """
    content = json.dumps(_redacted(message), ensure_ascii=False).encode()
    host = httpx.URL(url).host
    headers = {"Content-Type": "application/json; charset=utf-8"}
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=not is_loopback(host)) as client:
            status = client.post(url, content=content, headers=headers).status_code
    except httpx.HTTPError as error:
        problem = type(error).__name__
    else:
        if 200 <= status < 300:
            return
        problem = f"it answered {status}"
    raise WebhookError(
        f"a message was not taken: {problem}",
        f"webhook at {host}",
        "it is posted again at the next tick; check webhook_url in accounts.toml",
    )


def _redacted(message: Mapping[str, object]) -> dict[str, object]:
    return {key: redact(each) if isinstance(each, str) else each for key, each in message.items()}
