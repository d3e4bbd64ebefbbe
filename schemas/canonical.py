"""The Arrow schema of every lake table, field by field, with unit, time zone and meaning.

Belongs here: columns and their meaning. Does not belong here: how a source fills them (the mapping
in `assets/sources/NAME.sql`), how the lake writes them (`resources/lake.py`), mart columns (the
header of each file in `assets/marts`).
"""

from __future__ import annotations

import pyarrow as pa

from schemas.fields import (
    MOMENT,
    MONEY,
    PERCENT,
    QUANTITY,
    RATE,
    TEXT,
    column,
    moment,
    money,
    status,
    text,
)
from schemas.lake import PARTITION_COLUMNS, SCHEMA_VERSION

_ORIGIN = [
    text("source_system", "name of the source, for instance brightpearl", required=True),
    text("source_account", "name of the account in accounts.toml", required=True),
]

_VERSION = [
    text("version_id", "order_key, @ and the landing sequence of this version", required=True),
    column("landing_seq", pa.int64(), "place in the account's landing order", required=True),
]

_OURS = [
    column("first_seen_at", MOMENT, "when the order was first received; UTC", required=True),
    column("last_seen_at", MOMENT, "when this version was received; UTC", required=True),
    text("run_id", "the run that landed this version", required=True),
    column("schema_version", pa.int16(), "version of this table's schema", required=True),
]

RAW = pa.schema(
    [
        *_ORIGIN,
        text("order_key", "system:account:id; ! and a hash where the source gave no id",
             required=True),
        text("source_order_id", "the source's id of the order; NULL: the record has none"),
        column("landing_seq", pa.int64(), "1, 2, 3 ... per account, in landing order",
               required=True),
        text("kind", "what was observed: read (body holds the order), suspected (missing from a "
             "complete answer for the first time), absent (missing in another run again: a "
             "tombstone), present (it reappeared after that)", required=True),
        text("endpoint", "the path that was asked", required=True),
        text("body", "JSON text of the order exactly as received, less the fields that are never "
             "stored"),
        text("content_hash", "xxh3-128 of the body less its volatile parts", required=True),
        column("fetched_at", MOMENT, "when the reply arrived; UTC", required=True),
        column("first_seen_at", MOMENT, "when the order was first received; UTC", required=True),
        text("run_id", "the run that landed it", required=True),
        column("schema_version", pa.int16(), "version of this table's schema", required=True),
    ]
)  # fmt: skip

INVOICE = pa.struct(
    [
        text("invoice_reference", "number or prefix of the invoice"),
        column("tax_date", pa.date32(), "tax point, civil date"),
        column("due_date", pa.date32(), "payment due, civil date"),
        column("invoiced_at", MOMENT, "when the invoice was made; UTC"),
    ]
)
TOTAL = pa.struct(
    [
        text("code", "subtotal, delivery, tax, coupon, total and the like"),
        text("title", "the source's wording"),
        money("value", "amount in the order's currency"),
        column("priority", pa.int32(), "the source's sort order"),
        column("is_summable", pa.bool_(), "true: part of the sum of the order"),
        text("value_json", "the item as received, where it held further keys"),
    ]
)
CUSTOM_FIELD = pa.struct(
    [
        text("field_code", "the account's code of the field"),
        text("value_json", "the value as JSON"),
        text("value_text", "the value as text; of a choice, its label"),
        column("is_null", pa.bool_(), "true: the source was asked and said null"),
    ]
)
EVENT = pa.struct(
    [
        text("event_type", "created, status_changed, invoiced, closed, cancelled, assigned, "
             "customer_updated, invitation_scheduled, invitation_sent, invitation_reminded, "
             "feedback_submitted, deleted, restored"),
        text("dimension", "the status dimension that changed, where one did"),
        text("code", "the source's code after the event; NULL: it gives none with it"),
        text("canonical_code", "canonical code of the dimension after the event"),
        column("occurred_at", MOMENT, "when it happened, by the source; UTC"),
        column("valid_from_utc", MOMENT, "since when the code holds; where the source names a day "
               "alone, the end of that day; UTC"),
        column("payload_ok", pa.bool_(), "whether the source confirmed it"),
    ]
)  # fmt: skip

