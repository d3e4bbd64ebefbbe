-- What the conditions need to see where all else held before: what has the key of an order that was
-- touched, and what belongs to a version that came, went or lost a row. They need not be the same
-- where something is wrong.
CREATE TEMP TABLE touched_orders AS
SELECT
    source_system,
    source_account,
    order_key,
    version_id,
    is_deleted,
    row_count,
    order_type,
    order_status,
    payment_status,
    shipping_status,
    allocation_status,
    fulfilment_status,
    fulfilment_method,
    invitation_status
FROM orders
WHERE order_key IN (SELECT order_key FROM newest)
    OR version_id IN (SELECT version_id FROM affected);

CREATE TEMP TABLE touched_order_rows AS
SELECT
    source_system,
    source_account,
    order_row_key,
    order_key,
    version_id
FROM order_rows
WHERE order_key IN (SELECT order_key FROM newest)
    OR version_id IN (SELECT version_id FROM affected);

CREATE TEMP TABLE touched_order_status_history AS
SELECT *
FROM order_status_history
SEMI JOIN newest USING (order_key);
