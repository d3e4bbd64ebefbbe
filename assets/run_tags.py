"""Tags of a run: what it works on, and by which process.

Belongs here: their names, and giving them to a run that was started without. Does not belong here:
what is done by them (`pipelines/`).

Schedules and commands give a run its tags from the start. A run that somebody starts by a button of
the UI, or that automation starts, has none of them until its first asset says so here.
"""

from collections.abc import Iterable

import dagster as dg

from assets.partitions import account_key
from resources.processes import this_process

SOURCE = "orderloom/source"
ACCOUNT = "orderloom/account"
KIND = "orderloom/kind"
PROCESS = ".dagster/orderloom_process"
"""The process that executes the run. The UI hides tags of this prefix, and of no other."""


def tags(source: str, account: str, kind: str) -> dict[str, str]:
    """Run tags that filter the runs page and limit what runs side by side."""
    return {SOURCE: source, ACCOUNT: account_key(source, account), KIND: kind}


def mark(
    context: dg.AssetExecutionContext,
    kind: str,
    source: str | None = None,
    accounts: Iterable[str] = (),
) -> None:
    """Give the run that executes this asset the tags that it lacks.

    `accounts`: names; a run of several has no tag of an account.
    """
    wanted = {KIND: kind} | ({SOURCE: source} if source else {})
    names = sorted(set(accounts))
    if source and len(names) == 1:
        wanted[ACCOUNT] = account_key(source, names[0])
    run = context.run
    lacking = {key: value for key, value in wanted.items() if key not in run.tags}
    if run.tags.get(PROCESS) != this_process():
        lacking[PROCESS] = this_process()
    if lacking:
        context.instance.add_run_tags(run.run_id, lacking)
