"""orderloom, the whole way from the API to published marts, in one process without Dagster.

Belongs here: what each stage took. Does not belong here: the stages (`benchmarks/core_sync.py`),
starting Dagster, which `orderloom sync` does and which is measured apart.

    python -m benchmarks.contestants.with_orderloom

The home is ORDERLOOM_HOME, the accounts are those of ORDERLOOM_ACCOUNTS. The last line printed is
JSON: wall and CPU seconds by stage, what was published, requests and the least possible.
"""

from __future__ import annotations

import json
import sys

from benchmarks.stopwatch import Stopwatch, peak

stages = Stopwatch()
"""Begun before anything of orderloom is imported."""

from benchmarks.core_sync import whole_way  # noqa: E402


def main() -> None:
    """Go the whole way, and tell what it cost."""
    done = whole_way(stages.stage)
    told = {
        "stages": stages.seconds,
        "published": done.published.published,
        "orders": done.published.orders,
        "order_rows": done.published.rows,
        "requests": sum(pull.requests for pull in done.pulls),
        "least": sum(pull.least_requests for pull in done.pulls),
        "peak": peak(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
