"""The errors that a user of orderloom may meet.

Belongs here: the base classes, one per outside thing. Does not belong here: the errors of one
module only; they stand in that module and derive from one of these.
"""

from __future__ import annotations

from resources.redaction import redact


class OrderloomError(Exception):
    """Says in one line what went wrong, where, and what to do: `what (where): remedy`.

    Line breaks become spaces, and secrets are redacted, when the error is made.
    """

    def __init__(self, what: str, where: str, remedy: str) -> None:
        self.what, self.where, self.remedy = (_line(part) for part in (what, where, remedy))
        super().__init__(self.what, self.where, self.remedy)

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.remedy}"


class ConfigurationError(OrderloomError):
    """Settings, credentials or arguments that cannot be worked with. Exit code 2."""


class ApiError(OrderloomError):
    """A source API that refused, throttled, or could not be reached or understood."""


class LakeError(OrderloomError):
    """Lake tables that cannot be read or written."""


class LedgerError(OrderloomError):
    """A ledger that cannot be read or written, or a lease that is held or lost."""


class WarehouseError(OrderloomError):
    """Marts that cannot be built, published or opened."""


def _line(text: str) -> str:
    return redact(" ".join(text.split()))
