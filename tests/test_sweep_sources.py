"""How each source tells what is still there, and what it takes for no evidence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import product

import pytest

from assets.known import Landed
from assets.sources.brightpearl_ids import IDS_PER_SWEEP, LONGEST_SET, id_set, sweep_sets
from assets.sources.efiling import windows_around
from assets.sweeping import SweepError
from resources.errors import ApiError
from sandbox.server import Sandbox
from tests.api_case import FakeClock
from tests.home import Pulls, point_at
from tests.test_truth import alive

BAKERY, FORMATIONS, LEASING = "tastyigniter.bakery", "efiling.formations", "quotevine.leasing"


class Home:
    """Three accounts, synced; the deletions of one test stay for the next."""

    def __init__(self, box: Sandbox, pulls: Pulls) -> None:
        self.box = box
        self.pulls = pulls

    def delete(self, account: str, place: int) -> str:
        """Delete the order at that place of those alive and known; its id."""
        order_id = self.known(account)[place]
        self.box.api(account).delete(order_id)
        return order_id

    def known(self, account: str) -> list[str]:
        """The orders that are alive and neither suspected nor deleted, in the API's order."""
        read = self.missing(account, frozenset({"read", "present"}))
        return [order_id for order_id in alive(self.box, account) if order_id in read]

    def sweep(self, account: str, *, accept: bool = False) -> int:
        """One sweep; how many requests it made."""
        self.box.reset_requests()
        self.pulls.sweep(account, accept_mass_deletion=accept)
        return self.box.requests(account)

    def missing(
        self, account: str, kinds: frozenset[str] = frozenset({"suspected", "absent"})
    ) -> set[str]:
        """The orders whose newest observation is one of these kinds."""
        known = Landed(self.pulls.workshop.lake, self.pulls.account(account))
        standings = known.standings()
        known.close()
        return {order_id for order_id, each in standings.items() if each.kind in kinds}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    sources = ("tastyigniter", "efiling", "quotevine")
    with Sandbox(lifted=True, sources=sources) as box, pytest.MonkeyPatch.context() as patch:
        pulls = Pulls(point_at(box, tmp_path_factory.mktemp("home"), patch, FakeClock()))
        accounts = pulls.workshop.places.accounts
        text = accounts.read_text("utf-8").replace("2020-01-01", "2026-07-01")
        accounts.write_text(text, encoding="utf-8")
        for account in box.accounts:
            pulls.changes(account)
        yield Home(box, pulls)


