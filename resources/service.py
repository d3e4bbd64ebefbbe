"""What accounts.toml says beside the accounts: schedules, alerts, retention.

Belongs here: these tables, what each key may hold, and reading them. Does not belong here: accounts
(`accounts.py`, `settings.py`), and what is done by these settings (`pipelines/`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError
from pydantic_core import PydanticCustomError

from resources import cron, redaction
from resources.mistakes import AccountsError, MissingSecret, refuse
from resources.settings import ZoneName, instead, is_loopback

SCHEDULES, ALERTS, RETENTION = TABLES = ("schedules", "alerts", "retention")
"""Tables of accounts.toml that are no sources."""

EVERY_QUARTER_OF_AN_HOUR = "*/15 * * * *"
EVERY_NIGHT = "40 3 * * *"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_Model = TypeVar("_Model", bound=BaseModel)


def _cron(expression: str) -> str:
    fault = cron.fault(expression)
    if fault is not None:
        raise PydanticCustomError(
            "cron",
            "is no cron expression, {fault}: "
            'write minute, hour, day, month and weekday, as in "{example}"',
            {"fault": fault, "example": EVERY_QUARTER_OF_AN_HOUR},
        )
    return expression


def _webhook(text: str) -> str:
    """A URL, or the name of the variable that holds one."""
    if not _VARIABLE.fullmatch(text):
        problem = url_fault(text)
        if problem is not None:
            raise PydanticCustomError(
                "webhook",
                "{problem}: write https://HOST/PATH or the NAME of an environment variable",
                {"problem": problem},
            )
    return text


def url_fault(url: str) -> str | None:
    """Why nothing may be posted to a URL; None where it may."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port  # both are checked only when asked for
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        return "is no URL with a host"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "is not https (only a loopback host may go without)"
    if parts.username is not None or parts.fragment:
        return "may have no user and no fragment"
    return None


_Cron = Annotated[str, Strict(), AfterValidator(_cron)]
_Days = Annotated[int, Strict(), Field(ge=1, le=36500)]


class ScheduleSettings(BaseModel):
    """Table [schedules.SOURCE]: when the accounts of a source are synced, and swept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: _Cron = EVERY_QUARTER_OF_AN_HOUR
    """When its accounts are synced: minute, hour, day of month, month, day of week."""
    sweep_cron: _Cron = EVERY_NIGHT
    """When they are swept, where the source can tell what is still there."""
    timezone: ZoneName = "UTC"
    """IANA name: the zone in which both are read."""
    accounts: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Names of accounts; None: all of the source."""
    enabled: Annotated[bool, Strict()] = False
    """Whether both schedules run until somebody switches them in the UI."""


class AlertSettings(BaseModel):
    """Table [alerts]: whom to tell of accounts that fail or grow stale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_url: Annotated[str, Strict(), AfterValidator(_webhook)] | None = None
    """https URL, or the name of the environment variable that holds it; None: nobody is told."""


class RetentionSettings(BaseModel):
    """Table [retention]: for how many days things are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    successful_runs_days: _Days = 7
    """Dagster's runs that succeeded, and rows of run history that brought nothing."""
    failed_runs_days: _Days = 90
    """Dagster's runs that failed or were cancelled."""
    run_history_days: _Days = 400
    """All other rows of run history: the ledger's, and `runs` in the marts."""
    replaced_files_days: Annotated[int, Strict(), Field(ge=1, le=7)] = 7
    """Files of the lake that compaction has put others in the place of. A week at most: for so
    long a Delta log knows when that was."""


@dataclass(frozen=True)
class Service:
    """How the service works, whatever its accounts. All defaults where the file says nothing."""

    path: Path = Path("accounts.toml")
    schedules: Mapping[str, ScheduleSettings] = field(default_factory=dict)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)

    def schedule(self, source: str) -> ScheduleSettings:
        """When a source's accounts are synced and swept."""
        return self.schedules.get(source, ScheduleSettings())

    def webhook_url(self) -> str | None:
        """Where to post alerts, None for nowhere. It is registered for redaction.

        Raises MissingSecret where the variable that the file names holds no usable URL.
        """
        said = self.alerts.webhook_url
        if said is None or not _VARIABLE.fullmatch(said):
            redaction.register(said or "")
            return said
        url = os.environ.get(said, "").strip()
        redaction.register(url)
        problem = url_fault(url) if url else "is not set"
        if problem is not None:
            raise MissingSecret(
                f"environment variable {said} {problem}",
                f"{self.path}, table [{ALERTS}], key webhook_url",
                f"set {said} to the https URL that takes the messages",
            )
        return url


def load_service(
    path: Path,
    tables: Mapping[str, Any],
    names: Mapping[str, Collection[str]],
    swept: Collection[str],
) -> Service:
    """Check the tables of accounts.toml that are no sources.

    `names`: of every source the names of its accounts; `swept`: sources that can be swept. Raises
    AccountsError naming file, table and key of the first mistake.
    """
    said = tables.get(SCHEDULES, {})
    if not isinstance(said, dict):
        raise AccountsError("is not a table", f"{path}, table [{SCHEDULES}]", _WRITE_SCHEDULE)
    schedules = {each: _schedule(path, each, table, names) for each, table in said.items()}
    for source, settings in schedules.items():
        if "sweep_cron" in settings.model_fields_set and source not in swept:
            raise AccountsError(
                f"{source} cannot tell which orders are still there",
                f"{path}, table [{SCHEDULES}.{source}], key sweep_cron",
                "leave the key out",
            )
    return Service(
        path,
        schedules,
        _table(AlertSettings, path, ALERTS, tables.get(ALERTS, {})),
        _table(RetentionSettings, path, RETENTION, tables.get(RETENTION, {})),
    )


_WRITE_SCHEDULE = f"write [{SCHEDULES}.SOURCE]"


def _schedule(
    path: Path, source: str, table: object, names: Mapping[str, Collection[str]]
) -> ScheduleSettings:
    name = f"{SCHEDULES}.{source}"
    if source not in names:
        raise AccountsError(
            f"unknown source {source!r}",
            f"{path}, table [{name}]",
            instead(source, names, f"take one of {', '.join(names)}"),
        )
    settings = _table(ScheduleSettings, path, name, table)
    for account in settings.accounts or ():
        if account not in names[source]:
            known = ", ".join(names[source]) or "none, so add its table first"
            raise AccountsError(
                f"unknown account {account!r}",
                f"{path}, table [{name}], key accounts",
                instead(account, names[source], f"there is {known}"),
            )
    return settings


def _table(model: type[_Model], path: Path, name: str, table: object) -> _Model:
    where = f"{path}, table [{name}]"
    if not isinstance(table, dict):
        raise AccountsError("is not a table", where, f"write [{name}]")
    try:
        return model.model_validate(table)
    except ValidationError as error:
        refuse(error, model, where)