_ORDER_IDENTITY = [
    *_ORIGIN,
    text("order_key", "system:account:id, each part percent-encoded; unique", required=True),
    text("source_order_id", "the source's id of the order", required=True),
    *_VERSION,
    text("order_number", "the number that people use; not unique"),
    text("description", "what the order is about; may name a person"),
    text("parent_order_key", "the order this one belongs to or credits"),
    *status("order_type", "sale, purchase, credit, service, lease or review registration",
            "source_order_type_code"),
]  # fmt: skip

_ORDER_TIMES = [
    *moment("placed", "when the order was placed"),
    column("placed_on", pa.date32(), "civil date of placing, in the account's zone"),
    *moment("created", "when the source created the record"),
    *moment("updated", "when the source last changed the record; NULL: never, or it does not say"),
    *moment("closed", "when the source closed the order"),
    *moment("cancelled", "when the order was cancelled"),
    column("cancelled_on", pa.date32(), "civil date of cancellation, in the account's zone"),
    text("cancellation_reason", "why it was cancelled, in the source's words"),
    *moment("requested_delivery", "when the customer wants it"),
    column("requested_delivery_on", pa.date32(), "civil date on which the customer wants it"),
    text("requested_delivery_text", "the wish in the source's words"),
    column("confirmed_delivery_on", pa.date32(), "civil date of the confirmed delivery"),
]

_ORDER_MONEY = [
    column("currency", TEXT, "ISO 4217 code of the amounts; NULL: not known, never guessed"),
    column("base_currency", TEXT, "ISO 4217 code of the seller's books"),
    column("exchange_rate", RATE, "order currency per one unit of base currency"),
    column("exchange_rate_fixed", pa.bool_(), "true: the rate was fixed for this order"),
    money("net_amount", "total without tax, in currency, as received; credits not negated"),
    money("tax_amount", "tax, in currency"),
    money("gross_amount", "total with tax, in currency"),
    money("base_net_amount", "total without tax, in base_currency"),
    money("base_tax_amount", "tax, in base_currency"),
    money("base_gross_amount", "total with tax, in base_currency"),
    text("amounts_basis", "as_received, derived_gross (net + tax), derived_tax (gross - net), "
         "gross_only, none", required=True),
    text("totals_check", "header against rows: ok (within 0.01), rounding (within 0.005 a row + "
         "0.01), mismatch, not_checkable", required=True),
    text("price_mode", "EXC: row prices without tax, INC: with"),
    column("declared_item_count", pa.int32(), "number of items that the source states"),
    text("payment_method", "code of the payment method"),
]  # fmt: skip

_ORDER_STATUSES = [
    *status("order_status", "where in its life the order is", "source_status_code"),
    text("source_status_name", "the source's label of source_status_code"),
    *status("payment_status", "whether it is paid", "source_payment_status_code"),
    *status("shipping_status", "whether it is shipped", "source_shipping_status_code"),
    *status("allocation_status", "whether stock is set aside", "source_allocation_status_code"),
    *status("fulfilment_status", "whether it is fulfilled", "source_fulfilment_status_code"),
    *status("fulfilment_method", "how it reaches the customer", "source_fulfilment_method"),
    text("source_shipping_method_id", "the source's id of the shipping method"),
    *status("invitation_status", "how far a review invitation is", "source_invitation_status_code"),
]

