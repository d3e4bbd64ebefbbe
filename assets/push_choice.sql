-- Grain: one order of the accounts that a rule names, and why the rule leaves it out (NULL: it does
-- not). Parameters: $accounts, $order_types, $shipping_statuses, $order_statuses, $first_day, $zone.
SELECT
    order_key,
    placed_on,
    CASE
        WHEN is_deleted THEN 'deleted'
        WHEN NOT list_contains($order_types, order_type) THEN 'order type ' || order_type
        WHEN order_status IN ('cancelled', 'returned', 'draft')
            OR (len($order_statuses) > 0 AND NOT list_contains($order_statuses, order_status))
        THEN 'order status ' || order_status
        WHEN NOT list_contains($shipping_statuses, shipping_status)
        THEN 'shipping status ' || shipping_status
        WHEN placed_on IS NULL THEN 'no day of placing'
        WHEN placed_on < $first_day THEN 'placed before ' || CAST($first_day AS VARCHAR)
    END AS reason
FROM (
    SELECT
        order_key,
        is_deleted,
        order_type,
        order_status,
        shipping_status,
        COALESCE(
            placed_on,
            CAST(timezone($zone, timezone('UTC', COALESCE(placed_at, created_at))) AS DATE)
        ) AS placed_on
    FROM orders
    WHERE list_contains($accounts, source_system || '.' || source_account)
) AS dated
