"""Listings against what their APIs announce, and runs that receive nothing: over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.known import Landed
from assets.pull import ReceivedNothing
from assets.workshop import Workshop
from pipelines.definitions import build_definitions
from resources.api import Incomplete
from resources.errors import ApiError
from tests.api_case import FakeClock
from tests.document_bodies import body_of
from tests.home import Pulls, brightpearl_at
from tests.loopback import Answer, Loopback, Seen
from tests.test_tastyigniter_odd_sites import Shop, numbers, serve  # noqa: F401

KEY = "brightpearl.acme"
BUSY_RUNS = 3
"""In place of ten."""
DATE = {"Date": "Mon, 02 Nov 2026 07:00:00 GMT"}
STAMP = "2026-11-01T10:00:00.000+00:00"


@dataclass
class Site:
    """A Brightpearl whose searches may hold fewer orders than they announce."""

    ids: list[int]
    short: int = 0
    """How many searches by createdOn still leave out the last order."""
    doubled: int = 0
    """How many searches by createdOn still have the first order in the last one's place."""
    silent: bool = False
    broken: bool = False
    searches: list[str] = field(default_factory=list)

    def answer(self, seen: Seen) -> Answer:
        if self.broken:
            return Answer(401, b'{"response":"Authorization token expired"}', DATE)
        if not seen.path.endswith("order-search"):
            wanted = [body_of("brightpearl") | {"id": n, "createdOn": STAMP} for n in self.ids]
            return self._reply([body | {"updatedOn": STAMP} for body in wanted])
        is_created = "createdOn" in dict(seen.query)
        self.searches.append("createdOn" if is_created else "updatedOn")
        shown = [] if self.silent or not is_created else list(self.ids)
        announced = len(shown)
        if shown and self.short:
            self.short -= 1
            shown.pop()
        if shown and self.doubled:
            self.doubled -= 1
            shown[-1] = shown[0]
        columns = [{"name": name} for name in ("orderId", "createdOn", "updatedOn")]
        metadata = {"columns": columns, "resultsAvailable": announced}
        first = int(dict(seen.query).get("firstResult", "1")) - 1
        rows = [[number, STAMP, None] for number in shown][first:]
        return self._reply({"results": rows, "metaData": metadata})

    def _reply(self, response: Any) -> Answer:
        return Answer(200, json.dumps({"response": response}).encode(), DATE)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Site], Pulls]]:
    """Pulls of an account whose API is the site."""
    monkeypatch.setattr("assets.pull.RUNS_BEFORE_SILENCE_IS_ODD", BUSY_RUNS)
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
    for name in ("REF", "TOKEN"):
        monkeypatch.setenv(name, "canary")
    with ExitStack() as servers:

        def start(site: Site) -> Pulls:
            server = servers.enter_context(Loopback(site.answer))
            brightpearl_at(server.url, monkeypatch)
            return Pulls(Workshop(clock=FakeClock()))

        yield start


def runs(pulls: Pulls) -> list[dict[str, Any]]:
    """The account's runs of changes, the newest last."""
    return [run for run in reversed(pulls.workshop.ledger.runs()) if run["kind"] == "changes"]


def ids(pulls: Pulls) -> set[str]:
    return set(Landed(pulls.workshop.lake, pulls.account(KEY)).ids())


def test_a_run_says_what_was_announced_and_what_was_listed(ask: Callable[[Site], Pulls]) -> None:
    pulls = ask(Site([1, 2, 3]))
    pull = pulls.changes(KEY)
    assert (pull.announced, pull.listed) == (3, 3)
    (run,) = runs(pulls)
    assert (run["announced"], run["listed"], run["received"]) == (3, 3, 3)


def test_a_short_listing_is_read_again(ask: Callable[[Site], Pulls]) -> None:
    site = Site([1, 2, 3], short=1)
    pulls = ask(site)
    pull = pulls.changes(KEY)
    assert ids(pulls) == {"1", "2", "3"}
    assert (pull.announced, pull.listed) == (3, 3)


