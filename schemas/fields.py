"""The building blocks of the canonical schemas.

Belongs here: types and small groups of columns. Does not belong here: which table has which column.
"""

from __future__ import annotations

import pyarrow as pa

MONEY = pa.decimal128(18, 4)
RATE = pa.decimal128(18, 8)
PERCENT = pa.decimal128(9, 4)
QUANTITY = pa.decimal128(18, 4)
MOMENT = pa.timestamp("us", tz="UTC")
TEXT = pa.string()


def column(name: str, kind: pa.DataType, comment: str, *, required: bool = False) -> pa.Field:
    """A column with its meaning, which travels as Arrow metadata under the name `comment`."""
    return pa.field(name, kind, nullable=not required, metadata={"comment": comment})


def text(name: str, comment: str, *, required: bool = False) -> pa.Field:
    """A VARCHAR column."""
    return column(name, TEXT, comment, required=required)


def money(name: str, comment: str) -> pa.Field:
    """A DECIMAL(18,4) column."""
    return column(name, MONEY, comment)


def moment(name: str, what: str) -> list[pa.Field]:
    """A moment: UTC, the offset that the source wrote, and on what the conversion rests."""
    return [
        column(f"{name}_at", MOMENT, f"{what}; UTC"),
        column(
            f"{name}_offset_min",
            pa.int16(),
            f"offset from UTC that the source wrote with {name}_at, minutes; NULL: it wrote none",
        ),
        text(
            f"{name}_tz_basis",
            f"how {name}_at became UTC: explicit (offset written), configured (the account's "
            "zone), assumed_utc",
        ),
    ]


def status(dimension: str, what: str, source_code: str) -> list[pa.Field]:
    """A status dimension: canonical code, what the code rests on, the source's own code."""
    return [
        text(dimension, f"{what}; canonical code, joins dim_{dimension}", required=True),
        text(
            f"{dimension}_basis",
            f"on what {dimension} rests: source, documented_flag, derived, account_map, default",
            required=True,
        ),
        text(source_code, f"the source's own code behind {dimension}, as received"),
    ]
