"""The one place that takes secrets out of text.

Belongs here: what counts as a secret, and the forms in which it may turn up. Does not belong here:
reading secrets (`accounts.py`), and deciding what is logged.

Every secret that is read is registered; from then on `redact` replaces it, plain, percent-encoded
or in base64. Besides, values of well-known secret query parameters and of bearer headers are
replaced even where nobody registered them.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from urllib.parse import quote

REDACTED = "[redacted]"

_SHORT = 8
"""Secrets of fewer characters are replaced as whole words only: "12" stays part of "2012"."""

_PARAMETERS = re.compile(
    r"(?i)\b(client[-_]secret|client[-_]id|access[-_]token|refresh[-_]token|account[-_]token"
    r"|app[-_]ref|api[-_]?key|token|password)(=|%3D)[^&\s\"'<>#]+"
)
_BEARER = re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]{4,}")

_expressions: dict[str, int] = {}
"""Regular expression -> length of what it stands for."""
_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


def register(secret: str) -> None:
    """Have `secret` replaced in every text from now on. The empty string is ignored."""
    global _pattern
    if not secret:
        return
    with _lock:
        known = len(_expressions)
        _expressions.update({_expression(form): len(form) for form in _forms(secret)})
        if len(_expressions) > known:
            longest_first = sorted(_expressions, key=_expressions.__getitem__, reverse=True)
            _pattern = re.compile("|".join(longest_first))


def forget() -> None:
    """Forget every registered secret. For tests: their secrets are no secrets to one another."""
    global _pattern
    with _lock:
        _expressions.clear()
        _pattern = None


def redact(text: str) -> str:
    """The text with every secret in it replaced by `[redacted]`."""
    pattern = _pattern
    if pattern is not None:
        text = pattern.sub(REDACTED, text)
    text = _PARAMETERS.sub(rf"\1\2{REDACTED}", text)
    return _BEARER.sub(rf"\1 {REDACTED}", text)


class RedactingFilter(logging.Filter):
    """Redacts a log record's message and traceback. Add it to a handler, or to a logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


def _forms(secret: str) -> set[str]:
    return {secret} | _base64_of(secret.encode())


def _expression(form: str) -> str:
    """Matches the form with any of its characters percent-encoded or escaped."""
    whole = "".join(_any_writing(character) for character in form)
    return whole if len(form) >= _SHORT else rf"(?<![A-Za-z0-9]){whole}(?![A-Za-z0-9])"


def _any_writing(character: str) -> str:
    if character.isalnum() and character.isascii():
        return character
    escaped = {character, json.dumps(character)[1:-1], repr(character)[1:-1]}
    if character == " ":
        escaped.add("+")
    percent = re.sub("%..", lambda found: f"(?i:{found[0]})", quote(character, safe=""))
    return f"(?:{'|'.join([*map(re.escape, sorted(escaped, key=len, reverse=True)), percent])})"


def _base64_of(secret: bytes) -> set[str]:
    """Base64 at each of the three alignments that a secret can have inside a longer text."""
    if len(secret) < _SHORT:
        return set()
    forms = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        # The first and the last character may also hold bits of what stands beside the secret.
        certain = text[(0, 2, 3)[before] : -1 if (before + len(secret)) % 3 else None]
        forms |= {certain, certain.replace("+", "-").replace("/", "_")}
    return forms
