"""Arrow columns out of Python values.

Belongs here: building one column in one go, moments as the numbers that columns hold, the order of
rows. Does not belong here: which columns there are (`schemas/lake.py`).

What `pa.array` does as well, but in one copy, and without importing pandas for the question
whether the values are a pandas object: a fifth of a second in every process that lands anything.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from resources.lazily import lazily

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def texts(values: Sequence[str | bytes | None]) -> pa.StringArray:
    """Texts, or their UTF-8 bytes; what is no UTF-8 in them is replaced. None is NULL.

    Raises OverflowError beyond two gigabytes.
    """
    ascii_texts = _ascii(values)
    if ascii_texts is not None:
        return _array(map(len, cast(Sequence[str], values)), ascii_texts, None)
    parts = [value if isinstance(value, bytes) else (value or "").encode() for value in values]
    found = _joined(parts, _presence(values))
    try:
        found.validate(full=True)
    except pa.ArrowInvalid:
        readable = [part.decode("utf-8", errors="replace").encode() for part in parts]
        return _joined(readable, _presence(values))
    return found


def numbers(values: Iterable[int], code: str = "q") -> pa.Array:
    """Whole numbers, none of them missing. Raises OverflowError for one that does not fit.

    `code` as in the array module: q for 64 bits with a sign, Q for 64 without, h for 16 with.
    """
    held = values if isinstance(values, array) and values.typecode == code else array(code, values)
    kind = {"q": pa.int64(), "Q": pa.uint64(), "h": pa.int16()}[code]
    return pa.Array.from_buffers(kind, len(held), [None, pa.py_buffer(held)])


def records(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Records of texts, moments and whole numbers, of which only texts may be missing."""
    made = [_column([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(made, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return texts(values)
    if pa.types.is_timestamp(kind):
        return moments(values)
    return numbers(values, {pa.int64(): "q", pa.uint64(): "Q", pa.int16(): "h"}[kind])


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without a row."""
    return pa.Table.from_batches([], schema)


def plain_rows(rows: pa.RecordBatch | pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows as Python values; moments as microseconds since 1970, which needs no pandas."""
    columns = (
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in rows.columns
    )
    return zip(*(column.to_pylist() for column in columns), strict=True)


def in_landing_order(rows: pa.Table) -> pa.Table:
    """Rows by landing sequence; those of one version stay in the order that they have."""
    landed = rows["landing_seq"].combine_chunks()
    if pc.all(pc.less_equal(landed[:-1], landed[1:]), min_count=0).as_py():
        return rows
    return rows.sort_by("landing_seq")


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970, UTC; one without a time zone is taken for UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _BEGINNING) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The moment so many microseconds after the beginning of 1970, UTC."""
    return _BEGINNING + microseconds * _MICROSECOND


def moments(values: Sequence[datetime]) -> pa.Array:
    """Moments as UTC to the microsecond."""
    known = {value: micros(value) for value in set(values)}
    held = array("q", map(known.__getitem__, values))
    return pa.Array.from_buffers(pa.timestamp("us", "UTC"), len(held), [None, pa.py_buffer(held)])


def _ascii(values: Sequence[Any]) -> bytes | None:
    """All texts in one, where each is there and as long in characters as in bytes; else None."""
    try:
        joined = "".join(values)
    except TypeError:  # bytes, or one that is missing
        return None
    return joined.encode("ascii") if joined.isascii() else None


def _joined(parts: Sequence[bytes], presence: pa.Buffer | None) -> pa.StringArray:
    return _array(map(len, parts), b"".join(parts), presence)


def _array(lengths: Iterable[int], data: bytes, presence: pa.Buffer | None) -> pa.StringArray:
    ends = array("i", accumulate(lengths, initial=0))
    buffers = pa.py_buffer(ends), pa.py_buffer(data)
    return pa.StringArray.from_buffers(len(ends) - 1, *buffers, presence)


def _presence(values: Sequence[object]) -> pa.Buffer | None:
    """One bit a value, the least significant first; None where none is missing."""
    if None not in values:
        return None
    bits = sum(1 << place for place, value in enumerate(values) if value is not None)
    return pa.py_buffer(bits.to_bytes((len(values) + 7) // 8, "little"))
