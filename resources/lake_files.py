"""The files of one lake table, as its Delta log names them.

Belongs here: creating a table, reading its log, handing its files to DuckDB. Does not belong here:
when something is committed (`resources/lake.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from resources.errors import LakeError
from resources.lazily import lazily
from resources.literal import literal
from schemas.lake import LAKE, PARTITION_COLUMNS, SCHEMA_VERSION

if TYPE_CHECKING:
    import deltalake
    import duckdb
    import pyarrow as pa
    from deltalake import exceptions
else:
    deltalake = lazily("deltalake")
    exceptions = lazily("deltalake.exceptions")
    pa = lazily("pyarrow")

LOG = "_delta_log"
"""A table's folder of log entries and checkpoints."""
LAST_CHECKPOINT = "_last_checkpoint"
"""In the log's folder: which checkpoint to begin with, for readers who trust it."""

STATISTICS = ("order_key", "landing_seq")
"""The only columns on which the log and the Parquet footers keep the least and greatest value."""


AccountKey = tuple[str, str]
"""(source_system, source_account)"""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table."""

    path: str
    """Absolute path, or the full URL on an object store."""
    account: AccountKey
    rows: int
    last_seq: int
    """The greatest landing_seq in it."""
    size: int
    """Bytes."""
    first_seq: int
    """The least landing_seq in it."""


@dataclass(frozen=True)
class LogEntry:
    """One version of a local table."""

    path: Path
    actions: tuple[dict[str, Any], ...]

    @property
    def added(self) -> list[Path]:
        """The data files that this version added."""
        table = self.path.parent.parent
        return [table / unquote(a["add"]["path"]) for a in self.actions if "add" in a]

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoint files of this version, if one was written, and the hint to them."""
        found = list(self.path.parent.glob(f"{self.path.stem}.checkpoint*.parquet"))
        hint = self.path.parent / LAST_CHECKPOINT
        return [*found, hint] if found and hint.exists() else found


def create(where: str, table: str) -> deltalake.DeltaTable:
    """Create a table with its schema. If another process was quicker, open what it created."""
    try:
        return deltalake.DeltaTable.create(
            where,
            schema=LAKE[table],
            partition_by=list(PARTITION_COLUMNS),
            configuration={
                "orderloom.schemaVersion": str(SCHEMA_VERSION),
                "delta.dataSkippingStatsColumns": ",".join(STATISTICS),
            },
            raise_if_key_not_exists=False,
        )
    except exceptions.DeltaError:
        if not deltalake.DeltaTable.is_deltatable(where):
            raise
        return deltalake.DeltaTable(where)


def refuse_other_schema(handle: deltalake.DeltaTable, where: str) -> None:
    """Raise LakeError for a table whose columns mean something else than this program's."""
    found = handle.metadata().configuration.get("orderloom.schemaVersion")
    if found != str(SCHEMA_VERSION):
        raise LakeError(
            f"the table is of schema version {found or 'none'}, this program's is {SCHEMA_VERSION}",
            where,
            "use the orderloom that wrote it, or another ORDERLOOM_LAKE and a full load",
        )


def refuse_reader_features(handle: deltalake.DeltaTable, where: str) -> None:
    """Raise LakeError for a table whose files alone do not tell its rows."""
    features = handle.protocol().reader_features
    if features:
        raise LakeError(
            f"the table needs reader features {features}",
            where,
            "another program rewrote it; restore the version before that",
        )


def fitted(table: str, data: pa.Table, where: str) -> pa.Table:
    """Data in the columns, and their order and types, of a table's schema. Raises LakeError."""
    schema = LAKE[table]
    missing = set(schema.names) ^ set(data.column_names)
    if missing:
        raise LakeError(
            f"columns missing or too many: {', '.join(sorted(missing))}",
            where,
            "give exactly the columns of schemas/canonical.py",
        )
    try:
        return data.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise LakeError(
            f"the data does not fit the schema: {first_line(error)}",
            where,
            "give the types of schemas/canonical.py",
        ) from error


