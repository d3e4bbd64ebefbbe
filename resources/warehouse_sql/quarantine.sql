-- Keeps, per order, what is wrong with the newest version that was landed of it.
DELETE FROM quarantine AS q
USING (
    SELECT
        f.order_key,
        GREATEST(MAX(f.landing_seq), COALESCE(MAX(o.landing_seq), 0)) AS landing_seq
    FROM quarantine AS f
    LEFT JOIN orders AS o ON o.order_key = f.order_key
    GROUP BY f.order_key
) AS newest
WHERE q.order_key = newest.order_key AND q.landing_seq < newest.landing_seq;
