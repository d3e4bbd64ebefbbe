-- Grain: none; the macros that every NAME.sql may use to read text out of JSON.
-- Belongs here: how a text becomes an amount, a moment, a date, a key or a canonical code, once for
-- all sources. Does not belong here: what a field means in one source.
-- The variables zone, currency, source_system, source_account and codes are set by the normaliser.

-- Texts and references: an empty text is no text, a reference of 0 refers to nothing.
CREATE OR REPLACE MACRO text_of(x) AS NULLIF(x, '');
CREATE OR REPLACE MACRO reference_of(x) AS NULLIF(NULLIF(x, ''), '0');

-- What an array or an object holds, in the order received; NULL where it is neither.
CREATE OR REPLACE MACRO items_of(x) AS
    CASE json_type(x)
        WHEN 'ARRAY' THEN json_extract(x, '$[*]')
        WHEN 'OBJECT' THEN json_extract(x, '$.*')
    END;

-- Whether what an array or an object holds is again such a list, not an item.
CREATE OR REPLACE MACRO is_group(x) AS
    json_type(x) = 'ARRAY'
    OR json_type(x) = 'OBJECT'
        AND NOT json_exists(x, '$.order_option_name')
        AND json_type(json_extract(x, '$.*')[1]) IN ('OBJECT', 'ARRAY');
-- Numbers: exact, or NULL. A value with more decimals than fit is NULL, never rounded. A plain text
-- is told by its form, which costs a tenth of comparing it with what 38 digits hold.
CREATE OR REPLACE MACRO exact(x) AS
    CASE WHEN NOT contains(x, '_') THEN TRY_CAST(x AS DECIMAL(38, 18)) END;
CREATE OR REPLACE MACRO money_of(x) AS
    CASE
        WHEN regexp_full_match(x, '-?[0-9]{1,14}(\.[0-9]{1,4})?')
            OR exact(x) = TRY_CAST(x AS DECIMAL(18, 4))
        THEN TRY_CAST(x AS DECIMAL(18, 4))
    END;
CREATE OR REPLACE MACRO rate_of(x) AS
    CASE
        WHEN regexp_full_match(x, '-?[0-9]{1,10}(\.[0-9]{1,8})?')
            OR exact(x) = TRY_CAST(x AS DECIMAL(18, 8))
        THEN TRY_CAST(x AS DECIMAL(18, 8))
    END;
CREATE OR REPLACE MACRO percent_of(x) AS
    CASE
        WHEN regexp_full_match(x, '-?[0-9]{1,5}(\.[0-9]{1,4})?')
            OR exact(x) = TRY_CAST(x AS DECIMAL(9, 4))
        THEN TRY_CAST(x AS DECIMAL(9, 4))
    END;
CREATE OR REPLACE MACRO whole_of(x) AS
    CASE
        WHEN regexp_full_match(x, '-?[0-9]{1,18}') OR exact(x) = TRY_CAST(x AS BIGINT)
        THEN TRY_CAST(x AS BIGINT)
    END;
CREATE OR REPLACE MACRO integer_of(x) AS TRY_CAST(whole_of(x) AS INTEGER);
CREATE OR REPLACE MACRO boolean_of(x) AS
    CASE WHEN lower(x) IN ('true', '1') THEN TRUE WHEN lower(x) IN ('false', '0') THEN FALSE END;

-- A stamp is a date, a date and a clock time, or these and an offset: Z, UTC, +05, +0530, +05:30.
-- Years outside 1900 to 2199 are no dates (a recorded one is -000001-11-30).
CREATE OR REPLACE MACRO is_stamp(x) AS
    regexp_full_match(
        x,
        '(19|2[01])[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}'
        || '([T ][0-9]{1,2}:[0-9:.]+( ?(Z|z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?))?)?'
    );