def first_line(error: BaseException) -> str:
    """The start of an error's text; further lines may show rows, that is personal data."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def compression_level(table: str) -> int:
    """Of zstd. Raw records are many bytes that hardly anybody reads again."""
    return 1 if table == "raw" else 3


def rows_in_group(table: str) -> int:
    """Rows of a row group at most: one is held in memory until it is whole, and read as a whole.

    Bodies of raw records are long, and orders are looked up among them one by one.
    """
    return 1000 if table == "raw" else 100_000


def writer_properties(table: str) -> deltalake.WriterProperties:
    """zstd everywhere; statistics on keys alone, so that none shows personal data."""
    return deltalake.WriterProperties(
        max_row_group_size=rows_in_group(table),
        compression="ZSTD",
        compression_level=compression_level(table),
        default_column_properties=deltalake.ColumnProperties(statistics_enabled="NONE"),
        column_properties={
            name: deltalake.ColumnProperties(statistics_enabled="CHUNK") for name in STATISTICS
        },
    )


def data_files(handle: deltalake.DeltaTable) -> list[DataFile]:
    """The files of the version that the handle is at."""
    actions = handle.get_add_actions(flatten=True)  # pa.table() of it would import pandas
    if not actions.num_rows:
        return []
    columns = [
        actions[name].to_pylist()
        for name in (
            "path",
            "partition.source_system",
            "partition.source_account",
            "num_records",
            "max.landing_seq",
            "size_bytes",
            "min.landing_seq",
        )
    ]
    root = handle.table_uri.rstrip("/")
    if root.startswith("file://"):  # a URL, in which a space of the path is %20
        root = unquote(root.removeprefix("file://"))
    return [
        DataFile(f"{root}/{unquote(path)}", (system, account), *rest)
        for path, system, account, *rest in zip(*columns, strict=True)
    ]


def last_seqs(files: Iterable[DataFile]) -> dict[tuple[str, str], int]:
    """The greatest landing_seq of each account that has data in these files."""
    found: dict[tuple[str, str], int] = {}
    for file in files:
        found[file.account] = max(found.get(file.account, 0), file.last_seq)
    return found


def relation(
    con: duckdb.DuckDBPyConnection,
    table: str,
    where: str,
    files: list[DataFile],
    *,
    local: bool,
) -> duckdb.DuckDBPyRelation:
    """The files as one relation, its columns in the order of the schema.

    Local files are read by DuckDB itself. Those of an object store go through pyarrow, since
    DuckDB's own reader is an extension that has to be downloaded.
    """
    schema = LAKE[table]
    if not files:
        return con.from_arrow(schema.empty_table())
    columns = ", ".join(f'"{name}"' for name in schema.names)
    if local:
        return _local(con, where, files).project(columns)
    wanted = sorted({file.account for file in files})
    dataset = deltalake.DeltaTable(where).to_pyarrow_dataset(
        file_pruning_predicate=[
            ("source_system", "in", sorted({system for system, _ in wanted})),
            ("source_account", "in", sorted({account for _, account in wanted})),
        ]
    )
    return con.from_arrow(dataset).project(columns)


def _local(
    con: duckdb.DuckDBPyConnection, where: str, files: list[DataFile]
) -> duckdb.DuckDBPyRelation:
    """Local files as one relation. Every footer is read here, and none may be missing or torn."""
    from duckdb import Error

    partitions = ", ".join(f"{name}: VARCHAR" for name in PARTITION_COLUMNS)
    # Written out: with parameters DuckDB reads everything at once, before any filter is known.
    paths = ", ".join(literal(file.path) for file in files)
    try:
        return con.sql(
            f"SELECT * FROM read_parquet([{paths}], union_by_name = true, hive_partitioning = true,"
            f" hive_types = {{{partitions}}})"
        )
    except Error as error:
        raise LakeError(
            f"a data file that the log names cannot be read: {str(error).splitlines()[0][:300]}",
            where,
            "restore the lake from a copy; or move it away and set up a new ledger: a full load",
        ) from error


def log_entries(folder: Path, before: int, after: int) -> list[LogEntry]:
    """The versions after `before` up to and including `after` of a local table."""
    paths = [folder / LOG / f"{v:020d}.json" for v in range(before + 1, after + 1)]
    return [
        LogEntry(path, tuple(json.loads(line) for line in path.read_text("utf-8").splitlines()))
        for path in paths
    ]


def expected_rows(before: Iterable[DataFile], entries: Iterable[LogEntry]) -> int:
    """How many rows there must be after the entries, which may hold appends besides compaction."""
    known = {Path(file.path): file.rows for file in before}
    total = sum(known.values())
    for entry in entries:
        for action in entry.actions:
            kind = "add" if "add" in action else "remove" if "remove" in action else None
            if kind is None:
                continue
            path = entry.path.parent.parent / unquote(action[kind]["path"])
            if kind == "add":
                known[path] = json.loads(action["add"]["stats"])["numRecords"]
            if action[kind]["dataChange"]:
                total += known[path] if kind == "add" else -known[path]
    return total
