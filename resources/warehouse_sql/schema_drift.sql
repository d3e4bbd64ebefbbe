-- Grain: one row per account, kind, field, JSON type and code.
-- Adds what was noted since the last publication to what is published.
CREATE TEMP TABLE folded AS
SELECT
    source_system,
    source_account,
    kind,
    field,
    json_type,
    code,
    CAST(SUM(versions) AS BIGINT) AS versions,
    MIN(first_seen_at) AS first_seen_at,
    MAX(last_seen_at) AS last_seen_at,
    ARG_MIN(example_order_key, first_landing_seq) AS example_order_key,
    ARG_MIN_NULL(example, first_landing_seq) AS example,
    MIN(first_landing_seq) AS first_landing_seq
FROM (
    SELECT *
    FROM schema_drift
    UNION ALL BY NAME
    SELECT
        d.source_system,
        d.source_account,
        d.kind,
        d.field,
        d.json_type,
        d.code,
        d.versions,
        CAST(d.first_seen_at AS TIMESTAMP) AS first_seen_at,
        CAST(d.last_seen_at AS TIMESTAMP) AS last_seen_at,
        d.order_key AS example_order_key,
        d.example,
        d.first_landing_seq
    FROM lake_drift AS d
    JOIN pending AS p USING (source_system, source_account)
    WHERE d.kind <> 'settled_type'
        AND d.landing_seq > p.drift_after
        AND d.landing_seq <= p.drift_seq
) AS noted
GROUP BY
    source_system,
    source_account,
    kind,
    field,
    json_type,
    code;

DELETE FROM schema_drift;

INSERT INTO schema_drift BY NAME
SELECT *
FROM folded;
