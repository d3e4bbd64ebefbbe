"""One complete raw body per source, in the shape of its document, and the way to each field.

Belongs here: every documented field with a plain value, so that a test can change one of them. Does
not belong here: what a field becomes.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

_PARTY = {
    "contactId": 201, "addressFullName": "Ann Example", "companyName": "Example Ltd",
    "addressLine1": "1 High Street", "addressLine2": "Floor 2", "addressLine3": "Bristol",
    "addressLine4": "Avon", "postalCode": "BS1 1AA", "country": "United Kingdom",
    "countryIsoCode": "GB", "countryIsoCode3": "GBR", "countryId": 222, "telephone": "0117 1",
    "mobileTelephone": "07700 1", "email": "ann@example.com",
}  # fmt: skip

_BRIGHTPEARL = {
    "id": 100123, "parentOrderId": 0, "orderTypeCode": "SO", "reference": "REF", "version": 3,
    "state": {"tax": "OK"}, "tax": {"errors": []}, "acknowledged": 0,
    "orderStatus": {"orderStatusId": 1, "name": "Draft"},
    "orderPaymentStatus": "UNPAID", "stockStatusCode": "SON", "allocationStatusCode": "ANA",
    "shippingStatusCode": "SNS", "placedOn": "2021-01-01T10:00:00.000+00:00",
    "createdOn": "2021-01-01T10:00:00.000+00:00", "updatedOn": "2021-01-02T10:00:00.000+00:00",
    "closedOn": "2021-01-03T10:00:00.000+00:00", "createdById": 4, "priceListId": 1,
    "priceModeCode": "EXC",
    "delivery": {"deliveryDate": "2021-01-05T00:00:00.000+00:00", "shippingMethodId": 2},
    "invoices": [{
        "invoiceReference": "INV", "taxDate": "2021-01-01T00:00:00.000+00:00",
        "dueDate": "2021-02-01T00:00:00.000+00:00"}],
    "currency": {
        "accountingCurrencyCode": "GBP", "orderCurrencyCode": "GBP", "exchangeRate": "1.000000",
        "fixedExchangeRate": False},
    "totalValue": {
        "net": "10.00", "taxAmount": "2.00", "total": "12.00", "baseNet": "10.00",
        "baseTaxAmount": "2.00", "baseTotal": "12.00"},
    "warehouseId": 2,
    "assignment": {"current": {
        "staffOwnerContactId": 4, "projectId": 1, "channelId": 1, "leadSourceId": 1, "teamId": 1}},
    "costPriceListId": 1, "isDropship": False, "historicalOrder": False,
    "parties": {
        "customer": _PARTY, "supplier": _PARTY, "delivery": _PARTY, "billing": _PARTY},
    "customFields": {"PCF_OLD": "kept"}, "nullCustomFields": ["PCF_NONE"],
    "orderRows": {"154": {
        "orderRowSequence": "10", "productId": 1001, "productName": "Chair", "productSku": "CH-1",
        "quantity": {"magnitude": "1.0000"}, "itemCost": {"currencyCode": "GBP", "value": "4.00"},
        "productPrice": {"currencyCode": "GBP", "value": "10.00"}, "discountPercentage": "0.00",
        "rowValue": {
            "taxRate": "20.0000", "taxCode": "T20", "taxCalculator": "Avalara", "taxClassId": 9,
            "rowNet": {"currencyCode": "GBP", "value": "10.00"},
            "rowTax": {"currencyCode": "GBP", "value": "2.00"}},
        "productOptions": {"Size": "L"}, "nominalCode": "4000",
        "composition": {"bundleParent": False, "bundleChild": False, "parentOrderRowId": 0}}},
}  # fmt: skip

_TASTYIGNITER = {
    "order_id": 1, "customer_id": 1, "location_id": 1, "address_id": 4, "first_name": "Tucker",
    "last_name": "Vega", "email": "tucker@example.com", "telephone": "+1", "notify": None,
    "order_type": "delivery", "order_date_time": "2020-05-24 13:13:00", "processed": None,
    "total_items": 3, "order_total": 15.0449, "comment": "", "payment": "cod",
    "invoice_prefix": "INV-2020-00", "invoice_date": "2020-05-24T11:58:43.000000Z", "status_id": 3,
    "status_updated_at": "2020-05-24T11:58:43.000000Z", "assignee_id": 5, "assignee_group_id": 6,
    "assignee_updated_at": "2020-05-24T11:58:43.000000Z", "ip_address": "192.168.10.1",
    "hash": "7158b25ef2f10b151f87fc4d26b3b27d", "user_agent": "Mozilla/5.0",
    "date_added": "2020-05-24 12:58:43", "date_modified": "2020-05-24 12:58:43", "order_totals": [],
}  # fmt: skip

_EFILING = {
    "order": {
        "id": 123, "description": "ABC LTD", "created_at": 20200101095500,
        "updated_at": 20200103123518, "invoiced_at": 20200101101836, "cancelled_at": "",
        "status": 700, "mlc_status": 700, "net": 17.98, "gross": 19.58},
    "orderlines": [{
        "order_id": 123, "description": "", "quantity": 1, "price": 2.00, "tax": 1.00,
        "product": {
            "name": "Company seal", "is_service": 0, "is_incorporation": 0, "taxable": 1},
        "package": {"name": "Bronze Package"},
        "incorporation": {"incorporation_id": 456, "company_name": "ABC LTD"},
        "officer": {"company_name": "Acme", "first_name": "Joe", "last_name": "Bloggs"}}],
    "orderlines_state": "complete",
}  # fmt: skip

_QUOTEVINE = {"relationship_id": 7, "order": {
    "order_id": 4, "proposal_id": 20295213, "order_status": "Sent", "proposal_status": "Out",
    "order_date": "2022-08-05", "dealer_id": 8, "dealer_contact_id": 9,
    "target_delivery_date": "End of August", "int_target_delivery_date": "2022-08-30",
    "confirmed_delivery_date": "2022-08-29", "delivery_property": "Unit A",
    "delivery_postcode": "MK40 2FL", "delivery_method": "Transporter", "new_used": "New",
    "paint_option_code": 11, "trim_option_code": 12, "build_tracking_number": "BT1",
    "registration_number": "QV22 AAA", "vin": "WXX1", "k4k_registration_number": "K4K 1",
    "funder_fleet_number": "FL1", "discount_bonus_code_1": "DB1", "discount_bonus_code_2": "DB2",
    "cooling_off_date": "2022-08-19", "cancellation_date": None, "cancellation_reason": None,
    "contact_notes": "Ring twice", "contact_name": "Ann Example", "contact_telephone": "0117 1",
    "contact_mobile": "07700 1", "funder_order_number": "FND-1", "delivery_slot": "AM",
    "first_registration_date": "2022-08-28", "vehicle_registree": "Customer",
    "registree_name": "Ann Example", "registree_house_number_name": "1",
    "registree_street": "High Street", "registree_locality": "Old Town",
    "registree_town_city": "Bedford", "registree_postcode": "MK40 1AA",
    "profit_date": "2022-08-31", "update_frequency_days": 7,
    "last_customer_update": "2022-08-06 09:00:00", "working_user_email": "staff@example.com",
}}  # fmt: skip

_FEEDBACK_COMPANY = {
    "registration": {
        "external_id": "08b747cb", "filtercode": "filtercode1234",
        "customer": {"email": "appleseed@example.com", "fullname": "John Appleseed"},
        "products": [{
            "external_id": "c17b8994", "sku": "rd001", "gtin": "0075678164125",
            "name": "Red Delicious", "url": "https://www.example.com/red-delicious",
            "image_url": "https://www.example.com/red-delicious.jpeg"}],
        "invitation": {
            "delay": {"unit": "days", "amount": 0}, "reminder": {"unit": "days", "amount": 7}}},
    "response": {"success": False},
}  # fmt: skip

BODIES: dict[str, dict[str, Any]] = {
    "brightpearl": _BRIGHTPEARL,
    "tastyigniter": _TASTYIGNITER,
    "efiling": _EFILING,
    "quotevine": _QUOTEVINE,
    "feedback_company": _FEEDBACK_COMPANY,
}

_ROOTS: dict[tuple[str, str], list[str | int]] = {
    ("efiling", "orderline"): ["orderlines", 0],
    ("quotevine", ""): ["order"],
    ("feedback_company", ""): ["registration"],
    ("feedback_company", "response"): ["response"],
    ("feedback_company", "request"): ["request"],
}
"""Where the fields of a document stand in a raw body, by the first part of their name."""

_NAMES: dict[str, str] = {"{id}": "154", "{code}": "PCF_PROBE", "{name}": "Probe"}
"""Keys that the account or the customer chooses."""

Path = list[str | int]


def path_of(source: str, field: str) -> Path:
    """Where a field, written as in field_map.csv, stands in the source's raw body."""
    first, _, rest = field.partition(".")
    root = _ROOTS.get((source, first))
    if root is None:
        root, rest = _ROOTS.get((source, ""), []), field
    path: Path = list(root)
    for part in rest.split("."):
        path.append(_NAMES.get(part, part.removesuffix("[]")))
        if part.endswith("[]"):
            path.append(0)
    return path


def body_of(source: str) -> dict[str, Any]:
    """A body of one's own to change."""
    return deepcopy(BODIES[source])


def put(body: dict[str, Any], path: Path, value: Any) -> None:
    """Set what stands at a path, making lists and objects on the way."""
    place: Any = body
    for part, following in pairwise(path):
        if isinstance(part, int):
            place = place[part]
        else:
            place = place.setdefault(part, [] if isinstance(following, int) else {})
    if isinstance(place, list):
        place[path[-1] : path[-1] + 1] = [value]  # type: ignore[operator, misc]
    else:
        place[path[-1]] = value


def take(body: dict[str, Any], path: Path) -> None:
    """Take away what stands at a path."""
    place: Any = body
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]


def id_of(source: str, body: dict[str, Any]) -> str:
    """The id under which a body is landed."""
    if source == "quotevine":
        return f"{body['relationship_id']}/{body['order']['order_id']}"
    path = {
        "brightpearl": ["id"],
        "tastyigniter": ["order_id"],
        "efiling": ["order", "id"],
        "feedback_company": ["registration", "external_id"],
    }[source]
    place: Any = body
    for part in path:
        place = place[part]
    return str(place)
