-- One row per account and product for which open sales lack stock; product and sku are NULL for
--     orders of which no product rows are known.
-- key: source_system, source_account, product_id, sku
-- source_system: name of the source
-- source_account: name of the account
-- product_id: the source's id of the product
-- sku: stock keeping unit
-- product_name: name of the product on one of the orders
-- not_allocated_orders: open orders of it with no stock set aside
-- partially_allocated_orders: open orders of it with stock set aside for some of their rows
-- not_allocated_quantity: quantity on the orders with no stock set aside
-- partially_allocated_quantity: quantity on the partially allocated orders: at most this is missing
-- first_order_date: date of the oldest of these orders (see daily_orders)
WITH short AS (
    SELECT
        o.order_key,
        o.source_system,
        o.source_account,
        CASE WHEN o.allocation_status = 'not_allocated' THEN 1 ELSE 0 END AS is_bare,
        o.business_date AS order_date
    FROM orders AS o
    JOIN dim_order_type AS t
        ON t.order_type = o.order_type
    WHERE t.is_sale
        AND t.order_sign = 1
        AND NOT o.is_deleted
        AND o.allocation_status IN ('not_allocated', 'partially_allocated')
        AND o.order_status NOT IN ('draft', 'completed', 'cancelled', 'returned')
),
goods AS (
    SELECT
        r.order_key,
        r.product_id,
        r.sku,
        r.product_name,
        r.quantity
    FROM order_rows AS r
    WHERE r.row_kind NOT IN ('bundle_parent', 'service', 'incorporation')
),
-- Orders are told apart before they are counted: a DISTINCT for each count costs more.
lines AS (
    SELECT
        s.order_key,
        s.source_system,
        s.source_account,
        s.is_bare,
        s.order_date,
        g.product_id,
        g.sku,
        MAX(g.product_name) AS product_name,
        SUM(g.quantity) AS quantity
    FROM short AS s
    LEFT JOIN goods AS g
        ON g.order_key = s.order_key
    GROUP BY
        s.order_key,
        s.source_system,
        s.source_account,
        s.is_bare,
        s.order_date,
        g.product_id,
        g.sku
)
SELECT
    l.source_system,
    l.source_account,
    l.product_id,
    l.sku,
    MAX(l.product_name) AS product_name,
    COUNT(CASE WHEN l.is_bare = 1 THEN 1 END) AS not_allocated_orders,
    COUNT(CASE WHEN l.is_bare = 0 THEN 1 END) AS partially_allocated_orders,
    SUM(CASE WHEN l.is_bare = 1 THEN l.quantity END) AS not_allocated_quantity,
    SUM(CASE WHEN l.is_bare = 0 THEN l.quantity END) AS partially_allocated_quantity,
    MIN(l.order_date) AS first_order_date
FROM lines AS l
GROUP BY
    l.source_system,
    l.source_account,
    l.product_id,
    l.sku
