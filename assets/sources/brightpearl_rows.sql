-- Grain: one order row, then one party of an order: the second half of brightpearl.sql.
-- Belongs here: what each documented field of a row or party means. Does not belong here: orders.

-- section: order_rows
-- Grain: one order row.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, row_id) AS order_row_key,
    row_id AS source_row_id,
    row_no,
    CASE
        WHEN is_parent THEN 'bundle_parent'
        WHEN is_child THEN 'bundle_component'
        ELSE 'product'
    END AS row_kind,
    row_key_of(order_key, reference_of(r.composition.parentOrderRowId)) AS parent_row_key,
    reference_of(r.productId) AS product_id,
    text_of(r.productName) AS product_name,
    text_of(r.productSku) AS sku,
    quantity,
    unit_price,
    discount_percent,
    row_net AS net_amount,
    row_tax AS tax_amount,
    tax_rate,
    text_of(r.rowValue.taxCode) AS tax_code,
    unit_cost,
    text_of(r.itemCost.currencyCode) AS cost_currency,
    COALESCE(
        text_of(r.rowValue.rowNet.currencyCode),
        text_of(r.rowValue.rowTax.currencyCode),
        text_of(r.productPrice.currencyCode),
        text_of(order_currency)
    ) AS currency,
    text_of(r.nominalCode) AS ledger_code,
    json_transform(r.productOptions, '"MAP(VARCHAR, VARCHAR)"') AS options,
    to_json(fields) AS source_fields,
    CASE WHEN row_net IS NULL THEN 'none' ELSE 'row_total' END AS amount_basis,
    row_hash(r) AS content_hash,
    list_concat(
        -- Looked for where a part has no value but may be there: `item` is a text that DuckDB wrote,
        -- without escapes in its names.
        CASE
            WHEN r.quantity.magnitude IS NULL OR r.rowValue.rowNet.value IS NULL
                OR r.rowValue.rowTax.value IS NULL
                OR r.productPrice.value IS NULL AND contains(item, '"productPrice"')
                OR r.itemCost.value IS NULL AND contains(item, '"itemCost"')
                OR r.composition.bundleParent IS NULL AND contains(item, '"composition"')
            THEN misfits(
                item,
                [
                    '$', '$.quantity', '$.productPrice', '$.itemCost', '$.composition',
                    '$.rowValue', '$.rowValue.rowNet', '$.rowValue.rowTax'
                ],
                held := NULL
            )
        END,
        present([
            unread_money('quantity.magnitude', r.quantity.magnitude, quantity),
            unread_money('itemCost.value', r.itemCost.value, unit_cost),
            unread_money('productPrice.value', r.productPrice.value, unit_price),
            unread_money('rowValue.rowNet.value', r.rowValue.rowNet.value, row_net),
            unread_money('rowValue.rowTax.value', r.rowValue.rowTax.value, row_tax),
            unread_percent('discountPercentage', r.discountPercentage, discount_percent),
            unread_percent('rowValue.taxRate', r.rowValue.taxRate, tax_rate),
            unread_whole('rowValue.taxClassId', r.rowValue.taxClassId, fields.tax_class_id),
            unread_integer('orderRowSequence', r.orderRowSequence, row_no),
            unread_boolean('composition.bundleParent', r.composition.bundleParent, is_parent),
            unread_boolean('composition.bundleChild', r.composition.bundleChild, is_child),
            CASE
                WHEN json_type(r.productOptions) <> 'OBJECT' AND r.productOptions <> '[]'
                THEN fault('productOptions', 'not an object', NULL, FALSE)
            END
        ])
    ) AS faults
FROM (
    SELECT
        *,
        integer_of(r.orderRowSequence) AS row_no,
        boolean_of(r.composition.bundleParent) AS is_parent,
        boolean_of(r.composition.bundleChild) AS is_child,
        money_of(r.quantity.magnitude) AS quantity,
        money_of(r.productPrice.value) AS unit_price,
        money_of(r.itemCost.value) AS unit_cost,
        percent_of(r.discountPercentage) AS discount_percent,
        {
            'tax_calculator': r.rowValue.taxCalculator,
            'tax_class_id': whole_of(r.rowValue.taxClassId)
        } AS fields
    FROM row_parts
) AS read

-- section: order_parties
-- Grain: one party of an order, by role.
SELECT
    order_key,
    version_id,
    party.role AS role,
    reference_of(v.contactId) AS source_party_id,
    text_of(v.addressFullName) AS full_name,
    text_of(v.companyName) AS company_name,
    text_of(v.addressLine1) AS address_line_1,
    text_of(v.addressLine2) AS address_line_2,
    text_of(v.addressLine3) AS address_line_3,
    text_of(v.addressLine4) AS address_line_4,
    text_of(v.postalCode) AS postal_code,
    text_of(v.country) AS country_name,
    text_of(v.countryIsoCode) AS country_code,
    text_of(v.countryIsoCode3) AS country_code3,
    reference_of(v.countryId) AS source_country_id,
    text_of(v.telephone) AS telephone,
    text_of(v.mobileTelephone) AS mobile_telephone,
    text_of(v.email) AS email
FROM (
    SELECT
        order_key,
        version_id,
        party,
        json_transform(
            party.body,
            '{
                "contactId": "VARCHAR", "addressFullName": "VARCHAR", "companyName": "VARCHAR",
                "addressLine1": "VARCHAR", "addressLine2": "VARCHAR", "addressLine3": "VARCHAR",
                "addressLine4": "VARCHAR", "postalCode": "VARCHAR", "country": "VARCHAR",
                "countryIsoCode": "VARCHAR", "countryIsoCode3": "VARCHAR",
                "countryId": "VARCHAR", "telephone": "VARCHAR", "mobileTelephone": "VARCHAR",
                "email": "VARCHAR"
            }'
        ) AS v
    FROM (
        SELECT
            order_key,
            version_id,
            unnest([
                {'role': 'customer', 'body': o.parties.customer},
                {'role': 'supplier', 'body': o.parties.supplier},
                {'role': 'delivery', 'body': o.parties.delivery},
                {'role': 'billing', 'body': o.parties.billing}
            ]) AS party
        FROM parsed
    ) AS unnested
    WHERE json_type(party.body) = 'OBJECT'
) AS read
