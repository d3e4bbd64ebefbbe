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
WHERE epoch_us(valid_from_utc) <= epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01'))
    AND (
        valid_to_utc IS NULL
        OR epoch_us(valid_to_utc) > epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01'))
    );

CREATE OR REPLACE MACRO status_believed_on(moment) AS TABLE
WITH received AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY order_key ORDER BY landing_seq DESC) AS place
    FROM orderloom.versions
    WHERE epoch_us(last_seen_at) <= epoch_us(COALESCE(moment, TIMESTAMP '0001-01-01'))
)
SELECT
    source_system,
    source_account,
    order_key,
    UNNEST(codes, recursive := true),
    is_deleted,
    last_seen_at AS received_at,
    version_id,
    run_id
FROM received
WHERE place = 1;
