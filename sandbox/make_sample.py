"""Builds the committed sample in sandbox/data from copies of the public data sets.

Belongs here: which orders are taken, and by how many whole weeks they are moved.
Does not belong here: how an order is worded by an API, or what happens to it later.

Run by hand: `python -m sandbox.make_sample FOLDER`, where FOLDER holds the public data sets as
parquet: online_retail_ii/order_lines, olist/{orders, order_items, order_payments_all, products,
product_category_translation, customers} and bread_basket/order_lines. sandbox/data/README.md
names their publishers and licences.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

DATA = Path(__file__).parent / "data"

# Each pair is the first day taken and the day it becomes: both Mondays, so that weekday and time
# of day are kept. Every set ends with the Sunday two weeks after the sandbox opens.
RETAIL_FIRST, RETAIL_BECOMES, RETAIL_DAYS = "2011-08-01", "2026-10-19", 28
OLIST_FIRST, OLIST_BECOMES, OLIST_DAYS = "2017-02-13", "2026-09-21", 56
BAKERY_FIRST, BAKERY_BECOMES, BAKERY_DAYS = "2017-02-06", "2026-10-19", 28

SUPPLIERS = 34
"""How many suppliers the products are shared out to."""


def moved(column: str, first: str, becomes: str) -> str:
    """SQL of a naive local time moved by whole weeks."""
    return f"{column} + (DATE '{becomes}' - DATE '{first}') * INTERVAL 1 DAY"


def taken(column: str, first: str, days: int) -> str:
    """SQL condition of a run of whole days."""
    return f"{column} >= DATE '{first}' AND {column} < DATE '{first}' + {days}"


def retail_sql(folder: Path) -> str:
    """Online Retail II: one row an invoice line, in the order of the source."""
    return f"""
SELECT
    invoice_no,
    stock_code,
    description,
    quantity,
    {moved("invoice_date", RETAIL_FIRST, RETAIL_BECOMES)} AS invoiced,
    unit_price,
    customer_id,
    country
FROM '{folder}/online_retail_ii/order_lines.parquet'
WHERE {taken("invoice_date", RETAIL_FIRST, RETAIL_DAYS)}
ORDER BY source_part, source_row
"""


def purchases_sql(retail: Path) -> str:
    """Supplier orders that replenish what the shop sold in the half week before; made, not real.

    Of each supplier's products the twelve best sold of the half week, in whole dozens, at 60 % of
    the highest price asked for them.
    """
    return f"""
WITH sold AS (
    SELECT
        stock_code,
        md5_number_lower(stock_code) % {SUPPLIERS} AS supplier,
        date_trunc('week', invoiced)
        + CASE WHEN isodow(invoiced) > 3 THEN INTERVAL 7 DAY ELSE INTERVAL 3 DAY END AS due,
        max(description) AS description,
        sum(quantity) AS quantity,
        max(unit_price) AS unit_price
    FROM '{retail}'
    WHERE regexp_matches(stock_code, '^[0-9]{{5}}')
    GROUP BY ALL
    HAVING sum(quantity) > 0 AND max(unit_price) > 0 AND max(description) IS NOT NULL
)

SELECT
    due + INTERVAL 8 HOUR + supplier * INTERVAL 7 MINUTE AS placed,
    supplier::INTEGER AS supplier,
    stock_code,
    description,
    (ceil(quantity / 12) * 12)::INTEGER AS quantity,
    round(unit_price * 0.6, 3)::DECIMAL(12, 3) AS unit_cost
FROM sold
QUALIFY row_number() OVER (PARTITION BY due, supplier ORDER BY quantity DESC, stock_code) <= 12
ORDER BY placed, supplier, stock_code
"""


def nested_sql(folder: Path) -> str:
    """Olist's items and payments as lists, one row an order each."""
    return f"""
WITH items AS (
    SELECT
        order_id,
        list(struct_pack(
            product_id := product_id,
            category := coalesce(product_category_name_english, product_category_name),
            seller_id := seller_id,
            price := price,
            freight := freight_value
        ) ORDER BY order_item_id) AS items
    FROM '{folder}/olist/order_items.parquet'
    LEFT JOIN '{folder}/olist/products.parquet' USING (product_id)
    LEFT JOIN '{folder}/olist/product_category_translation.parquet' USING (product_category_name)
    GROUP BY order_id
),

payments AS (
    SELECT
        order_id,
        list(struct_pack(
            type := payment_type,
            installments := payment_installments,
            value := payment_value
        ) ORDER BY payment_sequential) AS payments
    FROM '{folder}/olist/order_payments_all.parquet'
    GROUP BY order_id
)
"""


def olist_sql(folder: Path) -> str:
    """Olist: one row an order, with its items and its payments as lists."""
    stamps = {
        "purchased": "order_purchase_timestamp",
        "approved": "order_approved_at",
        "handed_over": "order_delivered_carrier_date",
        "delivered": "order_delivered_customer_date",
        "promised": "order_estimated_delivery_date",
    }
    columns = ",\n    ".join(
        f"{moved(f'orders.{column}', OLIST_FIRST, OLIST_BECOMES)} AS {name}"
        for name, column in stamps.items()
    )
    return f"""
{nested_sql(folder)}
SELECT
    orders.order_id,
    customers.customer_unique_id AS customer_id,
    customers.customer_city AS city,
    customers.customer_state AS state,
    orders.order_status AS status,
    {columns},
    items.items,
    payments.payments
FROM '{folder}/olist/orders.parquet' AS orders
LEFT JOIN '{folder}/olist/customers.parquet' AS customers USING (customer_id)
LEFT JOIN items USING (order_id)
LEFT JOIN payments USING (order_id)
WHERE {taken("orders.order_purchase_timestamp", OLIST_FIRST, OLIST_DAYS)}
ORDER BY purchased, orders.order_id
"""


def bakery_sql(folder: Path) -> str:
    """Bread basket: one row a unit sold; a repeated item is a quantity."""
    placed = '("date" || \' \' || "time")::TIMESTAMP'
    return f"""
SELECT
    transaction_no,
    {moved(placed, BAKERY_FIRST, BAKERY_BECOMES)} AS placed,
    item
FROM '{folder}/bread_basket/order_lines.parquet'
WHERE {taken('"date"::DATE', BAKERY_FIRST, BAKERY_DAYS)}
ORDER BY source_row
"""


def build(folder: Path, into: Path) -> None:
    """Write the four sample files. Raises duckdb.IOException if a data set is missing."""
    queries = {
        "online_retail": retail_sql(folder),
        "purchases": purchases_sql(into / "online_retail.parquet"),
        "olist": olist_sql(folder),
        "bakery": bakery_sql(folder),
    }
    with duckdb.connect() as connection:
        for name, query in queries.items():
            connection.execute(
                f"COPY ({query}) TO '{into / name}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19, PARQUET_VERSION v2)"
            )


def main() -> None:
    """Command line: one argument, the folder of the data sets."""
    parser = argparse.ArgumentParser(description="Build the sandbox's committed sample.")
    parser.add_argument("folder", type=Path, help="folder of the public data sets (parquet)")
    build(parser.parse_args().folder, DATA)


if __name__ == "__main__":
    main()
