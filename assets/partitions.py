"""What the assets of every source share: accounts as partitions, and failures told plainly.

Belongs here: partitions by account, and turning an error into a failure that shows one line. Does
not belong here: the assets (`assets/ingest.py`, `assets/history.py`).
"""

import traceback

import dagster as dg

from resources.errors import OrderloomError
from resources.redaction import redact


def accounts_of(source: str) -> dg.DynamicPartitionsDefinition:
    """The accounts of a source: partitions that follow accounts.toml."""
    return dg.DynamicPartitionsDefinition(name=f"{source}_accounts")


def account_key(source: str, partition: str) -> str:
    """The account that a partition stands for, as it is written everywhere."""
    return f"{source}.{partition}"


class plainly:  # noqa: N801  (reads as a statement: `with plainly():`)
    """Turns an error that says what to do into a failure that shows just that line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, OrderloomError):
            raise dg.Failure(description=str(fault), allow_retries=False) from None
        if isinstance(fault, Exception):
            told = "".join(traceback.format_exception(fault))
            if redact(told) != told:  # Dagster would keep it as it stands
                raise dg.Failure(description=redact(told), allow_retries=False) from None
