-- Sets the day on which an order counts, and the moment from which its age counts, by the zone that
-- the order's account has now: UTC where it has none.
CREATE OR REPLACE TEMP MACRO civil_date(moment, zone) AS
    CAST(timezone(zone, timezone('UTC', moment)) AS DATE);

CREATE OR REPLACE TEMP MACRO first_moment(day, zone) AS
    timezone('UTC', timezone(zone, CAST(day AS TIMESTAMP)));

UPDATE orders AS o
SET
    business_date = COALESCE(
        o.placed_on, civil_date(COALESCE(o.placed_at, o.created_at), a.zone)
    ),
    business_at = COALESCE(o.placed_at, first_moment(o.placed_on, a.zone), o.created_at),
    business_at_basis = CASE
        WHEN o.placed_at IS NOT NULL THEN 'placed_at'
        WHEN o.placed_on IS NOT NULL THEN 'placed_on'
        WHEN o.created_at IS NOT NULL THEN 'created_at'
    END
FROM (
    SELECT
        source_system,
        source_account,
        COALESCE(timezone, 'UTC') AS zone
    FROM dim_account
) AS a
WHERE a.source_system = o.source_system
    AND a.source_account = o.source_account
    AND (
        o.business_date IS DISTINCT FROM COALESCE(
            o.placed_on, civil_date(COALESCE(o.placed_at, o.created_at), a.zone)
        )
        OR o.business_at IS DISTINCT FROM COALESCE(
            o.placed_at, first_moment(o.placed_on, a.zone), o.created_at
        )
    );
