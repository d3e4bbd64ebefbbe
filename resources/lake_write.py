"""Writing rows into a lake table: the data file, and the commit that names it.

Belongs here: how rows become files and a log entry. Does not belong here: whether they may be
committed, flushing, locks (`resources/lake.py`).

The rows of one account, without nested columns, are written by Arrow's Parquet writer into a file
of their own before anybody is kept waiting; the commit then is an entry in the log. It costs half
of what delta-rs takes to write the same rows. Until that commit nothing names the file, so that a
process that dies in between leaves no more behind than one that dies within delta-rs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from resources import lake_keeping
from resources.lake_commits import of_account, transactions
from resources.lake_files import (
    STATISTICS,
    AccountKey,
    compression_level,
    rows_in_group,
    writer_properties,
)
from resources.lazily import lazily
from schemas.lake import PARTITION_COLUMNS

if TYPE_CHECKING:
    import deltalake
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from deltalake import transaction
else:
    deltalake = lazily("deltalake")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")
    pq = lazily("pyarrow.parquet")
    transaction = lazily("deltalake.transaction")

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that are written in a path as they are."""
_DIFFERENT = frozenset({"order_key", "source_order_id", "body", "content_hash", "version_id"})
"""Columns of which hardly two values are alike: a dictionary of them would be built in vain."""


@dataclass
class Written:
    """A data file that no log entry names yet, or of which that is not known."""

    file: Path
    action: transaction.AddAction
    is_offered: bool = False
    """Whether a commit was begun: whatever became of it, a log entry may name the file since."""

    def discard(self) -> None:
        """Delete it, as far as that is possible."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def write_file(folder: Path, table: str, rows: pa.Table) -> Written | None:
    """Write fitted rows into a data file of a local table. None where delta-rs has to do it.

    That is where they are of several accounts, or none, or have nested columns.
    """
    account = _account(rows)
    if account is None or any(pa.types.is_nested(field.type) for field in rows.schema):
        return None
    parts = [f"{name}={value}" for name, value in zip(PARTITION_COLUMNS, account, strict=True)]
    path = "/".join([*parts, f"part-00000-{uuid4()}-c000.zstd.parquet"])
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    data = rows.drop_columns(list(PARTITION_COLUMNS))
    try:
        pq.write_table(
            data,
            file,
            compression="zstd",
            compression_level=compression_level(table),
            use_dictionary=[name for name in data.column_names if name not in _DIFFERENT],
            write_statistics=list(STATISTICS),
            row_group_size=rows_in_group(table),
        )
        action = transaction.AddAction(
            path=path,
            size=file.stat().st_size,
            partition_values=dict(zip(PARTITION_COLUMNS, account, strict=True)),
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=_statistics(data),
        )
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return Written(file, action)


def write_rows(
    handle: deltalake.DeltaTable,
    table: str,
    rows: pa.Table | pa.RecordBatchReader,
    batches: Mapping[str, int],
    *,
    written: Written | None = None,
    instead_of: AccountKey | None = None,
) -> None:
    """Commit rows together with the batches of their stages.

    `written`: the file in which they stand already. `instead_of`: an account, of which they take
    the place of everything that it has.
    """
    stamped, kept = transactions(batches), lake_keeping.no_cleaning()
    if written is not None:
        handle.create_write_transaction(
            [written.action],
            "append",
            handle.schema(),
            list(PARTITION_COLUMNS),
            commit_properties=stamped,
            post_commithook_properties=kept,
        )
        handle.update_incremental()
        return
    how: dict[str, Any] = {"mode": "append"}
    if instead_of is not None:
        how = {"mode": "overwrite", "predicate": of_account(instead_of)}
    deltalake.write_deltalake(
        handle,
        rows,
        writer_properties=writer_properties(table),
        commit_properties=stamped,
        post_commithook_properties=kept,
        **how,
    )


def _account(rows: pa.Table) -> AccountKey | None:
    """The one account of which all rows are, if its name is written in a path as it is."""
    found = [pc.unique(rows[name]).to_pylist() for name in PARTITION_COLUMNS]
    if any(len(values) != 1 or not _PLAIN.fullmatch(values[0]) for values in found):
        return None
    (system,), (name,) = found
    return system, name


def _statistics(rows: pa.Table) -> str:
    """The file's statistics as the log keeps them: those of the keys, of nothing else."""
    names = [name for name in STATISTICS if name in rows.column_names]
    ends = {name: pc.min_max(rows[name]).as_py() for name in names}
    return json.dumps(
        {
            "numRecords": rows.num_rows,
            "minValues": {name: ends[name]["min"] for name in names},
            "maxValues": {name: ends[name]["max"] for name in names},
            "nullCount": {name: rows[name].null_count for name in names},
        }
    )
