-- The figures of the report, each behind a line `-- panel: NAME`; what stands before the first is run
-- for all of them. Aggregates only, nobody's data.

-- What several panels ask. One row per order and step that it has come to. Hours.
CREATE TEMP VIEW lead_times AS
UNPIVOT (
    SELECT
        source_system || '.' || source_account AS account,
        hours_to_allocated AS allocated,
        hours_to_shipped AS shipped,
        hours_to_delivered AS delivered
    FROM fulfilment_lead_times
)
ON allocated, shipped, delivered
INTO NAME step VALUE hours;

-- panel: publication
-- One row about the file.
SELECT
    publication_id,
    published_at,
    orders
FROM orderloom.build

-- panel: accounts
-- One row per account.
SELECT
    a.account,
    a.source_system AS source,
    a.paused,
    a.stale_after_hours,
    a.last_success_at,
    COUNT(o.order_key) AS orders
FROM dim_account AS a
LEFT JOIN orders AS o
    ON o.source_system = a.source_system
    AND o.source_account = a.source_account
    AND NOT o.is_deleted
GROUP BY ALL
ORDER BY a.account

-- panel: sales
-- One row per account, week of sale, currency, and orders or credits, of the last 53 weeks.
WITH newest AS (
    SELECT DATE_TRUNC('week', MAX(order_date)) AS week
    FROM daily_orders
    WHERE is_sale
        AND order_date <= (SELECT CAST(published_at AS DATE) + 1 FROM orderloom.build)
)
SELECT
    d.source_system || '.' || d.source_account AS account,
    d.source_system AS source,
    CAST(DATE_TRUNC('week', d.order_date) AS DATE) AS week,
    CAST(DATE_TRUNC('week', d.order_date) AS DATE) + 7 AS week_end,
    COALESCE(d.currency, 'unknown') AS currency,
    CASE t.order_sign WHEN -1 THEN 'credits' ELSE 'orders' END AS kind,
    CAST(SUM(t.order_sign * d.orders) AS BIGINT) AS orders,
    SUM(d.gross_amount) AS amount
FROM daily_orders AS d
JOIN dim_order_type AS t
    ON t.order_type = d.order_type
CROSS JOIN newest AS n
WHERE d.is_sale
    AND d.orders > 0
    AND d.order_date >= n.week - INTERVAL 52 WEEK
    AND d.order_date < n.week + INTERVAL 1 WEEK
GROUP BY ALL
ORDER BY week, account, currency, kind

-- panel: left_out
-- One row per account: what the panel sales does not show.
SELECT
    d.source_system || '.' || d.source_account AS account,
    CAST(SUM(CASE WHEN d.is_sale THEN d.orders ELSE 0 END) AS BIGINT) AS sales,
    CAST(SUM(CASE WHEN d.is_purchase THEN d.orders ELSE 0 END) AS BIGINT) AS purchases
FROM daily_orders AS d
GROUP BY ALL
ORDER BY account

-- panel: open
-- One row per account, order status, what is waited for, and age.
SELECT
    source_system || '.' || source_account AS account,
    order_status AS status,
    waits_for,
    CASE
        WHEN age_days IS NULL THEN 'not known'
        WHEN age_days < 7 THEN 'under 1 week'
        WHEN age_days < 28 THEN '1 to 4 weeks'
        WHEN age_days < 91 THEN '4 to 13 weeks'
        ELSE 'over 13 weeks'
    END AS age,
    COUNT(*) AS orders
FROM open_orders
GROUP BY ALL
ORDER BY ALL

-- panel: lead_times
-- One row per account, step and duration.
SELECT
    account,
    step,
    CASE
        WHEN hours < 4 THEN 'under 4 h'
        WHEN hours < 24 THEN '4 to 24 h'
        WHEN hours < 48 THEN '1 to 2 days'
        WHEN hours < 96 THEN '2 to 4 days'
        WHEN hours < 168 THEN '4 to 7 days'
        WHEN hours < 336 THEN '1 to 2 weeks'
        WHEN hours < 672 THEN '2 to 4 weeks'
        ELSE 'over 4 weeks'
    END AS duration,
    COUNT(*) AS orders
FROM lead_times
GROUP BY ALL
ORDER BY ALL

-- panel: lead_medians
-- One row per account and step, and one of all accounts, where account is ''. Hours.
SELECT
    COALESCE(account, '') AS account,
    step,
    COUNT(*) AS orders,
    ROUND(QUANTILE_CONT(hours, 0.5), 1) AS median,
    ROUND(QUANTILE_CONT(hours, 0.9), 1) AS ninth_decile
FROM lead_times
GROUP BY GROUPING SETS ((account, step), (step))
ORDER BY ALL

-- panel: quality
-- One row per account.
SELECT
    source_system || '.' || source_account AS account,
    orders,
    totals_mismatch,
    totals_not_checkable,
    unknown_order_status + unknown_order_type AS unknown_status,
    unknown_payment_status AS unknown_payment,
    unknown_shipping_status AS unknown_shipping,
    held_orders,
    unread_fields,
    unknown_fields + changed_types + unmapped_codes AS drift,
    suspected_deletions,
    rows_missing + rows_stale AS rows_not_current
FROM data_quality
ORDER BY account
