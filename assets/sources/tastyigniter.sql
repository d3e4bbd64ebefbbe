-- Grain: one TastyIgniter order per record of `landed` (the body is one item of an order list).
-- Belongs here: what each documented field means. How to ask is in tastyigniter.py.
-- Two shapes are read: the flat object of 2020, and the JSON:API item with `attributes`.

-- section: parsed
SELECT
    landed.*,
    json_transform(
        IF(json_type(body, '$.attributes') = 'OBJECT', body -> '$.attributes', body),
        '{
            "customer_id": "VARCHAR", "location_id": "VARCHAR", "address_id": "VARCHAR",
            "first_name": "VARCHAR", "last_name": "VARCHAR", "customer_name": "VARCHAR",
            "email": "VARCHAR", "telephone": "VARCHAR", "comment": "VARCHAR", "notify": "VARCHAR",
            "order_type": "VARCHAR", "order_date_time": "VARCHAR", "order_date": "VARCHAR",
            "order_time": "VARCHAR", "processed": "VARCHAR", "total_items": "VARCHAR",
            "order_total": "VARCHAR", "currency": "VARCHAR", "payment": "VARCHAR",
            "invoice_prefix": "VARCHAR", "invoice_date": "VARCHAR", "status_id": "VARCHAR",
            "status_name": "VARCHAR", "status_updated_at": "VARCHAR", "assignee_id": "VARCHAR",
            "assignee_group_id": "VARCHAR", "assignee_updated_at": "VARCHAR",
            "date_added": "VARCHAR", "date_modified": "VARCHAR", "created_at": "VARCHAR",
            "updated_at": "VARCHAR", "order_totals": "JSON", "order_menus": "JSON"
        }'
    ) AS o
FROM landed

-- section: facts
-- Grain: one order; what several columns rest on, every text read once.
-- A slot is order_date_time, else order_date and order_time; an order_date with an offset is
-- midnight of the site's own day.
SELECT
    *,
    CASE
        WHEN status_code IS NULL AND paid IS DISTINCT FROM 'true' THEN 'draft'
        WHEN status_entry.label <> text_of(o.status_name) THEN 'unknown'
        ELSE code_of(status_entry)
    END AS order_status,
    code_of(method_entry) = 'collection' AS is_collection,
    IF(slot_stamp.moment IS NULL, slots[1], slot_stamp) AS slot
FROM (
    SELECT
        *,
        stamps_of([
            strftime(slot_day, '%Y-%m-%d') || ' ' || text_of(o.order_time)
        ]) AS slots,
        entries[1] AS status_entry,
        entries[2] AS method_entry,
        entries[3] AS shipping_entry,
        entries[4] AS paid_entry
    FROM (
        SELECT
            *,
            stamps[1] AS created,
            stamps[2] AS updated,
            stamps[3] AS slot_stamp,
            stamps[4] AS invoiced,
            stamps[5] AS status_updated,
            stamps[6] AS assigned,
            day_of(stamps[7].moment) AS slot_day,
            entries_of([
                ['order_status', status_code], ['fulfilment_method', text_of(o.order_type)],
                ['shipping_status', status_code], ['payment_status', paid]
            ]) AS entries
        FROM (
            SELECT
                order_key,
                version_id,
                o,
                stamps_of([
                    COALESCE(text_of(o.created_at), text_of(o.date_added)),
                    COALESCE(text_of(o.updated_at), text_of(o.date_modified)),
                    o.order_date_time, o.invoice_date, o.status_updated_at,
                    o.assignee_updated_at, o.order_date
                ]) AS stamps,
                COALESCE(CAST(getvariable('currency') AS VARCHAR), text_of(o.currency))
                    AS currency,
                reference_of(o.status_id) AS status_code,
                lower(CAST(boolean_of(o.processed) AS VARCHAR)) AS paid,
                money_of(o.order_total) AS total,
                integer_of(o.total_items) AS item_count,
                boolean_of(o.notify) AS is_notified,
                items_of(o.order_totals) AS total_lines,
                items_of(o.order_menus) AS menu_lines
            FROM parsed
        ) AS texts
    ) AS dated
) AS read

-- section: total_parts
-- Grain: one line of an order's totals, in the order received.
SELECT
    version_id,
    place,
    item,
    json_transform(
        item,
        '{
            "code": "VARCHAR", "title": "VARCHAR", "value": "VARCHAR", "priority": "VARCHAR",
            "is_summable": "VARCHAR"
        }'
    ) AS t,
    json_type(item) <> 'OBJECT'
    OR len(
        list_filter(
            json_keys(item),
            lambda k: k NOT IN (
                'order_total_id', 'order_id', 'code', 'title', 'value', 'priority', 'is_summable'
            )
        )
    ) > 0 AS holds_more
