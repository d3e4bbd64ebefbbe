-- Grain: one Brightpearl order per record of `landed` (the body is one item of an Order GET reply).
-- Belongs here: what each documented field means. How to ask is in brightpearl.py.

-- section: parsed
SELECT
    landed.*,
    json_transform(
        body,
        '{
            "id": "VARCHAR", "parentOrderId": "VARCHAR", "orderTypeCode": "VARCHAR",
            "reference": "VARCHAR", "version": "VARCHAR", "state": {"tax": "VARCHAR"},
            "tax": {"errors": ["VARCHAR"]}, "acknowledged": "VARCHAR",
            "orderStatus": {"orderStatusId": "VARCHAR", "name": "VARCHAR"},
            "orderPaymentStatus": "VARCHAR", "stockStatusCode": "VARCHAR",
            "allocationStatusCode": "VARCHAR", "shippingStatusCode": "VARCHAR",
            "placedOn": "VARCHAR", "createdOn": "VARCHAR", "updatedOn": "VARCHAR",
            "closedOn": "VARCHAR", "createdById": "VARCHAR", "priceListId": "VARCHAR",
            "priceModeCode": "VARCHAR",
            "delivery": {"deliveryDate": "VARCHAR", "shippingMethodId": "VARCHAR"},
            "invoices": [
                {"invoiceReference": "VARCHAR", "taxDate": "VARCHAR", "dueDate": "VARCHAR"}
            ],
            "currency": {
                "accountingCurrencyCode": "VARCHAR", "orderCurrencyCode": "VARCHAR",
                "exchangeRate": "VARCHAR", "fixedExchangeRate": "VARCHAR"
            },
            "totalValue": {
                "net": "VARCHAR", "taxAmount": "VARCHAR", "total": "VARCHAR",
                "baseNet": "VARCHAR", "baseTaxAmount": "VARCHAR", "baseTotal": "VARCHAR"
            },
            "assignment": {
                "current": {
                    "staffOwnerContactId": "VARCHAR", "projectId": "VARCHAR",
                    "channelId": "VARCHAR", "channeltId": "VARCHAR",
                    "leadSourceId": "VARCHAR", "teamId": "VARCHAR"
                }
            },
            "parties": {
                "customer": "JSON", "supplier": "JSON", "delivery": "JSON", "billing": "JSON"
            },
            "orderRows": "JSON", "warehouseId": "VARCHAR", "costPriceListId": "VARCHAR",
            "isDropship": "VARCHAR", "historicalOrder": "VARCHAR",
            "customFields": "MAP(VARCHAR, JSON)", "nullCustomFields": ["VARCHAR"]
        }'
    ) AS o
FROM landed

-- section: row_parts
-- Grain: one order row.
SELECT
    order_key,
    version_id,
    o.orderTypeCode AS order_type_code,
    o.currency.orderCurrencyCode AS order_currency,
    entry.key AS row_id,
    entry.value AS r,
    money_of(entry.value.rowValue.rowNet.value) AS row_net,
    money_of(entry.value.rowValue.rowTax.value) AS row_tax,
    list_distinct([
        text_of(entry.value.rowValue.rowNet.currencyCode),
        text_of(entry.value.rowValue.rowTax.currencyCode),
        text_of(entry.value.productPrice.currencyCode),
        text_of(o.currency.orderCurrencyCode)
    ]) AS currencies,
    CASE
        WHEN entry.value.quantity.magnitude IS NULL OR entry.value.productPrice.value IS NULL
            OR entry.value.rowValue.rowNet.value IS NULL OR entry.value.itemCost.value IS NULL
            OR entry.value.rowValue.rowTax.value IS NULL
            OR entry.value.composition.bundleParent IS NULL
        THEN misfits(
            json_extract(o.orderRows, '$."' || entry.key || '"'),
            'OBJECT',
            [
                '$', '$.quantity', '$.productPrice', '$.itemCost', '$.composition', '$.rowValue',
                '$.rowValue.rowNet', '$.rowValue.rowTax'
            ],
            TRUE
        )
    END AS misfits
FROM (
    SELECT
        order_key,
        version_id,
        o,
        unnest(
            map_entries(
                json_transform(
                    o.orderRows,
                    '"MAP(VARCHAR, STRUCT(orderRowSequence VARCHAR, productId VARCHAR, '
                    || 'productName VARCHAR, productSku VARCHAR, '
                    || 'quantity STRUCT(magnitude VARCHAR), '
                    || 'itemCost STRUCT(currencyCode VARCHAR, value VARCHAR), '
                    || 'productPrice STRUCT(currencyCode VARCHAR, value VARCHAR), '
                    || 'discountPercentage VARCHAR, rowValue STRUCT(taxRate VARCHAR, '
                    || 'taxCode VARCHAR, taxCalculator VARCHAR, taxClassId VARCHAR, '
                    || 'rowNet STRUCT(currencyCode VARCHAR, value VARCHAR), '
                    || 'rowTax STRUCT(currencyCode VARCHAR, value VARCHAR)), '
                    || 'productOptions JSON, nominalCode VARCHAR, '
                    || 'composition STRUCT(bundleParent VARCHAR, bundleChild VARCHAR, '
                    || 'parentOrderRowId VARCHAR)))"'
                )
            )
        ) AS entry
    FROM parsed
) AS unnested

