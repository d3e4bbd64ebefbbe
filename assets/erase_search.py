"""Finding one person in everything landed, before anything is erased.

Belongs here: which orders are the person's, by what else the person is known, and what stays in
doubt. Does not belong here: erasing (`assets/erase.py`), proving (`resources/proof.py`).

From an e-mail address the person's customer ids are learned, and from these further orders, once:
those that bear the id under the same name, or with neither name nor address. Where an order bears
the id under another name, or another address alone, several persons go by the id: it counts for
none of them, and such orders are counted and left alone.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

import duckdb

from assets.blanking import leaves
from assets.erased import WHOLE, Blanked, Erased
from assets.persons import (
    CUSTOMER_ID,
    EMAIL,
    NAME,
    Party,
    digits,
    normal_email,
    normal_name,
    parties,
    words,
)
from resources.erasures import EVERYWHERE, ORDER, PHRASE, Erasures, Mark
from resources.lake import AccountKey, Lake
from schemas.keys import NAMELESS
from schemas.personal import IDENTIFIED
from schemas.vocabulary import vocabulary

AT_ONCE = 2000
"""Raw records read together."""
_VALUES = (
    "email",
    "full_name",
    "telephone",
    "mobile_telephone",
    "address_line_1",
    "address_line_2",
)
"""Columns of whose values nothing may be left anywhere."""
_LEAST = 6
"""Values of fewer characters prove nothing: they stand in other texts by chance."""
_LEAST_DIGITS = 7
_LEAST_DIFFERENT = 3
"""Digits, and different ones, of a value without letters."""


@dataclass(frozen=True)
class Person:
    """Who is to be erased: by one of e-mail address, full name and an account's customer id."""

    kind: str
    text: str
    account: str = EVERYWHERE
    """Where the person is meant; a customer id needs it."""

    @property
    def normal(self) -> str:
        """The text in the form in which it is compared."""
        if self.kind == EMAIL:
            return normal_email(self.text)
        return normal_name(self.text) if self.kind == NAME else self.text.strip()


@dataclass
class Found:
    """What is landed of a person."""

    person: Person
    marks: list[Mark]
    records: Counter[str] = field(default_factory=Counter)
    """Account -> raw records that tell of the person."""
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    """Account -> order key -> what is blanked in it: `customer`, or empty: parts of it."""
    values: set[str] = field(default_factory=set)
    """The person's own values, as written: of these nothing may be left."""
    emails: set[str] = field(default_factory=set)
    shared: int = 0
    """How many of the values others' orders hold as well: of these some may be left."""
    left_out: int = 0
    """How many of the values are not searched for, since they would be found whoever is erased."""
    doubtful: Counter[str] = field(default_factory=Counter)
    """Account -> orders under the person's customer id that are, or may be, somebody else's."""

    @property
    def accounts(self) -> list[str]:
        """The accounts that hold anything of the person."""
        return sorted(account for account, count in self.records.items() if count)


