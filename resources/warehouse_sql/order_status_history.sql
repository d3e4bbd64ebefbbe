-- Grain: one row per order, dimension and stretch of time in which its code did not change.
-- Here: what versions alone tell. A version's code began when the source says that the order was
-- last changed, if that stamp moved and is not in the future; else when the version was received.
-- No version begins before the one landed before it, or after a later one was received.
-- order_status_events.sql does the dimensions of which an order's events tell. touched_versions has
-- every version of the orders that are touched.
CREATE OR REPLACE TEMP MACRO basis_of(created, updated, previous_updated, received, is_first, told)
AS CASE
    WHEN updated <= received
        AND (previous_updated IS NULL OR updated > previous_updated)
        AND (told IS NULL OR updated >= told)
        THEN 'source_updated'
    WHEN is_first AND updated IS NULL AND created <= received AND (told IS NULL OR created >= told)
        THEN 'source_created'
    ELSE 'observed'
END;

CREATE OR REPLACE TEMP MACRO began(basis, created, updated, received, told) AS
    CASE basis
        WHEN 'source_event' THEN told
        WHEN 'source_updated' THEN updated
        WHEN 'source_created' THEN created
        ELSE received
    END;

-- Dimensions of which an order's events tell.
CREATE OR REPLACE TEMP TABLE told_dimensions AS
SELECT DISTINCT
    order_key,
    e.dimension
FROM (
    SELECT
        order_key,
        UNNEST(status_events) AS e
    FROM touched_versions
    WHERE status_events IS NOT NULL
) AS unnested;

-- Versions among those of their order, where there are others or an event tells of one. seen_by:
-- when the version had been received at the latest, by any clock.
CREATE OR REPLACE TEMP TABLE placed_versions AS
SELECT
    v.*,
    LAG(v.updated_at) OVER landed AS previous_updated_at,
    ROW_NUMBER() OVER landed = 1 AS is_first,
    MIN(v.last_seen_at) OVER (
        PARTITION BY v.order_key
        ORDER BY v.landing_seq
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) AS seen_by
FROM touched_versions AS v
WHERE v.order_key IN (
    SELECT order_key
    FROM orderloom.superseded
    UNION
    SELECT order_key
    FROM told_dimensions
)
WINDOW landed AS (PARTITION BY v.order_key ORDER BY v.landing_seq);

-- Of orders of one version, that is most of them, what no event tells of: nothing to compare.
INSERT INTO order_status_history BY NAME
WITH stamped AS (
    SELECT
        v.* EXCLUDE (codes),
        CASE
            WHEN v.status_events IS NULL THEN v.codes
            ELSE list_filter(
                v.codes,
                lambda c: NOT list_contains(
                    list_transform(v.status_events, lambda e: e.dimension), c.dimension
                )
            )
        END AS codes,
        basis_of(v.created_at, v.updated_at, NULL, v.last_seen_at, TRUE, NULL) AS basis
    FROM touched_versions AS v
    ANTI JOIN orderloom.superseded USING (order_key)
)
SELECT
    source_system,
    source_account,
    order_key,
    UNNEST(codes, recursive := true),
    began(basis, created_at, updated_at, last_seen_at, NULL) AS valid_from_utc,
    NULL AS valid_to_utc,
    basis AS valid_from_basis,
    last_seen_at AS observed_at,
    run_id,
    landing_seq,
    TRUE AS is_current
FROM stamped;

-- Of orders of several versions, what no event tells of. The dimensions share their versions'
-- moments.
INSERT INTO order_status_history BY NAME
WITH judged AS (
    SELECT
        *,
        basis_of(created_at, updated_at, previous_updated_at, last_seen_at, is_first, NULL)
            AS basis,
        began(basis, created_at, updated_at, last_seen_at, NULL) AS stated_at
    FROM placed_versions
    SEMI JOIN orderloom.superseded USING (order_key)
),
ordered AS (
    SELECT
        j.*,
        MAX(LEAST(j.stated_at, j.seen_by)) OVER (
            PARTITION BY j.order_key
            ORDER BY j.landing_seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS began_at
    FROM judged AS j
),
coded AS (
    SELECT
        o.* EXCLUDE (codes, status_events),
        UNNEST(o.codes, recursive := true)
    FROM ordered AS o
),
compared AS (
    SELECT
        c.*,
        LAG(c.code) OVER landed AS previous_code,
        LAG(c.source_code) OVER landed AS previous_source_code
    FROM coded AS c
    ANTI JOIN told_dimensions USING (order_key, dimension)
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
    CASE WHEN began_at = stated_at THEN basis ELSE 'observed' END AS valid_from_basis,
    last_seen_at AS observed_at,
    run_id,
    landing_seq,
    LEAD(began_at) OVER later IS NULL AS is_current
FROM changed
WINDOW later AS (PARTITION BY order_key, dimension ORDER BY landing_seq);