-- The usual forms come first: an extraction costs ten times as much.
CREATE OR REPLACE MACRO offset_text(x) AS
    CASE
        WHEN x[-1] = 'Z' THEN 'Z'
        WHEN x[-6] IN ('+', '-') AND x[-3] = ':' THEN x[-6:]
        WHEN x[-3] = ':' AND length(x) = 19 THEN ''
        ELSE regexp_extract(x, '[T ][0-9]{1,2}:[0-9:.]+ ?(z|UTC|GMT|[+-][0-9]{2,4})$', 1)
    END;
-- Minutes east of UTC; NULL where there is no such offset.
CREATE OR REPLACE MACRO minutes_of(t) AS
    CASE
        WHEN t IN ('Z', 'z', 'UTC', 'GMT') THEN 0
        WHEN TRY_CAST(t[2:3] AS INTEGER) <= 18 AND TRY_CAST('0' || right(t[4:], 2) AS INTEGER) < 60
        THEN TRY_CAST(t[1] || '1' AS INTEGER)
            * (TRY_CAST(t[2:3] AS INTEGER) * 60 + TRY_CAST('0' || right(t[4:], 2) AS INTEGER))
    END;
-- Whether a clock time comes twice, at the end of summer time.
CREATE OR REPLACE MACRO is_repeated(t, zone) AS
    timezone(zone, timezone(zone, t) - INTERVAL 1 HOUR) = t;
-- A clock time in a zone becomes UTC; of a repeated hour in autumn the earlier one is taken.
CREATE OR REPLACE MACRO zoned_utc(t, zone) AS
    CASE
        WHEN is_repeated(t, zone) THEN timezone(zone, t) - INTERVAL 1 HOUR
        ELSE timezone(zone, t)
    END;
-- What stamps say, in the order given: `text`, `written` (the clock time, whatever its offset),
-- `moment`, `offset_min`, `basis` and `is_repeated` (whether its hour came twice that day). Every
-- step is named once: a macro that mentions its argument often, within another, grows to thousands
-- of expressions, which take longer to plan than to run.
CREATE OR REPLACE MACRO stamps_of(texts) AS
    list_transform(
        list_transform(
            list_transform(
                list_transform(
                    texts,
                    lambda x: {
                        'text': x, 'is_stamp': is_stamp(x), 'offset_text': offset_text(x)
                    }
                ),
                lambda s: {
                    'text': s.text,
                    'is_stamp': s.is_stamp,
                    'offset_text': s.offset_text,
                    'has_offset': s.offset_text <> '',
                    'written': CASE
                        WHEN s.is_stamp
                        THEN TRY_CAST(
                            left(s.text, length(s.text) - length(s.offset_text)) AS TIMESTAMP
                        )
                    END
                }
            ),
            lambda s: {
                'text': s.text,
                'has_offset': s.has_offset,
                'written': s.written,
                'is_repeated': CASE
                    WHEN s.has_offset THEN FALSE
                    ELSE is_repeated(s.written, getvariable('zone'))
                END,
                'moment': CASE
                    WHEN s.is_stamp AND s.has_offset
                    THEN COALESCE(
                        TRY_CAST(s.text AS TIMESTAMPTZ),
                        timezone('UTC', s.written - to_minutes(minutes_of(s.offset_text)))
                    )
                    WHEN s.is_stamp THEN zoned_utc(s.written, getvariable('zone'))
                END
            }
        ),
        lambda s: {
            'text': s.text,
            'written': s.written,
            'moment': s.moment,
            'offset_min': CASE
                WHEN s.has_offset
                THEN CAST(
                    date_diff('minute', timezone('UTC', s.moment), s.written) AS SMALLINT
                )
            END,
            'basis': CASE
                WHEN s.moment IS NULL THEN NULL
                WHEN s.has_offset THEN 'explicit'
                ELSE 'configured'
            END,
            'is_repeated': s.is_repeated
        }
    );
