"""Dagster's entrance.

Belongs here: the definitions of the home that the environment names. Does not belong here: what
they are (`pipelines/building.py`).
"""

from pipelines.building import build_definitions as build_definitions

defs = build_definitions()
