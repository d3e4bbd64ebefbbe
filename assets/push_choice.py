"""Which published orders are to be pushed, and why the others are not.

Belongs here: the rule applied to the marts. Does not belong here: what the rule may say and what
the API takes (the source), sending and remembering (`assets/push.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import duckdb
import pyarrow as pa

from assets.sources.base import Outgoing, PublishedOrder, Source, Unfit, pieces
from assets.sources.feedback_company_rule import PushRule
from resources.accounts import Account

AT_ONCE = 500
"""Orders whose rows and parties are read together."""
NAMED = ("product_id", "product_name", "sku", "gtin", "product_url", "image_url")


@dataclass(frozen=True, slots=True)
class Chosen:
    """An order that satisfies the rule: as it is sent, or why the API would not take it."""

    order: PublishedOrder
    outgoing: Outgoing | None
    reason: str | None = None


@dataclass
class Choice:
    """Which orders satisfy an account's rule, on one day. Reads an open published file."""

    source: Source
    account: Account
    marts: duckdb.DuckDBPyConnection
    today: date
    """Civil date in the account's zone."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> orders of the rule's accounts that do not satisfy it."""

    @property
    def rule(self) -> PushRule:
        """The account's rule."""
        rule: PushRule = self.account.settings.push  # type: ignore[attr-defined]
        return rule

    def orders(self, taken: Mapping[str, str]) -> Iterator[Chosen]:
        """What satisfies the rule and is not `taken`, order key -> why; the oldest first."""
        self._look()
        keys = []
        for key, reason in self.marts.execute(
            "SELECT order_key, reason FROM considered ORDER BY placed_on, order_key"
        ).fetchall():
            why = reason or taken.get(key)
            if why is None:
                keys.append(key)
            else:
                self.skipped[why] += 1
        for some in pieces(keys, AT_ONCE):
            yield from (self._fitted(order) for order in self._read(some))

    def _fitted(self, order: PublishedOrder) -> Chosen:
        try:
            return Chosen(order, self.source.outgoing(self.account, order))
        except Unfit as unfit:
            return Chosen(order, None, str(unfit))

    def _look(self) -> None:
        rule = self.rule
        sql = files("assets").joinpath("push_choice.sql").read_text(encoding="utf-8")
        first = self.today - timedelta(days=rule.max_age_days)
        if rule.placed_after is not None:
            first = max(first, rule.placed_after + timedelta(days=1))
        self.marts.execute(
            f"CREATE OR REPLACE TEMP TABLE considered AS {sql}",
            {
                "accounts": rule.from_accounts,
                "order_types": rule.order_types,
                "shipping_statuses": rule.shipping_statuses,
                "order_statuses": rule.order_statuses,
                "first_day": first,
                "zone": self.account.settings.timezone,
            },
        )

    def _read(self, keys: Sequence[str]) -> list[PublishedOrder]:
        """These orders, in this order, with their customers and products."""
        self.marts.register("wanted", pa.table({"order_key": pa.array(list(keys), pa.string())}))
        orders = self._rows(
            "SELECT o.order_key, o.order_number, c.placed_on, o.rows_state FROM orders AS o "
            "JOIN considered AS c USING (order_key) SEMI JOIN wanted USING (order_key)"
        )
        parties = self._rows(
            "SELECT order_key, email, COALESCE(full_name, NULLIF(concat_ws(' ', first_name, "
            "last_name), '')) AS full_name FROM order_parties SEMI JOIN wanted USING (order_key) "
            "WHERE role = 'customer' ORDER BY order_key"
        )
        products = self._rows(
            f"SELECT order_key, {', '.join(NAMED)} FROM order_rows "
            "SEMI JOIN wanted USING (order_key) WHERE row_kind <> 'bundle_component' "
            "AND (quantity IS NULL OR quantity > 0) AND COALESCE(product_id, sku) IS NOT NULL "
            "ORDER BY order_key, row_no"
        )
        customers = {row["order_key"]: row for row in reversed(parties)}
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in products:
            rows.setdefault(row["order_key"], []).append(row)
        by_key = {row["order_key"]: row for row in orders}
        nobody = {"email": None, "full_name": None}
        return [_order(by_key[key], customers.get(key, nobody), rows.get(key, ())) for key in keys]

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.marts.execute(sql).to_arrow_table().to_pylist()
        return rows


def _order(
    order: Mapping[str, Any], customer: Mapping[str, Any], products: Sequence[Mapping[str, Any]]
) -> PublishedOrder:
    return PublishedOrder(
        order["order_key"],
        order["order_number"],
        order["placed_on"],
        customer["email"],
        customer["full_name"],
        order["rows_state"],
        [{name: row[name] for name in NAMED} for row in products],
    )