_ORDER_REST = [
    text("location_id", "the warehouse, branch or restaurant"),
    text("channel_id", "the sales channel"),
    text("assignee_id", "whoever looks after the order, the source's id"),
    column("invoices", pa.list_(INVOICE), "invoices that the order names"),
    column("totals", pa.list_(TOTAL), "totals that the source itemises"),
    column("custom_fields", pa.list_(CUSTOM_FIELD), "fields that the account itself defined"),
    column("events", pa.list_(EVENT), "what the source itself says happened, and when"),
    text("source_fields", "JSON of every documented field without a column of its own"),
    column("quality_flags", pa.list_(TEXT), "what is odd about the order, though usable"),
    column("source_version", pa.int64(), "the source's own version number"),
    text("content_hash", "hash of the order as received", required=True),
    text("rows_state", "order rows: complete, stale, missing, not_supplied", required=True),
    column("row_count", pa.int32(), "number of order rows of this version", required=True),
    column("is_deleted", pa.bool_(), "true: tombstone, the source no longer has it", required=True),
    column("deleted_detected_at", MOMENT, "when its absence was established; UTC"),
    text("deletion_basis", "on which observation the tombstone rests"),
    *_OURS,
]

ORDERS = pa.schema([*_ORDER_IDENTITY, *_ORDER_TIMES, *_ORDER_MONEY, *_ORDER_STATUSES, *_ORDER_REST])

ORDER_ROWS = pa.schema(
    [
        *_ORIGIN,
        text("order_row_key", "order_key, # and source_row_id; unique", required=True),
        text("order_key", "the order it belongs to", required=True),
        *_VERSION,
        text("source_row_id", "the source's id of the row, or a made one where it has none",
             required=True),
        column("row_no", pa.int32(), "place in the order; gaps are normal", required=True),
        text("row_kind", "product, service, incorporation, bundle_parent, bundle_component, "
             "menu_item", required=True),
        text("parent_row_key", "the bundle's row that this one is a component of"),
        text("product_id", "the source's id of the product"),
        text("product_name", "name of the product when ordered"),
        text("sku", "stock keeping unit"),
        text("gtin", "GTIN as text, leading zeros kept"),
        text("product_url", "page of the product"),
        text("image_url", "picture of the product"),
        text("description", "free description of the row"),
        column("quantity", QUANTITY, "how many"),
        money("unit_price", "price of one, in currency"),
        column("discount_percent", PERCENT, "discount, percent"),
        money("net_amount", "total of the row without tax, in currency"),
        money("tax_amount", "tax of the row, in currency"),
        column("tax_rate", PERCENT, "tax rate, percent"),
        text("tax_code", "the source's tax code"),
        column("is_taxable", pa.bool_(), "whether tax applies"),
        money("unit_cost", "cost of one, in cost_currency"),
        text("cost_currency", "ISO 4217 code of unit_cost"),
        text("currency", "ISO 4217 code of the row's amounts"),
        text("ledger_code", "nominal ledger code"),
        column("options", pa.map_(TEXT, TEXT), "chosen options, name to value"),
        text("source_fields", "JSON of every documented field without a column of its own"),
        text("amount_basis", "net_amount is: row_total (as received), assumed_unit (price x "
             "quantity, the source not saying which), unambiguous (quantity 1), none",
             required=True),
        column("is_deleted", pa.bool_(), "true: the order is a tombstone", required=True),
        text("content_hash", "hash of the row as received", required=True),
        text("run_id", "the run that landed this version", required=True),
        column("schema_version", pa.int16(), "version of this table's schema", required=True),
    ]
)  # fmt: skip

PARTY_PERSONAL = (
    text("source_party_id", "the source's id of the party"),
    text("source_contact_id", "the source's id of the contact person"),
    text("full_name", "name in one piece"),
    text("first_name", "given name"),
    text("last_name", "family name"),
    text("company_name", "name of the company"),
    text("address_line_1", "first line of the address"),
    text("address_line_2", "second line of the address"),
    text("address_line_3", "third line of the address"),
    text("address_line_4", "fourth line of the address"),
    text("postal_code", "postal code"),
    text("country_name", "country in words"),
    text("country_code", "ISO 3166-1 alpha-2"),
    text("country_code3", "ISO 3166-1 alpha-3"),
    text("source_country_id", "the source's id of the country"),
    text("telephone", "telephone number as written"),
    text("mobile_telephone", "mobile number as written"),
    text("email", "e-mail address"),
    text("free_text", "what was written about or by the party"),
)
"""Columns that hold personal data: no statistics are kept on them, and erasure blanks them."""

