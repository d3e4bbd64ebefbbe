-- Grain: one Quotevine order per record of `landed`. The body is put together by quotevine.py: the
-- relationship that was asked, and the order exactly as received, in either of its two shapes
-- (Orders Object v2, or the attributes of the older Orders Object page alone).
-- Belongs here: what each documented field means. How to ask is in quotevine.py.

-- section: parsed
SELECT
    landed.*,
    json_transform(
        body,
        '{"order": {
            "proposal_id": "VARCHAR",
            "order_status": "VARCHAR",
            "proposal_status": "VARCHAR",
            "order_date": "VARCHAR",
            "creation_date": "VARCHAR",
            "last_update_date": "VARCHAR",
            "dealer_id": "VARCHAR",
            "dealer_contact_id": "VARCHAR",
            "target_delivery_date": "VARCHAR",
            "int_target_delivery_date": "VARCHAR",
            "confirmed_delivery_date": "VARCHAR",
            "delivery_property": "VARCHAR",
            "delivery_address": "VARCHAR",
            "delivery_postcode": "VARCHAR",
            "delivery_method": "VARCHAR",
            "new_used": "VARCHAR",
            "paint_option_code": "VARCHAR",
            "trim_option_code": "VARCHAR",
            "build_tracking_number": "VARCHAR",
            "registration_number": "VARCHAR",
            "vin": "VARCHAR",
            "k4k_registration_number": "VARCHAR",
            "funder_fleet_number": "VARCHAR",
            "discount_bonus_code_1": "VARCHAR",
            "discount_bonus_1": "VARCHAR",
            "discount_bonus_code_2": "VARCHAR",
            "discount_bonus_2": "VARCHAR",
            "cooling_off_date": "VARCHAR",
            "cancellation_date": "VARCHAR",
            "cancellation_reason": "VARCHAR",
            "contact_notes": "VARCHAR",
            "contact_name": "VARCHAR",
            "contact_telephone": "VARCHAR",
            "contact_mobile": "VARCHAR",
            "funder_order_number": "VARCHAR",
            "delivery_slot": "VARCHAR",
            "first_registration_date": "VARCHAR",
            "vehicle_registree": "VARCHAR",
            "registree_name": "VARCHAR",
            "registree_house_number_name": "VARCHAR",
            "registree_street": "VARCHAR",
            "registree_locality": "VARCHAR",
            "registree_town_city": "VARCHAR",
            "registree_postcode": "VARCHAR",
            "profit_date": "VARCHAR",
            "update_frequency_days": "VARCHAR",
            "last_customer_update": "VARCHAR",
            "working_user_email": "VARCHAR"
        }}'
    )."order" AS o
FROM landed

