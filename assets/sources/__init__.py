"""One pair of files per source: how to ask (NAME.py) and how to read the answer (NAME.sql).

Adding a source adds its pair and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from assets.sources.base import Source
from resources.accounts import AccountKind, Accounts, load_accounts
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


class _Kinds(Mapping[str, AccountKind]):
    """What each source demands. Only those that are asked for are imported."""

    def __getitem__(self, name: str) -> AccountKind:
        if name not in SOURCES:
            raise KeyError(name)
        return source(name).kind()

    def __contains__(self, name: object) -> bool:
        return name in SOURCES

    def __iter__(self) -> Iterator[str]:
        return iter(SOURCES)

    def __len__(self) -> int:
        return len(SOURCES)


_KINDS = _Kinds()


def accounts(places: Places) -> Accounts:
    """The accounts of accounts.toml, checked against what each source demands."""
    return load_accounts(places.accounts, _KINDS)
