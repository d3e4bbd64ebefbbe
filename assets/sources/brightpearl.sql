-- Grain: one Brightpearl order per record of `landed` (the body is one item of an Order GET reply).
-- Belongs here: what each documented field means. How to ask is in brightpearl.py.

-- section: parsed
SELECT
    order_key,
    version_id,
    o,
    CASE
        WHEN o.orderRows IS NULL THEN NULLIF(json_type(body, '$.orderRows'), 'NULL')
        ELSE 'OBJECT'
    END AS rows_type,
    -- Looked for where a part that is nearly always there is not: it reads the whole body again.
    CASE
        WHEN o.totalValue.net IS NULL OR o.orderRows IS NULL OR o.state.tax IS NULL
            OR o.tax.errors IS NULL OR o.orderStatus.orderStatusId IS NULL
            OR COALESCE(o.delivery.deliveryDate, o.delivery.shippingMethodId) IS NULL
            OR o.currency.orderCurrencyCode IS NULL
            OR COALESCE(
                o.assignment.current.channelId, o.assignment.current.staffOwnerContactId
            ) IS NULL
            OR o.invoices[1].invoiceReference IS NULL
            OR COALESCE(
                o.parties.customer, o.parties.supplier, o.parties.delivery, o.parties.billing
            ) IS NULL
            OR json_type(o.parties.customer) <> 'OBJECT'
            OR json_type(o.parties.supplier) <> 'OBJECT'
            OR json_type(o.parties.delivery) <> 'OBJECT'
            OR json_type(o.parties.billing) <> 'OBJECT'
            OR json_type(o.customFields) <> 'OBJECT' OR json_type(o.nullCustomFields) <> 'ARRAY'
        THEN misfits(
            body,
            [
                '$.totalValue', '$.orderRows', '$.state', '$.tax', '$.orderStatus', '$.delivery',
                '$.currency', '$.assignment', '$.assignment.current', '$.parties',
                '$.parties.customer', '$.parties.supplier', '$.parties.delivery',
                '$.parties.billing', '$.customFields', '$.invoices[0]', '$.invoices',
                '$.tax.errors', '$.nullCustomFields'
            ],
            arrays := ['$.invoices', '$.tax.errors', '$.nullCustomFields'],
            held := ['$.totalValue', '$.orderRows']
        )
    END AS misfits
FROM (
    SELECT
        order_key,
        version_id,
        body,
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
                "orderRows": "MAP(VARCHAR, JSON)",
                "warehouseId": "VARCHAR", "costPriceListId": "VARCHAR",
                "isDropship": "VARCHAR", "historicalOrder": "VARCHAR",
                "customFields": "JSON", "nullCustomFields": "JSON"
            }'
        ) AS o
    FROM landed
) AS transformed

-- section: row_parts
-- Grain: one order row.
SELECT
    *,
    money_of(r.rowValue.rowNet.value) AS row_net,
    money_of(r.rowValue.rowTax.value) AS row_tax,
    percent_of(r.rowValue.taxRate) AS tax_rate,
    list_distinct([
        text_of(r.rowValue.rowNet.currencyCode),
        text_of(r.rowValue.rowTax.currencyCode),
        text_of(r.productPrice.currencyCode),
        text_of(order_currency)
    ]) AS currencies
FROM (
    SELECT
        order_key,
        version_id,
        order_currency,
        entry.key AS row_id,
        entry.value AS item,
        json_transform(
            entry.value,
            '{
                "orderRowSequence": "VARCHAR", "productId": "VARCHAR", "productName": "VARCHAR",
                "productSku": "VARCHAR", "quantity": {"magnitude": "VARCHAR"},
                "itemCost": {"currencyCode": "VARCHAR", "value": "VARCHAR"},
                "productPrice": {"currencyCode": "VARCHAR", "value": "VARCHAR"},
                "discountPercentage": "VARCHAR",
                "rowValue": {
                    "taxRate": "VARCHAR", "taxCode": "VARCHAR", "taxCalculator": "VARCHAR",
                    "taxClassId": "VARCHAR",
                    "rowNet": {"currencyCode": "VARCHAR", "value": "VARCHAR"},
                    "rowTax": {"currencyCode": "VARCHAR", "value": "VARCHAR"}
                },
                "productOptions": "JSON", "nominalCode": "VARCHAR",
                "composition": {
                    "bundleParent": "VARCHAR", "bundleChild": "VARCHAR",
                    "parentOrderRowId": "VARCHAR"
                }
            }'
        ) AS r
    FROM (
        SELECT
            order_key,
            version_id,
            o.currency.orderCurrencyCode AS order_currency,
            unnest(map_entries(o.orderRows)) AS entry
        FROM parsed
    ) AS unnested
) AS transformed

