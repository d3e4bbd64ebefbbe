"""Some rows of a lake table, by the values of one column, without reading the rest.

Belongs here: which row groups are opened, and which of their columns. Does not belong here: which
files a table has (`resources/lake_files.py`), what the rows mean.

A few hundred orders among a hundred thousand are found by their keys: the key column is read
first, the other columns only of row groups in which something was found. And a table is read from
its beginning to its end a row group at a time, with the memory that one row group takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.arrays import numbers, texts
from resources.errors import LakeError
from resources.lake import AccountKey, Lake
from resources.lake_files import DataFile, first_line
from resources.lazily import lazily
from schemas.lake import LAKE, PARTITION_COLUMNS

if TYPE_CHECKING:
    import deltalake
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from deltalake import exceptions
else:
    deltalake = lazily("deltalake")
    exceptions = lazily("deltalake.exceptions")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")
    pq = lazily("pyarrow.parquet")

Values = Collection[str] | Collection[int]
Having = tuple[str, Values]
"""A column, and those of its values, of one type and not none of them, whose rows are wanted."""


def pick(
    lake: Lake,
    table: str,
    columns: Sequence[str],
    *,
    account: AccountKey,
    after: int = 0,
    having: Having | None = None,
) -> Iterator[pa.RecordBatch]:
    """Some columns of one account's rows, of as little of its files as there can be.

    `after` leaves out files whose every landing_seq is at most this; other rows of the remaining
    files may be among those given. `having`: of the rows in which a column has one of some values.
    No column may be one of the partition. Raises LakeError.
    """
    if having is not None and not having[1]:
        return
    files = lake.files(table, account=account, after=after)
    wanted = _Wanted(*having) if having else None
    where = f"{lake.url}/{table}"
    with _reading(where):
        if lake.root is not None:
            yield from _picked(files, columns, wanted)
        elif files:
            condition = pc.field(wanted.column).isin(wanted.values) if wanted else None
            yield from _picked_remotely(where, account, columns, condition)


_REMOTE_ROWS = 1000
"""Of a stretch of an object store: as many as a row group of a local file has."""


@dataclass(frozen=True)
class Stretch:
    """Rows that lie together: a row group of a local file, a range of one of an object store."""

    file: DataFile
    number: int | None
    """Of the row group in its file, from 0; None for a range of sequences."""
    first_seq: int
    """The least landing_seq in it."""
    last_seq: int
    """The greatest landing_seq in it."""
    rows: int
    bytes: int
    """As they are in memory; of a range as they are stored."""


def stretches(lake: Lake, table: str, *, account: AccountKey, after: int) -> list[Stretch]:
    """One account's rows with a landing_seq beyond `after`, by their least one.

    Raises LakeError where a file cannot be read.
    """
    found: list[Stretch] = []
    for file in lake.files(table, account=account, after=after):
        if lake.root is None:
            found += _parts(file)
            continue
        with _reading(f"{lake.url}/{table}"), pq.ParquetFile(file.path) as opened:
            found += [_stretch(file, opened, place) for place in range(opened.num_row_groups)]
    wanted = [each for each in found if each.last_seq > after]
    return sorted(wanted, key=lambda each: (each.first_seq, each.last_seq))


def read(lake: Lake, table: str, wanted: Sequence[Stretch]) -> pa.Table:
    """All rows of some stretches, of one account, in the columns of the table's schema.

    One stretch after the other; of an object store by landing_seq.

    Raises LakeError where a file cannot be read.
    """
    schema = LAKE[table]
    account = wanted[0].file.account
    columns = [name for name in schema.names if name not in PARTITION_COLUMNS]
    where = f"{lake.url}/{table}"
    with _reading(where):
        if lake.root is not None:
            parts = [_whole(each, columns) for each in wanted]
        else:
            first, last = wanted[0].first_seq, max(each.last_seq for each in wanted)
            condition = (pc.field("landing_seq") >= first) & (pc.field("landing_seq") <= last)
            found = _picked_remotely(where, account, columns, condition)
            parts = [pa.Table.from_batches(found).sort_by("landing_seq")]
    rows = pa.concat_tables(parts)
    for name, value in zip(PARTITION_COLUMNS, account, strict=True):
        rows = rows.append_column(schema.field(name), texts([value] * rows.num_rows))
    return rows.select(schema.names).cast(schema)


def _parts(file: DataFile) -> Iterator[Stretch]:
    """A file of an object store as stretches of its sequences, as if they were evenly filled."""
    for first in range(file.first_seq, file.last_seq + 1, _REMOTE_ROWS):
        last = min(first + _REMOTE_ROWS - 1, file.last_seq)
        size = file.size * _REMOTE_ROWS // max(file.rows, 1)
        yield Stretch(file, None, first, last, _REMOTE_ROWS, size)


def _stretch(file: DataFile, opened: pq.ParquetFile, number: int) -> Stretch:
    group = opened.metadata.row_group(number)
    first, last = _ends(opened, number, "landing_seq") or (file.first_seq, file.last_seq)
    return Stretch(file, number, first, last, group.num_rows, group.total_byte_size)


def _ends(opened: pq.ParquetFile, group: int, column: str) -> tuple[Any, Any] | None:
    """The least and the greatest value of a column in a row group, where its statistics tell."""
    place = opened.schema_arrow.get_field_index(column)
    told = opened.metadata.row_group(group).column(place).statistics
    return (told.min, told.max) if told is not None and told.has_min_max else None


def _whole(stretch: Stretch, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(stretch.file.path) as opened:
        return opened.read_row_group(stretch.number, columns=list(columns), use_threads=False)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Tell of a data file that cannot be read what is to be done."""
    try:
        yield
    except (OSError, exceptions.DeltaError, pa.ArrowException) as error:
        raise LakeError(
            f"a data file that the log names cannot be read: {first_line(error)}",
            where,
            "restore the lake from a copy; or move it away and set up a new ledger: a full load",
        ) from error


