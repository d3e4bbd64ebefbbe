"""Jobs that keep the lake: replay and compaction.

Belongs here: their Dagster ops. Does not belong here: how they are done (`assets/normalise.py`,
`assets/upkeep.py`).
"""

import dagster as dg
from pydantic import Field

from assets.partitions import plainly
from assets.run_tags import KIND
from assets.upkeep import Upkeep
from assets.workshop import Workshop

REPLAY = "replay"
COMPACT = "compact"
REPLAY_OP = "replay_accounts"
COMPACT_OP = "compact_tables"
OPS = {REPLAY: REPLAY_OP, COMPACT: COMPACT_OP}
"""The op of each job; Dagster wants their names apart."""


class ChosenAccounts(dg.Config):
    """The accounts to work on; none means all of them."""

    accounts: list[str] = Field(default_factory=list)


@dg.op(name=REPLAY_OP, description="Normalise everything landed of the accounts afresh.")
def replay_op(
    context: dg.OpExecutionContext, config: ChosenAccounts, workshop: dg.ResourceParam[Workshop]
) -> None:
    """One account at a time is replaced as a whole."""
    with plainly():
        chosen = workshop.accounts
        for key in config.accounts or chosen.keys():
            made = workshop.normaliser(chosen.get(key)).replay()
            context.log.info(
                "%s: %d orders, %d order rows, %d held",
                key,
                made.orders,
                made.order_rows,
                made.quarantined,
            )


@dg.op(name=COMPACT_OP, description="Merge the lake's files into large ones.")
def compact_op(
    context: dg.OpExecutionContext,
    config: ChosenAccounts,  # noqa: ARG001  (compaction is by table; both ops take one config)
    workshop: dg.ResourceParam[Workshop],
) -> None:
    """One table at a time, under its exclusive lease."""
    with plainly():
        days = workshop.accounts.service.retention.replaced_files_days
        tended = Upkeep(workshop.lake, workshop.ledger, days=days).everything()
        for line in tended.lines:
            context.log.info("%s", line)
        context.add_output_metadata({"files deleted": tended.deleted})


@dg.job(name=REPLAY, tags={KIND: REPLAY})
def replay_job() -> None:
    """See the op."""
    replay_op()


@dg.job(name=COMPACT, tags={KIND: COMPACT})
def compact_job() -> None:
    """See the op."""
    compact_op()


def build() -> list[dg.JobDefinition]:
    """Both jobs."""
    return [replay_job, compact_job]
