"""Who is compared: how each is run, and how its output is read.

Belongs here: a command line, an interpreter and two queries for each contestant. Does not belong
here: the scripts themselves (`contestants/`), running them (`compare.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from benchmarks.measure import CREDENTIALS, ROOT, Server

SCRIPTS = ROOT / "benchmarks" / "contestants"
Command = list[str | Path]


@dataclass(frozen=True)
class Contestant:
    """One way of doing the job. Its output is all in a folder of its own."""

    name: str
    title: str
    python: Callable[[], Path]
    """Its interpreter, made first if need be."""
    arguments: Callable[[Server, Path], Command]
    """What follows the interpreter, for a server and a folder."""
    database: str
    """Its DuckDB file within the folder."""
    orders: str
    """Query for id, updated (a moment), net, tax and total of each order."""
    rows: str
    """Query for net and tax of each order row."""
    is_orderloom: bool = False

    def command(self, server: Server, folder: Path) -> Command:
        """What runs it."""
        return [self.python(), *self.arguments(server, folder)]

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Its environment variables: orderloom's home and accounts, nothing for the others."""
        if not self.is_orderloom:
            return {}
        places = {"ORDERLOOM_HOME": folder / "var", "ORDERLOOM_ACCOUNTS": folder / "accounts.toml"}
        return CREDENTIALS | {name: str(path) for name, path in places.items()}

    def prepare(self, server: Server, folder: Path, source: str = "brightpearl") -> None:
        """An empty folder; for orderloom with an accounts file."""
        folder.mkdir(parents=True)
        if self.is_orderloom:
            text = server.accounts_toml(source=source)
            (folder / "accounts.toml").write_text(text, encoding="utf-8")


def own_python() -> Path:
    """The interpreter of orderloom's own environment."""
    return Path(sys.executable)


def _module(*words: str) -> Callable[[Server, Path], Command]:
    return lambda server, folder: ["-m", *words]  # noqa: ARG005


def _script(name: str) -> Callable[[Server, Path], Command]:
    return lambda server, folder: [SCRIPTS / name, server.url, folder]


def _environment(name: str) -> Callable[[], Path]:
    return lambda: environments.interpreter(name)


_MARTS = {
    "database": "var/marts.duckdb",
    "orders": (
        "SELECT CAST(source_order_id AS BIGINT) AS id, updated_at AS updated, net_amount AS net,"
        " tax_amount AS tax, gross_amount AS total FROM orders"
    ),
    "rows": "SELECT net_amount AS net, tax_amount AS tax FROM order_rows",
}
ORDERLOOM = Contestant(
    "orderloom",
    "orderloom",
    own_python,
    _module("benchmarks.contestants.with_orderloom"),
    is_orderloom=True,
    **_MARTS,
)
SYNC = Contestant(
    "sync",
    "`orderloom sync`, Dagster's start included",
    own_python,
    _module("pipelines.cli", "sync"),
    is_orderloom=True,
    **_MARTS,
)
DLT = Contestant(
    "dlt",
    "dlt",
    _environment("dlt"),
    _script("with_dlt.py"),
    "db.duckdb",
    "SELECT id, updated_on AS updated, total_value__net AS net, total_value__tax_amount AS tax,"
    " total_value__total AS total FROM raw.orders",
    "SELECT row_value__row_net__value AS net, row_value__row_tax__value AS tax"
    " FROM raw.orders__order_rows",
)
PANDAS = Contestant(
    "pandas",
    "pandas script",
    _environment("pandas"),
    _script("with_pandas.py"),
    "db.duckdb",
    'SELECT id, "updatedOn" AS updated, "totalValue_net" AS net, "totalValue_taxAmount" AS tax,'
    ' "totalValue_total" AS total FROM orders',
    """SELECT "rowValue_rowNet_value" AS net, "rowValue_rowTax_value" AS tax FROM order_rows""",
)
LIMIT = Contestant(
    "limit",
    "hand-written limit",
    _environment("limit"),
    _script("limit.py"),
    "db.duckdb",
    'SELECT id, "updatedOn" AS updated, total_net AS net, "total_taxAmount" AS tax,'
    " total_total AS total FROM orders",
    "SELECT row_net AS net, row_tax AS tax FROM order_rows",
)
ALL = {each.name: each for each in (ORDERLOOM, SYNC, DLT, PANDAS, LIMIT)}
