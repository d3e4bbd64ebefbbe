-- One row per sale that is neither a credit, a draft nor deleted, with the moments at which it was
--     first allocated, shipped and delivered. A moment is NULL where the state was not reached, and
--     where nobody knows when: of an order that was first received in that state the source tells
--     the moment of its last change alone, which may be any later one.
-- key: order_key
-- follows: order_key
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
-- allocated_at_basis: on what it rests: source_event (the source says when), source_updated,
--     source_created, observed (it happened then at the latest, after the version before was
--     received or within an hour of placing; see order_status_history), unknown (reached, nobody
--     knows when); NULL: not reached
-- shipped_at_utc: when all of it was first sent; UTC; NULL also where it was seen delivered, never
--     shipped
-- shipped_at_basis: as allocated_at_basis
-- delivered_at_utc: when it first arrived; UTC
-- delivered_at_basis: as allocated_at_basis
-- hours_to_allocated: hours, by the minute, from placed_at_utc to allocated_at_utc; NULL also where
--     the source has it allocated before it was placed
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
moved AS (
    SELECT DISTINCT
        h.order_key
    FROM order_status_history AS h
    WHERE h.dimension IN ('allocation_status', 'shipping_status')
        AND NOT h.is_current
),
-- Most orders have one stretch a dimension, and need no window.
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
    JOIN moved AS m
        ON m.order_key = h.order_key
    WHERE h.dimension IN ('allocation_status', 'shipping_status')
    UNION ALL
    SELECT
        h.order_key,
        h.dimension,
        h.code,
        h.valid_from_utc,
        h.valid_from_basis,
        h.observed_at,
        NULL AS previous_code,
        1 AS time_no
    FROM order_status_history AS h
    LEFT JOIN moved AS m
        ON m.order_key = h.order_key
    WHERE m.order_key IS NULL
        AND h.dimension IN ('allocation_status', 'shipping_status')
        AND h.code IN ('allocated', 'shipped', 'delivered')
),
reached AS (
    SELECT
        s.order_key,
        s.code,
        s.valid_from_utc,
        o.business_at,
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
        r.code,
        r.basis,
        CASE WHEN r.basis <> 'unknown' THEN r.valid_from_utc END AS reached_at,
        CASE
            WHEN r.basis <> 'unknown' AND r.valid_from_utc >= r.business_at
                THEN CAST(
                    60 * (
                        24 * EXTRACT(
                            DAY FROM (
                                CAST(CAST(r.valid_from_utc AS DATE) AS TIMESTAMP)
                                - CAST(CAST(r.business_at AS DATE) AS TIMESTAMP)
                            )
                        )
                        + EXTRACT(HOUR FROM r.valid_from_utc)
                        - EXTRACT(HOUR FROM r.business_at)
                    )
                    + EXTRACT(MINUTE FROM r.valid_from_utc)
                    - EXTRACT(MINUTE FROM r.business_at) AS DOUBLE
                ) / 60
        END AS hours
    FROM reached AS r
),
told AS (
    SELECT
        d.order_key,
        MAX(CASE WHEN d.code = 'allocated' THEN d.reached_at END) AS allocated_at_utc,
        MAX(CASE WHEN d.code = 'allocated' THEN d.basis END) AS allocated_at_basis,
        MAX(CASE WHEN d.code = 'allocated' THEN d.hours END) AS hours_to_allocated,
        MAX(CASE WHEN d.code = 'shipped' THEN d.reached_at END) AS shipped_at_utc,
        MAX(CASE WHEN d.code = 'shipped' THEN d.basis END) AS shipped_at_basis,
        MAX(CASE WHEN d.code = 'shipped' THEN d.hours END) AS hours_to_shipped,
        MAX(CASE WHEN d.code = 'delivered' THEN d.reached_at END) AS delivered_at_utc,
        MAX(CASE WHEN d.code = 'delivered' THEN d.basis END) AS delivered_at_basis,
        MAX(CASE WHEN d.code = 'delivered' THEN d.hours END) AS hours_to_delivered
    FROM dated AS d
    GROUP BY
        d.order_key
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
    t.allocated_at_utc,
    t.allocated_at_basis,
    t.shipped_at_utc,
    t.shipped_at_basis,
    t.delivered_at_utc,
    t.delivered_at_basis,
    t.hours_to_allocated,
    t.hours_to_shipped,
    t.hours_to_delivered
FROM sales AS o
LEFT JOIN told AS t
    ON t.order_key = o.order_key
