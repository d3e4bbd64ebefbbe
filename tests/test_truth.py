"""Invariants 1 to 3: the marts of all five sources are what the APIs hold, whatever happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.marts import MARTS
from assets.pull import Pull
from assets.reference import reference
from resources.warehouse import Publication
from sandbox.server import Sandbox
from sandbox.world import Body
from tests.home import Pulls, open_sandbox, point_at
from tests.truth import Line, Truth, published_id, truths

TASTYIGNITER = "tastyigniter.bakery"
SUMS = (
    "SELECT order_key, SUM(net_amount) AS rows_net, SUM(tax_amount) AS rows_tax,"
    " SUM(quantity) AS rows_quantity FROM order_rows GROUP BY order_key"
)
OF_THE_CLOCK = {
    "data_quality": "last_success_at, stale_at, last_error",
    "open_orders": "age_days",
}
"""Columns that tell how long ago an account was synced, by mart: the same orders, another value."""
SUMMED = ("rows_net", "rows_tax", "rows_quantity")


class Home:
    """One home that is synced with the sandbox, and what its published file says."""

    def __init__(self, box: Sandbox, pulls: Pulls) -> None:
        self.box = box
        self.pulls = pulls
        self.warehouse = pulls.workshop.warehouse

    def sync(self) -> dict[str, Pull]:
        """Every account pulled and normalised, then one publication, as `orderloom sync` does."""
        pulled = {account: self.pulls.changes(account) for account in self.box.accounts}
        self.publish()
        return pulled

    def publish(self, *, rebuild: bool = False) -> Publication:
        workshop = self.pulls.workshop
        return self.warehouse.publish(MARTS, reference(workshop), rebuild=rebuild)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.warehouse.read_arrow(sql).to_pylist()
        return found

    def orders(self, source: str, columns: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The published orders of a source with the sums of their rows; none may be there twice."""
        chosen = ", ".join(name if name in SUMMED else f"o.{name}" for name in columns)
        found = self.rows(
            f"SELECT o.source_order_id, o.order_key, {chosen} FROM orders AS o"
            f" LEFT JOIN ({SUMS}) AS s ON s.order_key = o.order_key"
            f" WHERE o.source_system = '{source}'"
        )
        by_id = {order["source_order_id"]: order for order in found}
        assert len(by_id) == len(found), f"{source}: an order is there twice"
        return by_id

    def lines(self) -> dict[str, Counter[Line]]:
        """The published order rows by order key."""
        read = (
            "SELECT order_key, product_name, quantity, unit_price, net_amount, tax_amount"
            " FROM order_rows"
        )
        found: defaultdict[str, Counter[Line]] = defaultdict(Counter)
        columns = self.warehouse.read_arrow(read).to_pydict().values()
        for key, *line in zip(*columns, strict=True):
            found[key][tuple(line)] += 1  # type: ignore[index]
        return found

    def emails(self) -> dict[str, dict[str, str]]:
        """The published e-mail addresses by order key and role."""
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        read = "SELECT order_key, role, email FROM order_parties WHERE email IS NOT NULL"
        for row in self.rows(read):
            found[row["order_key"]][row["role"]] = row["email"]
        return found

    def tables(self) -> dict[str, tuple[int, int]]:
        """Of every published table but those of runs, its number of rows and a sum of their hashes.

        Columns `OF_THE_CLOCK` are left out.
        """
        hashed = "COUNT(*), SUM(CAST(hash(CAST(t AS VARCHAR)) AS HUGEINT))"
        with self.warehouse.open() as connection:
            return {
                name: connection.execute(f"SELECT {hashed} FROM ({steady(name)}) AS t").fetchall()[
                    0
                ]
                for name in self.warehouse.row_counts()
                if name not in ("runs", "dim_account")
            }


def steady(table: str) -> str:
    """SELECT of what a published table says of orders, whenever it was made."""
    left_out = f" EXCLUDE ({OF_THE_CLOCK[table]})" if table in OF_THE_CLOCK else ""
    return f"SELECT *{left_out} FROM {table}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder: Path = tmp_path_factory.mktemp("truth")
    with open_sandbox(most=600) as box, pytest.MonkeyPatch.context() as patch:
        yield Home(box, Pulls(point_at(box, folder, patch)))


def differences(home: Home) -> dict[str, dict[str, Any]]:
    """By order key, what the marts say otherwise than the sandbox: column -> (marts, truth)."""
    lines, emails = home.lines(), home.emails()
    found: dict[str, dict[str, Any]] = {}
    for account in home.box.accounts:
        source = account.partition(".")[0]
        items = home.box.truth(account)
        expected = truths(source, items)
        assert expected, f"{account} holds no order: nothing was compared"
        published = home.orders(source, next(iter(expected.values())).columns)
        assert not expected.keys() - published.keys(), f"{account}: orders are missing"
        ever = {published_id(source, item) for item in items}
        assert not published.keys() - ever, f"{account}: orders that never existed"
        for order_id, truth in expected.items():
            order = published[order_id]
            key = order["order_key"]
            wrong = unlike(truth, order, lines[key], emails[key])
            if wrong:
                found[key] = wrong
    return found


