"""`orderloom shell`.

Belongs here: how DuckDB's own prompt is opened on the marts. Does not belong here: anything
that the prompt does itself: editing, history, `.tables`, `.schema`, completion, Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from pipelines import console
from resources.errors import ConfigurationError
from resources.places import Places
from resources.warehouse import open_marts

_PROMPT = """\
{sql:SELECT CASE WHEN MAX(parse_filename(file, TRUE)) > \
(SELECT publication_id FROM orderloom.build) \
THEN '(a newer publication is there: ' || getenv('ORDERLOOM_REOPEN') || ') ' ELSE '' END \
FROM glob(getenv('ORDERLOOM_FILES'))}\
{highlight_element:prompt}{setting:current_database_and_schema}{color:reset} D """
"""Asked anew before each line; publications are named so that a newer one is greater."""

COMMANDS = (
    "SET TimeZone = 'UTC'",
    "SET home_directory = getenv('ORDERLOOM_USER_HOME')",
    ".startup_text none",
    ".highlight_mode mixed",
    f'.prompt "{_PROMPT}"',
)
"""What is done before the first line of the prompt."""


def start() -> NoReturn:
    """Say which publication is open, and become DuckDB's prompt; this process does not return.

    Raises ConfigurationError where no prompt is installed; WarehouseError where there are no marts.
    """
    places = Places.from_environment()
    program = _program()
    published, orders = _publication(places)
    if sys.stdin.isatty():
        console.out.print(
            f"Published {published:%Y-%m-%d %H:%M:%S} UTC, {orders:,} orders, read-only:"
            f" {places.marts}\nEnd statements with ; - .tables, .schema TABLE, .help, .quit",
            markup=False,
            soft_wrap=True,
        )
    sys.stdout.flush()
    words = [str(program), "-readonly", "-dark-mode"]  # else it asks, and waits for, the terminal
    if (own := Path.home() / ".duckdbrc").is_file():
        words += ["-init", str(own)]
    for command in COMMANDS:
        words += ["-cmd", command]
    os.execve(program, [*words, str(places.marts)], _environment(os.environ, places))


def _environment(inherited: Mapping[str, str], places: Places) -> dict[str, str]:
    """DuckDB keeps the history of its prompt in HOME: so it is kept with the data it tells of."""
    marts = places.marts
    return {
        **inherited,
        "HOME": str(places.shell_history.parent),
        "ORDERLOOM_USER_HOME": str(Path.home()),
        "ORDERLOOM_FILES": str(marts.with_name(f"{marts.stem}-*.duckdb")),
        "ORDERLOOM_REOPEN": f'.open --readonly "{os.path.relpath(marts)}"',
    }


def _program() -> Path:
    """DuckDB's command line: that of the package duckdb-cli, else one on the PATH.

    Not the package's own starter: it kills the prompt where Ctrl-C should end a query.
    """
    package = find_spec("duckdb_cli")
    folders = package.submodule_search_locations if package else None
    found = shutil.which("duckdb", path=os.pathsep.join(folders)) if folders else None
    found = found or shutil.which("duckdb")
    if found is None:
        raise ConfigurationError(
            "DuckDB's prompt is not installed",
            "orderloom shell",
            "pip install duckdb-cli, or ask with orderloom query",
        )
    return Path(found)


def _publication(places: Places) -> tuple[datetime, int]:
    """When the newest file was published (UTC), and how many orders are in it."""
    with open_marts(places) as connection:
        sql = "SELECT published_at, orders FROM orderloom.build"
        published, orders = connection.execute(sql).fetchall()[0]
    return published.replace(tzinfo=UTC), orders