@pytest.fixture
def home(running: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name, value in running.box.environment().items():
        monkeypatch.setenv(name, value)
    yield running
    running.box.clear_faults()


def test_the_ids_of_a_set_are_ranges_and_small_gaps_are_closed() -> None:
    assert id_set([1, 2, 3, 7]) == "1-3,7"
    assert id_set([1, 2, 3, 7, 900], widest_gap=3) == "1-7,900"


def test_sweep_sets_fit_into_a_url_and_are_of_one_size() -> None:
    sparse = list(range(1, 3_000_000, 1000))
    sets = list(sweep_sets(sparse))
    assert [number for each in sets for number in each.ids] == sparse
    assert max(len(each.path) for each in sets) <= LONGEST_SET
    dense = list(range(1, IDS_PER_SWEEP + 3))
    assert sorted(len(each.ids) for each in sweep_sets(dense)) == [IDS_PER_SWEEP // 2 + 1] * 2
    assert list(sweep_sets([])) == []


def test_an_efiling_window_holds_an_order_that_is_there() -> None:
    days = {str(day): date(2026, 1, day) for day in range(1, 11)}
    assert windows_around({"5"}, {"4", "6"}, days) == [(days["4"], days["5"])]
    assert windows_around({"1"}, {"4"}, days) == [(days["1"], days["4"])]
    assert windows_around({"4", "6"}, {"5"}, days) == [(days["4"], days["6"])]
    assert windows_around({"5"}, set(), days) == []


def test_a_complete_listing_is_enough_for_tastyigniter(home: Home) -> None:
    gone = home.delete(BAKERY, 30)
    assert home.sweep(BAKERY) == 5
    assert gone in home.missing(BAKERY)


def test_a_broken_order_is_there(home: Home) -> None:
    gone = home.delete(BAKERY, 300)
    order_id = list(alive(home.box, BAKERY))[50]
    home.box.fault(BAKERY, "broken_order", times=None, order_id=order_id)
    for _ in range(2):
        home.sweep(BAKERY)
        missing = home.missing(BAKERY)
        assert gone in missing
        assert order_id not in missing


@pytest.mark.parametrize("which", ["first", "newest"])
def test_an_order_deleted_while_tastyigniter_is_listed(home: Home, which: str) -> None:
    """The pages shift: no other order is taken for deleted."""
    before = home.missing(BAKERY)
    home.box.fault(BAKERY, "deletion", which=which, after=2)
    home.sweep(BAKERY)
    home.box.clear_faults()
    assert len(home.missing(BAKERY) - before) <= 1
    home.sweep(BAKERY)
    assert home.missing(BAKERY).isdisjoint(alive(home.box, BAKERY))
    assert len(home.missing(BAKERY) - before) == 1


@pytest.mark.parametrize(
    ("account", "kind"),
    [(BAKERY, "empty_page"), (FORMATIONS, "duplicated_page"), (FORMATIONS, "empty_page")],
)
def test_a_page_that_is_wrong_once_costs_no_order(home: Home, account: str, kind: str) -> None:
    for _ in range(2):
        before = home.missing(account)
        fault = home.box.fault(account, kind, after=1)
        try:
            home.pulls.sweep(account)
        except ApiError:
            assert home.missing(account) == before
        assert fault.struck == 1
    assert home.missing(account).isdisjoint(alive(home.box, account))


@pytest.mark.parametrize(
    ("account", "kind"),
    [
        *product([BAKERY, FORMATIONS, LEASING], ["html", "truncated", "forbidden", "revoked"]),
        (BAKERY, "empty_page"),
        (FORMATIONS, "empty_page"),
    ],
)
def test_no_listing_that_is_empty_or_fails_is_evidence(home: Home, account: str, kind: str) -> None:
    before = home.pulls.workshop.lake.version("raw")
    home.box.fault(account, kind, times=None, method="GET")
    with pytest.raises(ApiError):
        home.pulls.sweep(account, accept_mass_deletion=True)
    assert home.pulls.workshop.lake.version("raw") == before


def test_a_missing_order_of_efiling_is_looked_for_by_its_day(home: Home) -> None:
    first, last = home.delete(FORMATIONS, 0), home.delete(FORMATIONS, -1)
    home.sweep(FORMATIONS)
    assert {first, last} <= home.missing(FORMATIONS)


def test_an_order_deleted_while_efiling_is_listed(home: Home) -> None:
    before = home.missing(FORMATIONS)
    order_id = home.known(FORMATIONS)[0]
    fault = home.box.fault(FORMATIONS, "deletion", order_id=order_id, after=1)
    home.sweep(FORMATIONS)
    assert fault.struck == 1
    assert home.missing(FORMATIONS) == before, "it was there when its page was read"
    home.sweep(FORMATIONS)
    assert home.missing(FORMATIONS) == before | {order_id}


def relationships(home: Home, *, alone: bool) -> Iterator[list[str]]:
    """The orders of each relationship that has one order, or several."""
    found: dict[str, list[str]] = {}
    for order_id in alive(home.box, LEASING):
        found.setdefault(order_id.partition("/")[0], []).append(order_id)
    return (ids for ids in found.values() if (len(ids) == 1) is alone)


def test_the_only_order_of_a_relationship_is_asked_for_itself(home: Home) -> None:
    [order_id] = next(relationships(home, alone=True))
    home.box.api(LEASING).delete(order_id)
    home.sweep(LEASING)
    assert order_id in home.missing(LEASING)
    assert home.box.requests(LEASING) > 1


def test_a_list_emptied_by_mistake_is_no_evidence(home: Home) -> None:
    ids = next(relationships(home, alone=False))
    path = f"/{ids[0].partition('/')[0]}/orders/"
    home.box.fault(LEASING, "empty_page", times=None, path=path)
    home.sweep(LEASING)
    assert home.missing(LEASING).isdisjoint(ids)


@pytest.mark.parametrize("status", [404, 500])
def test_a_relationship_that_is_refused_leaves_its_orders_undecided(
    home: Home, status: int
) -> None:
    ids = next(relationships(home, alone=False))
    path = f"/{ids[0].partition('/')[0]}/orders/"
    home.box.fault(LEASING, "error", times=None, path=path, status=status, body="{}")
    swept = home.pulls.sweep(LEASING)
    assert swept.asked == swept.known - len(ids)
    assert home.missing(LEASING).isdisjoint(ids)


def test_every_relationship_refused_is_an_error(home: Home) -> None:
    home.box.fault(LEASING, "error", times=None, status=404, body="{}")
    with pytest.raises(SweepError, match="none of the"):
        home.pulls.sweep(LEASING, accept_mass_deletion=True)
