"""Customers and suppliers of the Brightpearl account.

Belongs here: the `parties` block of an order, with invented people.
Does not belong here: anything else about an order.
"""

from __future__ import annotations

from sandbox.people import chance, person
from sandbox.world import Body

COUNTRIES = {
    "Australia": ("AU", "AUS", 13),
    "Austria": ("AT", "AUT", 14),
    "Belgium": ("BE", "BEL", 21),
    "Brazil": ("BR", "BRA", 30),
    "Canada": ("CA", "CAN", 38),
    "Denmark": ("DK", "DNK", 57),
    "EIRE": ("IE", "IRL", 103),
    "Finland": ("FI", "FIN", 72),
    "France": ("FR", "FRA", 73),
    "Germany": ("DE", "DEU", 81),
    "Hong Kong": ("HK", "HKG", 96),
    "Iceland": ("IS", "ISL", 98),
    "Israel": ("IL", "ISR", 104),
    "Italy": ("IT", "ITA", 105),
    "Japan": ("JP", "JPN", 107),
    "Malta": ("MT", "MLT", 132),
    "Netherlands": ("NL", "NLD", 150),
    "Norway": ("NO", "NOR", 160),
    "Poland": ("PL", "POL", 170),
    "Portugal": ("PT", "PRT", 171),
    "Spain": ("ES", "ESP", 195),
    "Sweden": ("SE", "SWE", 203),
    "Switzerland": ("CH", "CHE", 204),
    "United Kingdom": ("GB", "GBR", 222),
}
"""ISO 3166 codes and the account's own country id; only 222 is a recorded one. The data set's
Channel Islands and Unspecified have none, and their orders carry no codes."""

SHOP = {
    "addressFullName": "Goods in",
    "companyName": "Acme Gifts",
    "addressLine1": "1 Harbour Way",
    "addressLine2": "",
    "addressLine3": "Bristol",
    "addressLine4": "",
    "postalCode": "BS99 9ZZ",
    "telephone": "01632 960000",
    "mobileTelephone": "",
    "fax": "",
    "email": "goods.in@example.com",
}


def country(name: str) -> Body:
    """Country fields; an unknown country has its name alone, and id 0."""
    if name not in COUNTRIES:
        return {"country": name, "countryId": 0}
    two, three, number = COUNTRIES[name]
    return {
        "country": name,
        "countryId": number,
        "countryIsoCode": two,
        "countryIsoCode3": three,
    }


def address(key: object, where: str, city: str | None = None, state: str = "") -> Body:
    """Somebody's address block, without a contact id."""
    who = person(key)
    return {
        "addressFullName": who.full_name,
        "companyName": who.company,
        "addressLine1": who.street,
        "addressLine2": "",
        "addressLine3": city.title() if city else who.town,
        "addressLine4": state,
        "postalCode": who.postcode if where == "United Kingdom" else "",
        "telephone": who.telephone,
        "mobileTelephone": "",
        "fax": "",
        "email": who.email,
        **country(where),
    }


def customer_parties(
    number: int | None, key: str, where: str, city: str | None = None, state: str = ""
) -> Body:
    """Customer, delivery and billing. A customer without a number gets a contact id of its own."""
    contact = number or 30_000 + chance("contact", key) % 900_000
    block = address(number or key[:16], where, city, state)
    named = {"contactId": contact, **block}
    return {"customer": named, "delivery": block, "billing": named}


def supplier_parties(number: int) -> Body:
    """Supplier, delivery to the shop and billing."""
    named = {"contactId": 900 + number, **address(f"supplier-{number}", "United Kingdom")}
    return {
        "supplier": named,
        "delivery": {**SHOP, **country("United Kingdom")},
        "billing": named,
    }