FROM (
    SELECT
        version_id,
        unnest(total_lines) AS item,
        generate_subscripts(total_lines, 1) AS place
    FROM facts
) AS unnested

-- section: row_parts
-- Grain: one menu line of an order.
SELECT
    *,
    money_of(r.subtotal) AS subtotal,
    list_transform(
        flatten(
            list_transform(items_of(r.menu_options), lambda x: IF(is_group(x), items_of(x), [x]))
        ),
        lambda x: {
            'category':
                COALESCE(x ->> '$.order_option_category', x ->> '$.menu_option.option_name', ''),
            'name': COALESCE(x ->> '$.order_option_name', x ->> '$.name', x ->> '$'),
            'price': money_of(x ->> '$.order_option_price'),
            'quantity': whole_of(x ->> '$.quantity'),
            'times': COALESCE(CAST(whole_of(x ->> '$.quantity') AS VARCHAR), x ->> '$.quantity'),
            'value_id': x ->> '$.menu_option_value_id'
        }
    ) AS chosen
FROM (
    SELECT
        order_key,
        version_id,
        currency,
        place,
        item,
        json_transform(
            item,
            '{
                "menu_id": "VARCHAR", "name": "VARCHAR", "quantity": "VARCHAR", "price": "VARCHAR",
                "subtotal": "VARCHAR", "comment": "VARCHAR", "menu_options": "JSON"
            }'
        ) AS r
    FROM (
        SELECT
            order_key,
            version_id,
            currency,
            unnest(menu_lines) AS item,
            generate_subscripts(menu_lines, 1) AS place
        FROM facts
    ) AS unnested
) AS transformed

-- section: sums
-- Grain: one order with totals or menu lines. A tax that is not added to the sum is in the prices.
-- The sum is never below 0, whatever is taken off, and NULL where the lines' amounts are not known.
SELECT
    COALESCE(t.version_id, r.version_id) AS version_id,
    t.totals,
    t.faults,
    t.stated,
    t.price_mode,
    r.row_count,
    COALESCE(r.subtotals, t.goods)
    + GREATEST(-COALESCE(r.subtotals, t.goods), COALESCE(t.summable, 0)) AS summed
FROM (
    SELECT
        version_id,
        list(
            {
                'code': text_of(t.code),
                'title': text_of(t.title),
                'value': money_of(t.value),
                'priority': integer_of(t.priority),
                'is_summable': boolean_of(t.is_summable),
                'value_json': CASE WHEN holds_more THEN CAST(item AS VARCHAR) END
            }
            ORDER BY place
        ) AS totals,
        flatten(
            list(
                [
                    unread_money('order_totals[].value', t.value),
                    unread_integer('order_totals[].priority', t.priority),
                    unread_boolean('order_totals[].is_summable', t.is_summable)
                ] ORDER BY place)
        ) AS faults,
        MAX(CASE WHEN t.code = 'total' THEN money_of(t.value) END) AS stated,
        MAX(CASE WHEN t.code = 'subtotal' THEN money_of(t.value) END) AS goods,
        SUM(CASE WHEN boolean_of(t.is_summable) THEN money_of(t.value) END) AS summable,
        MAX(
            CASE
                WHEN t.code = 'tax' AND boolean_of(t.is_summable) THEN 'EXC'
                WHEN t.code = 'tax' AND NOT boolean_of(t.is_summable) THEN 'INC'
            END
        ) AS price_mode
    FROM total_parts
    GROUP BY version_id
) AS t
FULL JOIN (
    SELECT
        version_id,
        COUNT(*) AS row_count,
        CASE WHEN COUNT(subtotal) = COUNT(*) THEN SUM(subtotal) END AS subtotals
    FROM row_parts
    GROUP BY version_id
) AS r ON r.version_id = t.version_id

