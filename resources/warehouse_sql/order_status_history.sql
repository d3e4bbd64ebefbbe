-- Grain: one row per order, dimension and stretch of time in which its code did not change.
-- A version began when the source says, if the source moved its stamp and did not put it into the
-- future; else when the version was received. No version begins before the one landed before it.
CREATE OR REPLACE TEMP MACRO basis_of(created, updated, previous_updated, received, is_first) AS
    CASE
        WHEN updated <= received AND (previous_updated IS NULL OR updated > previous_updated)
            THEN 'source_updated'
        WHEN is_first AND updated IS NULL AND created <= received
            THEN 'source_created'
        ELSE 'observed'
    END;

CREATE OR REPLACE TEMP MACRO began(basis, created, updated, received) AS
    CASE basis
        WHEN 'source_updated' THEN updated
        WHEN 'source_created' THEN created
        ELSE received
    END;

-- Orders of one version, that is most of them: nothing to compare.
INSERT INTO order_status_history BY NAME
WITH stamped AS (
    SELECT
        v.*,
        basis_of(v.created_at, v.updated_at, NULL, v.last_seen_at, TRUE) AS basis
    FROM touched_versions AS v
    ANTI JOIN orderloom.superseded USING (order_key)
)
SELECT
    source_system,
    source_account,
    order_key,
    UNNEST(codes, recursive := true),
    began(basis, created_at, updated_at, last_seen_at) AS valid_from_utc,
    NULL AS valid_to_utc,
    basis AS valid_from_basis,
    last_seen_at AS observed_at,
    run_id,
    landing_seq,
    TRUE AS is_current
FROM stamped;

-- Orders of several versions.
INSERT INTO order_status_history BY NAME
WITH placed AS (
    SELECT
        v.*,
        LAG(v.updated_at) OVER landed AS previous_updated_at,
        ROW_NUMBER() OVER landed = 1 AS is_first
    FROM touched_versions AS v
    SEMI JOIN orderloom.superseded USING (order_key)
    WINDOW landed AS (PARTITION BY v.order_key ORDER BY v.landing_seq)
),
stamped AS (
    SELECT
        *,
        basis_of(created_at, updated_at, previous_updated_at, last_seen_at, is_first) AS basis,
        began(basis, created_at, updated_at, last_seen_at) AS stated_at
    FROM placed
),
ordered AS (
    SELECT
        s.*,
        MAX(s.stated_at) OVER (
            PARTITION BY s.order_key
            ORDER BY s.landing_seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS began_at
    FROM stamped AS s
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
    landing_seq,
    LEAD(began_at) OVER later IS NULL AS is_current
FROM changed
WINDOW later AS (PARTITION BY order_key, dimension ORDER BY landing_seq);
