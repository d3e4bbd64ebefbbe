"""What a contestant's DuckDB file holds, as JSON, read by the DuckDB that wrote it.

Belongs here: counts, sums and a digest of whatever two queries call orders and order rows. Does not
belong here: which queries (`benchmarks/contestant.py`), and comparing (`benchmarks/equality.py`).

    python read_back.py FILE ORDERS_SQL ROWS_SQL
"""

from __future__ import annotations

import json
import sys

import duckdb

MONEY = "DECIMAL(38, 4)"
ORDERS = f"""
    SELECT
        COUNT(*) AS orders,
        CAST(SUM(CAST(net AS {MONEY})) AS VARCHAR) AS net,
        CAST(SUM(CAST(tax AS {MONEY})) AS VARCHAR) AS tax,
        CAST(SUM(CAST(total AS {MONEY})) AS VARCHAR) AS total,
        MD5(STRING_AGG(CONCAT_WS('|', id, CAST(EPOCH(updated) AS BIGINT), CAST(total AS {MONEY})),
            ',' ORDER BY id)) AS digest
    FROM ({{}})
"""
ROWS = f"""
    SELECT
        COUNT(*) AS order_rows,
        CAST(SUM(CAST(net AS {MONEY})) AS VARCHAR) AS rows_net,
        CAST(SUM(CAST(tax AS {MONEY})) AS VARCHAR) AS rows_tax
    FROM ({{}})
"""


def main(file: str, orders: str, rows: str) -> None:
    """Print one object."""
    found: dict[str, object] = {}
    with duckdb.connect(file, read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        for sql in (ORDERS.format(orders), ROWS.format(rows)):
            answer = con.execute(sql)
            names = [each[0] for each in answer.description or ()]
            found |= dict(zip(names, answer.fetchall()[0], strict=True))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
