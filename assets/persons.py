"""Persons as orders know them: the values by which one is found, compared without their spelling.

Belongs here: normal forms of e-mail addresses, names and telephone numbers, and the parties that an
order's leaves describe. Does not belong here: whose values they are, and what is done about them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assets.blanking import Leaf
from schemas.personal import KEY, TEXT

EMAIL = "email"
NAME = "name"
CUSTOMER_ID = "customer_id"

MOST_WORDS = 6
"""A name, or a line of an address, of more words is not looked for in other texts."""
_LEAST_LETTERS = 3
_LEAST_DIGITS = 7
_LEAST_DIFFERENT = 3
"""Different digits of a telephone number."""
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+\Z")
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_JOINED = re.compile(r"\w[.+-]\Z|_\Z")
_LONGEST_LOCAL = 64
"""Characters before the @ of an address (RFC 5321)."""
_WORD = re.compile(r"\w+")
_NAMES = ("full_name", "first_name", "last_name")
_TELEPHONES = ("telephone", "mobile_telephone")
_LINES = ("address_line_1", "address_line_2", "address_line_3")


@dataclass(frozen=True)
class Party:
    """What an order says of one person in one role; `values` by column of `order_parties`."""

    role: str
    values: Mapping[str, str]
    leaves: Sequence[Leaf]

    @property
    def email(self) -> str:
        """The address in its normal form; empty if there is none."""
        return normal_email(self.values.get("email", ""))

    @property
    def names(self) -> set[str]:
        """The person's full names in their normal form."""
        parts = f"{self.values.get('first_name', '')} {self.values.get('last_name', '')}"
        found = {normal_name(self.values.get("full_name", "")), normal_name(parts)}
        return found - {""}

    @property
    def customer_id(self) -> str:
        """The account's own id of the person; empty if there is none."""
        found = self.values.get("source_party_id", "")
        return "" if found == "0" else found

    def phrases(self) -> Iterator[str]:
        """What names the person wherever it stands, in normal form."""
        yield from (name for name in self.names if " " in name)
        for column in _LINES:
            if " " in (line := normal_name(self.values.get(column, ""))):
                yield line
        for column in _TELEPHONES:
            if _is_telephone(number := digits(self.values.get(column, ""))):
                yield number

    def words(self) -> set[str]:
        """Single words that name the person in what is written with the order."""
        texts = (self.values.get(column, "") for column in _NAMES)
        found = {word for text in texts for word in words(text)}
        return {word for word in found if len(word) >= _LEAST_LETTERS}


def parties(found: Iterable[Leaf]) -> list[Party]:
    """The parties that an order's leaves describe."""
    grouped: defaultdict[tuple[str, int], list[Leaf]] = defaultdict(list)
    for leaf in found:
        if leaf.field.role and leaf.field.role not in (TEXT, KEY):
            grouped[leaf.field.role, leaf.owner].append(leaf)
    return [
        Party(role, {leaf.field.column: leaf.value for leaf in some if leaf.field.column}, some)
        for (role, _), some in grouped.items()
    ]


def normal_email(text: str) -> str:
    """An e-mail address without blanks around it, in small letters."""
    return unicodedata.normalize("NFC", text).strip().casefold()


def normal_name(text: str) -> str:
    """The words of a name in small letters, one blank between two."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def digits(text: str) -> str:
    """The digits of a text."""
    return "".join(each for each in text if each.isdecimal())


def emails_in(text: str, *, are_whole: bool = False) -> Iterator[str]:
    """What may be e-mail addresses in a text, also where something stands right before one.

    If they `are_whole`, nothing of an address is another: `mary.ann@` is not `ann@`.
    """
    for at in re.finditer("@", text):
        before = _LOCAL.search(text, max(0, at.start() - _LONGEST_LOCAL), at.start())
        after = _DOMAIN.match(text, at.end())
        if before is None or after is None:
            continue
        local, domain = normal_email(before[0]), normal_email(after[0])
        for start in range(len(local)):
            is_joined = are_whole and _JOINED.search(local, 0, start) is not None
            if start == 0 or not (local[start - 1].isalnum() or is_joined):
                yield f"{local[start:]}@{domain}"


def phrases_in(text: str) -> Iterator[str]:
    """What may be names, lines of an address or telephone numbers in a text, in normal form."""
    found = words(text)
    for start in range(len(found)):
        for end in range(start + 1, min(start + MOST_WORDS, len(found)) + 1):
            phrase = " ".join(found[start:end])
            if end - start > 1:
                yield phrase
            if _is_telephone(number := digits(phrase)):
                yield number


def _is_telephone(number: str) -> bool:
    """Whether digits name somebody: `0000000000`, put where none is known, names everybody."""
    return len(number) >= _LEAST_DIGITS and len(set(number)) >= _LEAST_DIFFERENT
