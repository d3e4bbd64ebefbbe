-- One row per order that is placed and not finished: neither draft, completed, cancelled, returned
--     nor deleted; orders of unknown status count as open until the source closes them.
-- key: order_key
-- follows: order_key
-- moving: age_days
-- order_key: the order, joins orders
-- source_system: name of the source
-- source_account: name of the account
-- order_number: the number that people use
-- order_type: joins dim_order_type
-- is_purchase: true: something is bought
-- order_date: civil date in the account's zone (see daily_orders)
-- order_status: joins dim_order_status
-- source_status_name: the source's own label of the status
-- payment_status: joins dim_payment_status
-- shipping_status: joins dim_shipping_status
-- allocation_status: joins dim_allocation_status
-- fulfilment_status: joins dim_fulfilment_status
-- fulfilment_method: joins dim_fulfilment_method
-- currency: ISO 4217 code of the amounts
-- net_amount: total without tax, in currency; credits count negative
-- gross_amount: total with tax, in currency; credits count negative
-- waits_for: the first of these that is so. attention: its status is `problem`; receipt: goods
--     bought have not all come in; payment: not paid in full, or a credit not paid back;
--     allocation: no stock set aside for some of it; shipping: not all of it sent; collection:
--     ready for the customer; delivery: sent, not known to have arrived; closing: arrived;
--     processing: at work, none of these applying or known; unknown: the source tells of neither a
--     status nor any of these
-- age_days: whole days, of 24 hours, from orders.business_at until the account's last success
--     (dim_account.last_success_at when the file was published); NULL: no success or date known
-- requested_delivery_on: civil date on which the customer wants it
-- confirmed_delivery_on: civil date of the confirmed delivery
-- location_id: the warehouse, branch or restaurant
-- channel_id: the sales channel
-- assignee_id: whoever looks after the order
-- order_status_since_utc: since when the order has had this status; UTC
WITH since AS (
    SELECT
        h.order_key,
        h.valid_from_utc
    FROM order_status_history AS h
    WHERE h.dimension = 'order_status'
        AND h.is_current
)
SELECT
    o.order_key,
    o.source_system,
    o.source_account,
    o.order_number,
    o.order_type,
    t.is_purchase,
    o.business_date AS order_date,
    o.order_status,
    o.source_status_name,
    o.payment_status,
    o.shipping_status,
    o.allocation_status,
    o.fulfilment_status,
    o.fulfilment_method,
    o.currency,
    t.order_sign * o.net_amount AS net_amount,
    t.order_sign * o.gross_amount AS gross_amount,
    CASE
        WHEN o.order_status = 'problem' THEN 'attention'
        WHEN t.is_purchase AND o.fulfilment_status IN ('none', 'partial') THEN 'receipt'
        WHEN o.payment_status IN ('unpaid', 'partially_paid', 'failed') THEN 'payment'
        WHEN o.allocation_status IN ('not_allocated', 'partially_allocated') THEN 'allocation'
        WHEN o.shipping_status IN ('not_shipped', 'scheduled', 'partially_shipped') THEN 'shipping'
        WHEN o.order_status = 'ready_for_pickup' THEN 'collection'
        WHEN o.shipping_status = 'shipped' OR o.order_status = 'in_transit' THEN 'delivery'
        WHEN o.shipping_status = 'delivered' THEN 'closing'
        WHEN o.order_status = 'unknown' THEN 'unknown'
        ELSE 'processing'
    END AS waits_for,
    CASE
        WHEN a.last_success_at < o.business_at THEN 0
        ELSE CAST(EXTRACT(DAY FROM (a.last_success_at - o.business_at)) AS INTEGER)
    END AS age_days,
    o.requested_delivery_on,
    o.confirmed_delivery_on,
    o.location_id,
    o.channel_id,
    o.assignee_id,
    s.valid_from_utc AS order_status_since_utc
FROM orders AS o
JOIN dim_order_type AS t
    ON t.order_type = o.order_type
LEFT JOIN dim_account AS a
    ON a.source_system = o.source_system
    AND a.source_account = o.source_account
LEFT JOIN since AS s
    ON s.order_key = o.order_key
WHERE NOT o.is_deleted
    AND (
        o.order_status IN ('open', 'processing', 'ready_for_pickup', 'in_transit', 'problem')
        OR (
            o.order_status = 'unknown'
            AND o.closed_at IS NULL
            AND o.cancelled_at IS NULL
            AND o.cancelled_on IS NULL
        )
    )
