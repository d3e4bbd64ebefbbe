-- One row per account, currency, payment status, basis of that status, and payment method of sales;
--     drafts, cancelled and deleted orders and review registrations left out.
-- key: source_system, source_account, currency, payment_status, payment_status_basis,
--     payment_method
-- source_system: name of the source
-- source_account: name of the account
-- currency: ISO 4217 code of the amounts; NULL: not known
-- payment_status: joins dim_payment_status
-- payment_status_basis: on what the status rests; documented_flag is not proof that cash came in
-- payment_method: code of the payment method
-- exposure: what is still to come of gross_amount: all, part (how much is not known), none, unknown
-- orders: orders and credits
-- gross_amount: total with tax, in currency; credits count negative
-- orders_without_amount: of the orders, those of which the source names no total
-- delivered_orders: of the orders, those shipped, delivered or completed
-- delivered_gross_amount: total with tax of the delivered, in currency
WITH sales AS (
    SELECT
        o.source_system,
        o.source_account,
        o.currency,
        o.payment_status,
        o.payment_status_basis,
        o.payment_method,
        CASE
            WHEN o.payment_status IN ('unpaid', 'authorized', 'failed') THEN 'all'
            WHEN o.payment_status = 'partially_paid' THEN 'part'
            WHEN o.payment_status = 'unknown' THEN 'unknown'
            ELSE 'none'
        END AS exposure,
        CASE
            WHEN o.shipping_status IN ('shipped', 'delivered') THEN 1
            WHEN o.order_status = 'completed' THEN 1
            ELSE 0
        END AS is_delivered,
        t.order_sign * o.gross_amount AS gross_amount
    FROM orders AS o
    JOIN dim_order_type AS t
        ON t.order_type = o.order_type
    WHERE t.is_revenue
        AND NOT o.is_deleted
        AND o.order_status NOT IN ('draft', 'cancelled')
)
SELECT
    s.source_system,
    s.source_account,
    s.currency,
    s.payment_status,
    s.payment_status_basis,
    s.payment_method,
    s.exposure,
    COUNT(*) AS orders,
    SUM(s.gross_amount) AS gross_amount,
    COUNT(CASE WHEN s.gross_amount IS NULL THEN 1 END) AS orders_without_amount,
    COUNT(CASE WHEN s.is_delivered = 1 THEN 1 END) AS delivered_orders,
    SUM(CASE WHEN s.is_delivered = 1 THEN s.gross_amount END) AS delivered_gross_amount
FROM sales AS s
GROUP BY
    s.source_system,
    s.source_account,
    s.currency,
    s.payment_status,
    s.payment_status_basis,
    s.payment_method,
    s.exposure
