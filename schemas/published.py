"""The tables of the published DuckDB file that are neither lake tables nor marts, and all grains.

Belongs here: columns and their meaning, and what one row of each table is. Does not belong here:
how the tables are filled (`resources/warehouse_sql`), the marts (`assets/marts`).

Moments are published as TIMESTAMP, always UTC, since not every client reads zoned ones.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.canonical import CUSTOM_FIELD, EVENT, INVOICE, LAKE, TOTAL
from schemas.fields import MOMENT, TEXT, column, text
from schemas.status import DIMENSIONS, HISTORY_DIMENSIONS

PUBLISHED_VERSION = 3
"""Version of the tables on this page. A file of another version is built anew from the lake."""

_ORDER = [
    text("source_system", "name of the source", required=True),
    text("source_account", "name of the account in accounts.toml", required=True),
    text("order_key", "the order it belongs to", required=True),
]


def _items(item: pa.StructType, what: str) -> pa.Schema:
    """A list column of orders, one row an item."""
    position = column("position", pa.int32(), f"1, 2, 3 ... as the source lists {what}",
                      required=True)  # fmt: skip
    return pa.schema([*_ORDER, position, *item.fields])


_ORDERS = pa.schema(
    [
        *LAKE["orders"],
        column("business_date", pa.date32(), "the day on which the order counts, a civil date in "
               "the account's zone: of placing, or where that is unknown of creation; NULL: the "
               "source names neither"),
        column("business_at", MOMENT, "the moment from which the order's age counts; UTC; NULL: "
               "see business_date"),
        text("business_at_basis", "what business_at is: placed_at, placed_on (the first moment of "
             "that day in the account's zone, the source naming no more), created_at"),
    ]
)  # fmt: skip
"""Orders as published: with the day on which they count, by the zone of their account."""

_STATUS_HISTORY = pa.schema(
    [
        *_ORDER,
        text("dimension", f"one of {', '.join(HISTORY_DIMENSIONS)}", required=True),
        text("code", "canonical code, joins the table dim_ and dimension", required=True),
        text("source_code", "the source's own code, as received"),
        column("valid_from_utc", MOMENT, "since when the code holds, inclusive; UTC",
               required=True),
        column("valid_to_utc", MOMENT, "until when it held, exclusive; UTC; NULL: it still holds"),
        text("valid_from_basis", "on what valid_from_utc rests: source_event (the source says "
             "since when), source_updated (the source's stamp of the order's last change), "
             "source_created (never changed since the source created it), observed (when it was "
             "received, or when it must have begun at the latest, the source saying nothing)",
             required=True),
        column("observed_at", MOMENT, "when the first version that told of this code was received; "
               "UTC", required=True),
        text("run_id", "the run that landed that version", required=True),
        column("landing_seq", pa.int64(), "landing sequence of that version",
               required=True),
        column("is_current", pa.bool_(), "true: the newest code of this order and dimension",
               required=True),
    ]
)  # fmt: skip

_SCHEMA_DRIFT = pa.schema(
    [
        text("source_system", "name of the source", required=True),
        text("source_account", "name of the account in accounts.toml", required=True),
        text("kind", "unknown_field (a field that neither the source's document nor the mapping "
             "names; it is kept in the lake's raw records alone), changed_type (a known field with "
             "another JSON type than documented, or than this account's had before), unmapped_code "
             "(a code that nothing maps, so that its orders are `unknown` there)", required=True),
        text("field", "the field as the source writes it, [] for array items and {} for keys that "
             "the account chooses; of a code the dimension, as in dim_ and this name",
             required=True),
        text("json_type", "string, number, boolean, object, array or null; NULL: of a code"),
        text("code", "the code that nothing maps; NULL: of a field"),
        column("versions", pa.int64(), "versions of orders received with it",
               required=True),
        column("first_seen_at", MOMENT, "when it was first received; UTC", required=True),
        column("last_seen_at", MOMENT, "when it was last received; UTC", required=True),
        text("example_order_key", "the first order received with it", required=True),
        text("example", "what stood there in that order, letters as x and digits as 9, at most 60 "
             "characters; of a code the code itself"),
        column("first_landing_seq", pa.int64(), "landing sequence of that order", required=True),
    ]
)  # fmt: skip

_RUNS = pa.schema(
    [
        text("run_id", "id of the run; unique", required=True),
        text("account", "account.key of dim_account; NULL: a run of no single account"),
        text("kind", "changes, history, presence, normalise, publish, replay, compact, push",
             required=True),
        column("started_at", MOMENT, "when it started; UTC", required=True),
        column("finished_at", MOMENT, "when it finished; UTC; NULL: it has not"),
        text("outcome", "running, succeeded, failed", required=True),
        text("error", "why it failed, in one line"),
        text("alarm", "what made a run fail that ended without a fault: received_nothing (every "
             "run before it had received something)"),
        text("window_from", "start of the window that was asked for"),
        text("window_to", "end of the window that was asked for"),
        column("requests", pa.int64(), "requests sent"),
        column("least_requests", pa.int64(), "the fewest requests that would have done"),
        column("announced", pa.int64(), "orders that the listings of this run announced; NULL: the "
               "API announces none"),
        column("listed", pa.int64(), "different orders read of those listings; NULL: as announced"),
        text("warnings", "what may be missing although nothing failed"),
        column("received", pa.int64(), "orders received; one that a listing showed to be known "
               "already may have been left out"),
        column("new", pa.int64(), "orders seen for the first time"),
        column("changed", pa.int64(), "orders received with new content"),
        column("unchanged", pa.int64(), "orders received as they were known"),
        column("quarantined", pa.int64(), "orders held back for a fault in them"),
        column("cancelled", pa.int64(), "orders established as cancelled or gone"),
        column("bytes", pa.int64(), "bytes received"),
        column("seconds", pa.float64(), "duration, seconds"),
        column("waited_seconds", pa.float64(), "of which waited for the request budget, seconds"),
    ]
)  # fmt: skip

_DIM_ACCOUNT = pa.schema(
    [
        text("source_system", "name of the source", required=True),
        text("source_account", "name of the account in accounts.toml", required=True),
        text("account", "source and account as one text, as commands take it; unique",
             required=True),
        text("timezone", "IANA zone of stamps without offset and of civil dates; NULL: the account "
             "is no longer in accounts.toml"),
        text("currency", "ISO 4217 code where the API names none"),
        column("started_on", pa.date32(), "first day of which orders are asked for"),
        column("paused", pa.bool_(), "true: not asked any more, its orders stay as they were",
               required=True),
        column("last_success_at", MOMENT, "when its newest successful run finished; UTC; up to an "
               "hour older than the truth, since a run that brings nothing makes no new file"),
        column("last_failure_at", MOMENT, "when its newest failed run finished; UTC"),
        text("last_error", "why that run failed, in one line; NULL: a run has succeeded since"),
        column("stale_after_hours", pa.float64(), "hours without a successful run after which the "
               "account counts as stale; NULL: the account is no longer in accounts.toml"),
        column("stale_at", MOMENT, "last_success_at and those hours: if this is past, the account "
               "is stale; UTC; NULL: no run of it ever succeeded"),
    ]
)  # fmt: skip

_DIM_DATE = pa.schema(
    [
        column("date_key", pa.date32(), "the day; unique", required=True),
        column("year", pa.int16(), "calendar year", required=True),
        column("quarter", pa.int16(), "1 to 4", required=True),
        column("month", pa.int16(), "1 to 12", required=True),
        text("month_name", "English", required=True),
        column("iso_year", pa.int16(), "year of the ISO 8601 week", required=True),
        column("iso_week", pa.int16(), "ISO 8601 week, 1 to 53", required=True),
        column("day_of_week", pa.int16(), "ISO 8601: 1 Monday to 7 Sunday", required=True),
        text("day_name", "English", required=True),
        column("is_weekend", pa.bool_(), "true: Saturday or Sunday", required=True),
    ]
)


def _dimension(name: str) -> pa.Schema:
    return pa.schema(
        [
            text(name, "canonical code; unique", required=True),
            text("meaning", "what the code says of an order", required=True),
        ]
    )


_DIM_ORDER_TYPE = pa.schema(
    [
        *_dimension("order_type"),
        column("order_sign", pa.int16(), "-1: a credit, its amounts count negative; 1: all others",
               required=True),
        column("is_sale", pa.bool_(), "true: something is sold, or a sale credited", required=True),
        column("is_purchase", pa.bool_(), "true: something is bought, or a purchase credited",
               required=True),
        column("is_revenue", pa.bool_(), "true: its amounts are turnover", required=True),
    ]
)  # fmt: skip

PUBLISHED: dict[str, pa.Schema] = {
    "orders": _ORDERS,
    "order_invoices": _items(INVOICE, "the invoices"),
    "order_totals": _items(TOTAL, "the totals"),
    "order_custom_fields": _items(CUSTOM_FIELD, "the fields"),
    "order_status_history": _STATUS_HISTORY,
    "schema_drift": _SCHEMA_DRIFT,
    "runs": _RUNS,
    "dim_account": _DIM_ACCOUNT,
    "dim_date": _DIM_DATE,
    **{f"dim_{name}": _dimension(name) for name in sorted(DIMENSIONS)},
    "dim_order_type": _DIM_ORDER_TYPE,
}
"""Every published table that is neither as in the lake nor a mart."""

GRAINS: dict[str, str] = {
    "orders": "One row per order, in its newest version; tombstones stay, with is_deleted true.",
    "order_rows": "One row per order row of the newest version of its order.",
    "order_parties": "One row per party of the newest version of its order. Personal data.",
    "quarantine": "One row per field that could not be read and has not been put right since.",
    "order_invoices": "One row per invoice that an order names.",
    "order_totals": "One row per total that the source itemises for an order.",
    "order_custom_fields": "One row per order and field that the account itself defined.",
    "order_status_history": "One row per order, dimension and stretch of time in which its code "
    "did not change; stretches do not overlap. A stretch is empty where the source's moments leave "
    "no time to a code that was received.",
    "schema_drift": "One row per account, kind and field, and JSON type or code: what was received "
    "otherwise than is known of the source. Nothing here kept an order from being loaded.",
    "runs": "One row per run that was known when the file was published. A run that brought "
    "nothing new makes no new file, so the newest runs may be missing: `orderloom status` and the "
    "ledger have them all.",
    "dim_account": "One row per account.",
    "dim_date": "One row per day, in whole years, from the first to the last date in orders.",
    **{f"dim_{name}": f"One row per canonical code of {name}." for name in sorted(DIMENSIONS)},
}
"""What one row is, of every published table that is not a mart."""

_MOMENT = (
    " A TIMESTAMP is UTC; a DATE is its first moment, so ask for the next day to have a day's end."
)
MACROS: dict[str, str] = {
    "status_on": "What was true at a moment, as is known now: one row per order and status "
    "dimension. SELECT * FROM status_on(TIMESTAMP '2026-11-01 12:00')." + _MOMENT,
    "status_believed_on": "What was held to be true at a moment, by what had been received until "
    "then: one row per order and status dimension. What is received later changes none of it. "
    "SELECT * FROM status_believed_on(TIMESTAMP '2026-11-01 12:00')." + _MOMENT,
    "changes_between": "What was held of an order at the second moment and not at the first, by "
    "what had been received: one row per order and status dimension, amount, currency, row_count "
    "or is_deleted that differs, and one (`order`) per order that was not known before. before and "
    "after are texts. SELECT * FROM changes_between(DATE '2026-11-01', DATE '2026-11-02')."
    + _MOMENT,
}
"""Macros of the published file that answer like tables, and what they answer."""

MACRO_COLUMNS: dict[str, str] = {
    "received_at": "when the version that says so was received; UTC",
    "what": "order (not known before), a status dimension, currency, net_amount, gross_amount, "
    "row_count or is_deleted",
    "before": "what was held of it at the first moment, as text; amounts as received",
    "after": "what was held of it at the second moment, as text",
}
"""Columns of those answers that no published table has, and what they mean."""

PUBLICATION = pa.schema(
    [
        text("source_system", "name of the source", required=True),
        text("source_account", "name of the account", required=True),
        column("orders_seq", pa.int64(), "greatest landing_seq published from the lake's orders",
               required=True),
        column("quarantine_seq", pa.int64(), "the same, from the lake's quarantine", required=True),
        column("generation", pa.int64(), "how often the account had been replaced in the lake",
               required=True),
        column("drift_seq", pa.int64(), "as orders_seq, from the lake's drift", required=True),
    ]
)  # fmt: skip
BUILD = pa.schema(
    [
        text("publication_id", "part of the file's name", required=True),
        column("published_at", MOMENT, "when it was built; UTC", required=True),
        text("layout", "hash of everything that shapes the tables", required=True),
        text("fingerprint", "hash of the marts and of the accounts' settings", required=True),
        column("orders", pa.int64(), "orders in the file", required=True),
        column("order_rows", pa.int64(), "order rows in the file", required=True),
        column("rebuilt_bytes", pa.int64(),
               "size of the file that was last built from scratch, bytes; 0: this one was",
               required=True),
    ]
)  # fmt: skip
_STATUS_EVENT = pa.struct(
    [EVENT.field(n) for n in ("dimension", "code", "canonical_code", "valid_from_utc")]
)
SUPERSEDED = pa.schema(
    [
        *_ORDER,
        text("version_id", "a version that is not the newest of its order", required=True),
        column("landing_seq", pa.int64(), "place in the account's landing order", required=True),
        column("created_at", MOMENT, "when the source created the record; UTC"),
        column("updated_at", MOMENT, "when the source last changed the record; UTC"),
        column("last_seen_at", MOMENT, "when this version was received; UTC", required=True),
        text("run_id", "the run that landed this version", required=True),
        column("is_deleted", pa.bool_(), "true: this version is a tombstone", required=True),
        *(LAKE["orders"].field(n) for n in ("currency", "net_amount", "gross_amount", "row_count")),
        column("status_events", pa.list_(_STATUS_EVENT), "the events of this version that say "
               "since when a status holds; NULL: none"),
        *(
            field
            for name, source_code in HISTORY_DIMENSIONS.items()
            for field in (
                column(name, TEXT, "canonical code", required=True),
                text(source_code, "the source's own code"),
            )
        ),
    ]
)  # fmt: skip
INTERNAL: dict[str, pa.Schema] = {
    "publication": PUBLICATION,
    "build": BUILD,
    "superseded": SUPERSEDED,
}
"""Tables of the published file's schema `orderloom`, which readers have no need of."""

INTERNAL_GRAINS: dict[str, str] = {
    "publication": "One row per account: how far it is published.",
    "build": "One row about the file.",
    "superseded": "One row per version that is not the newest of its order, as far as the status "
    "history and the macro status_believed_on need it.",
}
"""What one row of those tables is."""