-- section: orders
-- Grain: one order; every text that is more than a text is read once, in the inner selects.
SELECT
    p.order_key,
    p.version_id,
    text_of(o.reference) AS order_number,
    order_key_of(reference_of(o.parentOrderId)) AS parent_order_key,
    code_of(type_entry) AS order_type,
    code_basis_of(type_entry) AS order_type_basis,
    o.orderTypeCode AS source_order_type_code,
    placed.moment AS placed_at,
    placed.offset_min AS placed_offset_min,
    placed.basis AS placed_tz_basis,
    day_of(placed.moment) AS placed_on,
    created.moment AS created_at,
    created.offset_min AS created_offset_min,
    created.basis AS created_tz_basis,
    updated.moment AS updated_at,
    updated.offset_min AS updated_offset_min,
    updated.basis AS updated_tz_basis,
    closed.moment AS closed_at,
    closed.offset_min AS closed_offset_min,
    closed.basis AS closed_tz_basis,
    date_meant(delivery) AS requested_delivery_on,
    delivery.moment AS requested_delivery_at,
    delivery.offset_min AS requested_delivery_offset_min,
    delivery.basis AS requested_delivery_tz_basis,
    text_of(o.currency.orderCurrencyCode) AS currency,
    text_of(o.currency.accountingCurrencyCode) AS base_currency,
    exchange_rate,
    is_rate_fixed AS exchange_rate_fixed,
    net AS net_amount,
    tax AS tax_amount,
    COALESCE(total, net + tax) AS gross_amount,
    base_net AS base_net_amount,
    base_tax AS base_tax_amount,
    base_total AS base_gross_amount,
    CASE
        WHEN total IS NOT NULL THEN 'as_received'
        WHEN net + tax IS NOT NULL THEN 'derived_gross'
        WHEN net IS NOT NULL THEN 'as_received'
        ELSE 'none'
    END AS amounts_basis,
    worse_check(
        totals_check_of(net, s.rows_net, s.row_count),
        totals_check_of(tax, s.rows_tax, s.row_count)
    ) AS totals_check,
    text_of(o.priceModeCode) AS price_mode,
    COALESCE(status_entry.code, IF(closed.moment IS NULL, 'open', 'completed')) AS order_status,
    COALESCE(status_entry.basis, 'derived') AS order_status_basis,
    o.orderStatus.orderStatusId AS source_status_code,
    o.orderStatus.name AS source_status_name,
    code_of(payment_entry) AS payment_status,
    code_basis_of(payment_entry) AS payment_status_basis,
    o.orderPaymentStatus AS source_payment_status_code,
    code_of(shipping_entry) AS shipping_status,
    code_basis_of(shipping_entry) AS shipping_status_basis,
    o.shippingStatusCode AS source_shipping_status_code,
    code_of(allocation_entry) AS allocation_status,
    code_basis_of(allocation_entry) AS allocation_status_basis,
    o.allocationStatusCode AS source_allocation_status_code,
    code_of(stock_entry) AS fulfilment_status,
    code_basis_of(stock_entry) AS fulfilment_status_basis,
    o.stockStatusCode AS source_fulfilment_status_code,
    code_of(method_entry) AS fulfilment_method,
    code_basis_of(method_entry) AS fulfilment_method_basis,
    reference_of(o.delivery.shippingMethodId) AS source_fulfilment_method,
    reference_of(o.delivery.shippingMethodId) AS source_shipping_method_id,
    reference_of(o.warehouseId) AS location_id,
    reference_of(COALESCE(o.assignment.current.channelId, o.assignment.current.channeltId))
        AS channel_id,
    reference_of(o.assignment.current.staffOwnerContactId) AS assignee_id,
    list_transform(
        p.invoices,
        lambda i: {
            'invoice_reference': i.invoice_reference,
            'tax_date': date_meant(i.stamps[1]),
            'due_date': date_meant(i.stamps[2]),
            'invoiced_at': CAST(NULL AS TIMESTAMPTZ)
        }
    ) AS invoices,
    list_concat(
        list_transform(
            map_entries(json_transform(o.customFields, '"MAP(VARCHAR, JSON)"')),
            lambda f: custom_field(f.key, f.value)
        ),
        list_transform(
            json_transform(o.nullCustomFields, '["VARCHAR"]'),
            lambda c: custom_field(c, CAST(NULL AS JSON))
        )
    ) AS custom_fields,
    CASE
        WHEN status_entry IS NULL AND closed.moment IS NOT NULL
        THEN [
            event_at('closed', closed.moment, 'order_status', NULL, canonical := 'completed')
        ]
        ELSE []
    END AS events,
    to_json(fields) AS source_fields,
    present([
        CASE WHEN len(o.tax.errors) > 0 THEN 'tax_errors' END,
        CASE
            WHEN o.stockStatusCode <> 'NON' AND LEFT(o.stockStatusCode, 2) <> o.orderTypeCode
            THEN 'fulfilment_prefix'
        END,
        CASE WHEN s.odd_tax THEN 'row_tax' END,
        CASE WHEN s.odd_currency THEN 'row_currency' END,
        unmapped('order_type', o.orderTypeCode, type_entry),
        IF(status_entry IS NULL, 'unmapped_code:order_status', NULL),
        unmapped('payment_status', o.orderPaymentStatus, payment_entry),
        unmapped('shipping_status', o.shippingStatusCode, shipping_entry),
        unmapped('allocation_status', o.allocationStatusCode, allocation_entry),
        unmapped('fulfilment_status', o.stockStatusCode, stock_entry)
    ]) AS quality_flags,
    source_version,
    'complete' AS rows_state,
    list_concat(
        misfits,
        present([
            absent('orderTypeCode', o.orderTypeCode), absent('createdOn', o.createdOn),
            unread_stamp('placedOn', placed),
            unread('createdOn', o.createdOn, created.moment, 'not a moment', TRUE),
            unread_stamp('updatedOn', updated), unread_stamp('closedOn', closed),
            unread_stamp('delivery.deliveryDate', delivery),
            unread_money('totalValue.net', o.totalValue.net, net),
            unread_money('totalValue.taxAmount', o.totalValue.taxAmount, tax),
            unread_money('totalValue.total', o.totalValue.total, total),
            unread_money('totalValue.baseNet', o.totalValue.baseNet, base_net),
            unread_money('totalValue.baseTaxAmount', o.totalValue.baseTaxAmount, base_tax),
            unread_money('totalValue.baseTotal', o.totalValue.baseTotal, base_total),
            unread_rate('currency.exchangeRate', o.currency.exchangeRate, exchange_rate),
            unread_boolean(
                'currency.fixedExchangeRate',
                o.currency.fixedExchangeRate,
                is_rate_fixed
            ),
            unread_boolean('isDropship', o.isDropship, fields.is_dropship),
            unread_boolean('historicalOrder', o.historicalOrder, fields.historical_order),
            absent('orderRows', rows_type),
            unread_whole('version', o.version, source_version),
            unread_whole('acknowledged', o.acknowledged, fields.acknowledged),
            unread_whole('createdById', o.createdById, fields.created_by_id),
            unread_whole('priceListId', o.priceListId, fields.price_list_id),
            unread_whole('costPriceListId', o.costPriceListId, fields.cost_price_list_id),
            unread_whole(
                'assignment.current.projectId',
                reference_of(o.assignment.current.projectId),
                fields.project_id
            ),
            unread_whole(
                'assignment.current.channeltId',
                reference_of(o.assignment.current.channeltId),
                fields.channelt_id
            ),
            unread_whole(
                'assignment.current.leadSourceId',
                reference_of(o.assignment.current.leadSourceId),
                fields.lead_source_id
            ),
            unread_whole(
                'assignment.current.teamId',
                reference_of(o.assignment.current.teamId),
                fields.team_id
            )
        ]),
        present(
            list_transform(
                p.invoices, lambda i: unread_stamp_day('invoices[].dueDate', i.stamps[2])
            )
        ),
        present(
            list_transform(
                p.invoices, lambda i: unread_stamp_day('invoices[].taxDate', i.stamps[1])
            )
        )
    ) AS faults
