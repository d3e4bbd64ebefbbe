"""What a commit to a lake table says beside its data, and when it comes too late.

Belongs here: the numbers that stages and accounts have in a table. Does not belong here: committing
(`resources/lake.py`), what they mean for a run (`assets/normalise.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from resources.errors import LakeError
from resources.lazily import lazily

if TYPE_CHECKING:
    import deltalake
else:
    deltalake = lazily("deltalake")


class Overtaken(LakeError):
    """Somebody else has committed what was to follow: nothing was written."""


def transactions(batches: Mapping[str, int]) -> deltalake.CommitProperties:
    """Stage -> batch, as part of a commit."""
    return deltalake.CommitProperties(
        app_transactions=[deltalake.Transaction(*item) for item in batches.items()]
    )


def generation(account: tuple[str, str]) -> str:
    """The stage that counts how often an account was replaced."""
    return f"generation:{'.'.join(account)}"


def of_account(account: tuple[str, str]) -> str:
    """The rows of one account, as Delta's predicate."""
    system, name = (each.replace("'", "''") for each in account)
    return f"source_system = '{system}' AND source_account = '{name}'"


def refuse_if_overtaken(
    handle: deltalake.DeltaTable, where: str, stage: str, after: int | None
) -> None:
    """Raise Overtaken unless the stage stands at `after` in the version of the handle.

    Whatever is committed later than that version delta-rs finds out by itself: two commits of
    one stage from the same version are refused.
    """
    reached = handle.transaction_version(stage) or 0
    if after is not None and reached != after:
        raise Overtaken(
            f"{stage} stands at {reached} and not at {after}: another process went on while "
            "this one stood still",
            where,
            "nothing is lost: run again and it goes on from there",
        )