class Search:
    """Looks through the lake of one home."""

    def __init__(self, lake: Lake, erasures: Erasures) -> None:
        self._lake = lake
        self._erasures = erasures

    def find(self, person: Person) -> Found:
        """Everything landed of a person, with the marks by which to know them again."""
        found = Found(person, [self._mark(person.kind, person.account, person.normal)])
        known = self._look(found, {person.normal})
        if person.kind == EMAIL:
            ids, further = self._ids(found, known)
            if ids:
                found.marks += [self._mark(EMAIL, EVERYWHERE, each) for each in sorted(further)]
                known = self._look(found, {person.normal, *further, *ids})
        self._conclude(found, known)
        return found

    def digests(self, person: Person) -> list[str]:
        """By what an erasure of this person is known again."""
        return [self._erasures.digest(person.kind, person.account, person.normal)]

    def _mark(self, kind: str, account: str, text: str) -> Mark:
        return Mark("", kind, account, self._erasures.digest(kind, account, text))

    def _look(self, found: Found, texts: set[str]) -> dict[str, list[Party]]:
        """Fill in records and orders; account -> the parties that are the person."""
        found.records.clear()
        found.orders.clear()
        present: defaultdict[str, list[Party]] = defaultdict(list)
        for own in self._lake.accounts("raw"):
            account = ".".join(own)
            if found.person.account not in (EVERYWHERE, account):
                continue
            erased = Erased(own[0], account, self._erasures)
            erased.assume([m for m in found.marks if m.account in (EVERYWHERE, account)])
            for key, body in self._bodies(own, texts):
                blanked = erased.apply(key, body)
                if blanked is not None:
                    present[account] += blanked.parties
                    _count(found, account, key, blanked)
        return present

    def _ids(self, found: Found, known: dict[str, list[Party]]) -> tuple[set[str], set[str]]:
        """Learn and mark the person's customer ids; these, and further addresses of theirs."""
        learned: set[str] = set()
        further: set[str] = set()
        for account, present in known.items():
            source, _, name = account.partition(".")
            names = {each for party in present for each in party.names}
            ids = {p.customer_id for p in present if p.role in IDENTIFIED and p.customer_id}
            for customer_id in sorted(ids):
                bearers = list(self._bearers((source, name), customer_id))
                strangers = {
                    key
                    for key, party in bearers
                    if found.orders[account].get(key) != WHOLE
                    and _is_stranger(party, found.person.normal, names)
                }
                if strangers:
                    found.doubtful[account] += len(strangers)
                    continue
                found.marks.append(self._mark(CUSTOMER_ID, account, customer_id))
                learned.add(customer_id)
                further |= {party.email for _, party in bearers}
        return learned, further - {"", found.person.normal}

    def _bearers(self, own: AccountKey, customer_id: str) -> Iterator[tuple[str, Party]]:
        """The parties under a customer id, with their orders' keys."""
        for key, body in self._bodies(own, {customer_id}):
            for party in parties(leaves(body, own[0]) or ()):
                if party.role in IDENTIFIED and party.customer_id == customer_id:
                    yield key, party

    def _conclude(self, found: Found, known: dict[str, list[Party]]) -> None:
        """Marks of the person's orders and phrases, and what must not be found any more."""
        present = [party for some in known.values() for party in some]
        phrases = {each for party in present for each in party.phrases()}
        found.marks += [self._mark(PHRASE, EVERYWHERE, each) for each in sorted(phrases)]
        for account, orders in found.orders.items():
            found.marks += [Mark("", ORDER, account, key, how) for key, how in orders.items()]
        found.emails = {party.email for party in present} - {""}
        written = {party.values.get(column, "") for party in present for column in _VALUES}
        own = {found.person.text.strip()} if found.person.kind != CUSTOMER_ID else set()
        values = {each.strip() for each in written} - {""}
        accounts = " ".join(name for key in self._lake.accounts("raw") for name in key)
        ours = vocabulary().union(words(accounts))
        found.values = {each for each in values if _tells_somebody(each, ours)}
        found.left_out = len(values - found.values - own)
        shared = self._shared(found, found.values - own)
        found.shared = len(shared)
        found.values = (found.values - shared) | own

    def _shared(self, found: Found, values: set[str]) -> set[str]:
        """Those of the values that others' orders hold as well."""
        shared: set[str] = set()
        for own in self._lake.accounts("raw"):
            mine = found.orders.get(".".join(own), {})
            for key, body in self._bodies(own, {normal_name(each) for each in values - shared}):
                if key in mine:
                    continue
                texts = {leaf.value for leaf in leaves(body, own[0]) or () if leaf.is_text}
                told = f" {normal_name(' / '.join(texts))} "
                shared |= {each for each in values - shared if f" {normal_name(each)} " in told}
        return shared

    def _bodies(self, own: AccountKey, texts: set[str]) -> Iterator[tuple[str, str]]:
        """Order keys and bodies of an account that may hold one of the texts."""
        if not texts:
            return
        with duckdb.connect() as connection:
            self._lake.read(connection, "raw", account=own).create_view("raw")
            reader = connection.execute(
                "SELECT order_key, body FROM raw WHERE body IS NOT NULL AND "
                f"({' OR '.join([_MAY_FOLD, *[_HOLDS] * len(texts)])}) ORDER BY landing_seq",
                [_longest_word(text) for text in sorted(texts)],
            )
            while rows := reader.fetchmany(AT_ONCE):
                yield from rows


_HOLDS = "contains(replace(lower(body), 'ß', 'ss'), ?)"
_MAY_FOLD = r"(contains(body, '\u') OR regexp_matches(body, '[İŉſǰẖ-ẚ\x{212A}ﬀ-ﬆ]'))"
"""Written with escapes, or with a letter, rare but for ß, that becomes ASCII in a normal form."""
_UNBROKEN = re.compile(r'[^\s/"\\\x00-\x1f]+')
"""What JSON writes as it is, between characters before which it may write a backslash."""


def _longest_word(text: str) -> str:
    """What a body that holds a text of this normal form contains in small letters.

    Empty, so in every body, where no word of it is ASCII: others may be written in several ways.
    """
    found = [each for each in _UNBROKEN.findall(text.lower()) if each.isascii()]
    return max(found, key=len, default="")


def _is_stranger(party: Party, email: str, names: set[str]) -> bool:
    """Whether a party under the id of who has this address and these names may be another."""
    if party.email == email or party.names & names:
        return False
    return bool(party.email or party.names)


def _tells_somebody(value: str, ours: Set[str]) -> bool:
    """Whether a value means a person wherever it stands; `ours` are words that stand everywhere.

    A number that is short, or repeats two digits, is a placeholder or stands in others by chance.
    """
    if len(value) < _LEAST or not (normal := normal_name(value)):
        return False
    if not any(each.isalpha() for each in value):
        number = digits(value)
        return len(number) >= _LEAST_DIGITS and len(set(number)) >= _LEAST_DIFFERENT
    return normal not in ours


def _count(found: Found, account: str, key: str, blanked: Blanked) -> None:
    found.records[account] += 1
    orders = found.orders.setdefault(account, {})
    is_nameless = key.rpartition(":")[2].startswith(NAMELESS)
    for mark in blanked.orders if not is_nameless else ():
        orders[key] = max(orders.get(key, ""), mark.detail)
