-- Grain: one row per order and status dimension, of a moment. The moment may be a TIMESTAMP, which
-- is UTC, a TIMESTAMPTZ, a DATE, which is its first moment, or a text; NULL gives no rows.
CREATE OR REPLACE MACRO status_on(moment) AS TABLE
SELECT
    source_system,
    source_account,
    order_key,
    dimension,
    code,
    source_code,
    valid_from_utc,
    valid_to_utc,
    valid_from_basis,
    observed_at
FROM order_status_history
WHERE valid_from_utc <= make_timestamp(epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01')))
    AND (valid_to_utc IS NULL OR valid_to_utc > make_timestamp(epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01'))));

-- The newest version of an order, where it had been received by then, needs no comparing with those
-- before it; and of a dimension that is not asked for nothing is read.
CREATE OR REPLACE MACRO status_believed_on(moment) AS TABLE
SELECT
    source_system,
    source_account,
    order_key,
    dimension,
    code,
    source_code,
    is_deleted,
    last_seen_at AS received_at,
    version_id,
    run_id
FROM orderloom.told
WHERE is_newest
    AND last_seen_at <= make_timestamp(epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01')))
UNION ALL
SELECT
    source_system,
    source_account,
    order_key,
    dimension,
    code,
    source_code,
    is_deleted,
    last_seen_at AS received_at,
    version_id,
    run_id
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY order_key, dimension ORDER BY landing_seq DESC) AS place
    FROM orderloom.told
    WHERE NOT is_newest
        AND last_seen_at <= make_timestamp(epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01')))
        AND order_key IN (
            SELECT order_key
            FROM orders
            WHERE last_seen_at > make_timestamp(epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01')))
        )
)
WHERE place = 1;

-- Grain: one row per order and thing told of it that differs between two moments. Only orders of
-- which a version was received in between are looked at.
CREATE OR REPLACE MACRO changes_between(first_moment, last_moment) AS TABLE
WITH heard AS (
    SELECT DISTINCT order_key
    FROM orderloom.told
    WHERE dimension = 'order_status'
        AND last_seen_at
            > make_timestamp(epoch_us(COALESCE(first_moment, TIMESTAMP '0001-01-01')))
        AND last_seen_at
            <= make_timestamp(epoch_us(COALESCE(last_moment, TIMESTAMP '0001-01-01')))
),
received AS (
    SELECT
        *,
        last_seen_at <= make_timestamp(epoch_us(COALESCE(first_moment, TIMESTAMP '0001-01-01')))
            AS was_known
    FROM orderloom.versions
    WHERE last_seen_at
            <= make_timestamp(epoch_us(COALESCE(last_moment, TIMESTAMP '0001-01-01')))
        AND order_key IN (SELECT order_key FROM heard)
),
ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY order_key, was_known ORDER BY landing_seq DESC) AS place
    FROM received
),
told AS (
    SELECT
        source_system,
        source_account,
        order_key,
        was_known,
        landing_seq,
        last_seen_at,
        run_id,
        UNNEST(
            list_transform(codes, lambda c: {'what': c.dimension, 'said': c.code}) || [
                {'what': 'currency', 'said': currency},
                {'what': 'net_amount', 'said': CAST(net_amount AS VARCHAR)},
                {'what': 'gross_amount', 'said': CAST(gross_amount AS VARCHAR)},
                {'what': 'row_count', 'said': CAST(row_count AS VARCHAR)},
                {'what': 'is_deleted', 'said': CAST(is_deleted AS VARCHAR)},
                {'what': 'order', 'said': 'known'}
            ],
            recursive := true
        )
    FROM ranked
    WHERE place = 1
)
SELECT
    n.source_system,
    n.source_account,
    n.order_key,
    n.what,
    b.said AS before,
    n.said AS after,
    n.last_seen_at AS received_at,
    n.run_id
FROM told AS n
LEFT JOIN told AS b
    ON b.order_key = n.order_key
    AND b.what = n.what
    AND b.was_known
WHERE NOT n.was_known
    AND CASE
        WHEN b.order_key IS NULL THEN n.what = 'order'
        ELSE n.landing_seq > b.landing_seq AND n.said IS DISTINCT FROM b.said
    END;