-- section: orders
-- Grain: one order. Nothing here depends on today's date: a confirmed delivery date that has passed
-- is no proof of delivery.
SELECT
    order_key,
    version_id,
    text_of(o.funder_order_number) AS order_number,
    'lease_order' AS order_type,
    'default' AS order_type_basis,
    date_of(o.order_date) AS placed_on,
    moment_of(o.creation_date) AS created_at,
    offset_of(o.creation_date) AS created_offset_min,
    basis_of(o.creation_date) AS created_tz_basis,
    moment_of(o.last_update_date) AS updated_at,
    offset_of(o.last_update_date) AS updated_offset_min,
    basis_of(o.last_update_date) AS updated_tz_basis,
    date_of(o.cancellation_date) AS cancelled_on,
    text_of(o.cancellation_reason) AS cancellation_reason,
    date_of(o.int_target_delivery_date) AS requested_delivery_on,
    text_of(o.target_delivery_date) AS requested_delivery_text,
    date_of(o.confirmed_delivery_date) AS confirmed_delivery_on,
    CASE
        WHEN date_of(o.cancellation_date) IS NOT NULL THEN 'cancelled'
        ELSE code_of('order_status', text_of(o.order_status))
    END AS order_status,
    CASE
        WHEN date_of(o.cancellation_date) IS NOT NULL THEN 'derived'
        ELSE code_basis_of('order_status', text_of(o.order_status))
    END AS order_status_basis,
    text_of(o.order_status) AS source_status_code,
    text_of(o.order_status) AS source_status_name,
    'unknown' AS payment_status,
    CASE
        WHEN date_of(o.cancellation_date) IS NOT NULL THEN 'cancelled'
        WHEN is_mapped('shipping_status', text_of(o.order_status))
        THEN code_of('shipping_status', text_of(o.order_status))
        WHEN date_of(o.confirmed_delivery_date) IS NOT NULL THEN 'scheduled'
        ELSE 'not_shipped'
    END AS shipping_status,
    CASE
        WHEN date_of(o.cancellation_date) IS NULL
            AND is_mapped('shipping_status', text_of(o.order_status))
        THEN code_basis_of('shipping_status', text_of(o.order_status))
        ELSE 'derived'
    END AS shipping_status_basis,
    CASE
        WHEN date_of(o.cancellation_date) IS NULL
            AND is_mapped('shipping_status', text_of(o.order_status))
        THEN o.order_status
    END AS source_shipping_status_code,
    CASE WHEN text_of(o.vin) IS NULL THEN 'not_allocated' ELSE 'allocated' END
        AS allocation_status,
    'derived' AS allocation_status_basis,
    'unknown' AS fulfilment_status,
    code_of('fulfilment_method', text_of(o.delivery_method)) AS fulfilment_method,
    code_basis_of('fulfilment_method', text_of(o.delivery_method)) AS fulfilment_method_basis,
    text_of(o.delivery_method) AS source_fulfilment_method,
    present([
        event_of('created', o.creation_date, NULL, NULL),
        event_of('customer_updated', o.last_customer_update, NULL, NULL),
        event_on('cancelled', late_day, 'order_status', 'cancelled'),
        event_on('cancelled', late_day, 'shipping_status', 'cancelled')
    ]) AS events,
    to_json({
        'proposal_id': whole_of(o.proposal_id),
        'proposal_status': text_of(o.proposal_status),
        'new_used': text_of(o.new_used),
        'paint_option_code': whole_of(o.paint_option_code),
        'trim_option_code': whole_of(o.trim_option_code),
        'build_tracking_number': text_of(o.build_tracking_number),
        'registration_number': text_of(o.registration_number),
        'vin': text_of(o.vin),
        'k4k_registration_number': text_of(o.k4k_registration_number),
        'funder_fleet_number': text_of(o.funder_fleet_number),
        'discount_bonus_code_1':
            COALESCE(text_of(o.discount_bonus_code_1), text_of(o.discount_bonus_1)),
        'discount_bonus_code_2':
            COALESCE(text_of(o.discount_bonus_code_2), text_of(o.discount_bonus_2)),
        'cooling_off_date': date_of(o.cooling_off_date),
        'delivery_slot': text_of(o.delivery_slot),
        'first_registration_date': date_of(o.first_registration_date),
        'vehicle_registree': text_of(o.vehicle_registree),
        'profit_date': date_of(o.profit_date),
        'update_frequency_days': TRY_CAST(whole_of(o.update_frequency_days) AS SMALLINT)
    }) AS source_fields,
    present([
        unmapped('order_status', text_of(o.order_status)),
        unmapped('fulfilment_method', text_of(o.delivery_method)),
        CASE
            WHEN is_repeated_hour(o.creation_date)
                OR is_repeated_hour(o.last_update_date)
                OR is_repeated_hour(o.last_customer_update)
            THEN 'repeated_hour'
        END,
        CASE
            WHEN text_of(o.delivery_property) <> text_of(o.delivery_address)
                OR text_of(o.discount_bonus_code_1) <> text_of(o.discount_bonus_1)
                OR text_of(o.discount_bonus_code_2) <> text_of(o.discount_bonus_2)
            THEN 'alias_differs'
        END
    ]) AS quality_flags,
    'not_supplied' AS rows_state,
    present([
        lacking('proposal_id', o.proposal_id),
        lacking('order_status', o.order_status),
        lacking('target_delivery_date', o.target_delivery_date),
        unread_moment('creation_date', o.creation_date),
        unread_moment('last_update_date', o.last_update_date),
        unread_moment('last_customer_update', o.last_customer_update),
        unread_date('order_date', o.order_date),
        unread_date('int_target_delivery_date', o.int_target_delivery_date),
        unread_date('confirmed_delivery_date', o.confirmed_delivery_date),
        unread_date('cancellation_date', o.cancellation_date),
        unread_date('cooling_off_date', o.cooling_off_date),
        unread_date('first_registration_date', o.first_registration_date),
        unread_date('profit_date', o.profit_date),
        unread_whole('proposal_id', o.proposal_id),
        unread_whole('paint_option_code', o.paint_option_code),
        unread_whole('trim_option_code', o.trim_option_code),
        unread(
            'update_frequency_days',
            o.update_frequency_days,
            TRY_CAST(whole_of(o.update_frequency_days) AS SMALLINT),
            'not a whole number of days',
            FALSE
        )
    ]) AS faults
FROM (
    SELECT
        *,
        -- A later stamp says nothing of when it was cancelled; an earlier one says it exactly.
        CASE
            WHEN moment_of(o.last_update_date) <= end_of(date_of(o.cancellation_date)) THEN NULL
            ELSE date_of(o.cancellation_date)
        END AS late_day
    FROM parsed
) AS dated

-- section: order_parties
-- Grain: one party of an order, by role; a party of which nothing is said is left out.
SELECT
    order_key,
    version_id,
    'contact' AS role,
    text_of(o.contact_name) AS full_name,
    text_of(o.contact_telephone) AS telephone,
    text_of(o.contact_mobile) AS mobile_telephone,
    text_of(o.contact_notes) AS free_text
FROM parsed
WHERE concat(o.contact_name, o.contact_telephone, o.contact_mobile, o.contact_notes) <> ''
UNION ALL BY NAME
SELECT
    order_key,
    version_id,
    'registree' AS role,
    text_of(o.registree_name) AS full_name,
    text_of(o.registree_house_number_name) AS address_line_1,
    text_of(o.registree_street) AS address_line_2,
    text_of(o.registree_locality) AS address_line_3,
    text_of(o.registree_town_city) AS address_line_4,
    text_of(o.registree_postcode) AS postal_code
FROM parsed
WHERE concat(
    o.registree_name,
    o.registree_house_number_name,
    o.registree_street,
    o.registree_locality,
    o.registree_town_city,
    o.registree_postcode
) <> ''
UNION ALL BY NAME
SELECT
    order_key,
    version_id,
    'delivery' AS role,
    COALESCE(text_of(o.delivery_property), text_of(o.delivery_address)) AS address_line_1,
    text_of(o.delivery_postcode) AS postal_code
FROM parsed
WHERE concat(o.delivery_property, o.delivery_address, o.delivery_postcode) <> ''
UNION ALL BY NAME
SELECT
    order_key,
    version_id,
    'dealer' AS role,
    reference_of(o.dealer_id) AS source_party_id,
    reference_of(o.dealer_contact_id) AS source_contact_id
FROM parsed
WHERE concat(reference_of(o.dealer_id), reference_of(o.dealer_contact_id)) <> ''
UNION ALL BY NAME
SELECT
    order_key,
    version_id,
    'staff' AS role,
    text_of(o.working_user_email) AS email
FROM parsed
WHERE o.working_user_email <> ''
