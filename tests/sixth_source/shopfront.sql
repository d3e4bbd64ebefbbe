-- Grain: one Shopfront order per record of `landed`.

-- section: parsed
SELECT
    landed.*,
    json_transform(
        body,
        '{
            "number": "VARCHAR", "changed": "VARCHAR", "paid": "VARCHAR", "total": "VARCHAR",
            "lines": [{"sku": "VARCHAR", "count": "VARCHAR"}]
        }'
    ) AS o
FROM landed

-- section: orders
-- Grain: one order.
SELECT
    order_key,
    version_id,
    o.number AS order_number,
    'sales_order' AS order_type,
    moment_of(o.changed) AS updated_at,
    offset_of(o.changed) AS updated_offset_min,
    basis_of(o.changed) AS updated_tz_basis,
    getvariable('currency') AS currency,
    money_of(o.total) AS gross_amount,
    'gross_only' AS amounts_basis,
    CASE WHEN boolean_of(o.paid) THEN 'paid' ELSE 'unpaid' END AS payment_status,
    'source' AS payment_status_basis,
    o.paid AS source_payment_status_code,
    'complete' AS rows_state,
    present([unread_money('total', o.total), absent('total', o.total)]) AS faults
FROM parsed

-- section: order_rows
-- Grain: one order row.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, line.sku) AS order_row_key,
    line.sku AS source_row_id,
    line.sku AS sku,
    money_of(line.count) AS quantity,
    row_hash(line) AS content_hash
FROM (
    SELECT
        order_key,
        version_id,
        unnest(o.lines) AS line
    FROM parsed
) AS unnested
