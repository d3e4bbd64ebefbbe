-- One row per account: how far its published orders can be trusted. Counts are of orders that are
--     not deleted, unless their column says otherwise.
-- key: source_system, source_account
-- source_system: name of the source
-- source_account: name of the account
-- orders: orders
-- deleted_orders: tombstones: orders that the source no longer has
-- suspected_deletions: orders that were missing from the source's last complete answer, once so far
-- without_order_date: orders with neither a date of placing nor of creation
-- without_currency: orders with an amount of which the currency is not known
-- totals_mismatch: orders whose header differs from the sum of its rows
-- totals_rounding: orders whose header differs from the sum of its rows by no more than rounding
-- totals_not_checkable: orders whose header cannot be compared with rows
-- unknown_order_type: orders whose type has no canonical code
-- unknown_order_status: orders whose order status is unknown
-- unknown_payment_status: orders whose payment status is unknown
-- unknown_shipping_status: orders whose shipping status is unknown
-- unknown_allocation_status: orders whose allocation status is unknown
-- unknown_fulfilment_status: orders whose fulfilment status is unknown
-- rows_missing: orders whose rows could not be read
-- rows_stale: orders whose rows are older than the order
-- negative_credits: credits whose amount is already negative as received: they count positive
-- held_orders: orders of which the newest version is in quarantine, and an older one or none shown
-- unread_fields: fields in quarantine, of all orders
-- unknown_fields: fields received that nobody names; see schema_drift
-- changed_types: known fields received with another JSON type than before or than documented
-- unmapped_codes: codes received that nothing maps, whatever the number of their orders
-- last_success_at: when the account's newest successful run finished, as dim_account knows it; UTC;
--     NULL: none yet
-- stale_at: after this moment without a further success the account is stale; UTC; NULL: no success
--     yet
-- last_error: why its newest failed run failed, in one line; NULL: a run has succeeded since
WITH counted AS (
    SELECT
        o.source_system,
        o.source_account,
        COUNT(CASE WHEN NOT o.is_deleted THEN 1 END) AS orders,
        COUNT(CASE WHEN o.is_deleted THEN 1 END) AS deleted_orders,
        COUNT(CASE
            WHEN NOT o.is_deleted AND array_contains(o.quality_flags, 'deletion_suspected') THEN 1
        END) AS suspected_deletions,
        COUNT(CASE WHEN NOT o.is_deleted AND o.business_date IS NULL THEN 1 END)
            AS without_order_date,
        COUNT(CASE
            WHEN NOT o.is_deleted AND o.currency IS NULL
                AND COALESCE(o.gross_amount, o.net_amount) IS NOT NULL THEN 1
        END) AS without_currency,
        COUNT(CASE WHEN NOT o.is_deleted AND o.totals_check = 'mismatch' THEN 1 END)
            AS totals_mismatch,
        COUNT(CASE WHEN NOT o.is_deleted AND o.totals_check = 'rounding' THEN 1 END)
            AS totals_rounding,
        COUNT(CASE WHEN NOT o.is_deleted AND o.totals_check = 'not_checkable' THEN 1 END)
            AS totals_not_checkable,
        COUNT(CASE WHEN NOT o.is_deleted AND o.order_type = 'unknown' THEN 1 END)
            AS unknown_order_type,
        COUNT(CASE WHEN NOT o.is_deleted AND o.order_status = 'unknown' THEN 1 END)
            AS unknown_order_status,
        COUNT(CASE WHEN NOT o.is_deleted AND o.payment_status = 'unknown' THEN 1 END)
            AS unknown_payment_status,
        COUNT(CASE WHEN NOT o.is_deleted AND o.shipping_status = 'unknown' THEN 1 END)
            AS unknown_shipping_status,
        COUNT(CASE WHEN NOT o.is_deleted AND o.allocation_status = 'unknown' THEN 1 END)
            AS unknown_allocation_status,
        COUNT(CASE WHEN NOT o.is_deleted AND o.fulfilment_status = 'unknown' THEN 1 END)
            AS unknown_fulfilment_status,
        COUNT(CASE WHEN NOT o.is_deleted AND o.rows_state = 'missing' THEN 1 END) AS rows_missing,
        COUNT(CASE WHEN NOT o.is_deleted AND o.rows_state = 'stale' THEN 1 END) AS rows_stale,
        COUNT(CASE
            WHEN NOT o.is_deleted AND t.order_sign = -1
                AND COALESCE(o.gross_amount, o.net_amount) < 0 THEN 1
        END) AS negative_credits
    FROM orders AS o
    JOIN dim_order_type AS t
        ON t.order_type = o.order_type
    GROUP BY
        o.source_system,
        o.source_account
),
faulty AS (
    SELECT
        q.source_system,
        q.source_account,
        COUNT(DISTINCT CASE WHEN q.is_held THEN q.order_key END) AS held_orders,
        COUNT(*) AS unread_fields
    FROM quarantine AS q
    GROUP BY
        q.source_system,
        q.source_account
),
drifted AS (
    SELECT
        d.source_system,
        d.source_account,
        COUNT(DISTINCT CASE WHEN d.kind = 'unknown_field' THEN d.field END) AS unknown_fields,
        COUNT(DISTINCT CASE WHEN d.kind = 'changed_type' THEN d.field END) AS changed_types,
        COUNT(CASE WHEN d.kind = 'unmapped_code' THEN 1 END) AS unmapped_codes
    FROM schema_drift AS d
    GROUP BY
        d.source_system,
        d.source_account
)
SELECT
    a.source_system,
    a.source_account,
    COALESCE(c.orders, 0) AS orders,
    COALESCE(c.deleted_orders, 0) AS deleted_orders,
    COALESCE(c.suspected_deletions, 0) AS suspected_deletions,
    COALESCE(c.without_order_date, 0) AS without_order_date,
    COALESCE(c.without_currency, 0) AS without_currency,
    COALESCE(c.totals_mismatch, 0) AS totals_mismatch,
    COALESCE(c.totals_rounding, 0) AS totals_rounding,
    COALESCE(c.totals_not_checkable, 0) AS totals_not_checkable,
    COALESCE(c.unknown_order_type, 0) AS unknown_order_type,
    COALESCE(c.unknown_order_status, 0) AS unknown_order_status,
    COALESCE(c.unknown_payment_status, 0) AS unknown_payment_status,
    COALESCE(c.unknown_shipping_status, 0) AS unknown_shipping_status,
    COALESCE(c.unknown_allocation_status, 0) AS unknown_allocation_status,
    COALESCE(c.unknown_fulfilment_status, 0) AS unknown_fulfilment_status,
    COALESCE(c.rows_missing, 0) AS rows_missing,
    COALESCE(c.rows_stale, 0) AS rows_stale,
    COALESCE(c.negative_credits, 0) AS negative_credits,
    COALESCE(f.held_orders, 0) AS held_orders,
    COALESCE(f.unread_fields, 0) AS unread_fields,
    COALESCE(r.unknown_fields, 0) AS unknown_fields,
    COALESCE(r.changed_types, 0) AS changed_types,
    COALESCE(r.unmapped_codes, 0) AS unmapped_codes,
    a.last_success_at,
    a.stale_at,
    a.last_error
FROM dim_account AS a
LEFT JOIN counted AS c
    ON c.source_system = a.source_system
    AND c.source_account = a.source_account
LEFT JOIN faulty AS f
    ON f.source_system = a.source_system
    AND f.source_account = a.source_account
LEFT JOIN drifted AS r
    ON r.source_system = a.source_system
    AND r.source_account = a.source_account
