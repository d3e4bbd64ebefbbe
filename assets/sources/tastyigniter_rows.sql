-- Grain: one order row, then one party of an order: the second half of tastyigniter.sql.
-- Belongs here: what each documented field of a row or party means. Does not belong here: orders.

-- section: order_rows
-- Grain: one menu line of an order. Its ids are new whenever the order is saved, and names of
-- options follow the menu, so that a row is known by what was bought and how often it occurs.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, made_id) AS order_row_key,
    made_id AS source_row_id,
    place AS row_no,
    'menu_item' AS row_kind,
    reference_of(r.menu_id) AS product_id,
    text_of(r.name) AS product_name,
    text_of(r.comment) AS description,
    money_of(r.quantity) AS quantity,
    money_of(r.price) AS unit_price,
    CASE WHEN price_mode IS DISTINCT FROM 'INC' THEN subtotal END AS net_amount,
    currency,
    map_from_entries(
        list_transform(
            list_sort(list_distinct(list_transform(chosen, lambda c: c.category))),
            lambda category: {
                'k': category,
                'v': array_to_string(
                    list_transform(
                        list_filter(chosen, lambda c: c.category = category),
                        lambda c: concat(
                            IF(c.times NOT IN ('', '0', '1'), c.times || ' x ', ''), c.name)
                    ),
                    ', '
                )
            }
        )
    ) AS options,
    to_json({'subtotal': CAST(subtotal AS VARCHAR)}) AS source_fields,
    CASE
        WHEN subtotal IS NULL OR price_mode = 'INC' THEN 'none'
        ELSE 'row_total'
    END AS amount_basis,
    row_hash(item) AS content_hash,
    present([
        CASE
            WHEN json_type(item) <> 'OBJECT'
            THEN fault('order_menus[]', 'not an object', NULL, TRUE)
        END,
        unread_money('order_menus[].quantity', r.quantity),
        unread_money('order_menus[].price', r.price),
        unread_money('order_menus[].subtotal', r.subtotal),
        unread_items('order_menus[].menu_options', r.menu_options)
    ]) AS faults
FROM (
    SELECT
        *,
        LEFT(made_hash, 12)
        || '~'
        || row_number() OVER (PARTITION BY version_id, made_hash ORDER BY place) AS made_id
    FROM (
        SELECT
            row_parts.*,
            sums.price_mode,
            row_hash({
                'menu_id': r.menu_id,
                'name': r.name,
                'quantity': money_of(r.quantity),
                'price': money_of(r.price),
                'subtotal': subtotal,
                'comment': text_of(r.comment),
                'chosen': list_sort(
                    list_transform(
                        chosen,
                        lambda c: {
                            'name': c.name,
                            'price': c.price,
                            'quantity': c.quantity,
                            'value_id': c.value_id
                        }
                    )
                )
            }) AS made_hash
        FROM row_parts
        LEFT JOIN sums ON sums.version_id = row_parts.version_id
    ) AS hashed
) AS numbered
ORDER BY
    version_id,
    place

-- section: order_parties
-- Grain: the customer of an order.
SELECT
    order_key,
    version_id,
    'customer' AS role,
    reference_of(o.customer_id) AS source_party_id,
    text_of(o.customer_name) AS full_name,
    text_of(o.first_name) AS first_name,
    text_of(o.last_name) AS last_name,
    text_of(o.telephone) AS telephone,
    text_of(o.email) AS email,
    text_of(o.comment) AS free_text
FROM parsed
WHERE
    len(
        concat(
            reference_of(o.customer_id), o.customer_name, o.first_name, o.last_name, o.telephone,
            o.email, o.comment
        )
    ) > 0
