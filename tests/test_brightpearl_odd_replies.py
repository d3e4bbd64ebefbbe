"""Asking a Brightpearl whose replies are odd: other columns, other types, orders that are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.known import Landed
from assets.workshop import Workshop
from resources.errors import ApiError
from tests.document_bodies import body_of
from tests.home import Pulls, brightpearl_at
from tests.loopback import Answer, Loopback, Seen

KEY = "brightpearl.acme"
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}
STAMP = "2026-11-01T10:00:00.000+00:00"
COLUMNS = ("orderId", "orderTypeId", "createdOn", "updatedOn")


def order(order_id: Any, **changes: Any) -> dict[str, Any]:
    return (
        body_of("brightpearl") | {"id": order_id, "createdOn": STAMP, "updatedOn": STAMP} | changes
    )


@dataclass
class Site:
    """An account with a few orders, whose replies a test can bend."""

    orders: list[Any]
    columns: tuple[str, ...] = COLUMNS
    row: Callable[[int], dict[str, Any]] = lambda number: {
        "orderId": number, "createdOn": STAMP, "updatedOn": None
    }  # fmt: skip
    rows: int = 3
    available: Any = None
    asked: list[str] = field(default_factory=list)

    def answer(self, seen: Seen) -> Answer:
        if seen.method == "OPTIONS":
            return self._reply({"getUris": []})
        if not seen.path.endswith("order-search"):
            self.asked.append(seen.path.rpartition("/")[2])
            return self._reply(self.orders)
        found = [self.row(number) for number in range(1, self.rows + 1)]
        results = [[each.get(name) for name in self.columns] for each in found]
        metadata: dict[str, Any] = {"columns": [{"name": name} for name in self.columns]}
        metadata["resultsAvailable"] = len(found) if self.available is None else self.available
        return self._reply({"results": results, "metaData": metadata})

    def _reply(self, response: Any) -> Answer:
        return Answer(200, json.dumps({"response": response}).encode(), DATE)


Serve = Callable[[Site], Pulls]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Pulls of an account whose API is the site."""
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("REF", "canary-ref")
    monkeypatch.setenv("TOKEN", "canary-token")

    with ExitStack() as servers:

        def start(site: Site) -> Pulls:
            server = servers.enter_context(Loopback(site.answer))
            brightpearl_at(server.url, monkeypatch)
            return Pulls(Workshop())

        yield start


def ids(pulls: Pulls) -> frozenset[str]:
    return Landed(pulls.workshop.lake, pulls.account(KEY)).ids()


def columns(pulls: Pulls, table: str) -> pa.Table:
    with duckdb.connect() as connection:
        return pulls.workshop.lake.read(connection, table).to_arrow_table()


@pytest.mark.parametrize("names", [COLUMNS[::-1], ("contactId", *COLUMNS[1:], "orderId")])
def test_columns_are_found_by_their_names(serve: Serve, names: tuple[str, ...]) -> None:
    site = Site([order(1), order(2), order(3)], columns=names)
    pulls = serve(site)
    assert pulls.changes(KEY).counts.new == 3
    assert site.asked == ["1-3"]


def test_a_search_of_2012_has_no_column_of_changes(serve: Serve) -> None:
    site = Site([order(1), order(2), order(3)], columns=("orderId", "contactId", "createdOn"))
    pulls = serve(site)
    assert pulls.changes(KEY).counts.new == 3
    assert pulls.changes(KEY).counts.unchanged == 3


@pytest.mark.parametrize("stamp", ["soon", "", 1_700_000_000, None, "2026-11-01T10:00:00"])
def test_a_stamp_that_is_none_stops_no_other_order(serve: Serve, stamp: object) -> None:
    def row(number: int) -> dict[str, Any]:
        return {"orderId": str(number), "createdOn": stamp if number == 2 else STAMP}

    pulls = serve(Site([order(1), order(2), order(3)], row=row, available="3"))
    assert pulls.changes(KEY).counts.new == 3
    assert ids(pulls) == {"1", "2", "3"}


def test_orders_that_are_none_are_quarantined_and_the_others_are_loaded(serve: Serve) -> None:
    odd = [None, 5, "x", [1], {}, order(1.5), {"id": True}, order(""), order(None), order({"a": 1})]
    pulls = serve(Site([order("7"), *odd, order(12345678901234567890123), order(-3), order(0)]))
    assert pulls.changes(KEY).counts.new == len(odd) + 4
    loaded = columns(pulls, "orders")["source_order_id"].to_pylist()
    assert sorted(loaded) == ["-3", "0", "12345678901234567890123", "7"]
    held = columns(pulls, "quarantine").to_pylist()
    assert {(each["field"], each["is_held"]) for each in held} == {("id", True)}
    assert len(held) == len(odd)


def test_one_bad_order_is_held_and_the_others_are_loaded(serve: Serve) -> None:
    site = Site([order(1), order(2, orderRows="none"), order(3)])
    pulls = serve(site)
    pulls.changes(KEY)
    assert sorted(columns(pulls, "orders")["source_order_id"].to_pylist()) == ["1", "3"]
    assert columns(pulls, "quarantine")["source_order_id"].to_pylist() == ["2"]


@pytest.mark.parametrize(
    ("names", "row"),
    [
        (("createdOn", "updatedOn"), Site.row),
        (COLUMNS, lambda _: {"orderId": "many", "createdOn": STAMP}),
        (COLUMNS, lambda _: {"createdOn": STAMP}),
    ],
)
def test_a_search_without_ids_is_one_line(
    serve: Serve, names: tuple[str, ...], row: Callable[[int], dict[str, Any]]
) -> None:
    with pytest.raises(ApiError, match="no readable results") as raised:
        serve(Site([], columns=names, row=row)).changes(KEY)
    assert "\n" not in str(raised.value)
    assert "canary" not in str(raised.value)
