"""What a source's mapping is: the SELECTs of NAME.sql, with an account's own values in them.

Belongs here: reading a mapping, telling its sections apart, writing the account's values into its
SQL. Does not belong here: what a field means (NAME.sql), running it (`assets/mapping.py`).

`getvariable('zone')`, `currency`, `codes`, `source_system` and `source_account` stand in a mapping
for the account's values. They are written into the SQL: a statement with a variable in it is
planned anew whenever it is run, and planning costs as much as mapping a thousand orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from resources.accounts import Account
from resources.errors import OrderloomError
from resources.literal import literal
from schemas.status import DIMENSIONS, status_codes

_SECTION = re.compile(r"^-- section: (\w+)$", re.MULTILINE)
_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")


class MappingError(OrderloomError):
    """A source's SQL mapping does not run or gives a column that the canonical schema lacks."""


@cache
def sections(source: str) -> dict[str, str]:
    """The named SELECTs of `assets/sources/NAME.sql`, in their order.

    A long mapping has its second half, rows and parties, in NAME_rows.sql.
    """
    halves = [files("assets.sources").joinpath(f"{source}{half}.sql") for half in ("", "_rows")]
    text = "\n".join(each.read_text(encoding="utf-8") for each in halves if each.is_file())
    return split_sections(text, source)


def split_sections(text: str, source: str) -> dict[str, str]:
    """The named SELECTs of a mapping. Raises MappingError where `parsed` or `orders` is missing."""
    parts = _SECTION.split(text)
    found = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    missing = {"parsed", "orders"} - found.keys()
    if missing:
        raise MappingError(
            f"the mapping has no section {', '.join(sorted(missing))}",
            where=f"assets/sources/{source}.sql",
            remedy="start each SELECT with a line `-- section: NAME`",
        )
    return found


def with_values(sql: str, account: Account) -> str:
    """SQL of a mapping or of the macros, with the account's values in place of its variables.

    Raises MappingError for a variable that there is not.
    """
    values = _values(account)

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise MappingError(
                f"there is no variable {found[1]}",
                where=f"assets/sources/{account.source}.sql",
                remedy=f"use one of {', '.join(sorted(values))}",
            )
        return values[found[1]]

    return _VARIABLE.sub(value, sql)


def code_map(account: Account) -> dict[str, dict[str, str | None]]:
    """`dimension/source code` -> canonical code, basis and label: the account's map comes first."""
    codes: dict[str, dict[str, str | None]] = {
        f"{each.dimension}/{each.source_code}": {
            "code": each.canonical_code,
            "basis": each.basis,
            "label": each.label or None,
        }
        for each in status_codes()
        if each.source == account.source
    }
    for dimension in DIMENSIONS:
        own: Mapping[str, str] = getattr(account.settings, dimension, {}) or {}
        for code, canonical in own.items():
            codes[f"{dimension}/{code}"] = {
                "code": canonical,
                "basis": "account_map",
                "label": None,
            }
    return codes


def _values(account: Account) -> dict[str, str]:
    """The variables of a mapping, and SQL for what the account has for each."""
    codes = ", ".join(
        f"{_text(key)}: {{{', '.join(f'{name}: {_text(text)}' for name, text in entry.items())}}}"
        for key, entry in code_map(account).items()
    )
    return {
        "source_system": _text(account.source),
        "source_account": _text(account.name),
        "zone": _text(account.settings.timezone),
        "currency": _text(account.settings.currency),
        "codes": f"CAST(MAP {{{codes}}} AS "
        "MAP(VARCHAR, STRUCT(code VARCHAR, basis VARCHAR, label VARCHAR)))",
    }


def _text(value: str | None) -> str:
    if value is not None and "\0" in value:
        raise MappingError(
            "a value with a NUL character cannot stand in SQL",
            where="accounts.toml: a status code, or the time zone or currency of an account",
            remedy="leave the character out",
        )
    return f"CAST({'NULL' if value is None else literal(value)} AS VARCHAR)"
