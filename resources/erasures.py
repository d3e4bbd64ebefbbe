"""Erasures: that a person was erased, and by what the person is known again, without the person.

Belongs here: the ledger's rows on erasures, and the keyed hashes. Does not belong here: finding and
blanking (`assets/erase.py`, `assets/erased.py`).

A mark is the keyed hash of an e-mail address, a name or the like, or the key of an order. The key
of the hashes is drawn once for each ledger and stays in it: whoever has the ledger can find out
whether somebody whom they already know was erased, and nothing else.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from resources.ledger_store import Store, erasure_key, erasure_marks, erasures

BEGUN = "begun"
"""Intended, and perhaps done in part."""
PROVEN = "proven"
"""Done, and nothing was found afterwards."""
LEFT = "left"
"""Done, and something was found afterwards."""
UNPROVEN = "unproven"
"""Done, and nothing was searched afterwards: no value of the person was known to search for."""
RELEASED = "released"
"""What the person orders anew is kept again; what was erased stays so."""

ORDER = "order"
"""The kind of mark that is an order's key, not a hash."""
PHRASE = "phrase"
"""The kind of mark that is looked for within the texts of the erasure's own orders."""
EVERYWHERE = ""
"""In place of an account: the mark counts in all of them."""


@dataclass(frozen=True)
class Mark:
    """One sign by which an erased person's data are known again."""

    erasure_id: str
    kind: str
    """email, name, customer_id, phrase, order."""
    account: str
    mark: str
    detail: str = ""
    """Of an order: `customer` where all that its customer said of themselves is blanked."""
    is_released: bool = False
    """Whether it counts for the erasure's own orders alone."""


@dataclass(frozen=True)
class Erasure:
    """One erasure. Moments are UTC."""

    erasure_id: str
    asked_by: str
    """email, name or customer_id."""
    state: str
    begun_at: datetime
    ended_at: datetime | None
    released_at: datetime | None
    accounts: Sequence[str]
    counts: Mapping[str, Any]
    """Account -> table -> how many records were blanked."""
    proof: str | None
    """What the search afterwards came to, in one line."""


class Erasures:
    """The erasures of one ledger. Every method raises LedgerError for an unusable database."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._secret: bytes | None = None

    def digest(self, kind: str, account: str, text: str) -> str:
        """The keyed hash of a text in its normal form."""
        if self._secret is None:
            self._secret = bytes.fromhex(self._read_secret() or self._draw_secret())
        told = "\0".join((kind, account, text)).encode("utf-8", errors="surrogatepass")
        return blake2b(told, key=self._secret, digest_size=16).hexdigest()

    def begin(
        self, asked_by: str, accounts: Sequence[str], counts: Mapping[str, Any], marks: list[Mark]
    ) -> str:
        """Note, durably, what is about to be erased; the erasure's id. From now on it counts."""
        erasure_id = secrets.token_hex(6)
        values = {
            "erasure_id": erasure_id,
            "asked_by": asked_by,
            "state": BEGUN,
            "begun_at": self._now(),
            "accounts": json.dumps(sorted(accounts)),
            "counts": json.dumps(counts),
        }
        with self._store.writing(durable=True) as connection:
            connection.execute(insert(erasures).values(**values))
            connection.execute(insert(erasure_marks), [_row(erasure_id, mark) for mark in marks])
        return erasure_id

    def note_orders(self, marks: Iterable[Mark]) -> None:
        """Note, durably, orders of erased persons that have just been received."""
        rows = [_row(mark.erasure_id, mark) for mark in marks]
        with self._store.writing(durable=True) as connection:
            connection.execute(insert(erasure_marks), rows)

    def end(self, erasure_id: str, state: str, proof: str) -> None:
        """Note that it was carried out, and what the search afterwards came to."""
        values = {"state": state, "proof": proof, "ended_at": self._now()}
        with self._store.writing(durable=True) as connection:
            connection.execute(update(erasures).where(_named(erasure_id)).values(**values))

    def release(self, erasure_id: str) -> bool:
        """Let what the person orders anew be kept again; False if there is no such erasure."""
        wanted = _named(erasure_id) & erasures.c.state.in_((PROVEN, LEFT, UNPROVEN))
        values = {"state": RELEASED, "released_at": self._now()}
        with self._store.writing(durable=True) as connection:
            return connection.execute(update(erasures).where(wanted).values(**values)).rowcount == 1

    def all(self) -> list[Erasure]:
        """Every erasure, the oldest first."""
        query = select(erasures).order_by(erasures.c.begun_at, erasures.c.erasure_id)
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Erasure(**row | {name: json.loads(row[name]) for name in ("accounts", "counts")})
            for row in map(dict, rows)
        ]

    def get(self, erasure_id: str) -> Erasure | None:
        """One erasure."""
        return next((each for each in self.all() if each.erasure_id == erasure_id), None)

    def unfinished(self, digests: Sequence[str]) -> Erasure | None:
        """An erasure that was begun for one of these hashes and not carried out."""
        query = select(erasures.c.erasure_id).where(
            erasures.c.state == BEGUN,
            erasures.c.erasure_id == erasure_marks.c.erasure_id,
            erasure_marks.c.mark.in_(digests),
        )
        with self._store.reading() as connection:
            found = connection.execute(query).scalars().first()
        return None if found is None else self.get(found)

    def edition(self) -> tuple[int, int]:
        """Differs whenever the marks do."""
        query = select(
            select(func.coalesce(func.max(erasure_marks.c.number), 0)).scalar_subquery(),
            select(func.count()).where(erasures.c.state == RELEASED).scalar_subquery(),
        )
        with self._store.reading() as connection:
            newest, released = connection.execute(query).one()
        return newest, released

    def marks(self, account: str) -> list[Mark]:
        """The marks that count in an account."""
        found = erasure_marks.c
        query = (
            select(*(found[name] for name in _COLUMNS), erasures.c.state == RELEASED)
            .join(erasures, erasures.c.erasure_id == found.erasure_id)
            .where(or_(found.account == account, found.account == EVERYWHERE))
            .order_by(found.number)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Mark(**dict(zip(_MARK, row, strict=True))) for row in rows]

    def counts(self, kind: str, mark: str) -> bool:
        """Whether a mark counts, in whatever account; of released ones the orders alone do."""
        found = erasure_marks.c
        query = (
            select(found.number)
            .join(erasures, erasures.c.erasure_id == found.erasure_id)
            .where(found.kind == kind, found.mark == mark)
            .where(or_(found.kind == ORDER, erasures.c.state != RELEASED))
        )
        with self._store.reading() as connection:
            return connection.execute(query.limit(1)).scalar() is not None

    def _read_secret(self) -> str | None:
        with self._store.reading() as connection:
            found: str | None = connection.execute(select(erasure_key.c.secret)).scalar()
        return found

    def _draw_secret(self) -> str:
        """Draw the key. Where another process did so at the same time, its key counts."""
        secret = secrets.token_hex(32)
        try:
            with self._store.writing(durable=True) as connection, connection.begin_nested():
                connection.execute(insert(erasure_key).values(place=1, secret=secret))
        except IntegrityError:
            pass
        return self._read_secret() or secret


_COLUMNS = ("erasure_id", "kind", "account", "mark", "detail")
_MARK = (*_COLUMNS, "is_released")


def _row(erasure_id: str, mark: Mark) -> dict[str, str]:
    return {name: getattr(mark, name) for name in _COLUMNS} | {"erasure_id": erasure_id}


def _named(erasure_id: str) -> ColumnElement[bool]:
    return erasures.c.erasure_id == erasure_id