ORDER_PARTIES = pa.schema(
    [
        *_ORIGIN,
        text("order_key", "the order it belongs to", required=True),
        *_VERSION,
        text("role", "customer, supplier, delivery, billing, contact, registree, dealer, officer, "
             "staff", required=True),
        text("order_row_key", "the order row it belongs to; officers only"),
        *PARTY_PERSONAL,
        text("run_id", "the run that landed this version", required=True),
        column("schema_version", pa.int16(), "version of this table's schema", required=True),
    ]
)  # fmt: skip

QUARANTINE = pa.schema(
    [
        *_ORIGIN,
        text("order_key", "the order, or ! and a hash where the record has no id", required=True),
        text("source_order_id", "the source's id of the order; NULL: the record has none"),
        *_VERSION,
        text("field", "the field at fault, in the source's spelling", required=True),
        text("reason", "what is wrong with it", required=True),
        text("value", "what stood there, at most 100 characters; never of personal fields"),
        column("is_held", pa.bool_(), "true: this version of the order was held back; false: it "
               "was loaded without this field", required=True),
        column("fetched_at", MOMENT, "when the reply arrived; UTC", required=True),
        text("run_id", "the run that landed the record", required=True),
        column("schema_version", pa.int16(), "version of this table's schema", required=True),
    ]
)  # fmt: skip

DRIFT = pa.schema(
    [
        *_ORIGIN,
        text("kind", "unknown_field, changed_type, unmapped_code; settled_type is none: it notes "
             "which of its types a field has in this account", required=True),
        text("field", "the field as it stands in the landed body, [] for array items and {} for "
             "keys that the account chooses; of a code its dimension", required=True),
        text("json_type", "string, number, boolean, object, array or null; NULL: of a code"),
        text("code", "the code that nothing maps; at most 60 characters"),
        column("versions", pa.int64(), "versions of orders received with it in this batch",
               required=True),
        text("order_key", "the first order received with it in this batch", required=True),
        column("first_landing_seq", pa.int64(), "landing sequence of that order", required=True),
        column("landing_seq", pa.int64(), "landing sequence of the last one", required=True),
        column("first_seen_at", MOMENT, "when that order was received; UTC", required=True),
        column("last_seen_at", MOMENT, "when the last one was received; UTC", required=True),
        text("example", "what stood there in that order, letters as x and digits as 9, at most 60 "
             "characters; of a code the code itself"),
        column("schema_version", pa.int16(), "version of this table's schema", required=True),
    ]
)  # fmt: skip

LAKE: dict[str, pa.Schema] = {
    "raw": RAW,
    "orders": ORDERS,
    "order_rows": ORDER_ROWS,
    "order_parties": ORDER_PARTIES,
    "quarantine": QUARANTINE,
    "drift": DRIFT,
}
"""Every lake table by name. An order's rows and parties are written before the order itself."""

PERSONAL: dict[str, frozenset[str]] = {
    "raw": frozenset({"body"}),
    "orders": frozenset({"description", "source_fields", "custom_fields"}),
    "order_rows": frozenset({"description", "source_fields"}),
    "order_parties": frozenset(field.name for field in PARTY_PERSONAL),
    "quarantine": frozenset({"value"}),
    "drift": frozenset({"code", "example"}),
}
"""Columns of each lake table that may hold personal data: no statistics are kept on them."""

__all__ = ["LAKE", "MONEY", "PARTITION_COLUMNS", "PERSONAL", "SCHEMA_VERSION"]
