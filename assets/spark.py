"""The marts made by another engine: `SPARK_REMOTE=sc://host:15002 python -m assets.spark FOLDER`.

Belongs here: showing the published tables to an engine that speaks Spark Connect, and running the
mart files there. Does not belong here: mart SQL (`assets/marts`), how DuckDB makes them
(`resources/warehouse_build.py`).

FOLDER is where the engine reads and writes Parquet, one folder a table. pyspark-client comes with
the optional group `spark`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from assets.marts import MARTS
from resources.places import Places
from resources.warehouse import open_marts
from schemas.published import GRAINS

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


def show_tables(spark: SparkSession, con: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Copy the published tables that are not marts to Parquet, and make them views of the engine.

    Moments are UTC without a zone there as here, so the session's zone is set to UTC.
    """
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    for name in GRAINS:
        con.execute(f"COPY {name} TO '{folder}/{name}.parquet'")
        spark.read.parquet(f"{folder}/{name}.parquet").createOrReplaceTempView(name)


def main() -> None:
    """Make every mart of the home that the environment names, as FOLDER/NAME of Parquet."""
    from pyspark.sql import SparkSession

    folder = sys.argv[1]
    spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
    with open_marts(Places.from_environment()) as con:
        show_tables(spark, con, folder)
    for mart in MARTS:
        spark.sql(mart.sql).write.mode("overwrite").parquet(f"{folder}/{mart.name}")


if __name__ == "__main__":
    main()
