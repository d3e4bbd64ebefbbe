-- Grain: one row per order, dimension and stretch of time in which its code did not change, where
-- an event of the order tells of the dimension.
-- A version says what a code is, an event since when it holds, or what it was in between. A
-- version's code began when its newest event says, if that speaks of this code; else as without
-- events, but not before that event. Moments in the future count for nothing. Where two versions
-- disagree, the one landed later is right: what it tells ends what was told before at the latest
-- then.
INSERT INTO order_status_history BY NAME
WITH placed AS (
    SELECT *
    FROM placed_versions
    SEMI JOIN told_dimensions USING (order_key)
),
coded AS (
    SELECT c.*
    FROM (
        SELECT
            p.* EXCLUDE (codes, status_events),
            UNNEST(p.codes, recursive := true)
        FROM placed AS p
    ) AS c
    SEMI JOIN told_dimensions USING (order_key, dimension)
),
compared AS (
    SELECT
        c.*,
        LAG(c.code) OVER landed AS previous_code,
        LAG(c.source_code) OVER landed AS previous_source_code
    FROM coded AS c
    WINDOW landed AS (PARTITION BY c.order_key, c.dimension ORDER BY c.landing_seq)
),
-- A run: versions one after another that say the same. led_by: the source's code with which the
-- canonical code came, so that an event without a source code tells of that one.
numbered AS (
    SELECT
        c.*,
        COUNT(*) FILTER (
            WHERE previous_code IS NULL
                OR code <> previous_code
                OR source_code IS DISTINCT FROM previous_source_code
        ) OVER landed AS run_no,
        LAST_VALUE(
            CASE
                WHEN previous_code IS NULL OR code <> previous_code THEN {'code': source_code}
            END
            IGNORE NULLS
        ) OVER landed AS led_by
    FROM compared AS c
    WINDOW landed AS (
        PARTITION BY c.order_key, c.dimension
        ORDER BY c.landing_seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),
named AS (
    SELECT
        order_key,
        dimension,
        code,
        arg_min(source_code, landing_seq) AS source_code
    FROM coded
    GROUP BY order_key, dimension, code
),
unnested AS (
    SELECT
        order_key,
        landing_seq,
        last_seen_at,
        UNNEST(status_events) AS e,
        GENERATE_SUBSCRIPTS(status_events, 1) AS place
    FROM placed
    WHERE status_events IS NOT NULL
),
told AS (
    SELECT
        n.source_system,
        n.source_account,
        n.order_key,
        n.dimension,
        n.landing_seq,
        n.last_seen_at,
        n.run_id,
        u.place,
        u.e.valid_from_utc AS told_at,
        u.e.canonical_code AS code,
        COALESCE(
            u.e.code,
            CASE WHEN u.e.canonical_code = n.code THEN n.led_by.code ELSE k.source_code END
        ) AS source_code
    FROM unnested AS u
    JOIN numbered AS n
        ON n.order_key = u.order_key
        AND n.landing_seq = u.landing_seq
        AND n.dimension = u.e.dimension
    LEFT JOIN named AS k
        ON k.order_key = u.order_key
        AND k.dimension = u.e.dimension
        AND k.code = u.e.canonical_code
    WHERE u.e.valid_from_utc <= u.last_seen_at
),
last_told AS (
    SELECT
        order_key,
        dimension,
        landing_seq,
        MAX(told_at) AS told_at,
        arg_max({'code': code, 'source_code': source_code}, {'at': told_at, 'place': place}) AS said
    FROM told
    GROUP BY order_key, dimension, landing_seq
),
heard AS (
    SELECT
        n.*,
        l.told_at,
        CASE
            WHEN l.said.code = n.code AND l.said.source_code IS NOT DISTINCT FROM n.source_code
            THEN l.told_at
        END AS own_at
    FROM numbered AS n
    LEFT JOIN last_told AS l
        ON l.order_key = n.order_key
        AND l.dimension = n.dimension
        AND l.landing_seq = n.landing_seq
),
-- What a later version of the same run tells of its beginning counts for the earlier ones, too.
shared AS (
    SELECT
        h.*,
        MIN(h.own_at) OVER (PARTITION BY h.order_key, h.dimension, h.run_no) AS run_at
    FROM heard AS h
),
judged AS (
    SELECT
        s.*,
        COALESCE(
            own_at,
            CASE
                WHEN run_at <= last_seen_at AND (told_at IS NULL OR run_at >= told_at) THEN run_at
            END
        ) AS event_at,
        CASE
            WHEN event_at IS NOT NULL THEN 'source_event'
            ELSE basis_of(
                created_at, updated_at, previous_updated_at, last_seen_at, is_first, told_at
            )
        END AS basis,
        began(basis, created_at, updated_at, last_seen_at, event_at) AS stated_at
    FROM shared AS s
),
bounded AS (
    SELECT
        j.*,
        LEAST(
            stated_at,
            seen_by,
            MIN(event_at) OVER (
                PARTITION BY order_key, dimension
                ORDER BY landing_seq
                ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            )
        ) AS reached_at
    FROM judged AS j
),
began_in_order AS (
    SELECT
        b.*,
        MAX(reached_at) OVER (
            PARTITION BY order_key, dimension
            ORDER BY landing_seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS began_at
    FROM bounded AS b
),
-- An event told by several versions counts once, and only if the newest of them still allows it.
happened AS (
    SELECT
        source_system,
        source_account,
        order_key,
        dimension,
        code,
        source_code,
        told_at,
        MIN(landing_seq) AS landing_seq,
        MAX(landing_seq) AS last_seq,
        arg_min(place, landing_seq) AS place,
        arg_min(last_seen_at, landing_seq) AS last_seen_at,
        arg_min(run_id, landing_seq) AS run_id
    FROM told
    GROUP BY ALL
),
points AS (
    SELECT
        source_system,
        source_account,
        order_key,
        dimension,
        code,
        source_code,
        began_at AS since,
        CASE WHEN began_at = stated_at THEN basis ELSE 'observed' END AS basis,
        landing_seq,
        1000000 AS place,
        last_seen_at,
        run_id
    FROM began_in_order
    UNION ALL
    SELECT
        h.source_system,
        h.source_account,
        h.order_key,
        h.dimension,
        h.code,
        h.source_code,
        h.told_at AS since,
        'source_event' AS basis,
        h.landing_seq,
        h.place,
        h.last_seen_at,
        h.run_id
    FROM happened AS h
    JOIN began_in_order AS b
        ON b.order_key = h.order_key
        AND b.dimension = h.dimension
        AND b.landing_seq = h.last_seq
    WHERE h.told_at <= b.reached_at
),
followed AS (
    SELECT
        p.*,
        LEAD(p.since) OVER sequence = p.since
        AND (
            LEAD(p.code) OVER sequence <> p.code
            OR LEAD(p.source_code) OVER sequence IS DISTINCT FROM p.source_code
        ) AS is_empty
    FROM points AS p
    WINDOW sequence AS (
        PARTITION BY p.order_key, p.dimension
        ORDER BY p.since, p.landing_seq, p.place
    )
),
-- An event that the next one leaves no time is no stretch; a code that was received stays one.
turned AS (
    SELECT
        f.*,
        ROW_NUMBER() OVER sequence = 1
        OR LAG(f.code) OVER sequence <> f.code
        OR LAG(f.source_code) OVER sequence IS DISTINCT FROM f.source_code AS is_turn
    FROM followed AS f
    WHERE f.place = 1000000 OR is_empty IS NOT TRUE
    WINDOW sequence AS (
        PARTITION BY f.order_key, f.dimension
        ORDER BY f.since, f.landing_seq, f.place
    )
),
grouped AS (
    SELECT
        t.*,
        COUNT(*) FILTER (WHERE is_turn) OVER (
            PARTITION BY order_key, dimension
            ORDER BY since, landing_seq, place
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS stretch
    FROM turned AS t
),
stretches AS (
    SELECT
        source_system,
        source_account,
        order_key,
        dimension,
        code,
        source_code,
        stretch,
        MIN(since) AS valid_from_utc,
        arg_min(basis, {'since': since, 'rank': basis <> 'source_event', 'seq': landing_seq})
            AS basis,
        arg_min(last_seen_at, landing_seq) AS observed_at,
        arg_min(run_id, landing_seq) AS run_id,
        MIN(landing_seq) AS landing_seq
    FROM grouped
    GROUP BY ALL
)
SELECT
    source_system,
    source_account,
    order_key,
    dimension,
    code,
    source_code,
    valid_from_utc,
    LEAD(valid_from_utc) OVER later AS valid_to_utc,
    basis AS valid_from_basis,
    observed_at,
    run_id,
    landing_seq,
    LEAD(valid_from_utc) OVER later IS NULL AS is_current
FROM stretches
WINDOW later AS (PARTITION BY order_key, dimension ORDER BY stretch);
