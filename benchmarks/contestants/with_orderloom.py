"""orderloom, the whole way from the API to published marts, in one process without Dagster.

Belongs here: its stages one after the other, and what each took. Does not belong here: starting
Dagster, which `orderloom sync` does and which is measured apart.

    python -m benchmarks.contestants.with_orderloom

The home is ORDERLOOM_HOME, the accounts are those of ORDERLOOM_ACCOUNTS. The last line printed is
JSON: wall and CPU seconds by stage, what was published, requests and the least possible.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.stopwatch import Stopwatch, peak

stages = Stopwatch()
"""Begun before anything of orderloom is imported."""


def main() -> None:
    """Pull, normalise, publish, tend the lake: what a run's steps do."""
    from assets.holding_back import note
    from assets.marts import MARTS
    from assets.reference import reference
    from assets.workshop import Workshop

    stages.done("import")
    workshop = Workshop()
    accounts = [*workshop.accounts]
    stages.done("open")
    run_id = f"run-{time.time_ns()}"
    pulls = [workshop.puller.changes(each, f"{run_id}/{each.key}") for each in accounts]
    stages.done("pull")
    for account in accounts:
        workshop.normaliser(account).drain()
    stages.done("normalise")
    published = workshop.warehouse.publish(MARTS, reference(workshop))
    note(workshop, published, run_id)
    stages.done("publish")
    if published.published:
        from assets.upkeep import Upkeep  # A run in which nothing changed does without.

        days = workshop.accounts.service.retention.replaced_files_days
        Upkeep(workshop.lake, workshop.ledger, days=days).where_due()
    stages.done("upkeep")
    workshop.close()
    told = {
        "stages": stages.seconds,
        "published": published.published,
        "orders": published.orders,
        "order_rows": published.rows,
        "requests": sum(pull.requests for pull in pulls),
        "least": sum(pull.least_requests for pull in pulls),
        "peak": peak(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
