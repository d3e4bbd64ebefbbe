-- Grain: one eFiling order per record of `landed`. The body is {"order": an item of GET /orders,
-- "orderlines": the array of its GET /orders/{id}/orderlines, "orderlines_state": complete, stale
-- (kept from an earlier reply) or missing}, each part exactly as received.
-- Belongs here: what each documented field means. How to ask is in efiling.py.
-- Stamps are YmdHis numbers, naive, in the account's zone; an empty text is no stamp.

-- section: parsed
SELECT
    landed.*,
    json_transform(
        body -> '$.order',
        '{
            "id": "VARCHAR",
            "description": "VARCHAR",
            "created_at": "VARCHAR",
            "updated_at": "VARCHAR",
            "invoiced_at": "VARCHAR",
            "cancelled_at": "VARCHAR",
            "status": "VARCHAR",
            "mlc_status": "VARCHAR",
            "net": "VARCHAR",
            "gross": "VARCHAR"
        }'
    ) AS o,
    body ->> '$.orderlines_state' AS lines_state,
    body -> '$.orderlines' AS lines
FROM landed

-- section: stamps
-- Grain: one order; its stamps as texts that a moment can be read from.
SELECT
    version_id,
    regexp_replace(reference_of(o.created_at), digits, written) AS created,
    regexp_replace(reference_of(o.updated_at), digits, written) AS updated,
    regexp_replace(reference_of(o.invoiced_at), digits, written) AS invoiced,
    regexp_replace(NULLIF(reference_of(o.cancelled_at), 'false'), digits, written) AS cancelled
FROM (
    SELECT
        version_id,
        o,
        '^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\.0)?$' AS digits,
        '\1-\2-\3 \4:\5:\6' AS written
    FROM parsed
) AS read

-- section: row_parts
-- Grain: one order line.
SELECT
    *,
    boolean_of(r.product.is_service) AS is_service,
    boolean_of(r.product.is_incorporation) AS is_incorporation,
    money_of(CAST(money_of(r.price) * money_of(r.quantity) AS VARCHAR)) AS row_net,
    LEFT(row_hash(r), 12)
    || '~'
    || row_number() OVER (PARTITION BY version_id, row_hash(r) ORDER BY place) AS made_id
FROM (
    SELECT
        order_key,
        version_id,
        source_order_id,
        place,
        item,
        json_transform(
            item,
            '{
                "order_id": "VARCHAR",
                "description": "VARCHAR",
                "quantity": "VARCHAR",
                "price": "VARCHAR",
                "tax": "VARCHAR",
                "product": {
                    "name": "VARCHAR",
                    "is_service": "VARCHAR",
                    "is_incorporation": "VARCHAR",
                    "taxable": "VARCHAR"
                },
                "package": {"name": "VARCHAR"},
                "incorporation": {"incorporation_id": "VARCHAR", "company_name": "VARCHAR"},
                "officer": {
                    "company_name": "VARCHAR",
                    "first_name": "VARCHAR",
                    "last_name": "VARCHAR"
                }
            }'
        ) AS r
    FROM (
        SELECT
            order_key,
            version_id,
            source_order_id,
            unnest(items_of(lines)) AS item,
            generate_subscripts(items_of(lines), 1) AS place
        FROM parsed
        WHERE json_type(lines) = 'ARRAY'
    ) AS unnested
) AS transformed

-- section: orders
-- Grain: one order.
SELECT
    p.order_key,
    p.version_id,
    text_of(o.description) AS description,
    'service_order' AS order_type,
    moment_of(created) AS placed_at,
    offset_of(created) AS placed_offset_min,
    basis_of(created) AS placed_tz_basis,
    day_of(moment_of(created)) AS placed_on,
    moment_of(created) AS created_at,
    offset_of(created) AS created_offset_min,
    basis_of(created) AS created_tz_basis,
    moment_of(updated) AS updated_at,
    offset_of(updated) AS updated_offset_min,
    basis_of(updated) AS updated_tz_basis,
    moment_of(cancelled) AS cancelled_at,
    offset_of(cancelled) AS cancelled_offset_min,
    basis_of(cancelled) AS cancelled_tz_basis,
    day_of(moment_of(cancelled)) AS cancelled_on,
    getvariable('currency') AS currency,
    money_of(o.net) AS net_amount,
    money_of(o.gross) - money_of(o.net) AS tax_amount,
    money_of(o.gross) AS gross_amount,
    CASE
        WHEN money_of(o.gross) - money_of(o.net) IS NOT NULL THEN 'derived_tax'
        WHEN money_of(o.gross) IS NOT NULL THEN 'gross_only'
        WHEN money_of(o.net) IS NOT NULL THEN 'as_received'
        ELSE 'none'
    END AS amounts_basis,
    CASE
        WHEN lines_state = 'complete'
        THEN worse_check(
            totals_check_of(money_of(o.net), s.rows_net, s.row_count),
            totals_check_of(money_of(o.gross) - money_of(o.net), s.rows_tax, s.row_count)
        )
        ELSE 'not_checkable'
    END AS totals_check,
    CASE WHEN cancelled IS NOT NULL THEN 'cancelled' ELSE code_of('order_status', o.status) END
        AS order_status,
    CASE WHEN cancelled IS NOT NULL THEN 'derived' ELSE code_basis_of('order_status', o.status) END
        AS order_status_basis,
    text_of(o.status) AS source_status_code,
    'unknown' AS payment_status,
    CASE WHEN s.nothing_to_ship THEN 'not_applicable' ELSE 'unknown' END AS shipping_status,
    CASE WHEN s.nothing_to_ship THEN 'derived' ELSE 'default' END AS shipping_status_basis,
    'not_applicable' AS allocation_status,
    'unknown' AS fulfilment_status,
    'not_applicable' AS fulfilment_method,
    invoices_of(NULL, invoiced) AS invoices,
    present([
        event_of('created', created, NULL, NULL),
        event_of('invoiced', invoiced, NULL, NULL),
        event_of('cancelled', cancelled, 'order_status', NULL, canonical := 'cancelled')
    ]) AS events,
    to_json({'mlc_status': text_of(o.mlc_status)}) AS source_fields,
    present([
        CASE
            WHEN is_repeated_hour(created)
                OR is_repeated_hour(updated)
                OR is_repeated_hour(invoiced)
                OR is_repeated_hour(cancelled)
            THEN 'repeated_hour'
        END,
        CASE WHEN cancelled IS NULL THEN unmapped('order_status', text_of(o.status)) END
    ]) AS quality_flags,
    lines_state AS rows_state,
    present([
        absent('created_at', o.created_at),
        unread('created_at', o.created_at, moment_of(created), 'not a YmdHis moment', TRUE),
        unread('updated_at', o.updated_at, moment_of(updated), 'not a YmdHis moment', FALSE),
        unread('invoiced_at', o.invoiced_at, moment_of(invoiced), 'not a YmdHis moment', FALSE),
        unread('cancelled_at', o.cancelled_at, moment_of(cancelled), 'not a YmdHis moment', FALSE),
        lacking('net', o.net),
        lacking('gross', o.gross),
        unread_money('net', o.net),
        unread_money('gross', o.gross),
        CASE
            WHEN lines_state <> 'missing' AND json_type(lines) <> 'ARRAY'
            THEN fault('orderlines', 'not an array', NULL, TRUE)
        END
    ]) AS faults
