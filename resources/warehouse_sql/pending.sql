-- Grain: one row per version that was landed since the last publication.
-- The pairs say which landing sequences of which account are to be published now.
CREATE TEMP TABLE fresh AS
SELECT
    v.version_id,
    v.order_key,
    v.landing_seq,
    ROW_NUMBER() OVER (PARTITION BY v.order_key ORDER BY v.landing_seq DESC) = 1 AS is_newest
FROM lake_orders AS v
JOIN pending AS p USING (source_system, source_account)
WHERE v.landing_seq > p.orders_after AND v.landing_seq <= p.orders_seq;

CREATE TEMP TABLE newest AS
SELECT
    version_id,
    order_key
FROM fresh
WHERE is_newest;
