-- Grain: one review registration per record of `landed`. The body is either an item of the list of
-- invitations, exactly as received, or an order as it was registered: the order alone, or
-- {"registration": the order as sent, "response": the reply as received}.
-- Belongs here: what each documented field means. How to ask is in feedback_company.py.
-- The two cannot be joined: an invitation names another order id than the one that was registered.
-- Orders are registered by their order key, which so becomes the registration's parent_order_key.

-- section: parsed
SELECT
    kinds.*,
    NOT is_registration AS is_invitation,
    json_transform(
        CASE WHEN is_registration THEN order_body END,
        '{
            "external_id": "VARCHAR",
            "customer": "JSON",
            "products": "JSON",
            "invitation": "JSON",
            "filtercode": "VARCHAR"
        }'
    ) AS r,
    json_transform(
        CASE WHEN NOT is_registration THEN body END,
        '{
            "order_id": "VARCHAR",
            "created_at": "VARCHAR",
            "send_at": "VARCHAR",
            "send_reminder_at": "VARCHAR",
            "is_sent": "VARCHAR",
            "is_reminder_sent": "VARCHAR"
        }'
    ) AS i
FROM (
    SELECT
        landed.*,
        json_exists(body, '$.registration') OR json_exists(body, '$.external_id')
            AS is_registration,
        COALESCE(json_extract(body, '$.registration'), body) AS order_body,
        body ->> '$.response.success' AS success
    FROM landed
) AS kinds

-- section: row_parts
-- Grain: one product of a registration. A product may stand in it more than once, so its key is its
-- id with its occurrence.
SELECT
    order_key,
    version_id,
    position,
    p,
    p.external_id || '~' || row_number() OVER (
        PARTITION BY version_id, p.external_id
        ORDER BY position
    ) AS row_id
FROM (
    SELECT
        order_key,
        version_id,
        unnest(products) AS p,
        generate_subscripts(products, 1) AS position
    FROM (
        SELECT
            order_key,
            version_id,
            json_transform(
                r.products,
                '[{
                    "external_id": "VARCHAR",
                    "name": "VARCHAR",
                    "url": "VARCHAR",
                    "sku": "VARCHAR",
                    "gtin": "VARCHAR",
                    "image_url": "VARCHAR"
                }]'
            ) AS products
        FROM parsed
    ) AS listed
) AS unnested

-- section: invitation_parts
-- Grain: one registration: how long after it the invitation and its reminder are to be sent.
SELECT
    version_id,
    json_transform(
        r.invitation,
        '{
            "delay": {"unit": "VARCHAR", "amount": "VARCHAR"},
            "reminder": {"unit": "VARCHAR", "amount": "VARCHAR"}
        }'
    ) AS w
FROM parsed

-- section: readings
-- Grain: one review registration; every text that is more than a text, read once.
SELECT
    *,
    stamps[1] AS created,
    stamps[2] AS sent,
    stamps[3] AS reminded
FROM (
    SELECT
        p.*,
        w,
        stamps_of([i.created_at, i.send_at, i.send_reminder_at]) AS stamps,
        boolean_of(i.is_sent) AS is_sent,
        boolean_of(i.is_reminder_sent) AS is_reminder_sent,
        boolean_of(success) AS is_taken,
        whole_of(i.order_id) AS number,
        integer_of(w.delay.amount) AS delay_amount,
        integer_of(w.reminder.amount) AS reminder_amount
    FROM parsed AS p
    JOIN invitation_parts AS v ON v.version_id = p.version_id
) AS texts