def test_a_listing_with_an_order_twice_and_another_never_is_read_again(
    ask: Callable[[Site], Pulls],
) -> None:
    """As where rows have moved between two pages: there are as many as announced."""
    pulls = ask(Site([1, 2, 3], doubled=2))
    pull = pulls.changes(KEY)
    assert ids(pulls) == {"1", "2", "3"}
    assert (pull.announced, pull.listed) == (3, 3)


def test_a_listing_that_stays_so_fails_and_says_both_numbers(ask: Callable[[Site], Pulls]) -> None:
    pulls = ask(Site([1, 2, 3], doubled=100))
    with pytest.raises(Incomplete, match="announces 3 orders but lists 2"):
        pulls.changes(KEY)
    (run,) = runs(pulls)
    assert (run["outcome"], run["announced"], run["listed"]) == ("failed", 3, 2)


def test_a_listing_that_stays_short_fails_and_moves_nothing(ask: Callable[[Site], Pulls]) -> None:
    site = Site([1, 2, 3], short=100)
    pulls = ask(site)
    with pytest.raises(Incomplete, match="3 are announced"):
        pulls.changes(KEY)
    assert pulls.workshop.ledger.cursor(KEY) is None
    (run,) = runs(pulls)
    assert (run["outcome"], run["received"]) == ("failed", 0)
    site.short = 0
    pulls.changes(KEY)
    assert ids(pulls) == {"1", "2", "3"}


@pytest.mark.parametrize("count", [3, 8, 20])
def test_a_site_that_announces_more_than_it_lists(
    serve: Callable[[Shop], Pulls],  # noqa: F811
    count: int,
) -> None:
    hidden = {"more": 1}

    def wrap(items: list[Any]) -> Any:
        total = len(shop.ids) + hidden["more"]
        return {"data": items, "meta": {"pagination": {"total": total, "count": len(items)}}}

    shop = Shop(list(range(1, count + 1)), wrap=wrap)
    pulls = serve(shop)
    with pytest.raises(Incomplete, match=f"it ends at order {count} of {count + 1}"):
        pulls.changes("tastyigniter.bakery")
    assert numbers(pulls) == []
    hidden["more"] = 0
    pull = pulls.changes("tastyigniter.bakery")
    assert numbers(pulls) == shop.ids
    assert (pull.announced, pull.listed) == (count, count)


def test_an_order_that_the_site_cannot_show_counts_as_listed(
    serve: Callable[[Shop], Pulls],  # noqa: F811
) -> None:
    def wrap(items: list[Any]) -> Any:
        return {"data": items, "meta": {"pagination": {"total": len(shop.ids)}}}

    shop = Shop(list(range(1, 21)), wrap=wrap, broken={7})
    pull = serve(shop).changes("tastyigniter.bakery")
    assert (pull.announced, pull.listed) == (20, 20)


def test_orders_made_and_deleted_meanwhile_are_no_shortage(
    serve: Callable[[Shop], Pulls],  # noqa: F811
) -> None:
    def wrap(items: list[Any]) -> Any:
        return {"data": items, "meta": {"pagination": {"total": len(shop.ids)}}}

    shop = Shop(list(range(1, 31)), wrap=wrap)
    pulls = serve(shop)
    pulls.changes("tastyigniter.bakery")

    def meddle(page: int) -> None:
        shop.ids = [each for each in shop.ids if each != 20 - page] + [100 + page]

    shop.pages, shop.before_page = 0, meddle
    shop.statuses = {1: (1, "Received")}
    pulls.changes("tastyigniter.bakery")


# Runs that receive nothing.


def sync_often(pulls: Pulls, site: Site, times: int) -> None:
    for _ in range(times):
        site.ids = [*site.ids, len(site.ids) + 1]
        pulls.changes(KEY)


