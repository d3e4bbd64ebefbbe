-- One row per account, currency and month of sale; purchases, drafts, cancelled orders and review
--     registrations left out.
-- key: source_system, source_account, currency, month
-- month: first day of the month of the order date (see daily_orders)
-- source_system: name of the source
-- source_account: name of the account
-- currency: ISO 4217 code of the amounts; NULL: not known
-- orders: orders, credits left out
-- credits: credits
-- ordered_net_amount: sum without tax of the orders, in currency
-- credited_net_amount: sum without tax of the credits, in currency; negative
-- net_amount: orders less credits, without tax, in currency
-- tax_amount: tax of orders less credits, in currency
-- gross_amount: orders less credits, with tax, in currency
-- units: quantity in the order rows, credits less; bundles count as one, their components not
-- orders_without_net_amount: orders and credits of which the source names no amount without tax
WITH units AS (
    SELECT
        r.order_key,
        SUM(r.quantity) AS units
    FROM order_rows AS r
    WHERE r.row_kind <> 'bundle_component'
    GROUP BY
        r.order_key
),
sales AS (
    SELECT
        CAST(DATE_TRUNC('month', o.business_date) AS DATE) AS sold_in,
        o.source_system,
        o.source_account,
        o.currency,
        t.order_sign,
        o.net_amount,
        o.tax_amount,
        o.gross_amount,
        u.units
    FROM orders AS o
    JOIN dim_order_type AS t
        ON t.order_type = o.order_type
    LEFT JOIN units AS u
        ON u.order_key = o.order_key
    WHERE t.is_revenue
        AND NOT o.is_deleted
        AND o.order_status NOT IN ('draft', 'cancelled')
)
SELECT
    s.sold_in AS month,
    s.source_system,
    s.source_account,
    s.currency,
    COUNT(CASE WHEN s.order_sign = 1 THEN 1 END) AS orders,
    COUNT(CASE WHEN s.order_sign = -1 THEN 1 END) AS credits,
    SUM(CASE WHEN s.order_sign = 1 THEN s.net_amount END) AS ordered_net_amount,
    SUM(CASE WHEN s.order_sign = -1 THEN -s.net_amount END) AS credited_net_amount,
    SUM(s.order_sign * s.net_amount) AS net_amount,
    SUM(s.order_sign * s.tax_amount) AS tax_amount,
    SUM(s.order_sign * s.gross_amount) AS gross_amount,
    SUM(s.order_sign * s.units) AS units,
    COUNT(CASE WHEN s.net_amount IS NULL THEN 1 END) AS orders_without_net_amount
FROM sales AS s
GROUP BY
    s.sold_in,
    s.source_system,
    s.source_account,
    s.currency
