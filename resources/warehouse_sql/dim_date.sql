-- Grain: one row per day, in whole years, from the first to the last date in orders.
-- Years that no order can be of (a mistyped 9999) do not stretch it.
INSERT INTO dim_date BY NAME
WITH seen AS (
    SELECT UNNEST([
        business_date,
        placed_on,
        CAST(placed_at AS DATE),
        CAST(created_at AS DATE),
        CAST(updated_at AS DATE),
        CAST(closed_at AS DATE),
        cancelled_on,
        CAST(cancelled_at AS DATE),
        requested_delivery_on,
        CAST(requested_delivery_at AS DATE),
        confirmed_delivery_on
    ]) AS date_key
    FROM orders
),
bounds AS (
    SELECT
        DATE_TRUNC('year', MIN(date_key)) AS first_day,
        DATE_TRUNC('year', MAX(date_key)) + INTERVAL 1 YEAR - INTERVAL 1 DAY AS last_day
    FROM seen
    WHERE date_key BETWEEN DATE '1950-01-01' AND DATE '2149-12-31'
),
days AS (
    SELECT CAST(UNNEST(GENERATE_SERIES(first_day, last_day, INTERVAL 1 DAY)) AS DATE) AS date_key
    FROM bounds
)
SELECT
    date_key,
    YEAR(date_key) AS year,
    QUARTER(date_key) AS quarter,
    MONTH(date_key) AS month,
    MONTHNAME(date_key) AS month_name,
    ISOYEAR(date_key) AS iso_year,
    WEEKOFYEAR(date_key) AS iso_week,
    ISODOW(date_key) AS day_of_week,
    DAYNAME(date_key) AS day_name,
    ISODOW(date_key) >= 6 AS is_weekend
FROM days
ORDER BY date_key;
