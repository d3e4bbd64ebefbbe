-- The day on which an order counts, and the moment from which its age counts, by the zone that the
-- order's account has now: UTC where it has none.
CREATE OR REPLACE TEMP MACRO civil_date(moment, zone) AS
    CAST(timezone(zone, timezone('UTC', moment)) AS DATE);

CREATE OR REPLACE TEMP MACRO first_moment(day, zone) AS
    timezone('UTC', timezone(zone, CAST(day AS TIMESTAMP)));

CREATE OR REPLACE TEMP MACRO business_date_of(placed_on, placed_at, created_at, zone) AS
    COALESCE(placed_on, civil_date(COALESCE(placed_at, created_at), zone));

CREATE OR REPLACE TEMP MACRO business_at_of(placed_on, placed_at, created_at, zone) AS
    COALESCE(placed_at, first_moment(placed_on, zone), created_at);

CREATE OR REPLACE TEMP MACRO business_at_basis_of(placed_on, placed_at, created_at) AS
    CASE
        WHEN placed_at IS NOT NULL THEN 'placed_at'
        WHEN placed_on IS NOT NULL THEN 'placed_on'
        WHEN created_at IS NOT NULL THEN 'created_at'
    END;
