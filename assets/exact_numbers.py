"""Amounts in JSON that a double would change, put in quotes before DuckDB reads them.

Belongs here: finding such numbers and quoting them. Does not belong here: what a field means
(`assets/sources/NAME.sql`), running a mapping (`assets/mapping.py`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from resources.lazily import lazily

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    np = lazily("numpy")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+\.?\d*(?:[eE][+-]?\d+)?')
_LONG_NUMBER = "[0-9][0-9.]{16}"
"""More digits than every double holds; only a body with such a run is looked through."""
_MOST_DECIMALS = 8


def with_exact_numbers(landed: pa.Table) -> pa.Table:
    """Raw records, every body as `exact_numbers` leaves it."""
    if not any(map(_may_have_long_number, landed["body"].chunks)):
        return landed
    long = pc.match_substring_regex(landed["body"], _LONG_NUMBER)
    if not pc.any(long, min_count=0).as_py():
        return landed
    exact = [exact_numbers(body.as_py()) for body in landed["body"].filter(long)]
    bodies = pc.replace_with_mask(
        landed["body"].combine_chunks(), long.combine_chunks(), pa.array(exact, pa.string())
    )
    return landed.set_column(landed.schema.get_field_index("body"), "body", bodies)


def _may_have_long_number(bodies: pa.Array) -> bool:
    """Whether digits or points stand at four places in a row, each 4 characters from the next.

    Every run of 17 has them, and hardly a stamp or an amount does; it costs a quarter of a search.
    """
    if not len(bodies):
        return False
    bodies = bodies.cast(pa.large_string())
    _, starts, characters = bodies.buffers()
    bounds = np.frombuffer(starts, np.int64)[[bodies.offset, bodies.offset + len(bodies)]]
    places = np.frombuffer(characters or b"", np.uint8)[bounds[0] : bounds[1] : 4]
    is_digit = (places - np.uint8(ord("."))) < len("./0123456789")
    pairs = is_digit[:-1] & is_digit[1:]
    return bool((pairs[:-2] & pairs[2:]).any())


def exact_numbers(body: str) -> str:
    """JSON text with the amounts that a double would change put in quotes, to be read as texts.

    DuckDB reads a JSON number that is no integer as a double. Numbers of more decimals than any
    amount or rate has are left: they are what a double's own rounding looks like.
    """

    def exact(token: re.Match[str]) -> str:
        text = token[0]
        if len(text) <= 15 or text.startswith('"') or text.lstrip("-").isdecimal():
            return text
        number = Decimal(text)
        decimals = -int(number.normalize().as_tuple().exponent)
        is_kept = number == Decimal(repr(float(text))) or decimals > _MOST_DECIMALS
        return text if is_kept else f'"{text}"'

    return _JSON_TOKEN.sub(exact, body)
