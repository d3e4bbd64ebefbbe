"""An answer as a table that people can read.

Belongs here: how many rows and columns are shown, and the line that says what is not. Does not
belong here: complete output (`pipelines/answer_formats.py`), other commands' tables
(`pipelines/console.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pipelines import console
from pipelines.answer import Answer, as_text

LONGEST = 160
"""Signs of a text in a table; what is longer is cut."""

UNCUT = 20_000
"""The same where there is room: one row, or one column."""

WORDS_WIDTH = 14
"""Width below which a column of words is not made narrower; columns are left out instead."""

KEY_WIDTH = 44
"""The same for a column of single words, such as keys, which are hard to read when broken."""

PAGE = 1_000
"""Rows that are laid out at a time; each page has its own head."""

COUNTED = 1_000_000
"""Rows up to which those that are not shown are counted."""

GAP = 2
"""Signs between two columns."""


def show(answer: Answer, limit: int | None) -> None:
    """Print the first `limit` rows, all where it is None, and say what is left out."""
    if not answer.columns:
        console.out.print("done; this statement has no answer")
        return
    rows = chain.from_iterable(answer.batches())
    shown, columns = 0, None
    while page := list(islice(rows, PAGE if limit is None else min(PAGE, limit - shown))):
        if shown == 0 and len(page) == 1:
            columns = _one_row(answer, page[0])
        else:
            columns = columns or _fitting(answer, page)
            console.out.print(_grid(answer, page, columns))
        shown += len(page)
    if not shown:
        console.out.print(_grid(answer, [], _fitting(answer, [])))
    more = sum(1 for _ in islice(rows, COUNTED))
    _say(answer, shown, more, columns or len(answer.columns))


def cell(value: Any, longest: int = LONGEST) -> Text:
    """A value as a person reads it; control signs are shown and never obeyed."""
    if value is None:
        return Text("NULL", style="dim")
    text = _number(value) if isinstance(value, int | float | Decimal) else as_text(value)
    text = "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}"
                   for sign in text)  # fmt: skip
    return Text(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _number(value: float | Decimal) -> str:
    """Thousands are set apart from 10,000 on, so that a year is a year."""
    if isinstance(value, bool):
        return as_text(value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if 1 <= abs(value) < 1e15 else f"{value:.4g}"


def _one_row(answer: Answer, row: Sequence[Any]) -> int:
    """Print one row, downwards where it is too wide; the number of columns shown."""
    if _fitting(answer, [row]) == len(answer.columns):
        console.out.print(_grid(answer, [row], len(row)))
        return len(row)
    grid = _table()
    grid.add_column("column", no_wrap=True)
    grid.add_column("value", overflow="fold")
    for name, value in zip(answer.columns, row, strict=True):
        grid.add_row(Text(name), cell(value, UNCUT))
    console.out.print(grid)
    return len(row)


def _fitting(answer: Answer, rows: Sequence[Sequence[Any]]) -> int:
    """How many columns, from the left, fit into the width there is; at least one."""
    used = 2
    for place, name in enumerate(answer.columns):
        used += max(_least_width([cell(row[place]).plain for row in rows]), _head_width(name)) + GAP
        if used > console.out.width and place:
            return place
    return len(answer.columns)


def _least_width(texts: Sequence[str]) -> int:
    natural = max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
    are_words = any(" " in text and not text[0].isdigit() for text in texts)
    return min(natural, WORDS_WIDTH if are_words else KEY_WIDTH)


def _roomy_width(name: str, texts: Sequence[str]) -> int:
    """The width of a column that is nowhere broken, the gap included."""
    return (
        max(cell_len(line) for text in (name, *texts) for line in (text or " ").splitlines()) + GAP
    )


def _head(name: str) -> Text:
    """A column's name, a long one on several lines, broken behind an underscore."""
    lines = [""]
    for part in re.findall(r"[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1] + part) > WORDS_WIDTH:
            lines.append("")
        lines[-1] += part
    return Text("\n".join(lines))


def _head_width(name: str) -> int:
    return min(WORDS_WIDTH, max(map(cell_len, _head(name).plain.splitlines()), default=0))


def _grid(answer: Answer, rows: Sequence[Sequence[Any]], columns: int) -> Table:
    texts = [[cell(row[place]).plain for row in rows] for place in range(columns)]
    has_room = 2 + sum(map(_roomy_width, answer.columns, texts)) <= console.out.width
    grid = _table()
    for number, name in zip(answer.is_number[:columns], answer.columns, strict=False):
        justify: Literal["right", "left"] = "right" if number else "left"
        head = Text(name) if has_room else _head(name)
        grid.add_column(head, justify=justify, overflow="fold", no_wrap=number)
    longest = LONGEST if columns > 1 and len(rows) > 1 else UNCUT
    for row in rows:
        grid.add_row(*(cell(value, longest) for value in row[:columns]))
    return grid


def _table() -> Table:
    return Table(header_style="bold", box=console.BOX, pad_edge=False, padding=(0, 1, 0, 0))


def _say(answer: Answer, shown: int, more: int, columns: int) -> None:
    rows = f"{shown + more:,} row{'' if shown + more == 1 else 's'}"
    if more:
        if more == COUNTED:
            rows = f"more than {COUNTED:,} rows"
        rows += f", the first {shown:,} shown: --limit N or --all shows more"
    console.out.print(rows)
    if columns < len(answer.columns):
        console.out.print(
            f"{len(answer.columns)} columns, the first {columns} shown: name those that you want, "
            "or --format csv writes them all"
        )
