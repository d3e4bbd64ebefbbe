"""The marts: one SELECT per file, read by the published tables' names.

Belongs here: finding the files and reading their headers. Does not belong here: building the tables
(`resources/warehouse.py`).

A file starts with comment lines: what one row is, then `-- key:` and the columns that tell its rows
apart, then `-- column: meaning` for every column of the SELECT. A line that goes on with the one
before is indented: `--     like this`. `-- follows: order_key` says that every row follows from the
rows of its order alone, in `orders` and `order_status_history`, and from dimensions of codes: then
a publication makes the rows of the orders that it touches anew, and leaves the others. The SQL
keeps to what other engines understand too: plain joins, aggregates and window functions.
"""

from __future__ import annotations

import re
from importlib.resources import files

from assets.mart_conditions import conditions_of
from resources.errors import ConfigurationError
from resources.warehouse import Mart

KEY = "key"
"""Heads the line of a file that names the columns of its grain; no column may be called so."""

FOLLOWS = "follows"
"""Heads the line of a mart that follows from each order alone; no column may be called so."""

_COLUMN = re.compile(r"^(\w+): (.+)$")


def parse(name: str, text: str) -> Mart:
    """A mart from the text of its file. Raises ConfigurationError for a header without a grain."""
    header: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        said = line.removeprefix("--")
        if said.startswith("   ") and header:
            header[-1] = f"{header[-1]} {said.strip()}"
        else:
            header.append(said.strip())
    columns = [_COLUMN.match(line) for line in header]
    if not header or columns[0] is not None:
        raise ConfigurationError(
            "the file does not start with its grain",
            f"assets/marts/{name}.sql",
            "let its first line say `-- One row per ...`",
        )
    comments = {found[1]: found[2] for found in columns if found}
    key = [column.strip() for column in comments.pop(KEY, "").split(",") if column.strip()]
    follows = comments.pop(FOLLOWS, "") == "order_key"
    grain = " ".join(line for line, found in zip(header, columns, strict=True) if not found)
    sql = text.strip().removesuffix(";")
    return Mart(name, sql, grain, comments, conditions_of(name, key, follows), follows)


def load() -> tuple[Mart, ...]:
    """Every mart, by name."""
    found = [
        (entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in files("assets.marts").iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(parse(name, text) for name, text in sorted(found))


MARTS = load()
"""Every mart, by name."""
