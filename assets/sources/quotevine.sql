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

-- section: readings
-- Grain: one order; every text that is more than a text, read once.
SELECT
    order_key,
    version_id,
    o,
    stamps[1] AS created,
    stamps[2] AS updated,
    stamps[3] AS customer_updated,
    CAST(stamps[4].written AS DATE) AS ordered_on,
    CAST(stamps[5].written AS DATE) AS target_on,
    CAST(stamps[6].written AS DATE) AS confirmed_on,
    CAST(stamps[7].written AS DATE) AS cancelled_on,
    CAST(stamps[8].written AS DATE) AS cooling_off_on,
    CAST(stamps[9].written AS DATE) AS registered_on,
    CAST(stamps[10].written AS DATE) AS profit_on,
    -- A later stamp says nothing of when it was cancelled; an earlier one says it exactly.
    CASE
        WHEN stamps[2].moment <= end_of(CAST(stamps[7].written AS DATE)) THEN NULL
        ELSE CAST(stamps[7].written AS DATE)
    END AS late_day,
    entries[1] AS status_entry,
    entries[2] AS shipping_entry,
    entries[3] AS method_entry,
    whole_of(o.proposal_id) AS proposal_id,
    whole_of(o.paint_option_code) AS paint_option_code,
    whole_of(o.trim_option_code) AS trim_option_code,
    TRY_CAST(whole_of(o.update_frequency_days) AS SMALLINT) AS frequency_days
FROM (
    SELECT
        *,
        stamps_of([
            o.creation_date, o.last_update_date, o.last_customer_update, o.order_date,
            o.int_target_delivery_date, o.confirmed_delivery_date, o.cancellation_date,
            o.cooling_off_date, o.first_registration_date, o.profit_date
        ]) AS stamps,
        entries_of([
            ['order_status', text_of(o.order_status)],
            ['shipping_status', text_of(o.order_status)],
            ['fulfilment_method', text_of(o.delivery_method)]
        ]) AS entries
    FROM parsed
) AS texts

-- section: orders
-- Grain: one order. Nothing here depends on today's date: a confirmed delivery date that has passed
-- is no proof of delivery.
SELECT
    order_key,
    version_id,
    text_of(o.funder_order_number) AS order_number,
    'lease_order' AS order_type,
    'default' AS order_type_basis,
    ordered_on AS placed_on,
    created.moment AS created_at,
    created.offset_min AS created_offset_min,
    created.basis AS created_tz_basis,
    updated.moment AS updated_at,
    updated.offset_min AS updated_offset_min,
    updated.basis AS updated_tz_basis,
    cancelled_on AS cancelled_on,
    text_of(o.cancellation_reason) AS cancellation_reason,
    target_on AS requested_delivery_on,
    text_of(o.target_delivery_date) AS requested_delivery_text,
    confirmed_on AS confirmed_delivery_on,
    CASE
        WHEN cancelled_on IS NOT NULL THEN 'cancelled'
        ELSE code_of(status_entry)
    END AS order_status,
    CASE
        WHEN cancelled_on IS NOT NULL THEN 'derived'
        ELSE code_basis_of(status_entry)
    END AS order_status_basis,
    text_of(o.order_status) AS source_status_code,
    text_of(o.order_status) AS source_status_name,
    'unknown' AS payment_status,
    CASE
        WHEN cancelled_on IS NOT NULL THEN 'cancelled'
        WHEN shipping_entry IS NOT NULL
        THEN code_of(shipping_entry)
        WHEN confirmed_on IS NOT NULL THEN 'scheduled'
        ELSE 'not_shipped'
    END AS shipping_status,
    CASE
        WHEN cancelled_on IS NULL
            AND shipping_entry IS NOT NULL
        THEN code_basis_of(shipping_entry)
        ELSE 'derived'
    END AS shipping_status_basis,
    CASE
        WHEN cancelled_on IS NULL
            AND shipping_entry IS NOT NULL
        THEN o.order_status
    END AS source_shipping_status_code,
    CASE WHEN text_of(o.vin) IS NULL THEN 'not_allocated' ELSE 'allocated' END
        AS allocation_status,
    'derived' AS allocation_status_basis,
    'unknown' AS fulfilment_status,
    code_of(method_entry) AS fulfilment_method,
    code_basis_of(method_entry) AS fulfilment_method_basis,
    text_of(o.delivery_method) AS source_fulfilment_method,
    present([
        stamped_event('created', created, NULL, NULL),
        stamped_event('customer_updated', customer_updated, NULL, NULL),
        event_on('cancelled', late_day, 'order_status', 'cancelled'),
        event_on('cancelled', late_day, 'shipping_status', 'cancelled')
    ]) AS events,
    to_json({
        'proposal_id': proposal_id,
        'proposal_status': text_of(o.proposal_status),
        'new_used': text_of(o.new_used),
        'paint_option_code': paint_option_code,
        'trim_option_code': trim_option_code,
        'build_tracking_number': text_of(o.build_tracking_number),
        'registration_number': text_of(o.registration_number),
        'vin': text_of(o.vin),
        'k4k_registration_number': text_of(o.k4k_registration_number),
        'funder_fleet_number': text_of(o.funder_fleet_number),
        'discount_bonus_code_1':
            COALESCE(text_of(o.discount_bonus_code_1), text_of(o.discount_bonus_1)),
        'discount_bonus_code_2':
            COALESCE(text_of(o.discount_bonus_code_2), text_of(o.discount_bonus_2)),
        'cooling_off_date': cooling_off_on,
        'delivery_slot': text_of(o.delivery_slot),
        'first_registration_date': registered_on,
        'vehicle_registree': text_of(o.vehicle_registree),
        'profit_date': profit_on,
        'update_frequency_days': frequency_days
    }) AS source_fields,
    present([
        unmapped('order_status', text_of(o.order_status), status_entry),
        unmapped('fulfilment_method', text_of(o.delivery_method), method_entry),
        CASE
            WHEN created.is_repeated
                OR updated.is_repeated
                OR customer_updated.is_repeated
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
        unread_stamp('creation_date', created),
        unread_stamp('last_update_date', updated),
        unread_stamp('last_customer_update', customer_updated),
        unread_date('order_date', o.order_date, ordered_on),
        unread_date('int_target_delivery_date', o.int_target_delivery_date, target_on),
        unread_date('confirmed_delivery_date', o.confirmed_delivery_date, confirmed_on),
        unread_date('cancellation_date', o.cancellation_date, cancelled_on),
        unread_date('cooling_off_date', o.cooling_off_date, cooling_off_on),
        unread_date('first_registration_date', o.first_registration_date, registered_on),
        unread_date('profit_date', o.profit_date, profit_on),
        unread_whole('proposal_id', o.proposal_id, proposal_id),
        unread_whole('paint_option_code', o.paint_option_code, paint_option_code),
        unread_whole('trim_option_code', o.trim_option_code, trim_option_code),
        unread(
            'update_frequency_days',
            o.update_frequency_days,
            frequency_days,
            'not a whole number of days',
            FALSE
        )
    ]) AS faults
FROM readings

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
