"""Invented people and addresses.

Belongs here: a made-up person per number, always the same one, with an address at example.com.
Does not belong here: anything read from a data set; those hold no personal data.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

FIRST = ("Ada", "Ben", "Chidi", "Dana", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jan", "Kofi",
         "Lena", "Mira", "Noor", "Olga", "Priya", "Quinn", "Rosa", "Søren", "Tariq", "Uma", "Vera",
         "Wei", "Ximena", "Yusuf", "Zoë")  # fmt: skip
LAST = ("Adams", "Bianchi", "Clarke", "Dubois", "Evans", "Fischer", "García", "Hughes", "Ito",
        "Jones", "Kaya", "Lopes", "Mensah", "Novak", "O'Brien", "Patel", "Quist", "Roberts",
        "Silva", "Taylor", "Usman", "Vogel", "Walker", "Xu", "Young", "Zieliński")  # fmt: skip
STREETS = ("High Street", "Station Road", "Mill Lane", "Church Street", "Park Avenue", "Kingsway",
           "Victoria Road", "The Crescent", "North Parade", "Orchard Close")  # fmt: skip
TOWNS = (("Bristol", "BS"), ("Leeds", "LS"), ("Norwich", "NR"), ("Cardiff", "CF"),
         ("Dundee", "DD"), ("Exeter", "EX"), ("Lincoln", "LN"), ("Preston", "PR"))  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    first_name: str
    last_name: str
    company: str
    street: str
    town: str
    postcode: str
    telephone: str
    email: str

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


def chance(*parts: object) -> int:
    """A number from 0 to 2**32 - 1 that depends on the parts alone: the same in every run."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def person(key: object) -> Person:
    """The person of a key. Telephone numbers are from the range kept free for drama (Ofcom)."""
    draw = chance("person", key)
    first, last = FIRST[draw % len(FIRST)], LAST[draw // 31 % len(LAST)]
    town, area = TOWNS[draw // 1009 % len(TOWNS)]
    return Person(
        first_name=first,
        last_name=last,
        company=f"{last} & {LAST[draw // 7 % len(LAST)]} Ltd" if draw % 3 else "",
        street=f"{draw % 180 + 1} {STREETS[draw // 13 % len(STREETS)]}",
        town=town,
        postcode=f"{area}{draw // 17 % 20 + 1} {draw // 19 % 9 + 1}{'ABDEFGHJ'[draw % 8]}Z",
        telephone=f"01632 960{draw // 23 % 1000:03d}",
        email=f"customer.{key}@example.com",
    )
