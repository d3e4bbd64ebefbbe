"""Every mart file on Sail, a second SQL engine behind Spark Connect, gives what DuckDB gives.

That is what "the mart SQL is portable" means: see `assets/spark.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.marts import MARTS
from assets.spark import show_tables
from resources.warehouse import Mart, Warehouse

# pyspark-client 4.2 says on import that it does not fully support pandas 3; what is used of it
# here, SQL to Arrow, has no pandas in it.
NOT_YET_PANDAS_3 = "ignore:PySpark does not yet fully support pandas:FutureWarning"
pytestmark = pytest.mark.filterwarnings(NOT_YET_PANDAS_3)

pytest.importorskip("pysail", reason="the optional group `spark` is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where Sail answers."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(port=0)
    server.start(background=True)
    host, port = server.listening_address
    yield f"sc://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def spark(address: str, small_marts: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session of Sail that sees the published tables."""
    from pyspark.sql import SparkSession

    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):  # so it is in xdist's processes, which pyspark takes for its
        main.__file__ = __file__  # own doctests, and looks for a Spark with a JVM
    session = SparkSession.builder.remote(address).getOrCreate()
    with small_marts.open() as con:
        show_tables(session, con, str(tmp_path_factory.mktemp("sail")))
    yield session
    session.stop()


def rows(table: pa.Table) -> Counter[tuple[tuple[str, Any], ...]]:
    """The rows in no order: by column, amounts as decimals, moments as they stand in UTC."""
    assert all(not pa.types.is_decimal(f.type) or f.type.scale == 4 for f in table.schema)
    found = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
    return Counter(tuple(row.items()) for row in found)


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_both_engines_agree(mart: Mart, spark: Any, small_marts: Warehouse) -> None:
    here = rows(small_marts.read_arrow(f'SELECT * FROM "{mart.name}"'))
    there = rows(spark.sql(mart.sql).toArrow())
    assert here.total() > 0
    assert there - here == Counter(), "rows that only Sail has"
    assert here - there == Counter(), "rows that only DuckDB has"


def test_amounts_are_compared_as_decimals_and_empty_cells_are_met(small_marts: Warehouse) -> None:
    daily = small_marts.read_arrow("SELECT * FROM daily_orders")
    assert pa.types.is_decimal(daily.schema.field("net_amount").type)
    for column in ("currency", "net_amount", "order_date"):
        assert daily[column].null_count > 0, column
    lead = "SELECT COUNT(hours_to_allocated), COUNT(hours_to_shipped) FROM fulfilment_lead_times"
    with small_marts.open() as con:
        assert min(con.execute(lead).fetchall()[0]) > 0


def test_the_runner_makes_every_mart(address: str, small_marts: Warehouse, tmp_path: Path) -> None:
    home = small_marts.path.parent
    ran = subprocess.run(
        [sys.executable, "-m", "assets.spark", str(tmp_path)],
        env=os.environ | {"SPARK_REMOTE": address, "ORDERLOOM_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    counts = small_marts.row_counts()
    for mart in MARTS:
        made = duckdb.sql(f"SELECT COUNT(*) FROM '{tmp_path}/{mart.name}/*.parquet'").fetchall()
        assert made == [(counts[mart.name],)]
