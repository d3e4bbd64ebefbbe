"""The job that erases a person.

Belongs here: its Dagster op. Does not belong here: how a person is erased (`assets/erase.py`), what
the command asks and shows (`pipelines/erasing.py`).
"""

import dagster as dg

from assets.erase import Eraser, told
from assets.partitions import plainly
from assets.run_tags import KIND
from assets.workshop import Workshop
from resources.errors import LedgerError

JOB = "erase"
OP = "erase_person"


class ErasureConfig(dg.Config):
    """Which erasure to carry out. Nothing here names the person."""

    erasure: str
    """Its id, as `orderloom erase --list` shows it."""


@dg.op(name=OP, description="Carry out an erasure that `orderloom erase` has begun.")
def erase_op(
    context: dg.OpExecutionContext, config: ErasureConfig, workshop: dg.ResourceParam[Workshop]
) -> None:
    """Rewrites, publishes, deletes what is older, and proves it where the command told by what."""
    with plainly():
        erasure = workshop.ledger.erasures.get(config.erasure)
        if erasure is None:
            raise LedgerError("no such erasure", config.erasure, "see `orderloom erase --list`")
        proof = Eraser(workshop).carry_out(erasure, workshop.sought)
        if proof is None:
            context.log.info("%s: carried out, not proven", config.erasure)
        else:
            workshop.proof = proof
            context.log.info("%s: %s", config.erasure, told(proof))


@dg.job(name=JOB, tags={KIND: JOB})
def erase_job() -> None:
    """See the op."""
    erase_op()


def build() -> list[dg.JobDefinition]:
    """The job."""
    return [erase_job]