FROM (
    SELECT
        *,
        stamps[1] AS placed,
        stamps[2] AS created,
        stamps[3] AS updated,
        stamps[4] AS closed,
        stamps[5] AS delivery,
        entries[1] AS type_entry,
        entries[2] AS status_entry,
        entries[3] AS payment_entry,
        entries[4] AS shipping_entry,
        entries[5] AS allocation_entry,
        entries[6] AS stock_entry,
        entries[7] AS method_entry
    FROM (
        SELECT
            *,
            stamps_of([
                o.placedOn, o.createdOn, o.updatedOn, o.closedOn, o.delivery.deliveryDate
            ]) AS stamps,
            entries_of([
                ['order_type', o.orderTypeCode],
                ['order_status', o.orderStatus.orderStatusId],
                ['payment_status', o.orderPaymentStatus],
                ['shipping_status', o.shippingStatusCode],
                ['allocation_status', o.allocationStatusCode],
                ['fulfilment_status', o.stockStatusCode],
                ['fulfilment_method', reference_of(o.delivery.shippingMethodId)]
            ]) AS entries,
            list_transform(
                o.invoices,
                lambda i: {
                    'invoice_reference': text_of(i.invoiceReference),
                    'stamps': stamps_of([i.taxDate, i.dueDate])
                }
            ) AS invoices,
            money_of(o.totalValue.net) AS net,
            money_of(o.totalValue.taxAmount) AS tax,
            money_of(o.totalValue.total) AS total,
            money_of(o.totalValue.baseNet) AS base_net,
            money_of(o.totalValue.baseTaxAmount) AS base_tax,
            money_of(o.totalValue.baseTotal) AS base_total,
            rate_of(o.currency.exchangeRate) AS exchange_rate,
            boolean_of(o.currency.fixedExchangeRate) AS is_rate_fixed,
            whole_of(o.version) AS source_version,
            {
                'channelt_id': whole_of(reference_of(o.assignment.current.channeltId)),
                'project_id': whole_of(reference_of(o.assignment.current.projectId)),
                'lead_source_id': whole_of(reference_of(o.assignment.current.leadSourceId)),
                'team_id': whole_of(reference_of(o.assignment.current.teamId)),
                'created_by_id': whole_of(o.createdById), 'price_list_id': whole_of(o.priceListId),
                'cost_price_list_id': whole_of(o.costPriceListId),
                'acknowledged': whole_of(o.acknowledged),
                'is_dropship': boolean_of(o.isDropship),
                'historical_order': boolean_of(o.historicalOrder),
                'tax': o.state.tax, 'errors': o.tax.errors,
                'delivery_date': o.delivery.deliveryDate
            } AS fields
        FROM parsed
    ) AS texts
) AS p
LEFT JOIN (
    SELECT
        version_id,
        COUNT(*) AS row_count,
        CASE WHEN COUNT(row_net) = COUNT(*) THEN SUM(row_net) END AS rows_net,
        CASE WHEN COUNT(row_tax) = COUNT(*) THEN SUM(row_tax) END AS rows_tax,
        bool_or(abs(row_tax - row_net * tax_rate / 100) > 0.011) AS odd_tax,
        bool_or(len(currencies) > 1) AS odd_currency
    FROM row_parts
    GROUP BY version_id
) AS s ON s.version_id = p.version_id