def test_silence_after_many_runs_is_told_once_and_hides_nothing(
    ask: Callable[[Site], Pulls],
) -> None:
    site = Site([1])
    pulls = ask(site)
    sync_often(pulls, site, BUSY_RUNS)
    ledger = pulls.workshop.ledger
    cursor, success = ledger.cursor(KEY), ledger.freshness()[KEY].last_success
    site.silent = True
    with pytest.raises(ReceivedNothing, match=r"received nothing.*credentials"):
        pulls.changes(KEY)
    assert ledger.cursor(KEY) == cursor
    last = runs(pulls)[-1]
    assert (last["outcome"], last["alarm"]) == ("failed", "received_nothing")
    fresh = ledger.freshness()[KEY]
    assert fresh.is_failing
    assert fresh.last_success == success
    pulls.changes(KEY)
    assert not ledger.freshness()[KEY].is_failing
    site.silent = False
    sync_often(pulls, site, BUSY_RUNS + 1)
    site.silent = True
    pulls.changes(KEY)


def test_silence_early_is_nothing_odd(ask: Callable[[Site], Pulls]) -> None:
    site = Site([1])
    pulls = ask(site)
    sync_often(pulls, site, BUSY_RUNS - 1)
    site.silent = True
    pulls.changes(KEY)


def test_failures_say_nothing_of_silence(ask: Callable[[Site], Pulls]) -> None:
    site = Site([1])
    pulls = ask(site)
    sync_often(pulls, site, BUSY_RUNS - 1)
    site.broken = True
    for _ in range(3):
        with pytest.raises(ApiError):
            pulls.changes(KEY)
    assert runs(pulls)[-1]["alarm"] is None
    site.broken, site.silent = False, True
    pulls.changes(KEY)


def test_failures_do_not_hide_a_silence(ask: Callable[[Site], Pulls]) -> None:
    site = Site([1])
    pulls = ask(site)
    site.broken = True
    with pytest.raises(ApiError):
        pulls.changes(KEY)
    site.broken = False
    sync_often(pulls, site, BUSY_RUNS)
    site.silent = True
    with pytest.raises(ReceivedNothing):
        pulls.changes(KEY)


def test_a_listing_of_known_orders_is_not_silence(ask: Callable[[Site], Pulls]) -> None:
    """Brightpearl's overlap lists orders that are not fetched again."""
    site = Site([1])
    pulls = ask(site)
    sync_often(pulls, site, BUSY_RUNS)
    pull = pulls.changes(KEY)
    assert (pull.counts.received, pull.listed) == (0, len(site.ids))


@pytest.mark.parametrize(
    ("site", "broken"),
    [
        (Site([1, 2]), None),
        (Site([1, 2], short=100), "as_many_orders_as_announced"),
    ],
    ids=["whole", "short"],
)
def test_the_run_tells_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site, broken: str | None
) -> None:
    """Through Dagster, as the UI and the command line do it."""
    names = {"app_ref": "REF", "account_token": "TOKEN"}
    for name in names.values():
        monkeypatch.setenv(name, "canary")
    with Loopback(site.answer) as server, dg.DagsterInstance.ephemeral() as instance:
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(
            f'[brightpearl.acme]\nbase_url = "{server.url}"\ntimezone = "Europe/London"\n'
            'started_on = 2026-10-01\n[brightpearl.acme.credentials]\napp_ref = "REF"\n'
            'account_token = "TOKEN"\n'
        )
        monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path / "var"))
        monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(accounts))
        workshop = Workshop(clock=FakeClock())
        instance.add_dynamic_partitions("brightpearl_accounts", ["acme"])
        ran = (
            build_definitions(workshop)
            .resolve_job_def("brightpearl_sync")
            .execute_in_process(instance=instance, partition_key="acme", raise_on_error=False)
        )
        workshop.close()
    told = {
        each.check_name: each.passed
        for each in ran.get_asset_check_evaluations()
        if each.asset_key.path[-1] == "changes"
    }
    assert ran.success is (broken is None)
    if broken is None:
        assert told.keys() == {
            "as_many_orders_as_announced",
            "receives_something",
            "nothing_may_be_missing",
        }
        assert all(told.values())
    else:
        assert told == {broken: False}
