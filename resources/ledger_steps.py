"""What brings a ledger of an older version to the newest, step by step.

Belongs here: one entry of STEPS per version, and how a step is taken. Does not belong here: the
tables as they are now (`ledger_store.py`).

A step only adds tables, columns and indexes, and a column that it adds may be NULL: what an older
ledger holds stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, MetaData
from sqlalchemy.schema import CreateColumn


@dataclass(frozen=True)
class Step:
    """What one version added to the version before it, by the names of `ledger_store.py`."""

    tables: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Table -> columns."""
    indexes: tuple[str, ...] = ()


STEPS: dict[int, Step] = {
    2: Step(columns={"runs": ("announced", "listed")}),
    3: Step(columns={"leases": ("expires_uptime",), "runs": ("ordinal",)}),
    4: Step(tables=("registrations",)),
    5: Step(columns={"runs": ("alarm",)}),
    6: Step(tables=("running",)),
    7: Step(columns={"runs": ("warnings",)}),
    8: Step(tables=("erasures", "erasure_marks", "erasure_key")),
    9: Step(indexes=("runs_by_ordinal", "runs_by_kind")),
}
"""Version -> what it added. Without a gap from 2 on."""

VERSION = max(STEPS, default=1)
"""Version of the ledger's tables; raised with every change of them, by a new step."""


def take(connection: Connection, metadata: MetaData, found: int) -> None:
    """Bring tables of version `found` to VERSION, in the connection's transaction."""
    for version in range(found + 1, VERSION + 1):
        step = STEPS[version]
        for table in step.tables:
            metadata.tables[table].create(connection)
        for table, names in step.columns.items():
            for name in names:
                column = metadata.tables[table].columns[name]
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {added}")
        for index in (each for table in metadata.tables.values() for each in table.indexes):
            if index.name in step.indexes:
                index.create(connection)
