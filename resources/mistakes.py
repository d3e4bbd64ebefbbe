"""How a mistake in accounts.toml is told: one line with file, table, key and what to do.

Belongs here: the errors, and turning pydantic's complaint into one. Does not belong here: what is a
mistake (`settings.py`, `service.py`, `accounts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from resources.errors import ConfigurationError
from resources.settings import instead

_REMEDIES = {
    "date_type": "write it like 2019-01-01, without quotes",
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "bool_type": "write true or false, without quotes",
    "string_type": "write it in quotes",
    "tuple_type": 'write a list, as in ["acme"]',
    "too_short": "name one at least, or leave the key out",
    "greater_than": "write a number above 0",
    "greater_than_equal": "write a larger number",
    "less_than_equal": "write a smaller number",
    "finite_number": "write a finite number",
}
"""What to do, by pydantic's type of error, where its own message does not say."""


class AccountsError(ConfigurationError):
    """A mistake in accounts.toml, or in the environment that it refers to."""


class AccountsFileMissing(AccountsError):
    """There is no accounts.toml where it is looked for."""


class MissingSecret(AccountsError):
    """An environment variable that accounts.toml names is unset or unusable."""


def refuse(
    error: ValidationError, model: type[BaseModel], where: str, besides: Sequence[str] = ()
) -> NoReturn:
    """Raise AccountsError for the first complaint about a table. It never repeats the value.

    `besides`: keys that the table may have and the model does not know.
    """
    first = _first(error.errors(include_url=False))
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    where = f"{where}, key {key}" if key else where
    if first["type"] == "extra_forbidden":
        known = [*_known(model, first["loc"]), *(besides if len(first["loc"]) == 1 else ())]
        raise AccountsError(
            "unknown key", where, instead(key, known, f"take one of {', '.join(known)}")
        )
    if first["type"] == "missing":
        raise AccountsError("required key is missing", where, "add it")
    what, _, remedy = first["msg"].partition(": ")
    remedy = remedy or _REMEDIES.get(first["type"], "correct the value")
    raise AccountsError(what, where, remedy)


def _first(errors: list[ErrorDetails]) -> ErrorDetails:
    """An unknown key before a missing one: the one is often the other, misspelt."""
    return next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])


def _known(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the table in which an unknown one stands."""
    for part in loc[:-1]:
        kinds = get_args(model.model_fields[str(part)].annotation)
        model = next(
            each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)
        )
    return [*model.model_fields]