FROM parsed AS p
JOIN stamps AS t ON t.version_id = p.version_id
LEFT JOIN (
    SELECT
        version_id,
        COUNT(*) AS row_count,
        CASE WHEN COUNT(row_net) = COUNT(*) THEN SUM(row_net) END AS rows_net,
        CASE WHEN COUNT(money_of(r.tax)) = COUNT(*) THEN SUM(money_of(r.tax)) END AS rows_tax,
        bool_and(COALESCE(is_service OR is_incorporation, FALSE)) AS nothing_to_ship
    FROM row_parts
    GROUP BY version_id
) AS s ON s.version_id = p.version_id

-- section: order_rows
-- Grain: one order line. It has no id of its own: it is known by its content and occurrence.
-- Whether price and tax are of one or of the whole line is not documented.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, made_id) AS order_row_key,
    made_id AS source_row_id,
    place AS row_no,
    CASE
        WHEN is_incorporation THEN 'incorporation'
        WHEN is_service THEN 'service'
        ELSE 'product'
    END AS row_kind,
    text_of(r.product.name) AS product_name,
    text_of(r.description) AS description,
    money_of(r.quantity) AS quantity,
    money_of(r.price) AS unit_price,
    row_net AS net_amount,
    money_of(r.tax) AS tax_amount,
    boolean_of(r.product.taxable) AS is_taxable,
    getvariable('currency') AS currency,
    to_json({
        'package_name': text_of(r.package.name),
        'incorporation_id': text_of(r.incorporation.incorporation_id),
        'company_name': text_of(r.incorporation.company_name)
    }) AS source_fields,
    CASE
        WHEN row_net IS NULL THEN 'none'
        WHEN money_of(r.quantity) = 1 THEN 'unambiguous'
        ELSE 'assumed_unit'
    END AS amount_basis,
    row_hash(item) AS content_hash,
    list_concat(
        misfits(
            item,
            ['$.product', '$.package', '$.incorporation', '$.officer'],
            held := ['']
        ),
        present([
            CASE
                WHEN json_type(item) <> 'OBJECT'
                THEN fault('orderlines[]', 'not an object', NULL, TRUE)
            END,
            CASE
                WHEN text_of(r.order_id) <> source_order_id
                THEN fault('orderlines[].order_id', 'not the order asked for', r.order_id, TRUE)
            END,
            unread_money('orderlines[].quantity', r.quantity),
            unread_money('orderlines[].price', r.price),
            unread_money('orderlines[].tax', r.tax),
            CASE
                WHEN row_net IS NULL AND money_of(r.quantity) * money_of(r.price) IS NOT NULL
                THEN fault(
                    'orderlines[].price',
                    'times quantity is not an amount of at most 4 decimals',
                    r.price,
                    FALSE
                )
            END,
            unread_boolean('orderlines[].product.is_service', r.product.is_service),
            unread_boolean('orderlines[].product.is_incorporation', r.product.is_incorporation),
            unread_boolean('orderlines[].product.taxable', r.product.taxable)
        ])
    ) AS faults
FROM row_parts

-- section: order_parties
-- Grain: the officer that an order line is for.
SELECT
    order_key,
    version_id,
    'officer' AS role,
    row_key_of(order_key, made_id) AS order_row_key,
    text_of(r.officer.company_name) AS company_name,
    text_of(r.officer.first_name) AS first_name,
    text_of(r.officer.last_name) AS last_name
FROM row_parts
WHERE
    COALESCE(
        text_of(r.officer.company_name),
        text_of(r.officer.first_name),
        text_of(r.officer.last_name)
    ) IS NOT NULL
