"""The job that pushes orders outward.

Belongs here: its Dagster op. Does not belong here: how pushing is done (`assets/push.py`), what the
command shows (`pipelines/pushing.py`).
"""

import dagster as dg

from assets.ingest import REGISTRATIONS
from assets.partitions import plainly
from assets.push import PUSH
from assets.run_tags import KIND
from assets.telling import registrations_metadata
from assets.workshop import Workshop
from resources import registrations as states

JOB = PUSH
OP = "push_orders"


class PushConfig(dg.Config):
    """What to push."""

    account: str
    """The account that takes the orders, written `feedback_company.reviews`."""
    send: bool = False
    """False: only say in the run's log how many would be sent."""
    limit: int | None = None
    """At most so many orders are sent; 0: only land what was accepted before."""


@dg.op(name=OP, description="Register orders of the marts for a review invitation, each once.")
def push_op(
    context: dg.OpExecutionContext, config: PushConfig, workshop: dg.ResourceParam[Workshop]
) -> None:
    """Sends nothing unless told so; numbers only, no personal data, go into the log."""
    with plainly():
        account = workshop.active(config.account)
        pusher = workshop.pusher
        if not config.send:
            found = [each.outgoing for each in pusher.plan(account).chosen]
            context.log.info("%d orders would be sent", sum(each is not None for each in found))
            return
        try:
            push = pusher.push(account, context.run.run_id, config.limit)
        finally:
            counts = workshop.ledger.registrations.counts(account.key, context.run.run_id)
            if counts.get(states.ACCEPTED) or config.limit == 0:
                context.log_event(
                    dg.AssetMaterialization(
                        [account.source, REGISTRATIONS],
                        partition=account.name,
                        metadata=registrations_metadata(counts),
                    )
                )
        context.log.info("%s: %s, %d landed", account.key, dict(push.counts), push.landed)


@dg.job(name=JOB, tags={KIND: JOB})
def push_job() -> None:
    """See the op."""
    push_op()


def build() -> list[dg.JobDefinition]:
    """The job."""
    return [push_job]