CREATE OR REPLACE MACRO stamp_of(x) AS stamps_of([x])[1];
CREATE OR REPLACE MACRO written_time(x) AS stamp_of(x).written;
CREATE OR REPLACE MACRO moment_of(x) AS stamp_of(x).moment;
CREATE OR REPLACE MACRO offset_of(x) AS stamp_of(x).offset_min;
CREATE OR REPLACE MACRO basis_of(x) AS stamp_of(x).basis;
CREATE OR REPLACE MACRO is_repeated_hour(x) AS stamp_of(x).is_repeated;
-- The civil date of a moment in the account's zone.
CREATE OR REPLACE MACRO day_of(t) AS CAST(timezone(getvariable('zone'), t) AS DATE);
CREATE OR REPLACE MACRO end_of(day) AS
    zoned_utc(CAST(day + 1 AS TIMESTAMP), getvariable('zone'));
CREATE OR REPLACE MACRO date_of(x) AS CAST(written_time(x) AS DATE);
-- The date meant by a stamp: at UTC midnight the UTC date, otherwise the date as written.
CREATE OR REPLACE MACRO date_meant(stamp) AS
    CASE
        WHEN stamp.offset_min IS NOT NULL
            AND CAST(stamp.written AS TIME) <> TIME '00:00:00'
            AND CAST(timezone('UTC', stamp.moment) AS TIME) = TIME '00:00:00'
        THEN CAST(timezone('UTC', stamp.moment) AS DATE)
        ELSE CAST(stamp.written AS DATE)
    END;
CREATE OR REPLACE MACRO stamp_date(x) AS
    list_transform(stamps_of([x]), lambda s: date_meant(s))[1];

-- Keys.
CREATE OR REPLACE MACRO order_key_of(id) AS
    url_encode(getvariable('source_system'))
    || ':' || url_encode(getvariable('source_account'))
    || ':' || url_encode(id);
CREATE OR REPLACE MACRO row_key_of(key, row_id) AS key || '#' || url_encode(row_id);

-- Codes: the account's map over the documented codes; what neither knows is unknown. `entries_of`
-- looks up several [dimension, code] at once; the other macros take what it found, or look it up.
-- The map goes through a list of one, since a constant inside a lambda is made for every row.
CREATE OR REPLACE MACRO entries_of(pairs) AS
    list_transform(
        [getvariable('codes')],
        lambda codes: list_transform(pairs, lambda p: codes[p[1] || '/' || p[2]])
    )[1];
CREATE OR REPLACE MACRO entry_of(dimension, x) AS entries_of([[dimension, x]])[1];
CREATE OR REPLACE MACRO code_of
    (entry) AS COALESCE(entry.code, 'unknown'),
    (dimension, x) AS COALESCE(entry_of(dimension, x).code, 'unknown');
CREATE OR REPLACE MACRO code_basis_of
    (entry) AS COALESCE(entry.basis, 'default'),
    (dimension, x) AS COALESCE(entry_of(dimension, x).basis, 'default');
CREATE OR REPLACE MACRO is_mapped(dimension, x) AS
    entry_of(dimension, x) IS NOT NULL;
CREATE OR REPLACE MACRO unmapped
    (dimension, x) AS
        CASE
            WHEN x IS NOT NULL AND NOT is_mapped(dimension, x) THEN 'unmapped_code:' || dimension
        END,
    (dimension, x, entry) AS
        CASE WHEN x IS NOT NULL AND entry IS NULL THEN 'unmapped_code:' || dimension END;

-- What the source itself says happened, and when: none without a readable moment.
-- The code is the source's, the canonical one is what it means; one of them may be all there is.
CREATE OR REPLACE MACRO event_at(event_type, t, dimension, code, canonical := NULL) AS
    {
        'event_type': event_type,
        'dimension': CAST(dimension AS VARCHAR),
        'code': CAST(code AS VARCHAR),
        'canonical_code': CAST(canonical AS VARCHAR),
        'occurred_at': CAST(t AS TIMESTAMPTZ),
        'valid_from_utc': CASE WHEN dimension IS NOT NULL THEN CAST(t AS TIMESTAMPTZ) END,
        'payload_ok': CAST(NULL AS BOOLEAN)
    };
