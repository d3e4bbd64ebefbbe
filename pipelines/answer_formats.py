"""An answer as CSV, JSON, Markdown and Parquet: whole, exact, and never all in memory.

Belongs here: what each value looks like in these formats. Does not belong here: the table for
people (`pipelines/answer_table.py`), where the bytes go (`pipelines/asking.py`).

CSV (RFC 4180, UTF-8, lines end in LF): NULL is nothing, an empty text is "". JSON: an array of one
object a row, decimals as text since most readers would round a number, moments and days as ISO 8601
text. Markdown: NULL is NULL, pipes, backslashes and < are escaped, a line break is <br>. Parquet:
the types that DuckDB hands to Arrow: decimals, timestamps, lists and structures stay such.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pipelines.answer import Answer, as_text, plain
from resources.errors import ConfigurationError

ROW_GROUP = 50_000
"""Rows of a row group of Parquet, which is in memory at a time."""


def write(style: str, answer: Answer, file: BinaryIO, limit: int | None = None) -> int:
    """Write an answer, or its first `limit` rows; the number of rows written."""
    if style == "parquet":
        return _parquet(answer, file, limit)
    written = 0
    before, each_batch, after = _TEXT[style]
    file.write(before(answer).encode())
    for rows in answer.batches(limit):
        file.write("".join(each_batch(answer, rows, written)).encode())
        written += len(rows)
    file.write(after(written).encode())
    file.flush()
    return written


_CSV_QUOTED = re.compile(r'[,"\r\n]')


def _csv_head(answer: Answer) -> str:
    return ",".join(map(_csv_cell, answer.columns)) + "\n"


def _csv_rows(_: Answer, rows: list[tuple[Any, ...]], __: int) -> Iterator[str]:
    for row in rows:
        yield ",".join(map(_csv_cell, row)) + "\n"


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if type(value) is str else as_text(value)
    if text and not _CSV_QUOTED.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _json_rows(answer: Answer, rows: list[tuple[Any, ...]], written: int) -> Iterator[str]:
    for number, row in enumerate(rows, written):
        record = dict(zip(answer.columns, row, strict=True))
        try:
            text = json.dumps(record, default=plain, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError):  # a number that is none, a key that is no text
            text = json.dumps(plain(record), ensure_ascii=False)
        yield (",\n" if number else "\n") + text


def _markdown_head(answer: Answer) -> str:
    rule = ("---:" if number else "---" for number in answer.is_number)
    return _markdown_line(answer.columns) + f"| {' | '.join(rule)} |\n"


def _markdown_rows(_: Answer, rows: list[tuple[Any, ...]], __: int) -> Iterator[str]:
    return map(_markdown_line, rows)


def _markdown_line(values: Any) -> str:
    return f"| {' | '.join(map(_markdown_cell, values))} |\n"


def _markdown_cell(value: Any) -> str:
    text = "NULL" if value is None else as_text(value)
    for sign in "\\|<":
        text = text.replace(sign, f"\\{sign}")
    return "<br>".join(text.splitlines())


Text = tuple[
    Callable[[Answer], str],
    Callable[[Answer, list[tuple[Any, ...]], int], Iterator[str]],
    Callable[[int], str],
]
"""What stands before the rows, the text of some rows, and what stands behind so many."""

_TEXT: dict[str, Text] = {
    "csv": (_csv_head, _csv_rows, lambda _: ""),
    "json": (lambda _: "[", _json_rows, lambda written: "\n]\n" if written else "]\n"),
    "markdown": (_markdown_head, _markdown_rows, lambda _: ""),
}


def _parquet(answer: Answer, file: BinaryIO, limit: int | None) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    reader = answer.arrow(ROW_GROUP)
    schema = reader.schema
    schema = pa.schema([each.with_name(n) for each, n in zip(schema, answer.columns, strict=True)])
    written = 0
    try:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in reader:
                left = len(batch) if limit is None else limit - written
                if left <= 0:
                    break
                part = batch.slice(0, left).rename_columns(answer.columns)
                writer.write_batch(part)
                written += len(part)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as fault:
        raise ConfigurationError(
            str(fault).splitlines()[0],
            "--format parquet",
            "CAST that column to VARCHAR",
        ) from None
    return written
