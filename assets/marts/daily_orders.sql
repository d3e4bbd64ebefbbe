-- One row per account, order type, currency and order date; review registrations left out.
-- key: source_system, source_account, order_type, currency, order_date
-- order_date: orders.business_date: civil date in the account's zone of placing, or where that is
--     unknown of creation; NULL: the source names neither
-- source_system: name of the source
-- source_account: name of the account
-- order_type: joins dim_order_type
-- is_sale: true: something is sold, or a sale credited
-- is_purchase: true: something is bought, or a purchase credited
-- currency: ISO 4217 code of the amounts; NULL: not known
-- orders: orders that are neither draft nor cancelled
-- draft_orders: drafts: quotes and abandoned checkouts
-- cancelled_orders: cancelled orders
-- net_amount: sum without tax of the column orders, in currency; credits count negative
-- tax_amount: tax of the same, in currency
-- gross_amount: sum with tax of the same, in currency
WITH dated AS (
    SELECT
        o.source_system,
        o.source_account,
        o.order_type,
        o.currency,
        o.business_date AS order_date,
        CASE WHEN o.order_status = 'draft' THEN 1 ELSE 0 END AS is_draft,
        CASE WHEN o.order_status = 'cancelled' THEN 1 ELSE 0 END AS is_cancelled,
        CASE WHEN o.order_status IN ('draft', 'cancelled') THEN 0 ELSE 1 END AS counts,
        o.net_amount,
        o.tax_amount,
        o.gross_amount
    FROM orders AS o
    WHERE NOT o.is_deleted
        AND o.order_type <> 'review_registration'
)
SELECT
    d.order_date,
    d.source_system,
    d.source_account,
    d.order_type,
    t.is_sale,
    t.is_purchase,
    d.currency,
    CAST(SUM(d.counts) AS BIGINT) AS orders,
    CAST(SUM(d.is_draft) AS BIGINT) AS draft_orders,
    CAST(SUM(d.is_cancelled) AS BIGINT) AS cancelled_orders,
    SUM(CASE WHEN d.counts = 1 THEN t.order_sign * d.net_amount END) AS net_amount,
    SUM(CASE WHEN d.counts = 1 THEN t.order_sign * d.tax_amount END) AS tax_amount,
    SUM(CASE WHEN d.counts = 1 THEN t.order_sign * d.gross_amount END) AS gross_amount
FROM dated AS d
JOIN dim_order_type AS t
    ON t.order_type = d.order_type
GROUP BY
    d.order_date,
    d.source_system,
    d.source_account,
    d.order_type,
    t.is_sale,
    t.is_purchase,
    d.currency