CREATE OR REPLACE MACRO stamped_event(event_type, stamp, dimension, code, canonical := NULL) AS
    CASE
        WHEN stamp.moment IS NOT NULL
        THEN event_at(event_type, stamp.moment, dimension, code, canonical := canonical)
    END;
CREATE OR REPLACE MACRO event_of(event_type, x, dimension, code, canonical := NULL) AS
    stamped_event(event_type, stamp_of(x), dimension, code, canonical := canonical);
-- What happened on a civil day: at its end, in the account's zone, the code holds for certain.
CREATE OR REPLACE MACRO event_on(event_type, day, dimension, canonical) AS
    CASE
        WHEN day IS NOT NULL
        THEN {
            'event_type': event_type,
            'dimension': CAST(dimension AS VARCHAR),
            'code': CAST(NULL AS VARCHAR),
            'canonical_code': CAST(canonical AS VARCHAR),
            'occurred_at': CAST(NULL AS TIMESTAMPTZ),
            'valid_from_utc': end_of(day),
            'payload_ok': CAST(NULL AS BOOLEAN)
        }
    END;
-- A field that the account defined: a scalar, or a choice of {id, value}.
CREATE OR REPLACE MACRO custom_field(code, x) AS
    {
        'field_code': code,
        'value_json': CAST(x AS VARCHAR),
        'value_text': COALESCE(x ->> '$.value', x ->> '$'),
        'is_null': x IS NULL
    };
-- The one invoice of an order of which a reference, a moment or both are known.
CREATE OR REPLACE MACRO invoices_of(reference, stamp) AS
    CASE
        WHEN text_of(reference) IS NOT NULL OR text_of(stamp.text) IS NOT NULL
        THEN [
            {
                'invoice_reference': text_of(CAST(reference AS VARCHAR)),
                'tax_date': CAST(NULL AS DATE),
                'due_date': CAST(NULL AS DATE),
                'invoiced_at': stamp.moment
            }
        ]
    END;

-- Faults: a text that is there but could not be read. Held: no order is loaded without it.
CREATE OR REPLACE MACRO fault(field, reason, x, held) AS
    {'field': field, 'reason': reason, 'value': LEFT(x, 100), 'is_held': held};
CREATE OR REPLACE MACRO unread(field, x, value, reason, held) AS
    CASE WHEN text_of(x) IS NOT NULL AND value IS NULL THEN fault(field, reason, x, held) END;
-- With two arguments the text is read; the third is what was read of it elsewhere.
CREATE OR REPLACE MACRO unread_money
    (field, x) AS unread(field, x, money_of(x), 'not an amount of at most 4 decimals', TRUE),
    (field, x, value) AS unread(field, x, value, 'not an amount of at most 4 decimals', TRUE);
CREATE OR REPLACE MACRO unread_number(field, x) AS
    unread(field, x, exact(x), 'not a number', TRUE);
CREATE OR REPLACE MACRO unread_moment(field, x) AS
    unread(field, x, moment_of(x), 'not a moment between 1900 and 2199', FALSE);
CREATE OR REPLACE MACRO unread_stamp(field, stamp) AS
    unread(field, stamp.text, stamp.moment, 'not a moment between 1900 and 2199', FALSE);
CREATE OR REPLACE MACRO unread_date
    (field, x) AS unread(field, x, date_of(x), 'not a date between 1900 and 2199', FALSE),
    (field, x, value) AS unread(field, x, value, 'not a date between 1900 and 2199', FALSE);
CREATE OR REPLACE MACRO unread_day(field, x) AS unread_date(field, x);
CREATE OR REPLACE MACRO unread_stamp_day(field, stamp) AS
    unread(field, stamp.text, stamp.written, 'not a date between 1900 and 2199', FALSE);