-- section: orders
-- Grain: one order.
SELECT
    p.order_key,
    p.version_id,
    text_of(o.reference) AS order_number,
    order_key_of(reference_of(o.parentOrderId)) AS parent_order_key,
    code_of('order_type', o.orderTypeCode) AS order_type,
    code_basis_of('order_type', o.orderTypeCode) AS order_type_basis,
    o.orderTypeCode AS source_order_type_code,
    moment_of(o.placedOn) AS placed_at,
    offset_of(o.placedOn) AS placed_offset_min,
    basis_of(o.placedOn) AS placed_tz_basis,
    day_of(moment_of(o.placedOn)) AS placed_on,
    moment_of(o.createdOn) AS created_at,
    offset_of(o.createdOn) AS created_offset_min,
    basis_of(o.createdOn) AS created_tz_basis,
    moment_of(o.updatedOn) AS updated_at,
    offset_of(o.updatedOn) AS updated_offset_min,
    basis_of(o.updatedOn) AS updated_tz_basis,
    moment_of(o.closedOn) AS closed_at,
    offset_of(o.closedOn) AS closed_offset_min,
    basis_of(o.closedOn) AS closed_tz_basis,
    stamp_date(o.delivery.deliveryDate) AS requested_delivery_on,
    moment_of(o.delivery.deliveryDate) AS requested_delivery_at,
    offset_of(o.delivery.deliveryDate) AS requested_delivery_offset_min,
    basis_of(o.delivery.deliveryDate) AS requested_delivery_tz_basis,
    text_of(o.currency.orderCurrencyCode) AS currency,
    text_of(o.currency.accountingCurrencyCode) AS base_currency,
    rate_of(o.currency.exchangeRate) AS exchange_rate,
    boolean_of(o.currency.fixedExchangeRate) AS exchange_rate_fixed,
    money_of(o.totalValue.net) AS net_amount,
    money_of(o.totalValue.taxAmount) AS tax_amount,
    COALESCE(
        money_of(o.totalValue.total),
        money_of(o.totalValue.net) + money_of(o.totalValue.taxAmount)
    ) AS gross_amount,
    money_of(o.totalValue.baseNet) AS base_net_amount,
    money_of(o.totalValue.baseTaxAmount) AS base_tax_amount,
    money_of(o.totalValue.baseTotal) AS base_gross_amount,
    CASE
        WHEN money_of(o.totalValue.total) IS NOT NULL THEN 'as_received'
        WHEN money_of(o.totalValue.net) + money_of(o.totalValue.taxAmount) IS NOT NULL
        THEN 'derived_gross'
        WHEN money_of(o.totalValue.net) IS NOT NULL THEN 'as_received'
        ELSE 'none'
    END AS amounts_basis,
    worse_check(
        totals_check_of(money_of(o.totalValue.net), s.rows_net, s.row_count),
        totals_check_of(money_of(o.totalValue.taxAmount), s.rows_tax, s.row_count)
    ) AS totals_check,
    text_of(o.priceModeCode) AS price_mode,
    COALESCE(
        entry_of('order_status', o.orderStatus.orderStatusId).code,
        IF(moment_of(o.closedOn) IS NULL, 'open', 'completed')
    ) AS order_status,
    COALESCE(entry_of('order_status', o.orderStatus.orderStatusId).basis, 'derived')
        AS order_status_basis,
    o.orderStatus.orderStatusId AS source_status_code,
    o.orderStatus.name AS source_status_name,
    code_of('payment_status', o.orderPaymentStatus) AS payment_status,
    code_basis_of('payment_status', o.orderPaymentStatus) AS payment_status_basis,
    o.orderPaymentStatus AS source_payment_status_code,
    code_of('shipping_status', o.shippingStatusCode) AS shipping_status,
    code_basis_of('shipping_status', o.shippingStatusCode) AS shipping_status_basis,
    o.shippingStatusCode AS source_shipping_status_code,
    code_of('allocation_status', o.allocationStatusCode) AS allocation_status,
    code_basis_of('allocation_status', o.allocationStatusCode) AS allocation_status_basis,
    o.allocationStatusCode AS source_allocation_status_code,
    code_of('fulfilment_status', o.stockStatusCode) AS fulfilment_status,
    code_basis_of('fulfilment_status', o.stockStatusCode) AS fulfilment_status_basis,
    o.stockStatusCode AS source_fulfilment_status_code,
    code_of('fulfilment_method', reference_of(o.delivery.shippingMethodId)) AS fulfilment_method,
    code_basis_of('fulfilment_method', reference_of(o.delivery.shippingMethodId))
        AS fulfilment_method_basis,
    reference_of(o.delivery.shippingMethodId) AS source_fulfilment_method,
    reference_of(o.delivery.shippingMethodId) AS source_shipping_method_id,
    reference_of(o.warehouseId) AS location_id,
    reference_of(COALESCE(o.assignment.current.channelId, o.assignment.current.channeltId))
        AS channel_id,
    reference_of(o.assignment.current.staffOwnerContactId) AS assignee_id,
    list_transform(
        o.invoices,
        lambda i: {
            'invoice_reference': text_of(i.invoiceReference),
            'tax_date': stamp_date(i.taxDate),
            'due_date': stamp_date(i.dueDate),
            'invoiced_at': CAST(NULL AS TIMESTAMPTZ)
        }
    ) AS invoices,
    list_concat(
        list_transform(map_entries(o.customFields), lambda f: custom_field(f.key, f.value)),
        list_transform(o.nullCustomFields, lambda c: custom_field(c, CAST(NULL AS JSON)))
    ) AS custom_fields,
    present([
        IF(is_mapped('order_status', o.orderStatus.orderStatusId), NULL,
            event_of('closed', o.closedOn, 'order_status', NULL, canonical := 'completed'))
    ]) AS events,
    to_json({
        'channelt_id': whole_of(reference_of(o.assignment.current.channeltId)),
        'project_id': whole_of(reference_of(o.assignment.current.projectId)),
        'lead_source_id': whole_of(reference_of(o.assignment.current.leadSourceId)),
        'team_id': whole_of(reference_of(o.assignment.current.teamId)),
        'created_by_id': whole_of(o.createdById), 'price_list_id': whole_of(o.priceListId),
        'cost_price_list_id': whole_of(o.costPriceListId), 'acknowledged': whole_of(o.acknowledged),
        'is_dropship': boolean_of(o.isDropship), 'historical_order': boolean_of(o.historicalOrder),
        'tax': o.state.tax, 'errors': o.tax.errors,
        'delivery_date': o.delivery.deliveryDate
    }) AS source_fields,
    present([
        CASE WHEN len(o.tax.errors) > 0 THEN 'tax_errors' END,
        CASE
            WHEN o.stockStatusCode <> 'NON' AND LEFT(o.stockStatusCode, 2) <> o.orderTypeCode
            THEN 'fulfilment_prefix'
        END,
        CASE WHEN s.odd_tax THEN 'row_tax' END,
        CASE WHEN s.odd_currency THEN 'row_currency' END,
        unmapped('order_type', o.orderTypeCode),
        IF(is_mapped('order_status', o.orderStatus.orderStatusId), NULL,
            'unmapped_code:order_status'),
        unmapped('payment_status', o.orderPaymentStatus),
        unmapped('shipping_status', o.shippingStatusCode),
        unmapped('allocation_status', o.allocationStatusCode),
        unmapped('fulfilment_status', o.stockStatusCode)
    ]) AS quality_flags,
    whole_of(o.version) AS source_version,
    'complete' AS rows_state,
    list_concat(
        present([
            absent('orderTypeCode', o.orderTypeCode), absent('createdOn', o.createdOn),
            unread_moment('placedOn', o.placedOn),
            unread('createdOn', o.createdOn, moment_of(o.createdOn), 'not a moment', TRUE),
            unread_moment('updatedOn', o.updatedOn), unread_moment('closedOn', o.closedOn),
            unread_moment('delivery.deliveryDate', o.delivery.deliveryDate),
            unread_money('totalValue.net', o.totalValue.net),
            unread_money('totalValue.taxAmount', o.totalValue.taxAmount),
            unread_money('totalValue.total', o.totalValue.total),
            unread_money('totalValue.baseNet', o.totalValue.baseNet),
            unread_money('totalValue.baseTaxAmount', o.totalValue.baseTaxAmount),
            unread_money('totalValue.baseTotal', o.totalValue.baseTotal),
            unread_rate('currency.exchangeRate', o.currency.exchangeRate),
            unread_boolean('currency.fixedExchangeRate', o.currency.fixedExchangeRate),
            unread_boolean('isDropship', o.isDropship),
            unread_boolean('historicalOrder', o.historicalOrder),
            absent('orderRows', CAST(o.orderRows AS VARCHAR)),
            unread_whole('version', o.version), unread_whole('acknowledged', o.acknowledged),
            unread_whole('createdById', o.createdById), unread_whole('priceListId', o.priceListId),
            unread_whole('costPriceListId', o.costPriceListId),
            unread_whole('assignment.current.projectId', o.assignment.current.projectId),
            unread_whole('assignment.current.channeltId', o.assignment.current.channeltId),
            unread_whole('assignment.current.leadSourceId', o.assignment.current.leadSourceId),
            unread_whole('assignment.current.teamId', o.assignment.current.teamId)
        ]),
        present(list_transform(o.invoices, lambda i: unread_day('invoices[].dueDate', i.dueDate))),
        present(list_transform(o.invoices, lambda i: unread_day('invoices[].taxDate', i.taxDate))),
        misfits(body, 'ARRAY', ['$.invoices', '$.tax.errors', '$.nullCustomFields'], FALSE),
        misfits(body, 'OBJECT', ['$.totalValue', '$.orderRows'], TRUE),
        misfits(
            body,
            'OBJECT',
            [
                '$.state', '$.tax', '$.orderStatus', '$.delivery', '$.currency', '$.assignment',
                '$.assignment.current', '$.parties', '$.parties.customer', '$.parties.supplier',
                '$.parties.delivery', '$.parties.billing', '$.customFields', '$.invoices[0]'
            ],
            FALSE
        )
    ) AS faults
