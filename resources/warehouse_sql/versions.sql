-- What the status history and the questions about a moment rest on.
-- Of a version's events those that say since when a status holds; NULL where there are none.
CREATE MACRO orderloom.status_events_of(events) AS NULLIF(
    list_transform(
        list_filter(
            events,
            lambda e: e.dimension IS NOT NULL
                AND e.canonical_code IS NOT NULL
                AND e.valid_from_utc IS NOT NULL
        ),
        lambda e: {
            'dimension': e.dimension,
            'code': e.code,
            'canonical_code': e.canonical_code,
            'valid_from_utc': CAST(e.valid_from_utc AS TIMESTAMP)
        }
    ),
    []
);

-- Grain: one row per version of an order, the newest of each and those before.
CREATE VIEW orderloom.versions AS
