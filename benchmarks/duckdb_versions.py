"""Every released DuckDB of the pinned minor version opens the published file.

    python -m benchmarks.duckdb_versions [FILE]

FILE is a published file, default the marts of ORDERLOOM_HOME. Each version is installed alone into
a virtual environment of its own, of which nothing stays. It opens the file read-only, reads every
row of every table, view and mart, every comment, and both macros; every version has to answer the
same. Then the command line of the package duckdb-cli, where that version has one. Exit code 1: one
of them did not.

Belongs here: installing versions and comparing what they say. Does not belong here: whether what
they say is right (tests).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import click

from resources.places import Places

MINOR = "1.5"

READ = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
names = [name for (name,) in con.execute(
    "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' UNION ALL"
    " SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
    " ORDER BY ALL").fetchall()]
rows = digest = 0
for name in names:
    counted, hashed = con.execute(
        f'SELECT count(*), COALESCE(bit_xor(hash(CAST(t AS VARCHAR))), 0) FROM "{name}" AS t'
    ).fetchone()
    rows, digest = rows + counted, digest ^ hashed
comments = con.execute("SELECT count(comment) FROM duckdb_columns()").fetchone()[0]
macros = sum(con.execute(f"SELECT count(*) FROM {macro}(DATE '2026-11-01')").fetchone()[0]
             for macro in ("status_on", "status_believed_on"))
print(len(names), "tables and views,", rows, "rows,", comments, "comments,", macros,
      "statuses at a moment, digest", digest)
"""


def main() -> int:
    """Try every version, say what each answers, and return the exit code."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Places.from_environment().marts
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(Path(folder))
        for version in _released(python, "duckdb"):
            _install(python, f"duckdb=={version}")
            answers[version] = _said([str(python), "-c", READ, str(file)])
            click.echo(f"duckdb {version}: {answers[version]}")
        for version in _released(python, "duckdb-cli"):
            _install(python, f"duckdb-cli=={version}")
            command = [str(python), "-m", "duckdb_cli", "-readonly", "-csv", "-noheader", str(file)]
            said = _said([*command, "SELECT count(*) FROM orders"])
            answers[f"cli {version}"] = next(iter(answers.values()), "") if said.isdigit() else said
            click.echo(f"duckdb-cli {version}: {said} orders")
    return 0 if len(answers) > 1 and len(set(answers.values())) == 1 else 1


def _environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def _released(python: Path, package: str) -> list[str]:
    """The package's versions of this minor version, oldest first."""
    told = _pip(python, "index", "versions", package)
    return sorted(set(re.findall(rf"\b{re.escape(MINOR)}\.\d+\b", told)))


def _install(python: Path, requirement: str) -> None:
    _pip(python, "install", "--quiet", "--no-deps", requirement)


def _pip(python: Path, *arguments: str) -> str:
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def _said(command: list[str]) -> str:
    """What a command prints, or how it fails."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    return (done.stdout if done.returncode == 0 else done.stderr.strip()[-300:]).strip()


if __name__ == "__main__":
    sys.exit(main())
