"""`orderloom query` in every format, and `read`: whole, exact and readable."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from canonical_rows import land
from click.testing import CliRunner, Result
from warehouse_home import Home, whole

from pipelines.cli import main
from resources.errors import WarehouseError
from resources.warehouse import read

ODD = r"""
    SELECT NULL AS nothing, '' AS empty, 'a|\b' || chr(10) || '<c>, "d"' AS text,
        15.0449::DECIMAL(18,4) AS amount, [1.50::DECIMAL(18,2)] AS amounts,
        DATE '2026-11-01' AS day, TIMESTAMP '2026-11-01 10:00:00' AS moment,
        12345678901234567890::HUGEINT AS huge, 'nan'::DOUBLE AS none, TRUE AS yes, 1 AS yes
"""

Query = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("query"))
    land(home.lake, **whole("1", 1, gross_amount="15.0449"))
    home.publish()
    return home


@pytest.fixture
def query(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Query:
    monkeypatch.setenv("ORDERLOOM_HOME", str(home.files))
    monkeypatch.chdir(tmp_path)
    return lambda *words, **options: CliRunner().invoke(main, ["query", *words], **options)


def test_csv_is_exact_and_tells_null_from_an_empty_text(query: Query) -> None:
    shown = query(ODD, "--format", "csv").stdout
    assert shown.splitlines()[1].startswith(',"",')
    (row,) = csv.DictReader(io.StringIO(shown))
    assert row["text"] == 'a|\\b\n<c>, "d"'
    assert (row["amount"], row["amounts"], row["huge"]) == (
        "15.0449", '["1.50"]', "12345678901234567890"
    )  # fmt: skip
    assert (row["day"], row["moment"]) == ("2026-11-01", "2026-11-01 10:00:00")
    assert (row["yes"], row["yes_1"]) == ("true", "1")


def test_json_keeps_amounts_as_text_and_moments_as_iso(query: Query) -> None:
    (row,) = json.loads(query(ODD, "--format", "json").stdout)
    assert row == {
        "nothing": None, "empty": "", "text": 'a|\\b\n<c>, "d"', "amount": "15.0449",
        "amounts": ["1.50"], "day": "2026-11-01", "moment": "2026-11-01T10:00:00",
        "huge": 12345678901234567890, "none": "nan", "yes": True, "yes_1": 1,
    }  # fmt: skip
    assert json.loads(query("SELECT 1 WHERE FALSE", "--format", "json").stdout) == []


def test_markdown_holds_a_cell_in_a_line(query: Query) -> None:
    head, rule, row = query(ODD, "--format", "markdown").stdout.splitlines()
    assert rule.split("|")[4:6] == [" ---: ", " --- "]
    assert r'| NULL |  | a\|\\b<br>\<c>, "d" | 15.0449 |' in row
    assert head.count("|") == rule.count("|") == row.count("|") - 1


def test_parquet_keeps_types(query: Query, tmp_path: Path) -> None:
    said = query(ODD, "--output", "odd.parquet")
    assert said.stdout == "1 rows written to odd.parquet\n"
    table = pq.read_table(tmp_path / "odd.parquet")
    kinds = dict(zip(table.column_names, map(str, table.schema.types), strict=True))
    assert kinds["amount"] == "decimal128(18, 4)"
    assert kinds["moment"] == "timestamp[us]"
    assert kinds["amounts"] == "list<element: decimal128(18, 2)>"
    (row,) = table.to_pylist()
    assert (row["amount"], row["day"], row["yes_1"]) == (Decimal("15.0449"), date(2026, 11, 1), 1)
    assert row["moment"] == datetime(2026, 11, 1, 10)  # noqa: DTZ001
    streamed = query(ODD, "--format", "parquet").stdout_bytes
    assert str(pq.read_table(io.BytesIO(streamed)).to_pylist()) == str(table.to_pylist())


@pytest.mark.parametrize("style", ["csv", "json", "markdown", "parquet"])
def test_no_format_leaves_rows_out_unless_told(query: Query, tmp_path: Path, style: str) -> None:
    sql = "SELECT range AS n FROM range(60001)"
    counts = []
    for options in ((), ("--limit", "50001")):
        assert query(sql, "--format", style, "--output", "out", *options).exit_code == 0
        if style == "parquet":
            counts.append(pq.read_metadata(tmp_path / "out").num_rows)
        else:
            around = {"csv": 1, "json": 2, "markdown": 2}[style]
            counts.append(len((tmp_path / "out").read_text().splitlines()) - around)
    assert counts == [60001, 50001]


def test_a_long_table_shows_its_beginning_and_how_long_it_is(query: Query) -> None:
    sql = "SELECT range AS number FROM range(12345)"
    lines = query(sql).stdout.splitlines()
    assert "12,345 rows, the first 40 shown" in lines[-1]
    assert [int(line) for line in lines if line.strip().isdigit()] == list(range(40))
    everything = query(sql, "--all").stdout
    assert "12,344" in everything
    assert everything.splitlines()[-1] == "12,345 rows"


def test_a_wide_table_stays_within_its_width_and_says_what_is_missing(query: Query) -> None:
    shown = query("SELECT * FROM orders, range(3)").stdout
    assert max(map(len, shown.splitlines())) <= 120
    assert " columns, the first " in shown.splitlines()[-1]
    alone = query("SELECT * FROM orders").stdout
    assert max(map(len, alone.splitlines())) <= 120
    assert "gross_amount" in alone
    assert "15.0449" in alone
    assert "columns, the first" not in alone


def test_a_table_tells_null_from_empty_and_obeys_no_control_sign(query: Query) -> None:
    shown = query(
        "SELECT NULL AS a, '' AS b, chr(27) || '[2J' AS c, 1234.5 AS d, 2026 AS year"
    ).stdout
    assert "NULL" in shown
    assert "\x1b" not in shown
    assert "1,234.5" in shown
    assert "2026" in shown


def test_a_question_may_come_from_standard_input(query: Query) -> None:
    assert query("-", "--format", "csv", input="SELECT 1 AS a;\n").stdout == "a\n1\n"
    assert query("-", input="").exit_code == 2


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("CREATE TABLE mine (a INT)", "read-only"),
        ("DELETE FROM orders", "read-only"),
        ("SELECT * FROM ordrs", 'Did you mean "orders"?'),
        ("SELECT gross FROM orders", '"gross_amount"'),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert string 'x'"),
        ("SELECT error('late') FROM range(5000)", "late"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(
    query: Query, home: Home, sql: str, named: str
) -> None:
    told = query(sql, "--output", "out.csv")
    assert told.exit_code == 2
    assert named in told.stderr
    assert str(home.places.marts) in told.stderr
    assert told.stderr.count("\n") == 1
    assert not list(Path.cwd().iterdir())


def test_a_table_goes_to_no_file_and_no_folder_that_is_not_there(query: Query) -> None:
    assert "--format csv" in query("SELECT 1", "--output", "answer.txt").stderr
    missing = query("SELECT 1", "--output", "no/answer.csv")
    assert missing.exit_code == 2
    assert "no/answer.csv" in missing.stderr


def test_parquet_is_not_poured_onto_a_terminal(home: Home) -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        [Path(sys.executable).with_name("orderloom"), "query", "SELECT 1", "--format", "parquet"],
        stdout=follower, stderr=subprocess.PIPE, text=True, check=False,
        env=os.environ | {"ORDERLOOM_HOME": str(home.files)},
    )  # fmt: skip
    os.close(follower)
    os.close(leader)
    assert done.returncode == 2
    assert "--output FILE" in done.stderr


def test_a_reader_that_stops_early_ends_the_command_quietly(home: Home) -> None:
    command = [Path(sys.executable).with_name("orderloom"), "query",
               "SELECT * FROM range(3000000)", "--format", "csv"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"ORDERLOOM_HOME": str(home.files)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "range\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_read_keeps_amounts_exact_in_both_kinds(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDERLOOM_HOME", str(home.files))
    monkeypatch.chdir(tmp_path)
    sql = "SELECT gross_amount, created_at FROM orders WHERE source_account = ?"
    frame = read(sql, ["acme"])
    table = read(sql, ["acme"], arrow=True)
    assert frame["gross_amount"].sum() == Decimal("15.0449")
    assert str(frame.dtypes["created_at"]) == "timestamp[us][pyarrow]"
    assert str(table.schema.field("gross_amount").type) == "decimal128(18, 4)"
    assert len(read(sql.replace("?", "$name"), {"name": "nobody"})) == 0


def test_read_says_what_is_wrong(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDERLOOM_HOME", str(home.files))
    with pytest.raises(WarehouseError, match="Did you mean"):
        read("SELECT * FROM ordrs")
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match="run orderloom sync"):
        read("SELECT 1")
