-- Grain: one row per version that comes, goes, or loses a row. To be asked before anything goes.
CREATE TEMP TABLE affected AS
SELECT version_id
FROM newest
UNION
SELECT version_id
FROM orders
SEMI JOIN newest USING (order_key)
UNION
SELECT version_id
FROM order_rows
SEMI JOIN newest USING (order_key);
