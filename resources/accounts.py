"""accounts.toml, read and checked.

Belongs here: the file, its tables and what they have to do with each other. Does not belong here:
what a single key may hold (`settings.py`, and the source's own Settings), the tables that are no
sources (`service.py`), and sending.

Credentials are names of environment variables. Their values are read in `Account.secrets` alone,
which registers them for redaction.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from resources import redaction
from resources.errors import ConfigurationError
from resources.mistakes import AccountsError, AccountsFileMissing, MissingSecret, refuse
from resources.service import SCHEDULES, TABLES, Service, load_service
from resources.settings import NAME, AccountSettings, instead

__all__ = [
    "Account",
    "AccountKind",
    "AccountSettings",
    "Accounts",
    "AccountsError",
    "AccountsFileMissing",
    "MissingSecret",
    "UnknownAccount",
    "load_accounts",
]

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_LONGEST_WORD = 24
"""A longer run of letters and digits without an underscore is no name that a person gave."""


class UnknownAccount(ConfigurationError):
    """An account was asked for that accounts.toml does not have."""


@dataclass(frozen=True)
class AccountKind:
    """What a source demands of its accounts."""

    settings: type[AccountSettings]
    credentials: tuple[frozenset[str], ...]
    """The alternatives: an account gives exactly the credentials of one of them."""
    can_be_swept: bool = True
    """Whether the source can tell which orders are still there."""


@dataclass(frozen=True)
class Account:
    """One account of one source, checked."""

    source: str
    name: str
    settings: AccountSettings
    credentials: Mapping[str, str]
    """Credential -> the NAME of the environment variable that holds it."""
    path: Path = Path("accounts.toml")
    """The file that it comes from, for messages."""

    @property
    def key(self) -> str:
        """How the account is written everywhere: `brightpearl.acme`."""
        return f"{self.source}.{self.name}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.timezone)

    @property
    def budget_key(self) -> str:
        """Under which name its requests are counted."""
        return self.settings.budget_key or self.key

    def secrets(self) -> dict[str, str]:
        """Credential -> secret, read from the environment and registered for redaction.

        Raises MissingSecret, naming file, table, key and variable.
        """
        return {key: self._secret(key, name) for key, name in self.credentials.items()}

    def _secret(self, key: str, variable: str) -> str:
        secret = os.environ.get(variable, "")
        redaction.register(secret.strip())
        if not secret:
            problem, remedy = "is not set", f"set {variable} to the secret"
        elif not secret.isascii() or not secret.isprintable() or secret != secret.strip():
            problem = "holds a line break, blanks at an end or characters that no header can carry"
            remedy = "set it again without them"
        else:
            return secret
        where = f"{self.path}, table [{self.key}.credentials], key {key}"
        raise MissingSecret(f"environment variable {variable} {problem}", where, remedy)


class Accounts:
    """The accounts of one file, iterated in the order in which they stand there."""

    def __init__(
        self, path: Path, accounts: Mapping[str, Account], service: Service | None = None
    ) -> None:
        self.path = path
        self.service = service or Service(path)
        """What the file says beside the accounts."""
        self._accounts = dict(accounts)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def __len__(self) -> int:
        return len(self._accounts)

    def __contains__(self, key: object) -> bool:
        return key in self._accounts

    def keys(self) -> tuple[str, ...]:
        return tuple(self._accounts)

    def get(self, key: str) -> Account:
        """The account written `key` (`brightpearl.acme`). Raises UnknownAccount."""
        if key not in self._accounts:
            remedy = instead(key, self._accounts, f"take one of {', '.join(self._accounts)}")
            raise UnknownAccount(f"there is no account {key}", str(self.path), remedy)
        return self._accounts[key]

    def of_source(self, source: str) -> tuple[Account, ...]:
        return tuple(account for account in self if account.source == source)


def load_accounts(path: Path, kinds: Mapping[str, AccountKind]) -> Accounts:
    """Read and check accounts.toml; `kinds` says which sources there are and what they demand.

    Secrets are not read here. Raises AccountsFileMissing, or AccountsError naming file, table and
    key of the first mistake.
    """
    accounts: dict[str, Account] = {}
    parsed = _parse(path)
    for source, tables in parsed.items():
        if source in TABLES:
            continue
        where = f"{path}, table [{source}]"
        if source not in kinds:
            raise AccountsError(
                f"unknown source {source!r}",
                where,
                instead(source, [*kinds, *TABLES], f"take one of {', '.join(kinds)}"),
            )
        if not isinstance(tables, dict):
            raise AccountsError("is not a table", where, f"write [{source}.NAME]")
        for name, table in tables.items():
            account = _account(path, source, name, table, kinds[source])
            accounts[account.key] = account
    _refuse_contradictions(path, accounts)
    names = {kind: [a.name for a in accounts.values() if a.source == kind] for kind in kinds}
    said = parsed.get(SCHEDULES)
    asked = kinds.keys() & said if isinstance(said, dict) else ()
    swept = {source for source in asked if kinds[source].can_be_swept}
    return Accounts(path, accounts, load_service(path, parsed, names, swept))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise AccountsFileMissing(
            "there is no accounts file",
            str(path),
            "write one as README.md shows or set ORDERLOOM_ACCOUNTS; `orderloom sandbox` makes "
            "one to play with",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise AccountsError(f"is not TOML: {error}", str(path), "mend that line") from None
    except UnicodeDecodeError:
        raise AccountsError("is not UTF-8 text", str(path), "save it as UTF-8") from None
    except OSError as error:
        raise AccountsError(
            f"cannot be read: {error.strerror}", str(path), "check the path and its permissions"
        ) from None


def _account(path: Path, source: str, name: str, table: object, kind: AccountKind) -> Account:
    where = f"{path}, table [{source}.{name}]"
    if not isinstance(table, dict):
        raise AccountsError(
            f"key {name} stands outside an account", where, f"put it under [{source}.NAME]"
        )
    if not re.fullmatch(NAME, name):
        raise AccountsError(
            f"account name {name!r} is not allowed", where, "take letters, digits, _ and - only"
        )
    values = {key: value for key, value in table.items() if key != "credentials"}
    try:
        settings = kind.settings.model_validate(values)
    except ValidationError as error:
        refuse(error, kind.settings, where, besides=["credentials"])
    credentials = _credentials(
        table.get("credentials", {}), kind, f"{path}, table [{source}.{name}.credentials]"
    )
    return Account(source, name, settings, credentials, path)


def _credentials(table: object, kind: AccountKind, where: str) -> dict[str, str]:
    wanted = " or ".join(" + ".join(sorted(names)) for names in kind.credentials)
    if not isinstance(table, dict):
        raise AccountsError("is not a table", where, f"give {wanted} there")
    allowed = sorted(frozenset().union(*kind.credentials))
    for key, variable in table.items():
        if key not in allowed:
            raise AccountsError(
                "unknown credential",
                f"{where}, key {key}",
                instead(key, allowed, f"give {wanted}"),
            )
        _refuse_secret(variable, f"{where}, key {key}")
    if kind.credentials and frozenset(table) not in kind.credentials:
        raise AccountsError(
            f"has {' + '.join(sorted(table)) or 'no credentials'}", where, f"give {wanted}"
        )
    return cast("dict[str, str]", table)


def _refuse_secret(variable: object, where: str) -> None:
    """Refuse what cannot be the name of a variable, without repeating it: it may be a secret."""
    named = isinstance(variable, str) and _VARIABLE.fullmatch(variable)
    if not named or any(len(word) > _LONGEST_WORD for word in str(variable).split("_")):
        raise AccountsError(
            "is not the name of an environment variable and may be the secret itself",
            where,
            "put the secret into a variable such as BRIGHTPEARL_ACME_TOKEN and write its name",
        )


def _refuse_contradictions(path: Path, accounts: Mapping[str, Account]) -> None:
    seen: dict[str, Account] = {}
    budgets: dict[str, Account] = {}
    for account in accounts.values():
        where = f"{path}, table [{account.key}]"
        identity = _identity(account)
        first = seen.setdefault(identity, account)
        if first is not account:
            raise AccountsError(
                f"is the same account as {first.key}: same base_url, credentials and keys",
                where,
                "remove one of them, or its orders count twice",
            )
        first = budgets.setdefault(account.budget_key, account)
        if first.settings.requests_per_minute != account.settings.requests_per_minute:
            raise AccountsError(
                f"shares budget_key {account.budget_key} with {first.key} but not its limit",
                f"{where}, key requests_per_minute",
                "give both the same requests_per_minute",
            )


def _identity(account: Account) -> str:
    """Equal for two tables that would bring the same orders."""
    own = set(AccountSettings.model_fields) - {"base_url"}
    further = account.settings.model_dump_json(exclude=own)
    return f"{account.source} {further} {sorted(account.credentials.values())}"
