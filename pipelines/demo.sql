-- The questions that the demo asks. Each begins with a line `-- question: TITLE`.

-- question: Which orders are open, by payment and shipping status?
SELECT
    source_system,
    payment_status,
    shipping_status,
    COUNT(*) AS orders
FROM open_orders
WHERE NOT is_purchase
GROUP BY ALL
ORDER BY source_system, orders DESC

-- question: Of what is there too little stock set aside for open sales orders?
SELECT
    sku,
    product_name,
    not_allocated_orders,
    not_allocated_quantity,
    partially_allocated_orders
FROM allocation_shortfall
WHERE not_allocated_quantity > 0
    AND sku IS NOT NULL
ORDER BY not_allocated_quantity DESC
LIMIT 8

-- question: What has changed since yesterday?
SELECT
    source_system,
    previous_code,
    code,
    COUNT(*) AS changes
FROM order_changes
WHERE dimension = 'order_status'
    AND code <> previous_code
    AND changed_at_utc >= (SELECT MAX(updated_at) - INTERVAL 1 DAY FROM orders)
GROUP BY ALL
ORDER BY source_system, changes DESC

-- question: What was sold, month by month and currency by currency?
SELECT
    month,
    currency,
    SUM(orders) AS orders,
    SUM(credits) AS credits,
    SUM(net_amount) AS net_amount,
    SUM(gross_amount) AS gross_amount
FROM sales_by_month
WHERE currency IS NOT NULL
GROUP BY ALL
ORDER BY month, currency
