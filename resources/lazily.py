"""Libraries that are imported when they are first used, not when a module that names them is.

Belongs here: standing in for such a library. Does not belong here: our own modules, which are split
where one part needs a heavy library and the other does not.

A run that finds nothing to do asks no table a question: DuckDB, Delta Lake, Arrow, NumPy and pandas
would cost it half a second and 150 MB. `tests/test_light.py` lists what it may import. A module
that names one of these libraries on its way imports it for type checkers alone, and has
`duckdb = lazily("duckdb")` else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

_WHILE_IMPORTING = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy, which Arrow imports, brings threads for linear algebra along: they spin for 40 ms of CPU
before they go to sleep, and nothing here is linear algebra. What is set already stays."""


class _Lazy(ModuleType):
    """Has the attributes of the module of its name, which it imports for the first of them."""

    def __init__(self, name: str, without: Sequence[str]) -> None:
        super().__init__(name)
        self._without = without

    def __getattr__(self, name: str) -> Any:
        for part in self._without:
            sys.modules.setdefault(part, None)  # type: ignore[arg-type]  # not to be imported
        with nullcontext() if self.__name__ in sys.modules else _environment():
            return getattr(import_module(self.__name__), name)


@contextmanager
def _environment() -> Iterator[None]:
    """What libraries read while they are imported; programs started later are told nothing."""
    ours = {name: value for name, value in _WHILE_IMPORTING.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def lazily(name: str, *, without: Sequence[str] = ()) -> Any:
    """A library by its name, to be used like the module itself.

    `without`: modules that it imports although it can do without, and nobody here needs.
    """
    return _Lazy(name, without)
