"""Dagster's entrance: everything that is defined, put together.

Belongs here: wiring. Does not belong here: work of any kind. Loading this module reads no secret
and succeeds without an accounts file, saying how to make one.
"""

import logging
from datetime import date
from itertools import chain

import dagster as dg

from assets import checks, ingest, publish
from assets.sources import SOURCES
from assets.workshop import Workshop
from pipelines import erasure, jobs, maintenance, outbound, registration, schedules
from resources.errors import ConfigurationError


def quiet(context: dg.InitLoggerContext) -> logging.Logger:  # noqa: ARG001
    """The console logger of every run: errors are told once, by the command or by the UI."""
    logger = logging.getLogger("orderloom.console")
    logger.setLevel(logging.CRITICAL)
    return logger


def build_definitions(workshop: Workshop | None = None) -> dg.Definitions:
    """Every definition. Tests and commands hand in a workshop of their own."""
    workshop = workshop or Workshop()
    first_days = _first_days(workshop)
    ingested = [ingest.build(source, first_days.get(source)) for source in SOURCES]
    return dg.Definitions(
        assets=[*chain.from_iterable(ingested), publish.build()],
        asset_checks=checks.build(),
        jobs=[*jobs.build(), *maintenance.build(), *outbound.build(), *erasure.build()],
        schedules=schedules.build(),
        sensors=[registration.build(), jobs.automation()],
        resources={"workshop": workshop},
        executor=dg.in_process_executor,
        loggers={"console": dg.LoggerDefinition(quiet)},
    )


def _first_days(workshop: Workshop) -> dict[str, date]:
    """The first day of each source's history: that of its oldest account.

    Without a readable accounts file there are none, and the reason is logged.
    """
    try:
        accounts = workshop.accounts
    except ConfigurationError as fault:
        logging.getLogger("orderloom").warning("%s", fault)
        return {}
    found: dict[str, date] = {}
    for account in accounts:
        started_on = account.settings.started_on
        found[account.source] = min(started_on, found.get(account.source, started_on))
    return found


defs = build_definitions()
