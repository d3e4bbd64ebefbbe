"""One pair of files per source: how to ask (NAME.py) and how to read the answer (NAME.sql).

Adding a source adds its pair and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from assets.sources.base import Source
from resources.accounts import Accounts, load_accounts
from resources.places import Places

SOURCES = (
    "brightpearl",
    "tastyigniter",
    "efiling",
    "quotevine",
    "feedback_company",
)
"""The names of the sources, in the order in which they are shown."""


@cache
def source(name: str) -> Source:
    """The source of that name. Raises LookupError where its module has no such Source."""
    module = import_module(f"assets.sources.{name}")
    for each in vars(module).values():
        if (
            isinstance(each, type)
            and issubclass(each, Source)
            and getattr(each, "name", "") == name
        ):
            return each()
    raise LookupError(f"assets/sources/{name}.py has no Source whose name is {name}")


def all_sources() -> Mapping[str, Source]:
    """Every source by its name."""
    return {name: source(name) for name in SOURCES}


def accounts(places: Places) -> Accounts:
    """The accounts of accounts.toml, checked against what each source demands."""
    return load_accounts(places.accounts, {n: each.kind() for n, each in all_sources().items()})
