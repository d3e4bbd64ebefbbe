-- Grain: one row per order, dimension and stretch of time in which its code did not change.
-- A version began when the source says, if the source moved its stamp and did not put it into the
-- future; else when the version was received. No version begins before the one landed before it.
INSERT INTO order_status_history BY NAME
WITH placed AS (
    SELECT
        v.*,
        LAG(v.updated_at) OVER landed AS previous_updated_at,
        ROW_NUMBER() OVER landed = 1 AS is_first
    FROM touched_versions AS v
    WINDOW landed AS (PARTITION BY v.order_key ORDER BY v.landing_seq)
),
stamped AS (
    SELECT
        p.*,
        CASE
            WHEN p.updated_at <= p.last_seen_at
                AND p.updated_at > COALESCE(p.previous_updated_at, TIMESTAMP '-infinity')
                THEN 'source_updated'
            WHEN p.is_first AND p.updated_at IS NULL AND p.created_at <= p.last_seen_at
                THEN 'source_created'
            ELSE 'observed'
        END AS basis
    FROM placed AS p
),
begun AS (
    SELECT
        s.*,
        CASE s.basis
            WHEN 'source_updated' THEN s.updated_at
            WHEN 'source_created' THEN s.created_at
            ELSE s.last_seen_at
        END AS stated_at
    FROM stamped AS s
),
ordered AS (
    SELECT
        b.*,
        MAX(b.stated_at) OVER (
            PARTITION BY b.order_key
            ORDER BY b.landing_seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS began_at
    FROM begun AS b
),
coded AS (
    SELECT
        o.* EXCLUDE (codes),
        UNNEST(o.codes, recursive := true)
    FROM ordered AS o
),
compared AS (
    SELECT
        c.*,
        LAG(c.code) OVER landed AS previous_code,
        LAG(c.source_code) OVER landed AS previous_source_code
    FROM coded AS c
    WINDOW landed AS (PARTITION BY c.order_key, c.dimension ORDER BY c.landing_seq)
),
changed AS (
    SELECT *
    FROM compared
    WHERE previous_code IS NULL
        OR code <> previous_code
        OR source_code IS DISTINCT FROM previous_source_code
)
SELECT
    source_system,
    source_account,
    order_key,
    dimension,
    code,
    source_code,
    began_at AS valid_from_utc,
    LEAD(began_at) OVER later AS valid_to_utc,
    CASE WHEN began_at > stated_at THEN 'observed' ELSE basis END AS valid_from_basis,
    last_seen_at AS observed_at,
    run_id,
    version_id,
    landing_seq,
    LEAD(began_at) OVER later IS NULL AS is_current
FROM changed
WINDOW later AS (PARTITION BY order_key, dimension ORDER BY landing_seq);
