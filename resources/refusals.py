"""The ways in which an API lets us down.

Belongs here: the errors of the HTTP client, and their wording. Does not belong here: deciding that
a reply is one (`api.py`, and the source's dialect).
"""

from __future__ import annotations

from http import HTTPStatus

from resources.errors import ApiError
from resources.redaction import redact
from resources.replies import Reply

_REMEDIES = {
    401: "check this account's credentials and the environment variables that hold them",
    403: "give these credentials the right to read orders, or use others",
    404: "check base_url, and whether the API still has what was asked for",
}
_EXCERPT = 200


class Fault(Exception):
    """A request that brought no whole reply. The text is redacted."""

    def __init__(
        self,
        text: str,
        *,
        passing: bool,
        sent: bool,
        status: int = 0,
        error: ApiError | None = None,
    ) -> None:
        super().__init__(redact(text))
        self.status = status
        """The reply's HTTP status, if there was one."""
        self.error = error
        """What it amounts to where it does not pass, if that is not Unreachable."""
        self.passing = passing
        """Whether it may well succeed when sent again."""
        self.sent = sent
        """Whether the API may have acted on it."""


class Rejected(ApiError):
    """The API refused a request; asking again would not help."""

    def __init__(
        self, what: str, where: str, remedy: str, *, status: int = 0, method: str = ""
    ) -> None:
        super().__init__(what, where, remedy)
        self.status = status
        """The reply's HTTP status; it may be a 200 where the refusal stands in the body."""
        self.method = method
        """That of the request which was refused: a POST may fail at the GET that logs in."""


class Throttled(ApiError):
    """The API kept saying "too many requests" for an hour, or asked for a longer wait."""


class Unreachable(ApiError):
    """The API could not be reached, broke off, or had a server fault, at every try.

    A POST that the API may have received is not sent again.
    """

    def __init__(self, what: str, where: str, remedy: str, *, in_doubt: bool = False) -> None:
        super().__init__(what, where, remedy)
        self.in_doubt = in_doubt
        """True of a POST on which the API may have acted."""


class ServerFault(Unreachable):
    """The API answered 500 at every try, to this request at least."""


class Incomplete(ApiError):
    """A reply that reads well and leaves out what it should hold, at every try."""


class Elsewhere(ApiError):
    """The API points to another host, where its credentials must not go."""


def rejected(reply: Reply, reason: str | None) -> Rejected:
    """The error for a refused reply: `reason` is the dialect's, else the body speaks."""
    remedy = _REMEDIES.get(reply.status, "correct what the API complains of")
    if 300 <= reply.status < 400:
        remedy = "correct base_url: the API sends its callers to another address or method"
    words = (reason or reply.excerpt(_EXCERPT) or "without a word")[:_EXCERPT]
    return Rejected(
        f"{answered(reply)}: {words}", reply.account, remedy, status=reply.status,
        method=reply.method,
    )  # fmt: skip


def incomplete(reply: Reply, missing: str) -> Incomplete:
    """The error for a reply that leaves something out."""
    return Incomplete(
        f"{answered(reply)}, but {missing}",
        reply.account,
        "run again later; if it persists, ask the API's vendor how its lists are paged now",
    )


def unreachable(asked: str, fault: Fault, account: str, tries: int) -> Unreachable:
    """The error for a request, written `GET https://...`, that brought no whole reply."""
    if not fault.passing:
        remedy = "check base_url, this machine's clock and its certificates"
    elif not fault.sent:
        remedy = f"check base_url and the network; it was tried {tries} times"
    elif asked.startswith("POST ") and tries == 1:
        remedy = "look in the API whether it arrived before sending it again"
    else:
        remedy = f"run again later; it was tried {tries} times"
    in_doubt = fault.sent and asked.startswith("POST ")
    kind = ServerFault if fault.status == 500 else Unreachable
    return kind(f"{asked}: {fault}", account, remedy, in_doubt=in_doubt)


def answered(reply: Reply) -> str:
    """`GET https://... answered 404 Not Found`."""
    try:
        phrase = f" {HTTPStatus(reply.status).phrase}"
    except ValueError:
        phrase = ""
    return f"{reply.method} {reply.url} answered {reply.status}{phrase}"
