"""What must hold of a file before it is published; an account of which it does not is held back.

Belongs here: conditions in SQL, over the file that is being built and the one published before.
Does not belong here: holding back (`resources/warehouse_plan.py`), checks that only warn
(`assets/checks.py`), which marts have which conditions (`assets/marts`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.lake import AccountKey
from resources.literal import literal
from schemas.status import DIMENSIONS

if TYPE_CHECKING:
    import duckdb

BEFORE = "before"
"""The file published before, as the file that is being built sees it."""
LEAST_ORDERS = 20
"""Fewer orders than this do not show that an account's amounts are read differently."""
FACTOR = 10
"""Amounts that differ by this factor were not changed one by one by people."""


@dataclass(frozen=True)
class Condition:
    """Something that must hold, account by account."""

    name: str
    table: str
    """The published table or mart that it is about."""
    what: str
    """What is counted where it does not hold, in the plural."""
    faults: str
    """SELECT of source_system, source_account and a key, one row for each fault."""
    needs_before: bool = False
    """Whether it compares with the file published before."""
    touched: str | None = None
    """The same as `faults` where only some orders were touched, and the rest held before: it looks
    at `touched_orders` and the like, see `resources/warehouse_sql/touched.sql`. None: all is looked
    at whatever was touched."""


@dataclass(frozen=True)
class Mart:
    """One derived table: a SELECT over the published tables."""

    name: str
    sql: str
    grain: str
    """What one row is."""
    comments: Mapping[str, str]
    """Column -> meaning, for every column."""
    conditions: tuple[Condition, ...] = ()
    """What must hold of it; an account of which it does not is held back."""
    follows: bool = False
    """Whether each row follows from the rows of its order_key alone, in `orders` and
    `order_status_history`, and from dimensions that the layout fixes."""
    moving: tuple[str, ...] = ()
    """Columns of such a mart that follow from `dim_account` as well."""


@dataclass(frozen=True)
class Fault:
    """A condition that does not hold of an account."""

    check: str
    table: str
    what: str
    count: int
    example: str | None
    is_unlike_before: bool = False
    """Whether it was found by comparing with the file published before."""

    def __str__(self) -> str:
        return f"{self.count} {self.what}"

    def remedy(self, account: AccountKey) -> str | None:
        """What to do if the new state is right; None where it cannot be."""
        if not self.is_unlike_before:
            return None
        accept = f"orderloom rebuild --accept-unlike-before {'.'.join(account)}"
        return f"look at {self.example}; if it is right, run {accept}"

    def line(self, account: AccountKey) -> str:
        """The fault, and what to do of it."""
        remedy = self.remedy(account)
        return f"{self} ({remedy})" if remedy else str(self)


def _twice(relation: str, key: str) -> str:
    return (
        "SELECT ANY_VALUE(source_system) AS source_system,"
        f" ANY_VALUE(source_account) AS source_account, {key} FROM {relation}"
        f" GROUP BY {key} HAVING COUNT(*) > 1"
    )


def _orphaned(orders: str, rows: str) -> str:
    return (
        f"SELECT source_system, source_account, order_row_key FROM {rows}"
        f" ANTI JOIN {orders} USING (version_id)"
    )


def _incomplete(orders: str, rows: str) -> str:
    return (
        f"SELECT source_system, source_account, order_key FROM {orders} AS o"
        f" LEFT JOIN (SELECT version_id, COUNT(*) AS found FROM {rows} GROUP BY version_id)"
        " AS r USING (version_id) WHERE NOT o.is_deleted AND o.row_count <> COALESCE(r.found, 0)"
    )


def _ambiguous(history: str) -> str:
    return (
        f"SELECT source_system, source_account, order_key FROM {history}"
        " GROUP BY source_system, source_account, order_key, dimension"
        " HAVING COUNT(CASE WHEN is_current THEN 1 END) <> 1"
    )


def _unjoined(orders: str, dimension: str) -> str:
    known = ", ".join(literal(code) for code in sorted(DIMENSIONS[dimension]))
    return (
        f"SELECT source_system, source_account, order_key FROM {orders}"
        f" WHERE {dimension} NOT IN ({known})"
    )


_SAME_ROWS = "order_rows SEMI JOIN touched_order_rows USING (order_row_key)"


_LOST = f"""
SELECT b.source_system, b.source_account, b.order_key
FROM {BEFORE}.orders AS b
SEMI JOIN pending USING (source_system, source_account)
ANTI JOIN orders AS o ON o.order_key = b.order_key
ANTI JOIN (SELECT order_key FROM quarantine WHERE is_held) AS q ON q.order_key = b.order_key
WHERE NOT b.is_deleted
"""

_TOUCHED_BEFORE = """
SEMI JOIN (SELECT order_key FROM newest) AS touched ON touched.order_key = b.order_key"""

