-- Grain: one row per version that was landed since the last publication.
-- The pairs say which landing sequences of which account are to be published now.
CREATE TEMP TABLE fresh AS
SELECT
    v.source_system,
    v.source_account,
    v.version_id,
    v.order_key,
    v.landing_seq
FROM lake_orders AS v
JOIN pending AS p USING (source_system, source_account)
WHERE v.landing_seq > p.orders_after AND v.landing_seq <= p.orders_seq;

-- Grain: one row per fresh version that a later one followed.
CREATE TEMP TABLE overtaken AS
SELECT f.version_id
FROM fresh AS f
JOIN (
    SELECT
        order_key,
        MAX(landing_seq) AS last_seq
    FROM fresh
    GROUP BY order_key
    HAVING COUNT(*) > 1
) AS r
    ON r.order_key = f.order_key
    AND r.last_seq > f.landing_seq;