def unlike(
    truth: Truth, order: dict[str, Any], lines: Counter[Line], emails: dict[str, str]
) -> dict[str, Any]:
    """What of one order is not so: column -> (marts, truth)."""
    wrong = {
        column: (order[column], value)
        for column, value in truth.columns.items()
        if order[column] != value
    }
    if lines != truth.lines:
        wrong["lines"] = (lines - truth.lines, truth.lines - lines)
    if emails != truth.emails:
        wrong["emails"] = (emails, truth.emails)
    return wrong


def alive(box: Sandbox, account: str) -> dict[str, Body]:
    return {t["source_order_id"]: t["body"] for t in box.truth(account) if not t["is_deleted"]}


def edit_one_of_each(box: Sandbox) -> None:
    """By hand, one order of each source; TastyIgniter's keeps its updated_at."""
    newest = {account: list(alive(box, account).items())[-1] for account in box.accounts}
    order_id, order = newest["brightpearl.acme"]
    row_id, row = next(iter(order["orderRows"].items()))
    value = row["rowValue"] | {"rowNet": row["rowValue"]["rowNet"] | {"value": "15.0449"}}
    box.api("brightpearl.acme").edit(
        order_id,
        {"orderRows": {row_id: row | {"rowValue": value}}, "orderStatus": {"orderStatusId": 27}},
    )
    order_id, order = newest["efiling.formations"]
    lines = [{**line, "quantity": 3, "tax": 0.07} for line in order["orderlines"]]
    box.api("efiling.formations").edit(order_id, {"orderlines": [*lines, lines[0]]})
    order_id, _ = newest["quotevine.leasing"]
    box.api("quotevine.leasing").edit(order_id, {"order_status": "In Build", "vin": "WXX1"})
    order_id, _ = newest["feedback_company.reviews"]
    box.api("feedback_company.reviews").edit(order_id, {"is_sent": True, "is_reminder_sent": True})
    order_id, _ = newest[TASTYIGNITER]
    edit_lines(box, order_id)


def edit_lines(box: Sandbox, order_id: str) -> None:
    """Alter the lines of a TastyIgniter order, which leaves its updated_at alone."""
    before = alive(box, TASTYIGNITER)[order_id]["attributes"]
    lines = [{**line, "quantity": line["quantity"] + 1} for line in before["order_menus"]]
    lines.append({"name": "Pain au chocolat", "quantity": 2, "price": 1.0449})
    box.api(TASTYIGNITER).edit(order_id, {"order_menus": lines})
    after = alive(box, TASTYIGNITER)[order_id]["attributes"]
    assert after["updated_at"] == before["updated_at"]


def finished_long_ago(box: Sandbox) -> str:
    """A TastyIgniter order that is read again by the weekly listing alone."""
    return next(
        order_id
        for order_id, body in alive(box, TASTYIGNITER).items()
        if body["attributes"]["status_id"] == 5 and body["attributes"]["order_menus"]
    )


def landed_and_published(home: Home) -> tuple[Any, ...]:
    """What a run that found nothing new must leave as it is."""
    versions = [home.pulls.workshop.lake.version(t) for t in ("raw", "orders", "order_rows")]
    return *versions, home.warehouse.path.resolve()


STEPS = {
    timedelta(0): False,
    timedelta(hours=1): False,
    timedelta(days=1): False,
    timedelta(days=7): True,
}
"""How far the clock moves before each sync, and whether TastyIgniter's weekly listing is due."""


def test_the_marts_are_what_the_apis_hold(home: Home, subtests: pytest.Subtests) -> None:
    box, late = home.box, ""
    for step, is_relisted in STEPS.items():
        box.clock.advance(step)
        if step:
            edit_one_of_each(box)
            box.clock.advance(timedelta(seconds=1))  # or the same second's orders are read again
        with subtests.test(f"after {step}"):
            home.sync()
            wrong = differences(home)
            assert {k: v for k, v in wrong.items() if is_relisted or k != late} == {}
        if not late:
            order_id = finished_long_ago(box)
            edit_lines(box, order_id)
            late = f"tastyigniter:bakery:{order_id}"
    with subtests.test("nothing has changed"):
        before = landed_and_published(home)
        box.reset_requests()
        again = home.sync()
        landed = {account: p.counts.new + p.counts.changed for account, p in again.items()}
        assert landed == dict.fromkeys(again, 0)
        assert landed_and_published(home) == before
        assert {k: p.requests - p.least_requests for k, p in again.items()} == UNAVOIDABLE
        assert {k: p.requests for k, p in again.items()} == {k: box.requests(k) for k in again}
        assert again["brightpearl.acme"].requests == 2
    kept = home.tables()
    assert kept["orders"][0] > 2000
    with subtests.test("rebuild"):
        assert home.publish(rebuild=True).is_rebuilt
        assert home.tables() == kept
    with subtests.test("replay"):
        for account in box.accounts:
            home.pulls.workshop.normaliser(home.pulls.account(account)).replay()
        assert home.publish().published
        assert home.tables() == kept


UNAVOIDABLE = {
    "brightpearl.acme": 0,
    "tastyigniter.bakery": 0,
    "efiling.formations": 2,
    "quotevine.leasing": 0,
    "feedback_company.reviews": 1,
}
"""Requests of an idle sync that bring no order: the token, and the page after a list of a round
number of orders, since only an empty page tells where an eFiling list ends, and a second look at
it, since it might be empty by mistake."""
