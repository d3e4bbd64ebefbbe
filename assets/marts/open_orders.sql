-- One row per order that is placed and not finished: neither draft, completed, cancelled, returned
--     nor deleted; orders of unknown status count as open until the source closes them.
-- key: order_key
-- order_key: the order, joins orders
-- source_system: name of the source
-- source_account: name of the account
-- order_number: the number that people use
-- order_type: joins dim_order_type
-- is_purchase: true: something is bought
-- order_date: civil date of placing, or where that is unknown the UTC date of creation
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
    COALESCE(o.placed_on, CAST(o.placed_at AS DATE), CAST(o.created_at AS DATE)) AS order_date,
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
    COALESCE(o.requested_delivery_on, CAST(o.requested_delivery_at AS DATE))
        AS requested_delivery_on,
    o.confirmed_delivery_on,
    o.location_id,
    o.channel_id,
    o.assignee_id,
    s.valid_from_utc AS order_status_since_utc
FROM orders AS o
JOIN dim_order_type AS t
    ON t.order_type = o.order_type
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