-- section: orders
-- Grain: one order.
SELECT
    f.order_key,
    f.version_id,
    'sales_order' AS order_type,
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
    COALESCE(slot_day, day_of(slot.moment)) AS requested_delivery_on,
    slot.moment AS requested_delivery_at,
    slot.offset_min AS requested_delivery_offset_min,
    slot.basis AS requested_delivery_tz_basis,
    currency,
    total AS gross_amount,
    CASE WHEN total IS NULL THEN 'none' ELSE 'gross_only' END AS amounts_basis,
    worse_check(
        totals_check_of(total, s.stated, 1),
        totals_check_of(total, s.summed, COALESCE(s.row_count, 1))
    ) AS totals_check,
    s.price_mode AS price_mode,
    item_count AS declared_item_count,
    text_of(o.payment) AS payment_method,
    order_status,
    CASE
        WHEN status_code IS NULL AND paid IS DISTINCT FROM 'true' THEN 'derived'
        WHEN status_entry.label <> text_of(o.status_name) THEN 'default'
        ELSE code_basis_of(status_entry)
    END AS order_status_basis,
    text_of(o.status_id) AS source_status_code,
    text_of(o.status_name) AS source_status_name,
    code_of(paid_entry) AS payment_status,
    code_basis_of(paid_entry) AS payment_status_basis,
    text_of(o.processed) AS source_payment_status_code,
    IF(is_collection, 'not_applicable', code_of(shipping_entry)) AS shipping_status,
    CASE
        WHEN is_collection THEN 'derived'
        ELSE code_basis_of(shipping_entry)
    END AS shipping_status_basis,
    CASE WHEN NOT is_collection THEN status_code END AS source_shipping_status_code,
    'not_applicable' AS allocation_status,
    'unknown' AS fulfilment_status,
    code_of(method_entry) AS fulfilment_method,
    code_basis_of(method_entry) AS fulfilment_method_basis,
    text_of(o.order_type) AS source_fulfilment_method,
    reference_of(o.location_id) AS location_id,
    reference_of(o.assignee_id) AS assignee_id,
    invoices_of(o.invoice_prefix, invoiced) AS invoices,
    s.totals AS totals,
    present([
        stamped_event('created', created, NULL, NULL),
        stamped_event('status_changed', status_updated, 'order_status', text_of(o.status_id),
            canonical := order_status),
        IF(is_collection, NULL, stamped_event('status_changed', status_updated, 'shipping_status',
            status_code, canonical := code_of(shipping_entry))),
        stamped_event('assigned', assigned, NULL, reference_of(o.assignee_id)),
        stamped_event('invoiced', invoiced, NULL, NULL)
    ]) AS events,
    to_json({
        'address_id': whole_of(o.address_id), 'notify': is_notified,
        'assignee_group_id': whole_of(o.assignee_group_id)
    }) AS source_fields,
    present([
        CASE
            WHEN created.is_repeated OR updated.is_repeated OR slot.is_repeated
            THEN 'repeated_hour'
        END,
        CASE WHEN text_of(o.currency) <> currency THEN 'currency_not_as_configured' END,
        CASE
            WHEN status_code IS NOT NULL AND status_entry IS NULL
                OR status_entry.label <> text_of(o.status_name)
            THEN 'unmapped_code:order_status'
        END,
        CASE
            WHEN NOT is_collection
            THEN unmapped('shipping_status', status_code, shipping_entry)
        END,
        unmapped('fulfilment_method', text_of(o.order_type), method_entry)
    ]) AS quality_flags,
    CASE WHEN menu_lines IS NULL THEN 'not_supplied' ELSE 'complete' END AS rows_state,
    list_concat(
        present([
            absent('created_at', created.text),
            unread('created_at', created.text, created.moment, 'not a moment', TRUE),
            unread_stamp('updated_at', updated), unread_stamp('invoice_date', invoiced),
            unread_stamp('order_date_time', slot_stamp),
            unread('order_date', o.order_date, slot_day, 'not a date between 1900 and 2199', FALSE),
            CASE
                WHEN slot.text IS NOT NULL AND slot.moment IS NULL
                THEN fault('order_time', 'not a time', o.order_time, FALSE)
            END,
            unread_stamp('status_updated_at', status_updated),
            unread_stamp('assignee_updated_at', assigned),
            lacking('order_total', o.order_total),
            unread_money('order_total', o.order_total, total),
            unread_integer('total_items', o.total_items, item_count),
            unread_boolean('processed', o.processed, paid),
            unread_boolean('notify', o.notify, is_notified),
            unread_whole('address_id', o.address_id),
            unread_whole('assignee_group_id', o.assignee_group_id),
            unread_items('order_totals', o.order_totals), unread_items('order_menus', o.order_menus)
        ]),
        present(s.faults)
    ) AS faults
FROM facts AS f
LEFT JOIN sums AS s ON s.version_id = f.version_id
