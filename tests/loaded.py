"""What Dagster's daemon loads in `tests/ticking.py`: the definitions of the home at hand.

Belongs here: nothing but that. Does not belong here: tests.
"""

from pipelines.definitions import build_definitions

defs = build_definitions()
