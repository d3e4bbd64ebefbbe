-- One row per sale that is neither a credit, a draft nor deleted, with the moments at which it was
--     first allocated, shipped and delivered. A moment is NULL where the state was not reached, and
--     where nobody knows when: of an order that was first received in that state the source tells
--     the moment of its last change alone, which may be any later one.
-- order_key: the order, joins orders
-- source_system: name of the source
-- source_account: name of the account
-- order_number: the number that people use
-- order_type: joins dim_order_type
-- order_status: joins dim_order_status
-- order_date: civil date in the account's zone (see daily_orders)
-- placed_at_utc: when it was placed, orders.business_at; UTC
-- placed_at_basis: placed_at, placed_on (the first moment of that day in the account's zone, the
--     source naming no more: hours are up to 24 too many), created_at (not known when placed)
-- allocated_at_utc: when all its stock was first set aside; UTC
-- allocated_at_basis: on what it rests: source_event, source_updated, observed (in each case the
--     change happened then at the latest, and after the version before was received: see
--     order_status_history), unknown (reached, nobody knows when); NULL: not reached
-- shipped_at_utc: when all of it was first sent; UTC; NULL also where it was seen delivered, never
--     shipped
-- shipped_at_basis: as allocated_at_basis
-- delivered_at_utc: when it first arrived; UTC
-- delivered_at_basis: as allocated_at_basis
-- hours_to_allocated: hours, of whole minutes, from placed_at_utc to allocated_at_utc; NULL also
--     where the source has it allocated before it was placed
-- hours_to_shipped: the same to shipped_at_utc
-- hours_to_delivered: the same to delivered_at_utc
WITH sales AS (
    SELECT
        o.order_key,
        o.source_system,
        o.source_account,
        o.order_number,
        o.order_type,
        o.order_status,
        o.business_date,
        o.business_at,
        o.business_at_basis
    FROM orders AS o
    JOIN dim_order_type AS t
        ON t.order_type = o.order_type
    WHERE t.is_sale
        AND t.order_sign = 1
        AND NOT o.is_deleted
        AND o.order_status <> 'draft'
),
stretches AS (
    SELECT
        h.order_key,
        h.dimension,
        h.code,
        h.valid_from_utc,
        h.valid_from_basis,
        h.observed_at,
        LAG(h.code) OVER (
            PARTITION BY h.order_key, h.dimension
            ORDER BY h.valid_from_utc, h.landing_seq
        ) AS previous_code,
        ROW_NUMBER() OVER (
            PARTITION BY h.order_key, h.dimension, h.code
            ORDER BY h.valid_from_utc, h.landing_seq
        ) AS time_no
    FROM order_status_history AS h
    WHERE h.dimension IN ('allocation_status', 'shipping_status')
),
reached AS (
    SELECT
        s.order_key,
        s.code,
        s.valid_from_utc,
        CASE
            WHEN s.valid_from_basis = 'source_event' THEN s.valid_from_basis
            WHEN s.previous_code IN ('not_allocated', 'partially_allocated')
                OR s.previous_code IN ('not_shipped', 'scheduled', 'partially_shipped')
                OR (s.previous_code = 'shipped' AND s.code = 'delivered')
                THEN s.valid_from_basis
            WHEN s.previous_code IS NULL
                AND o.business_at_basis <> 'placed_on'
                AND s.observed_at <= o.business_at + INTERVAL '1' HOUR
                THEN s.valid_from_basis
            ELSE 'unknown'
        END AS basis
    FROM stretches AS s
    JOIN sales AS o
        ON o.order_key = s.order_key
    WHERE s.time_no = 1
        AND s.code IN ('allocated', 'shipped', 'delivered')
),
dated AS (
    SELECT
        r.order_key,
        MAX(CASE WHEN r.code = 'allocated' THEN r.basis END) AS allocated_at_basis,
        MAX(CASE WHEN r.code = 'shipped' THEN r.basis END) AS shipped_at_basis,
        MAX(CASE WHEN r.code = 'delivered' THEN r.basis END) AS delivered_at_basis,
        MAX(CASE WHEN r.code = 'allocated' AND r.basis <> 'unknown' THEN r.valid_from_utc END)
            AS allocated_at_utc,
        MAX(CASE WHEN r.code = 'shipped' AND r.basis <> 'unknown' THEN r.valid_from_utc END)
            AS shipped_at_utc,
        MAX(CASE WHEN r.code = 'delivered' AND r.basis <> 'unknown' THEN r.valid_from_utc END)
            AS delivered_at_utc
    FROM reached AS r
    GROUP BY
        r.order_key
),
spans AS (
    SELECT
        d.order_key,
        CASE WHEN d.allocated_at_utc >= o.business_at THEN d.allocated_at_utc - o.business_at END
            AS to_allocated,
        CASE WHEN d.shipped_at_utc >= o.business_at THEN d.shipped_at_utc - o.business_at END
            AS to_shipped,
        CASE WHEN d.delivered_at_utc >= o.business_at THEN d.delivered_at_utc - o.business_at END
            AS to_delivered
    FROM dated AS d
    JOIN sales AS o
        ON o.order_key = d.order_key
)
SELECT
    o.order_key,
    o.source_system,
    o.source_account,
    o.order_number,
    o.order_type,
    o.order_status,
    o.business_date AS order_date,
    o.business_at AS placed_at_utc,
    o.business_at_basis AS placed_at_basis,
    d.allocated_at_utc,
    d.allocated_at_basis,
    d.shipped_at_utc,
    d.shipped_at_basis,
    d.delivered_at_utc,
    d.delivered_at_basis,
    CAST(24 * EXTRACT(DAY FROM p.to_allocated) + EXTRACT(HOUR FROM p.to_allocated) AS DOUBLE)
        + CAST(EXTRACT(MINUTE FROM p.to_allocated) AS DOUBLE) / 60 AS hours_to_allocated,
    CAST(24 * EXTRACT(DAY FROM p.to_shipped) + EXTRACT(HOUR FROM p.to_shipped) AS DOUBLE)
        + CAST(EXTRACT(MINUTE FROM p.to_shipped) AS DOUBLE) / 60 AS hours_to_shipped,
    CAST(24 * EXTRACT(DAY FROM p.to_delivered) + EXTRACT(HOUR FROM p.to_delivered) AS DOUBLE)
        + CAST(EXTRACT(MINUTE FROM p.to_delivered) AS DOUBLE) / 60 AS hours_to_delivered
FROM sales AS o
LEFT JOIN dated AS d
    ON d.order_key = o.order_key
LEFT JOIN spans AS p
    ON p.order_key = o.order_key
