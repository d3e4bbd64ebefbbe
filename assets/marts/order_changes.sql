-- One row per change of a status: an order, a dimension, and the moment its code became another.
-- key: order_key, dimension, changed_at_utc, observed_at_utc
-- follows: order_key
-- order_key: the order, joins orders
-- source_system: name of the source
-- source_account: name of the account
-- order_number: the number that people use
-- dimension: the status that changed, for instance payment_status
-- changed_at_utc: when it changed; UTC
-- changed_at_basis: on what it rests: source_event, source_updated, source_created, observed
-- previous_code: canonical code before, joins the table dim_ and dimension
-- code: canonical code after
-- previous_source_code: the source's own code before
-- source_code: the source's own code after
-- previous_since_utc: since when the code before had held; UTC
-- observed_at_utc: when the first version that told of the code after was received; UTC
-- run_id: the run that received it, joins runs
WITH stretches AS (
    SELECT
        h.order_key,
        h.source_system,
        h.source_account,
        h.dimension,
        h.valid_from_utc,
        h.valid_from_basis,
        h.code,
        h.source_code,
        h.observed_at,
        h.run_id,
        LAG(h.code) OVER (
            PARTITION BY h.order_key, h.dimension
            ORDER BY h.valid_from_utc, h.landing_seq
        ) AS previous_code,
        LAG(h.source_code) OVER (
            PARTITION BY h.order_key, h.dimension
            ORDER BY h.valid_from_utc, h.landing_seq
        ) AS previous_source_code,
        LAG(h.valid_from_utc) OVER (
            PARTITION BY h.order_key, h.dimension
            ORDER BY h.valid_from_utc, h.landing_seq
        ) AS previous_since_utc
    FROM order_status_history AS h
    WHERE h.order_key IN (
        SELECT c.order_key
        FROM order_status_history AS c
        WHERE NOT c.is_current
    )
)
SELECT
    s.order_key,
    s.source_system,
    s.source_account,
    o.order_number,
    s.dimension,
    s.valid_from_utc AS changed_at_utc,
    s.valid_from_basis AS changed_at_basis,
    s.previous_code,
    s.code,
    s.previous_source_code,
    s.source_code,
    s.previous_since_utc,
    s.observed_at AS observed_at_utc,
    s.run_id
FROM stretches AS s
JOIN orders AS o
    ON o.order_key = s.order_key
WHERE s.previous_code IS NOT NULL
