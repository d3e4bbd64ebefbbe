"""Everything that is defined, put together.

Belongs here: wiring. Does not belong here: work of any kind. Building it reads no secret and
succeeds without an accounts file, saying how to make one. A command builds it for its own workshop;
Dagster's own processes enter by `pipelines/definitions.py`.
"""

import logging
from collections.abc import Iterable
from datetime import date
from itertools import chain

import dagster as dg

from assets import ingest, publish
from assets.freshness import check as is_fresh
from assets.sources import SOURCES
from assets.workshop import Workshop
from pipelines import (
    alerts,
    erasure,
    freshness,
    housekeeping,
    jobs,
    maintenance,
    outbound,
    registration,
    schedules,
)
from resources.accounts import Account, Accounts
from resources.errors import ConfigurationError
from resources.service import Service


def quiet(context: dg.InitLoggerContext) -> logging.Logger:  # noqa: ARG001
    """The console logger of every run: errors are told once, by the command or by the UI."""
    logger = logging.getLogger("orderloom.console")
    logger.setLevel(logging.CRITICAL)
    return logger


def build_definitions(workshop: Workshop | None = None) -> dg.Definitions:
    """Every definition. Tests and commands hand in a workshop of their own."""
    workshop = workshop or Workshop()
    read = _accounts(workshop)
    service = read.service if read else Service()
    accounts = list(read or ())
    first_days = _first_days(accounts)
    ingested = [ingest.build(source, first_days.get(source), accounts) for source in SOURCES]
    assets = [*chain.from_iterable(ingested), publish.build(accounts)]
    fresh = [is_fresh(source) for source in SOURCES]
    checked = [key for each in (*assets, *fresh) for key in each.check_keys]
    return dg.Definitions(
        assets=assets,
        asset_checks=fresh,
        jobs=[
            *jobs.build(),
            freshness.freshness_job,
            *maintenance.build(),
            *outbound.build(),
            *erasure.build(),
            housekeeping.job(checked),
        ],
        schedules=[*schedules.build(service), housekeeping.schedule()],
        sensors=[
            registration.build(),
            alerts.build(),
            freshness.build(),
            *jobs.automation(),
        ],
        resources={"workshop": workshop},
        executor=dg.in_process_executor,
        loggers={"console": dg.LoggerDefinition(quiet)},
    )


def _accounts(workshop: Workshop) -> Accounts | None:
    """accounts.toml as it is now; None where it cannot be read, and the reason is logged."""
    try:
        return workshop.accounts
    except ConfigurationError as fault:
        logging.getLogger("orderloom").warning("%s", fault)
        return None


def _first_days(accounts: Iterable[Account]) -> dict[str, date]:
    """The first day of each source's history: that of its oldest account."""
    found: dict[str, date] = {}
    for account in accounts:
        started_on = account.settings.started_on
        found[account.source] = min(started_on, found.get(account.source, started_on))
    return found