def _picked(
    files: Sequence[DataFile], columns: Sequence[str], wanted: _Wanted | None
) -> Iterator[pa.RecordBatch]:
    """Columns of local files' rows, a row group at a time."""
    for file in files:
        with pq.ParquetFile(file.path) as opened:
            for group in range(opened.num_row_groups):
                if wanted is None:
                    yield from opened.read_row_group(group, columns=list(columns)).to_batches()
                elif wanted.may_be_in(opened, group):
                    yield from wanted.rows(opened, group, columns)


def _picked_remotely(
    where: str, account: AccountKey, columns: Sequence[str], condition: pc.Expression | None
) -> Iterator[pa.RecordBatch]:
    """Columns of one account's rows on an object store, those that suit a condition."""
    own = zip(PARTITION_COLUMNS, account, strict=True)
    dataset = deltalake.DeltaTable(where).to_pyarrow_dataset(
        file_pruning_predicate=[(name, "=", value) for name, value in own]
    )
    yield from dataset.to_batches(columns=list(columns), filter=condition)


class _Wanted:
    """The rows that are wanted: those in which a column has one of some values."""

    def __init__(self, column: str, values: Values) -> None:
        self.column = column
        self.values = _value_set(values)
        self.least, self.most = min(values), max(values)

    def may_be_in(self, opened: pq.ParquetFile, group: int) -> bool:
        """Whether any row of a row group may be wanted, as far as its statistics tell."""
        ends = _ends(opened, group, self.column)
        return ends is None or bool(ends[0] <= self.most and self.least <= ends[1])

    def rows(
        self, opened: pq.ParquetFile, group: int, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Columns of the rows of a row group that are wanted."""
        found = opened.read_row_group(group, columns=[self.column])[self.column]
        is_wanted = pc.is_in(found, value_set=self.values)
        if pc.any(is_wanted).as_py():
            rows = opened.read_row_group(group, columns=list(columns))
            yield from rows.select(columns).filter(is_wanted).to_batches()


def _value_set(wanted: Values) -> pa.Array:
    whole = [each for each in wanted if isinstance(each, int)]
    if len(whole) == len(wanted):
        return numbers(whole)
    return texts([str(each) for each in wanted])