FROM parsed AS p
LEFT JOIN (
    SELECT
        version_id,
        COUNT(*) AS row_count,
        CASE WHEN COUNT(row_net) = COUNT(*) THEN SUM(row_net) END AS rows_net,
        CASE WHEN COUNT(row_tax) = COUNT(*) THEN SUM(row_tax) END AS rows_tax,
        bool_or(abs(row_tax - row_net * percent_of(r.rowValue.taxRate) / 100) > 0.011) AS odd_tax,
        bool_or(len(currencies) > 1) AS odd_currency
    FROM row_parts
    GROUP BY version_id
) AS s ON s.version_id = p.version_id

-- section: order_rows
-- Grain: one order row.
SELECT
    order_key,
    version_id,
    row_key_of(order_key, row_id) AS order_row_key,
    row_id AS source_row_id,
    integer_of(r.orderRowSequence) AS row_no,
    CASE
        WHEN boolean_of(r.composition.bundleParent) THEN 'bundle_parent'
        WHEN boolean_of(r.composition.bundleChild) THEN 'bundle_component'
        ELSE 'product'
    END AS row_kind,
    row_key_of(order_key, reference_of(r.composition.parentOrderRowId)) AS parent_row_key,
    reference_of(r.productId) AS product_id,
    text_of(r.productName) AS product_name,
    text_of(r.productSku) AS sku,
    money_of(r.quantity.magnitude) AS quantity,
    money_of(r.productPrice.value) AS unit_price,
    percent_of(r.discountPercentage) AS discount_percent,
    row_net AS net_amount,
    row_tax AS tax_amount,
    percent_of(r.rowValue.taxRate) AS tax_rate,
    text_of(r.rowValue.taxCode) AS tax_code,
    money_of(r.itemCost.value) AS unit_cost,
    text_of(r.itemCost.currencyCode) AS cost_currency,
    COALESCE(
        text_of(r.rowValue.rowNet.currencyCode),
        text_of(r.rowValue.rowTax.currencyCode),
        text_of(r.productPrice.currencyCode),
        text_of(order_currency)
    ) AS currency,
    text_of(r.nominalCode) AS ledger_code,
    json_transform(r.productOptions, '"MAP(VARCHAR, VARCHAR)"') AS options,
    to_json({
        'tax_calculator': r.rowValue.taxCalculator,
        'tax_class_id': whole_of(r.rowValue.taxClassId)
    }) AS source_fields,
    CASE WHEN row_net IS NULL THEN 'none' ELSE 'row_total' END AS amount_basis,
    row_hash(r) AS content_hash,
    list_concat(
        misfits,
        present([
            unread_money('quantity.magnitude', r.quantity.magnitude),
            unread_money('itemCost.value', r.itemCost.value),
            unread_money('productPrice.value', r.productPrice.value),
            unread_money('rowValue.rowNet.value', r.rowValue.rowNet.value),
            unread_money('rowValue.rowTax.value', r.rowValue.rowTax.value),
            unread_percent('discountPercentage', r.discountPercentage),
            unread_percent('rowValue.taxRate', r.rowValue.taxRate),
            unread_whole('rowValue.taxClassId', r.rowValue.taxClassId),
            unread_integer('orderRowSequence', r.orderRowSequence),
            unread_boolean('composition.bundleParent', r.composition.bundleParent),
            unread_boolean('composition.bundleChild', r.composition.bundleChild),
            CASE
                WHEN json_type(r.productOptions) <> 'OBJECT' AND r.productOptions <> '[]'
                THEN fault('productOptions', 'not an object', NULL, FALSE)
            END
        ])
    ) AS faults
FROM row_parts

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
