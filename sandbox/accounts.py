"""The accounts.toml of a running sandbox.

Belongs here: how its accounts are written down. Does not belong here: who reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.api import SandboxApi

LIFTED = 1_000_000
"""Requests a minute that an account may be asked for where the sandbox refuses none."""


def variable_name(account: str, credential: str) -> str:
    """The environment variable of a credential: `BRIGHTPEARL_ACME_APP_REF`."""
    return f"{account}.{credential}".replace(".", "_").upper()


def accounts_toml(address: str, apis: Mapping[str, SandboxApi]) -> str:
    """One table an account, with its credentials' variable names and its settings."""
    return "\n".join(line for item in apis.items() for line in _account(address, *item))


def _account(address: str, account: str, api: SandboxApi) -> list[str]:
    settings = api.settings()
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    plain: dict[str, Any] = {
        "base_url": address + api.base_path(),
        "timezone": api.timezone,
        "currency": api.currency,
    }
    variables = {name: variable_name(account, name) for name in api.setup.credentials}
    lines = [
        f"[{account}]",
        *_pairs(plain),
        f"started_on = {api.started_on.isoformat()}",
        f"requests_per_minute = {LIFTED if api.setup.lifted else api.requests_per_minute}",
        *_pairs({key: value for key, value in settings.items() if key not in tables}),
        "",
    ]
    for name, table in {"credentials": variables, **tables}.items():
        lines += [f"[{account}.{name}]", *_pairs(table), ""]
    return lines


def _pairs(table: Mapping[str, Any]) -> list[str]:
    """Lines of TOML for texts, whole numbers, booleans and lists of them."""
    return [f"{json.dumps(key) if not key.isidentifier() else key} = {json.dumps(value)}"
            for key, value in table.items()]  # fmt: skip
