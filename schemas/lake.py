"""The lake's tables as far as they can be named without Arrow.

Belongs here: their version, how they are partitioned, and their columns on demand. Does not belong
here: the columns and their meaning (`schemas/canonical.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Version of the tables of `schemas/canonical.py`. A lake of another version is refused, never
misread."""

PARTITION_COLUMNS = ("source_system", "source_account")
"""Every lake table is partitioned by these, so that an account can be read or replaced alone."""


class _Columns(Mapping[str, "pa.Schema"]):
    """The schemas of `schemas/canonical.py`, which imports Arrow, when one is asked for."""

    def __getitem__(self, table: str) -> pa.Schema:
        return self._all()[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, pa.Schema]:
        from schemas import canonical

        return canonical.LAKE


LAKE: Mapping[str, pa.Schema] = _Columns()
"""Every lake table by name."""
