"""What an account says in accounts.toml, key by key.

Belongs here: the keys that every account has, and what each may hold. Does not belong here: the
file and what its tables have to do with each other (`accounts.py`); the further keys of a source
(its Settings class in `assets/sources/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.status import DIMENSIONS

NAME = r"[A-Za-z0-9_-]+"
"""Names of accounts."""


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def instead(given: str, known: Iterable[str], otherwise: str) -> str:
    """What to write in place of `given`: the likeliest of the known, or else `otherwise`."""
    close = get_close_matches(given, list(known), n=1)
    return f"did you mean {close[0]}?" if close else otherwise


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port  # both are checked only when asked for
    except ValueError:
        host = None
    if not host or any(character.isspace() for character in url):
        raise PydanticCustomError("url", "is not a URL with a host: write https://HOST/PATH")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise PydanticCustomError("url", "is not https: only a loopback host may go without")
    if parts.username is not None or parts.query or parts.fragment:
        raise PydanticCustomError("url", "may have no user, query or fragment: take them out")
    return url.rstrip("/")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise PydanticCustomError(
            "zone",
            "is no IANA time zone: {hint}",
            {"hint": instead(name, available_timezones(), 'write e.g. "Europe/London"')},
        ) from None
    return name


ZoneName = Annotated[str, Strict(), AfterValidator(_zone)]
"""IANA name of a time zone."""


def _currency(code: str) -> str:
    if not re.fullmatch("[A-Z]{3}", code):
        raise PydanticCustomError("currency", "is no ISO 4217 code: write e.g. GBP")
    return code


def _past(day: date) -> date:
    # The first civil day on earth to begin is that of UTC+14.
    if day > (datetime.now(UTC) + timedelta(hours=14)).date():
        raise PydanticCustomError("future", "lies in the future: write the first day of history")
    return day


def _canonical(codes: dict[str, str], dimension: str) -> dict[str, str]:
    known = DIMENSIONS[dimension]
    for code, canonical in codes.items():
        if canonical not in known:
            raise PydanticCustomError(
                "canonical_code",
                "maps code {code} to an unknown canonical code: {hint}",
                {"code": repr(code), "hint": f"take one of {', '.join(sorted(known))}"},
            )
    return codes


def _codes(dimension: str) -> AfterValidator:
    return AfterValidator(lambda codes: _canonical(codes, dimension))


_CodeMap = dict[Annotated[str, StringConstraints(min_length=1)], Annotated[str, Strict()]]


class AccountSettings(BaseModel):
    """What every account may say. A source derives its own Settings to add further keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Annotated[str, AfterValidator(_https)]
    """https, without a trailing slash; http for loopback hosts only."""
    timezone: ZoneName
    """IANA name: for stamps that carry no offset, and for what a day is."""
    currency: Annotated[str, AfterValidator(_currency)] | None = None
    """ISO 4217 code, used where the API names none."""
    started_on: Annotated[date, Strict(), AfterValidator(_past)]
    """First civil day, in `timezone`, that history can be asked for."""
    requests_per_minute: Annotated[int, Strict(), Field(gt=0)] | None = None
    """Request budget; None: the source's default."""
    budget_key: Annotated[str, StringConstraints(pattern=rf"^{NAME}(\.{NAME})?$")] | None = None
    """Accounts with the same key share one budget; None: the account has its own."""
    stale_after_hours: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] = 24.0
    """Hours after its last successful run of changes from which on the account counts as stale."""
    paused: Annotated[bool, Strict()] = False
    """A paused account is neither pulled nor deleted."""

    order_status: Annotated[_CodeMap, _codes("order_status")] = Field(default_factory=dict)
    payment_status: Annotated[_CodeMap, _codes("payment_status")] = Field(default_factory=dict)
    shipping_status: Annotated[_CodeMap, _codes("shipping_status")] = Field(default_factory=dict)
    allocation_status: Annotated[_CodeMap, _codes("allocation_status")] = Field(
        default_factory=dict
    )
    fulfilment_status: Annotated[_CodeMap, _codes("fulfilment_status")] = Field(
        default_factory=dict
    )
    fulfilment_method: Annotated[_CodeMap, _codes("fulfilment_method")] = Field(
        default_factory=dict
    )