CREATE OR REPLACE MACRO unread_whole
    (field, x) AS unread(field, x, whole_of(x), 'not a whole number', FALSE),
    (field, x, value) AS unread(field, x, value, 'not a whole number', FALSE);
CREATE OR REPLACE MACRO unread_integer
    (field, x) AS unread(field, x, integer_of(x), 'not a whole number below 2147483648', FALSE),
    (field, x, value) AS unread(field, x, value, 'not a whole number below 2147483648', FALSE);
CREATE OR REPLACE MACRO unread_boolean
    (field, x) AS unread(field, x, boolean_of(x), 'neither true nor false', FALSE),
    (field, x, value) AS unread(field, x, value, 'neither true nor false', FALSE);
CREATE OR REPLACE MACRO unread_rate
    (field, x) AS unread(field, x, rate_of(x), 'not a rate of at most 8 decimals', FALSE),
    (field, x, value) AS unread(field, x, value, 'not a rate of at most 8 decimals', FALSE);
CREATE OR REPLACE MACRO unread_percent
    (field, x) AS unread(field, x, percent_of(x), 'not a percentage of at most 4 decimals', FALSE),
    (field, x, value) AS unread(field, x, value, 'not a percentage of at most 4 decimals', FALSE);
CREATE OR REPLACE MACRO unread_items(field, x) AS
    unread(
        field,
        NULLIF(CAST(x AS VARCHAR), '""'),
        items_of(x),
        'neither an array nor an object',
        TRUE
    );
CREATE OR REPLACE MACRO absent(field, x) AS
    CASE WHEN text_of(x) IS NULL THEN fault(field, 'required, but absent', NULL, TRUE) END;
-- The same, where the order is worth loading without it.
CREATE OR REPLACE MACRO lacking(field, x) AS
    CASE WHEN text_of(x) IS NULL THEN fault(field, 'required, but absent', NULL, FALSE) END;
-- What stands at a path and is neither an object (or, of `arrays`, an array), as documented, nor
-- empty: json_transform reads it as NULL. PHP writes an empty object as []. The order is held for
-- those of `held`, and for all where `held` is NULL.
CREATE OR REPLACE MACRO misfits(body, paths, arrays := [''], held := NULL) AS
    CASE
        WHEN len(list_filter(
            json_type(body, paths),
            lambda t, n: t <> 'NULL' AND t <> IF(paths[n] IN arrays, 'ARRAY', 'OBJECT')
        )) > 0
        THEN list_transform(
            list_filter(
                paths,
                lambda p: json_type(body, p) NOT IN (IF(p IN arrays, 'ARRAY', 'OBJECT'), 'NULL')
                    AND CAST(json_extract(body, p) AS VARCHAR) NOT IN ('""', '[]', '{}')
            ),
            lambda p: fault(
                IF(p = '$', p, p[3:]),
                'not an ' || IF(p IN arrays, 'array', 'object'),
                NULL,
                COALESCE(p IN held, TRUE)
            )
        )
    END;
CREATE OR REPLACE MACRO present(faults) AS list_filter(faults, lambda f: f IS NOT NULL);

-- Header against rows: both are kept as received, only the comparison is stored.
CREATE OR REPLACE MACRO totals_check_of(header, summed, row_count) AS
    CASE
        WHEN header IS NULL OR summed IS NULL OR row_count = 0 THEN 'not_checkable'
        WHEN abs(header - summed) <= 0.01 THEN 'ok'
        WHEN abs(header - summed) <= 0.005 * row_count + 0.01 THEN 'rounding'
        ELSE 'mismatch'
    END;
CREATE OR REPLACE MACRO worse_check(a, b) AS
    CASE
        WHEN 'mismatch' IN (a, b) THEN 'mismatch'
        WHEN 'rounding' IN (a, b) THEN 'rounding'
        WHEN 'ok' IN (a, b) THEN 'ok'
        ELSE 'not_checkable'
    END;

-- One hash for a row as received.
CREATE OR REPLACE MACRO row_hash(x) AS md5(CAST(x AS VARCHAR));
