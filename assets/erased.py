"""What may not be kept of an order, because somebody in it was erased.

Belongs here: the marks of one account applied to one order, received anew or landed long ago: the
same order comes to the same body either way. Does not belong here: finding and rewriting what is
landed (`assets/erase.py`), the ledger's rows (`resources/erasures.py`).

Of an order whose customer was erased everything goes that its customer said of themselves, in
whatever role, and every text of which nobody has written down what it is. Of other parties only the
one who was erased goes. Any other text goes where it holds an e-mail address of theirs, in every
order, also among what others say of themselves. Free texts, and those that nobody has written
down, go as well where they name the person by name, telephone number or address, in the person's
own orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from assets.blanking import UNREADABLE, Leaf, blanked, is_blank, leaves
from assets.persons import (
    CUSTOMER_ID,
    EMAIL,
    NAME,
    Party,
    emails_in,
    parties,
    phrases_in,
    words,
)
from resources.erasures import EVERYWHERE, ORDER, PHRASE, Erasures, Mark
from schemas.personal import CUSTOMER, IDENTIFIED, KEY, TEXT

WHOLE = "customer"
"""Detail of an order's mark: its customer was erased, whoever the later versions name."""


@dataclass
class Blanked:
    """What an order comes to."""

    body: str
    fields: int
    """Values blanked; 0: the body is as it was."""
    parties: list[Party] = field(default_factory=list)
    """The erased persons in it, in their roles."""
    orders: list[Mark] = field(default_factory=list)
    """Marks to be noted: the order was not known as an erased person's."""


class Erased:
    """The marks that count in one account. Not safe to use from several threads."""

    def __init__(self, source: str, account: str, erasures: Erasures) -> None:
        """`account` as it is written everywhere: `brightpearl.acme`."""
        self._source = source
        self._account = account
        self._erasures = erasures
        self._edition: tuple[int, int] | None = None
        self._take([])

    def refresh(self) -> None:
        """Read the marks where others have been noted since."""
        edition = self._erasures.edition()
        if edition != self._edition:
            self._take(self._erasures.marks(self._account))
            self._edition = edition

    @property
    def is_nobody(self) -> bool:
        """Whether nobody was erased in this account: then no order needs to be looked at."""
        return not self._orders and not self._kinds

    def assume(self, marks: Iterable[Mark]) -> None:
        """Let these marks count, in the ledger or not."""
        self._take(marks)

    def apply(self, order_key: str, body: str) -> Blanked | None:
        """What the order comes to; None where it concerns nobody who was erased."""
        own = self._orders.get(order_key, {})
        if not own and not self._may_concern(body):
            return None
        found = leaves(body, self._source)
        if found is None:
            return self._unreadable(body, own)
        present = parties(found)
        meant = {id(party): self._meant(party, own) for party in present}
        named = {each for some in meant.values() for each in some}
        whole = {i for p in present if p.role in CUSTOMER for i in meant[id(p)]}
        is_whole = bool(whole) or WHOLE in own.values()
        gone = [p for p in present if meant[id(p)] or (is_whole and p.role in CUSTOMER)]
        texts = self._texts(found, own.keys() | named, gone, is_whole=is_whole)
        told = [leaf for party in gone for leaf in party.leaves]
        changed = {leaf for leaf in (*told, *texts) if not is_blank(leaf)}
        if not changed and not named - own.keys():
            return None
        new = [self._order(i, order_key, i in whole) for i in named if i not in own]
        matched = [party for party in present if meant[id(party)]]
        return Blanked(blanked(body, changed), len(changed), matched, new)

    def _take(self, marks: Iterable[Mark]) -> None:
        self._signs: defaultdict[str, set[str]] = defaultdict(set)
        self._orders: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._released = set()
        kinds = set()
        for mark in marks:
            if mark.kind == ORDER:
                self._orders[mark.mark][mark.erasure_id] = mark.detail
                continue
            self._signs[mark.mark].add(mark.erasure_id)
            if mark.is_released:
                self._released.add(mark.erasure_id)
            else:
                kinds.add(mark.kind)
        self._kinds = kinds - {PHRASE}

    def _may_concern(self, body: str) -> bool:
        """Whether an order of nobody known may still be an erased person's."""
        if not self._kinds:
            return False
        if self._kinds != {EMAIL} or "\\" in body:  # an escape may look like part of an address
            return True
        return any(self._who(EMAIL, EVERYWHERE, each, {}) for each in set(emails_in(body)))

    def _meant(self, party: Party, own: dict[str, str]) -> set[str]:
        """The erasures of the person of whom a party tells."""
        found = self._who(EMAIL, EVERYWHERE, party.email, own)
        for name in party.names:
            found |= self._who(NAME, EVERYWHERE, name, own)
            found |= self._who(NAME, self._account, name, own)
        if party.role in IDENTIFIED:
            found |= self._who(CUSTOMER_ID, self._account, party.customer_id, own)
        return found

    def _who(self, kind: str, account: str, text: str, own: dict[str, str]) -> set[str]:
        if not text or (kind not in self._kinds and not own):
            return set()
        found = self._signs.get(self._erasures.digest(kind, account, text), set())
        return {each for each in found if each not in self._released or each in own}

    def _texts(
        self, found: list[Leaf], own: Iterable[str], gone: list[Party], *, is_whole: bool
    ) -> list[Leaf]:
        """What is written elsewhere in the order and names an erased person."""
        erasures = dict.fromkeys(own, "")
        spoken = {word for party in gone for word in party.words()}
        told = {leaf for party in gone for leaf in party.leaves}
        wanted = []
        for leaf in found:
            if leaf in told or leaf.field.role == KEY:
                continue
            is_open = not leaf.is_known or leaf.field.role == TEXT
            if (
                (is_whole and not leaf.is_known)
                or (is_open and spoken.intersection(words(leaf.value)))
                or (leaf.is_text and self._holds_email(leaf, erasures))
                or (leaf.is_text and is_open and self._holds_phrase(leaf.value, erasures))
            ):
                wanted.append(leaf)
        return wanted

    def _holds_email(self, leaf: Leaf, own: dict[str, str]) -> bool:
        """Whether it has an address of somebody erased, and is not an address of somebody else."""
        is_of_others = leaf.field.role not in ("", TEXT)
        return "@" in leaf.value and any(
            self._who(EMAIL, EVERYWHERE, each, own)
            for each in emails_in(leaf.value, are_whole=is_of_others)
        )

    def _holds_phrase(self, text: str, own: dict[str, str]) -> bool:
        """Whether it has a name, telephone number or line of an address of who is erased here."""
        return bool(own) and any(
            self._who(PHRASE, EVERYWHERE, each, own) & own.keys() for each in phrases_in(text)
        )

    def _unreadable(self, body: str, own: dict[str, str]) -> Blanked | None:
        """A body that is no JSON goes as a whole."""
        named = (self._who(EMAIL, EVERYWHERE, each, own) for each in emails_in(body))
        if body == UNREADABLE or not (own or any(named)):
            return None
        return Blanked(UNREADABLE, 1)

    def _order(self, erasure_id: str, order_key: str, is_whole: bool) -> Mark:
        detail = WHOLE if is_whole else ""
        return Mark(erasure_id, ORDER, self._account, order_key, detail)
