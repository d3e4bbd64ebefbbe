"""What must hold of each mart before it is published.

Belongs here: the conditions, in SQL over the published tables. Does not belong here: the marts
(`assets/marts`), asking and holding back (`resources/warehouse_checks.py`).

Counts and amounts are asked of the orders in another way than the mart does it, so that a join that
multiplies orders or leaves some out is seen. Amounts are compared currency by currency.
"""

from __future__ import annotations

from collections.abc import Sequence

from resources.warehouse_checks import Condition

UNIQUE = "grain_is_unique"
AGREES = "totals_agree_with_orders"
COMPLETE = "no_account_is_missing"
JOINS = "every_order_is_known"


def _unlike(mart: str, orders: str) -> str:
    """Where two SELECTs of account, currency, a count and an amount differ."""
    return (
        "SELECT source_system, source_account, COALESCE(currency, 'no currency') FROM ("
        f"SELECT source_system, source_account, currency, number, amount FROM ({mart}) AS told"
        " UNION ALL SELECT source_system, source_account, currency, -number, -amount"
        f" FROM ({orders}) AS held) AS pair"
        " GROUP BY source_system, source_account, currency"
        " HAVING SUM(number) <> 0 OR COALESCE(SUM(amount), 0) <> 0"
    )


def _of_orders(number: str, where: str) -> str:
    return (
        f"SELECT o.source_system, o.source_account, o.currency, {number} AS number,"
        " CASE WHEN o.order_status NOT IN ('draft', 'cancelled')"
        " THEN t.order_sign * o.gross_amount END AS amount"
        " FROM orders AS o JOIN dim_order_type AS t ON t.order_type = o.order_type"
        f" WHERE NOT o.is_deleted AND {where}"
    )


def _of_mart(mart: str, number: str, amount: str = "gross_amount") -> str:
    return (
        f"SELECT source_system, source_account, currency, {number} AS number, {amount} AS amount"
        f" FROM {mart}"
    )


_SALES = "t.is_revenue AND o.order_status NOT IN ('draft', 'cancelled')"
_DIFFERS = "currencies are counted or summed otherwise than in orders"

_TOTALS = {
    "daily_orders": _unlike(
        _of_mart("daily_orders", "orders + draft_orders + cancelled_orders"),
        _of_orders("1", "o.order_type <> 'review_registration'"),
    ),
    "sales_by_month": _unlike(
        _of_mart("sales_by_month", "orders + credits"), _of_orders("1", _SALES)
    ),
    "payment_exposure": _unlike(_of_mart("payment_exposure", "orders"), _of_orders("1", _SALES)),
}
_MISSING = {
    "data_quality": "SELECT source_system, source_account, account FROM dim_account"
    " ANTI JOIN data_quality USING (source_system, source_account)",
}
_JOINED = ("open_orders", "order_changes", "fulfilment_lead_times")
"""Marts of which every row names an order."""


def conditions_of(mart: str, key: Sequence[str], follows: bool) -> tuple[Condition, ...]:
    """What must hold of a mart whose rows are told apart by the columns `key`.

    `follows`: its rows follow from their order alone; their grain names the order.
    """
    found = []
    touched = f"(SELECT * FROM {mart} SEMI JOIN newest USING (order_key)) AS touched"
    if key:
        twice = _twice(touched, key) if follows else None
        what = f"rows of {mart} occur twice"
        found.append(Condition(UNIQUE, mart, what, _twice(mart, key), touched=twice))
    if mart in _TOTALS:
        found.append(Condition(AGREES, mart, f"{_DIFFERS} by {mart}", _TOTALS[mart]))
    if mart in _MISSING:
        found.append(Condition(COMPLETE, mart, f"accounts are not in {mart}", _MISSING[mart]))
    if mart in _JOINED:
        select = "SELECT source_system, source_account, order_key FROM"
        unknown = f"{select} {mart} ANTI JOIN orders USING (order_key)"
        found.append(
            Condition(
                JOINS,
                mart,
                f"rows of {mart} have no order",
                unknown,
                touched=f"{select} {touched} ANTI JOIN touched_orders USING (order_key)"
                if follows
                else None,
            )
        )
    return tuple(found)


def _twice(mart: str, key: Sequence[str]) -> str:
    columns = ", ".join(key)
    return (
        "SELECT ANY_VALUE(source_system), ANY_VALUE(source_account),"
        f" CONCAT_WS(' ', {columns}) FROM {mart} GROUP BY {columns} HAVING COUNT(*) > 1"
    )
