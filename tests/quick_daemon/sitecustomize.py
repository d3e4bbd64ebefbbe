"""Python's start-up hook, for a Dagster daemon that looks for backfills every second.

Belongs here: that one interval. Dagster 1.13 looks every half minute and has no setting for it; a
backfill waits for it twice. Does not belong here: anything that changes what is done.
"""

import sys

if "dagster._daemon" in sys.orig_argv:
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
