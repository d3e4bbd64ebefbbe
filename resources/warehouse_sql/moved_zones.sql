-- Sets the day on which an order counts anew where its account has moved to another zone.
UPDATE orders AS o
SET
    business_date = business_date_of(o.placed_on, o.placed_at, o.created_at, a.zone),
    business_at = business_at_of(o.placed_on, o.placed_at, o.created_at, a.zone)
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
        o.business_date IS DISTINCT FROM
            business_date_of(o.placed_on, o.placed_at, o.created_at, a.zone)
        OR o.business_at IS DISTINCT FROM
            business_at_of(o.placed_on, o.placed_at, o.created_at, a.zone)
    );