-- section: orders
-- Grain: one review registration: never revenue, and without any status but the invitation's.
SELECT
    p.order_key,
    p.version_id,
    text_of(r.external_id) AS order_number,
    CASE
        WHEN regexp_full_match(r.external_id, '[A-Za-z0-9_.~%-]+(:[A-Za-z0-9_.~%-]+){2}')
        THEN r.external_id
    END AS parent_order_key,
    'review_registration' AS order_type,
    created.moment AS created_at,
    created.offset_min AS created_offset_min,
    created.basis AS created_tz_basis,
    CASE
        WHEN is_invitation AND is_reminder_sent THEN 'reminder_sent'
        WHEN is_invitation AND is_sent THEN 'sent'
        WHEN is_invitation AND NOT is_sent THEN 'scheduled'
        WHEN is_invitation THEN 'unknown'
        WHEN COALESCE(json_type(r.invitation), 'NULL') = 'NULL' THEN 'none'
        WHEN is_taken THEN 'scheduled'
        ELSE 'unknown'
    END AS invitation_status,
    CASE
        WHEN is_invitation AND (is_reminder_sent OR is_sent)
        THEN 'source'
        WHEN is_invitation AND NOT is_sent THEN 'derived'
        WHEN NOT is_invitation
            AND (COALESCE(json_type(r.invitation), 'NULL') = 'NULL' OR is_taken)
        THEN 'derived'
        ELSE 'default'
    END AS invitation_status_basis,
    CASE
        WHEN is_invitation AND is_reminder_sent THEN 'is_reminder_sent=true'
        WHEN is_invitation THEN 'is_sent=' || i.is_sent
        ELSE 'success=' || success
    END AS source_invitation_status_code,
    CASE
        WHEN NOT is_invitation
        THEN [
            {
                'event_type': 'feedback_submitted',
                'dimension': CAST(NULL AS VARCHAR),
                'code': CAST(NULL AS VARCHAR),
                'canonical_code': CAST(NULL AS VARCHAR),
                'occurred_at': CAST(fetched_at AS TIMESTAMPTZ),
                'valid_from_utc': CAST(NULL AS TIMESTAMPTZ),
                'payload_ok': is_taken
            }
        ]
        ELSE present([
            stamped_event(
                'invitation_scheduled',
                created,
                'invitation_status',
                NULL,
                canonical := 'scheduled'
            ),
            CASE
                WHEN is_sent
                THEN stamped_event(
                    'invitation_sent', sent, 'invitation_status', NULL, canonical := 'sent'
                )
            END,
            CASE
                WHEN is_reminder_sent
                THEN stamped_event(
                    'invitation_reminded',
                    reminded,
                    'invitation_status',
                    NULL,
                    canonical := 'reminder_sent'
                )
            END
        ])
    END AS events,
    CASE
        WHEN is_invitation
        THEN to_json({
            'order_id': number,
            'send_at': text_of(i.send_at),
            'send_reminder_at': text_of(i.send_reminder_at),
            'is_sent': is_sent,
            'is_reminder_sent': is_reminder_sent
        })
        ELSE to_json({
            'invitation_delay_unit': text_of(w.delay.unit),
            'invitation_delay_amount': delay_amount,
            'reminder_delay_unit': text_of(w.reminder.unit),
            'reminder_delay_amount': reminder_amount,
            'filtercode': text_of(r.filtercode)
        })
    END AS source_fields,
    present([
        CASE WHEN s.has_odd_gtin THEN 'gtin_not_13_digits' END,
        CASE WHEN s.has_wrong_gtin THEN 'gtin_check_digit' END,
        CASE
            WHEN created.is_repeated
                OR sent.is_repeated
                OR reminded.is_repeated
            THEN 'repeated_hour'
        END
    ]) AS quality_flags,
    CASE WHEN json_type(r.products) = 'ARRAY' THEN 'complete' ELSE 'not_supplied' END AS rows_state,
    CASE
        WHEN is_invitation
        THEN present([
            lacking('created_at', i.created_at),
            lacking('is_sent', i.is_sent),
            unread_whole('order_id', i.order_id, number),
            unread_stamp('created_at', created),
            unread_stamp('send_at', sent),
            unread_stamp('send_reminder_at', reminded),
            unread_boolean('is_sent', i.is_sent, is_sent),
            unread_boolean('is_reminder_sent', i.is_reminder_sent, is_reminder_sent)
        ])
        ELSE list_concat(
            misfits(
                order_body,
                ['$.invitation.delay', '$.invitation.reminder'],
                held := ['']
            ),
            present([
                absent('external_id', r.external_id),
                -- Of an erased customer it is there, and empty.
                CASE
                    WHEN r.customer ->> '$.email' IS NULL
                    THEN lacking('customer.email', NULL)
                END,
                unread_boolean('response.success', success, is_taken),
                unread(
                    'invitation.delay.amount',
                    w.delay.amount,
                    delay_amount,
                    'not a whole number',
                    FALSE
                ),
                unread(
                    'invitation.reminder.amount',
                    w.reminder.amount,
                    reminder_amount,
                    'not a whole number',
                    FALSE
                ),
                CASE
                    WHEN json_type(r.products) NOT IN ('ARRAY', 'NULL')
                    THEN fault('products', 'not an array', CAST(r.products AS VARCHAR), TRUE)
                END,
                CASE
                    WHEN json_type(r.invitation) NOT IN ('OBJECT', 'NULL')
                    THEN fault('invitation', 'not an object', CAST(r.invitation AS VARCHAR), FALSE)
                END
            ])
        )
    END AS faults
FROM readings AS p
LEFT JOIN (
    SELECT
        version_id,
        bool_or(NOT is_gtin13) AS has_odd_gtin,
        bool_or(is_gtin13 AND check_digit <> gtin[13]) AS has_wrong_gtin
    FROM (
        SELECT
            version_id,
            gtin,
            regexp_full_match(gtin, '[0-9]{13}') AS is_gtin13,
            CAST(
                (10 - list_sum(list_transform(
                    range(1, 13),
                    lambda n: TRY_CAST(gtin[n] AS INTEGER) * CASE WHEN n % 2 = 0 THEN 3 ELSE 1 END
                )) % 10) % 10
                AS VARCHAR
            ) AS check_digit
        FROM (SELECT version_id, text_of(p.gtin) AS gtin FROM row_parts) AS named
    ) AS checked
    GROUP BY version_id
) AS s ON s.version_id = p.version_id

-- section: order_rows
-- Grain: one product of a registration. Nothing is said of quantities or amounts.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, COALESCE(row_id, '')) AS order_row_key,
    COALESCE(row_id, '') AS source_row_id,
    position AS row_no,
    text_of(p.external_id) AS product_id,
    text_of(p.name) AS product_name,
    text_of(p.sku) AS sku,
    text_of(p.gtin) AS gtin,
    text_of(p.url) AS product_url,
    text_of(p.image_url) AS image_url,
    row_hash(p) AS content_hash,
    present([
        absent('products[].external_id', p.external_id),
        lacking('products[].name', p.name),
        lacking('products[].url', p.url)
    ]) AS faults
FROM row_parts

-- section: order_parties
-- Grain: one registration: its customer.
SELECT
    order_key,
    version_id,
    'customer' AS role,
    text_of(r.customer ->> '$.fullname') AS full_name,
    text_of(r.customer ->> '$.email') AS email
FROM parsed
WHERE concat(r.customer ->> '$.fullname', r.customer ->> '$.email') <> ''