_AMOUNTS = f"""
WITH changed AS (
    SELECT
        o.source_system,
        o.source_account,
        o.order_key,
        COALESCE(b.gross_amount, b.net_amount) AS was,
        COALESCE(o.gross_amount, o.net_amount) AS became
    FROM {BEFORE}.orders AS b
    SEMI JOIN pending USING (source_system, source_account)
    JOIN orders AS o
        ON o.order_key = b.order_key
    WHERE COALESCE(b.gross_amount, b.net_amount, 0) <> 0
        AND NOT o.is_deleted
        AND o.order_status <> 'cancelled'
        AND (
            o.version_id <> b.version_id
            OR COALESCE(o.gross_amount, o.net_amount)
                IS DISTINCT FROM COALESCE(b.gross_amount, b.net_amount)
        )
),
judged AS (
    SELECT
        *,
        (became IS NULL
            OR ABS(became) >= {FACTOR} * ABS(was)
            OR (became <> 0 AND {FACTOR} * ABS(became) <= ABS(was))) AS is_odd
    FROM changed
)
SELECT source_system, source_account, order_key
FROM judged
WHERE is_odd
QUALIFY
    COUNT(*) OVER (PARTITION BY source_system, source_account) >= {LEAST_ORDERS}
    AND 2 * COUNT(*) OVER (PARTITION BY source_system, source_account) > (
        SELECT COUNT(*)
        FROM changed AS c
        WHERE c.source_system = judged.source_system
            AND c.source_account = judged.source_account
    )
"""

CONDITIONS = (
    Condition(
        "order_key_is_unique", "orders", "orders share their order_key",
        _twice("orders", "order_key"), touched=_twice("touched_orders", "order_key"),
    ),
    Condition(
        "order_row_key_is_unique", "order_rows", "order rows share their order_row_key",
        _twice("order_rows", "order_row_key"), touched=_twice(_SAME_ROWS, "order_row_key"),
    ),
    Condition(
        "every_row_has_its_order", "order_rows", "order rows have no order",
        _orphaned("orders", "order_rows"),
        touched=_orphaned("touched_orders", "touched_order_rows"),
    ),
    Condition(
        "every_order_has_its_rows", "orders", "orders lack some of their rows",
        _incomplete("orders", "order_rows"),
        touched=_incomplete("touched_orders", "touched_order_rows"),
    ),
    Condition(
        "one_current_status", "order_status_history",
        "times an order has several current codes in one dimension, or none",
        _ambiguous("order_status_history"), touched=_ambiguous("touched_order_status_history"),
    ),
    *(
        Condition(
            "every_status_joins", "orders",
            f"orders have an {dimension} that dim_{dimension} lacks",
            _unjoined("orders", dimension), touched=_unjoined("touched_orders", dimension),
        )
        for dimension in DIMENSIONS
    ),
    Condition(
        "no_order_is_lost", "orders", "orders are gone that no sweep and no quarantine explains",
        _LOST, needs_before=True,
    ),
    Condition(
        "amounts_are_as_before", "orders",
        f"orders changed their amount by a factor of {FACTOR} or more, or lost it", _AMOUNTS,
        needs_before=True, touched=_AMOUNTS.replace("orders AS b", f"orders AS b{_TOUCHED_BEFORE}"),
    ),
)  # fmt: skip
"""What must hold of the tables, whatever the marts."""


def find(
    con: duckdb.DuckDBPyConnection,
    conditions: Iterable[Condition],
    before: Path | None = None,
    only: Collection[AccountKey] | None = None,
    accepted: Collection[AccountKey] = (),
    touched: bool = False,
) -> dict[AccountKey, Fault]:
    """Of each account the first condition that does not hold; of the accounts of `only`, if given.

    `before`: the file published before, attached until the connection is closed; without it
    nothing is compared with it.
    `accepted`: accounts that may be unlike it. `touched`: all that was not touched is known to
    hold, so that only the rest is looked at where a condition can be asked of it.
    """
    found: dict[AccountKey, Fault] = {}
    is_comparable = before is not None and _attach(con, before)
    for condition in conditions:
        if condition.needs_before and not is_comparable:
            continue
        for system, account, count, example in ask(con, condition, touched=touched):
            key = (system, account)
            if condition.needs_before and key in accepted:
                continue
            if only is None or key in only:
                about = condition.name, condition.table, condition.what
                found.setdefault(key, Fault(*about, count, example, condition.needs_before))
    return found


def ask(
    con: duckdb.DuckDBPyConnection, condition: Condition, *, touched: bool = False
) -> list[tuple[str, str, int, str | None]]:
    """Account by account, in how many cases a condition does not hold, and one of them."""
    faults = condition.touched if touched and condition.touched else condition.faults
    return con.execute(
        "SELECT source_system, source_account, COUNT(*), CAST(MIN(fault.example) AS VARCHAR)"
        f" FROM ({faults}) AS fault (source_system, source_account, example)"
        " GROUP BY source_system, source_account ORDER BY source_system, source_account"
    ).fetchall()


_COMPARED = {"source_system", "source_account", "order_key", "version_id", "order_status",
             "is_deleted", "gross_amount", "net_amount"}  # fmt: skip


def _attach(con: duckdb.DuckDBPyConnection, before: Path) -> bool:
    """Show the file published before; whether its orders have the columns that are compared."""
    con.execute(f"ATTACH {literal(str(before))} AS {BEFORE} (READ_ONLY)")
    columns = con.execute(f"SELECT * FROM {BEFORE}.orders LIMIT 0").description
    return {name for name, *_ in columns} >= _COMPARED
