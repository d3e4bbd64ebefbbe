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

-- section: readings
-- Grain: one order; every text that is more than a text, read once.
SELECT
    *,
    stamps[1] AS created,
    stamps[2] AS updated,
    stamps[3] AS invoiced,
    stamps[4] AS cancelled
FROM (
    SELECT
        *,
        stamps_of(
            list_transform(
                [
                    reference_of(o.created_at), reference_of(o.updated_at),
                    reference_of(o.invoiced_at), NULLIF(reference_of(o.cancelled_at), 'false')
                ],
                lambda x: regexp_replace(
                    x,
                    '^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\.0)?$',
                    '\1-\2-\3 \4:\5:\6'
                )
            )
        ) AS stamps,
        entry_of('order_status', o.status) AS status_entry,
        money_of(o.net) AS net,
        money_of(o.gross) AS gross
    FROM parsed
) AS texts

-- section: row_parts
-- Grain: one order line.
SELECT
    *,
    boolean_of(r.product.is_service) AS is_service,
    boolean_of(r.product.is_incorporation) AS is_incorporation,
    boolean_of(r.product.taxable) AS is_taxable,
    money_of(CAST(unit_price * quantity AS VARCHAR)) AS row_net,
    LEFT(made_hash, 12)
    || '~'
    || row_number() OVER (PARTITION BY version_id, made_hash ORDER BY place) AS made_id
FROM (
    SELECT
        *,
        money_of(r.price) AS unit_price,
        money_of(r.quantity) AS quantity,
        money_of(r.tax) AS row_tax,
        row_hash(r) AS made_hash
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
) AS read

-- section: orders
-- Grain: one order.
SELECT
    p.order_key,
    p.version_id,
    text_of(o.description) AS description,
    'service_order' AS order_type,
    created.moment AS placed_at,
    created.offset_min AS placed_offset_min,
    created.basis AS placed_tz_basis,
    day_of(created.moment) AS placed_on,
    created.moment AS created_at,
    created.offset_min AS created_offset_min,
    created.basis AS created_tz_basis,
    updated.moment AS updated_at,
    updated.offset_min AS updated_offset_min,
    updated.basis AS updated_tz_basis,
    cancelled.moment AS cancelled_at,
    cancelled.offset_min AS cancelled_offset_min,
    cancelled.basis AS cancelled_tz_basis,
    day_of(cancelled.moment) AS cancelled_on,
    getvariable('currency') AS currency,
    net AS net_amount,
    gross - net AS tax_amount,
    gross AS gross_amount,
    CASE
        WHEN gross - net IS NOT NULL THEN 'derived_tax'
        WHEN gross IS NOT NULL THEN 'gross_only'
        WHEN net IS NOT NULL THEN 'as_received'
        ELSE 'none'
    END AS amounts_basis,
    CASE
        WHEN lines_state = 'complete'
        THEN worse_check(
            totals_check_of(net, s.rows_net, s.row_count),
            totals_check_of(gross - net, s.rows_tax, s.row_count)
        )
        ELSE 'not_checkable'
    END AS totals_check,
    CASE WHEN cancelled.text IS NOT NULL THEN 'cancelled' ELSE code_of(status_entry) END
        AS order_status,
    CASE WHEN cancelled.text IS NOT NULL THEN 'derived' ELSE code_basis_of(status_entry) END
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
        stamped_event('created', created, NULL, NULL),
        stamped_event('invoiced', invoiced, NULL, NULL),
        stamped_event('cancelled', cancelled, 'order_status', NULL, canonical := 'cancelled')
    ]) AS events,
    to_json({'mlc_status': text_of(o.mlc_status)}) AS source_fields,
    present([
        CASE
            WHEN created.is_repeated
                OR updated.is_repeated
                OR invoiced.is_repeated
                OR cancelled.is_repeated
            THEN 'repeated_hour'
        END,
        CASE
            WHEN cancelled.text IS NULL
            THEN unmapped('order_status', text_of(o.status), status_entry)
        END
    ]) AS quality_flags,
    lines_state AS rows_state,
    present([
        absent('created_at', o.created_at),
        unread('created_at', o.created_at, created.moment, 'not a YmdHis moment', TRUE),
        unread('updated_at', o.updated_at, updated.moment, 'not a YmdHis moment', FALSE),
        unread('invoiced_at', o.invoiced_at, invoiced.moment, 'not a YmdHis moment', FALSE),
        unread('cancelled_at', o.cancelled_at, cancelled.moment, 'not a YmdHis moment', FALSE),
        lacking('net', o.net),
        lacking('gross', o.gross),
        unread_money('net', o.net, net),
        unread_money('gross', o.gross, gross),
        CASE
            WHEN lines_state <> 'missing' AND json_type(lines) <> 'ARRAY'
            THEN fault('orderlines', 'not an array', NULL, TRUE)
        END
    ]) AS faults
FROM readings AS p
LEFT JOIN (
    SELECT
        version_id,
        COUNT(*) AS row_count,
        CASE WHEN COUNT(row_net) = COUNT(*) THEN SUM(row_net) END AS rows_net,
        CASE WHEN COUNT(row_tax) = COUNT(*) THEN SUM(row_tax) END AS rows_tax,
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
    quantity,
    unit_price,
    row_net AS net_amount,
    row_tax AS tax_amount,
    is_taxable,
    getvariable('currency') AS currency,
    to_json({
        'package_name': text_of(r.package.name),
        'incorporation_id': text_of(r.incorporation.incorporation_id),
        'company_name': text_of(r.incorporation.company_name)
    }) AS source_fields,
    CASE
        WHEN row_net IS NULL THEN 'none'
        WHEN quantity = 1 THEN 'unambiguous'
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
            unread_money('orderlines[].quantity', r.quantity, quantity),
            unread_money('orderlines[].price', r.price, unit_price),
            unread_money('orderlines[].tax', r.tax, row_tax),
            CASE
                WHEN row_net IS NULL AND quantity * unit_price IS NOT NULL
                THEN fault(
                    'orderlines[].price',
                    'times quantity is not an amount of at most 4 decimals',
                    r.price,
                    FALSE
                )
            END,
            unread_boolean('orderlines[].product.is_service', r.product.is_service, is_service),
            unread_boolean(
                'orderlines[].product.is_incorporation',
                r.product.is_incorporation,
                is_incorporation
            ),
            unread_boolean('orderlines[].product.taxable', r.product.taxable, is_taxable)
        ])
    ) AS faults
FROM row_parts
ORDER BY
    version_id,
    place

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
