"""Sweeping: what is missing twice becomes a tombstone, and nothing else does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.known import Landed
from assets.landing import Landing
from assets.pull import PRESENCE
from assets.sources import source
from assets.sources.base import Record
from assets.sweeping import SweepError, Swept
from resources.errors import ApiError, ConfigurationError
from resources.ledger import LeaseHeld
from sandbox.server import Sandbox
from tests.api_case import FakeClock
from tests.home import Pulls, open_sandbox, point_at

KEY = "brightpearl.acme"
STARTED_ON = date(2026, 10, 31)
"""An account of a hundred orders, since every test syncs one of its own."""


class Account:
    """One synced account of the sandbox, and what the lake says of it."""

    def __init__(self, box: Sandbox, pulls: Pulls) -> None:
        self.box = box
        self.pulls = pulls
        known = Landed(pulls.workshop.lake, pulls.account(KEY))
        self.ids = sorted(known.ids())
        known.close()

    def sweep(self, *, accept: bool = False) -> tuple[int, int, int]:
        """One sweep: how many orders were suspected, deleted and restored."""
        return marked(self.pulls.sweep(KEY, accept_mass_deletion=accept))

    def delete(self, *order_ids: str) -> None:
        for order_id in order_ids:
            self.box.api(KEY).delete(order_id)

    def rows(self, table: str, columns: str, order_id: str) -> list[tuple[Any, ...]]:
        """All versions of one order, in landing order."""
        with duckdb.connect() as connection:
            self.pulls.workshop.lake.read(connection, table).create_view("t")
            return connection.execute(
                f"SELECT {columns} FROM t WHERE order_key = ? ORDER BY landing_seq",
                [f"brightpearl:acme:{order_id}"],
            ).fetchall()

    def kinds(self, order_id: str) -> list[str]:
        """What was observed of one order."""
        return [kind for (kind,) in self.rows("raw", "kind", order_id)]

    def landed(self) -> int:
        """The lake's version of `raw`."""
        return self.pulls.workshop.lake.version("raw")


def marked(swept: Swept) -> tuple[int, int, int]:
    return swept.suspected, swept.deleted, swept.restored


def pointed(folder: Path, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Pulls:
    """A home whose account begins at STARTED_ON."""
    pulls = Pulls(point_at(box, folder, monkeypatch))
    accounts = pulls.workshop.places.accounts
    settings = accounts.read_text("utf-8")
    begins = re.sub("started_on = .*", f"started_on = {STARTED_ON}", settings)
    accounts.write_text(begins, encoding="utf-8")
    return pulls


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a home that is synced, to be copied."""
    folder = tmp_path_factory.mktemp("synced")
    with Sandbox(lifted=True, sources=("brightpearl",)) as box, pytest.MonkeyPatch.context() as m:
        pulls = pointed(folder, box, m)
        pulls.changes(KEY)
        pulls.workshop.close()
    return folder


@pytest.fixture
def acme(synced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    shutil.copytree(synced / "var", tmp_path / "var")
    with Sandbox(lifted=True, sources=("brightpearl",)) as box:
        yield Account(box, pointed(tmp_path, box, monkeypatch))


def undelete(account: Account, order_id: str) -> None:
    """Let an order exist again, as it was."""
    line = account.box.api(KEY).shelf.timelines[order_id]
    account.box.api(KEY).shelf.put(order_id, line.moments[-1], line.bodies[-2])


def test_missing_once_is_suspected_twice_is_a_tombstone(acme: Account) -> None:
    first, second = acme.ids[7], acme.ids[-1]
    acme.delete(first, second)
    assert acme.sweep() == (2, 0, 0)
    states = "is_deleted, deletion_basis, quality_flags, events"
    assert acme.rows("orders", states, first)[-1] == (False, None, ["deletion_suspected"], [])
    assert acme.sweep() == (0, 2, 0)
    deleted, basis, flags, _ = acme.rows("orders", states, first)[-1]
    assert (deleted, flags) == (True, [])
    assert basis.startswith("OPTIONS /order-service/order/")
    [(event, detected)] = acme.rows(
        "orders", "events[-1].event_type, deleted_detected_at IS NOT NULL", first
    )[-1:]
    assert (event, detected) == ("deleted", True)
    assert acme.rows("order_rows", "is_deleted", second)[-1] == (True,)
    before = acme.landed()
    assert acme.sweep() == (0, 0, 0)
    assert acme.landed() == before, "a tombstone is landed once"
    assert acme.kinds(first) == ["read", "suspected", "absent"]


def test_one_request_asks_about_an_account(acme: Account) -> None:
    acme.box.reset_requests()
    swept = acme.pulls.sweep(KEY)
    assert (swept.asked, swept.there) == (len(acme.ids), len(acme.ids))
    assert acme.box.requests(KEY) == 1


def test_the_same_run_asked_again_is_one_absence(acme: Account) -> None:
    acme.delete(acme.ids[7])
    for _ in range(2):
        swept = acme.pulls.workshop.puller.presence(acme.pulls.account(KEY), "one-run").swept
        assert swept is not None
    assert acme.kinds(acme.ids[7]) == ["read", "suspected"]


def test_a_suspicion_ends_when_a_sweep_sees_the_order(acme: Account) -> None:
    order_id = acme.ids[7]
    acme.delete(order_id)
    acme.sweep()
    undelete(acme, order_id)
    assert acme.sweep() == (0, 0, 0)
    assert acme.kinds(order_id) == ["read", "suspected", "read"]
    assert acme.rows("orders", "is_deleted, quality_flags", order_id)[-1] == (False, [])
    acme.delete(order_id)
    assert acme.sweep() == (1, 0, 0), "the first absence was another one"


def test_what_reappears_is_restored(acme: Account) -> None:
    order_id = acme.ids[7]
    acme.delete(order_id)
    acme.sweep()
    acme.sweep()
    undelete(acme, order_id)
    assert acme.sweep() == (0, 0, 1)
    assert acme.kinds(order_id)[-1] == "present"
    states = "is_deleted, deleted_detected_at, events[-1].event_type"
    assert acme.rows("orders", states, order_id)[-1] == (False, None, "restored")


@pytest.mark.parametrize(("sweeps", "kind"), [(1, "read"), (2, "present")])
def test_reading_an_order_again_ends_its_suspicion_or_restores_it(
    acme: Account, sweeps: int, kind: str
) -> None:
    order_id = acme.ids[-1]
    acme.delete(order_id)
    for _ in range(sweeps):
        acme.sweep()
    undelete(acme, order_id)
    puller, account = acme.pulls.workshop.puller, acme.pulls.account(KEY)
    pull = puller.history(account, STARTED_ON, STARTED_ON + timedelta(days=9), "backfill")
    assert (pull.counts.changed, acme.kinds(order_id)[-1]) == (1, kind)


def test_more_than_a_fifth_stops_and_lands_nothing(acme: Account) -> None:
    acme.delete(*acme.ids[: len(acme.ids) // 5 + 1])
    before = acme.landed()
    with pytest.raises(SweepError) as stopped:
        acme.sweep()
    assert acme.landed() == before
    assert KEY in str(stopped.value)
    assert "--accept-mass-deletion" in stopped.value.remedy
    [run] = [r for r in acme.pulls.workshop.ledger.runs() if r["kind"] == PRESENCE]
    assert run["outcome"] == "failed"
    gone = len(acme.ids) // 5 + 1
    assert acme.sweep(accept=True) == (gone, 0, 0)
    with pytest.raises(SweepError):
        acme.sweep()
    assert acme.sweep(accept=True) == (0, gone, 0)


def test_a_fifth_does_not_stop(acme: Account) -> None:
    acme.delete(*acme.ids[: len(acme.ids) // 5])
    assert acme.sweep() == (len(acme.ids) // 5, 0, 0)


@pytest.mark.parametrize("accept", [False, True])
def test_no_failed_or_empty_answer_is_evidence(
    acme: Account, subtests: pytest.Subtests, accept: bool
) -> None:
    acme.delete(acme.ids[7])
    before = acme.landed()
    acme.pulls.workshop.clock = FakeClock()
    for kind in ("empty_page", "html", "invalid_json", "truncated", "rejected", "unavailable"):
        with subtests.test(kind):
            fault = acme.box.fault(KEY, kind, times=None, method="OPTIONS")
            with pytest.raises(ApiError):
                acme.sweep(accept=accept)
            acme.box.clear_faults(KEY)
            assert fault.struck
            assert acme.landed() == before
    assert acme.sweep() == (1, 0, 0)


def test_what_another_run_landed_meanwhile_is_not_judged(
    acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order is edited and read between the sweep's question and its decision."""
    order_id = acme.ids[-1]
    workshop, brightpearl = acme.pulls.workshop, source("brightpearl")
    asked = type(brightpearl).sweep
    edited = b'{"id": %b, "orderTypeCode": "SO", "reference": "B"}' % order_id.encode()

    def meanwhile(self: Any, api: Any, known: Any) -> Iterator[Any]:
        acme.delete(order_id)
        yield from asked(self, api, known)
        landing = Landing(brightpearl, acme.pulls.account(KEY), workshop.lake, workshop.ledger, "x")
        landing.land([Record(order_id, "/order/", edited, datetime.now(UTC))])
        landing.close()

    monkeypatch.setattr(type(brightpearl), "sweep", meanwhile)
    assert acme.sweep() == (0, 0, 0)
    assert acme.kinds(order_id) == ["read", "read"]


def test_a_change_read_before_a_suspicion_and_landed_after_it_is_not_lost(acme: Account) -> None:
    order_id, workshop = acme.ids[7], acme.pulls.workshop
    landing = Landing(
        source("brightpearl"), acme.pulls.account(KEY), workshop.lake, workshop.ledger, "slow"
    )
    read_at = datetime.now(UTC)
    acme.delete(order_id)
    acme.sweep()
    edited = b'{"id": %b, "orderTypeCode": "SO", "reference": "B"}' % order_id.encode()
    assert landing.land([Record(order_id, "/order/", edited, read_at)]).changed == 1
    landing.close()
    assert acme.kinds(order_id) == ["read", "suspected", "read"]


@pytest.mark.parametrize("is_edited", [False, True])
def test_what_was_read_before_a_tombstone_does_not_bring_the_order_back(
    acme: Account, is_edited: bool
) -> None:
    order_id, read_at = acme.ids[7], datetime.now(UTC)
    [(old,)] = acme.rows("raw", "body", order_id)
    workshop = acme.pulls.workshop
    landing = Landing(
        source("brightpearl"), acme.pulls.account(KEY), workshop.lake, workshop.ledger, "slow"
    )
    acme.delete(order_id)
    acme.sweep()
    acme.sweep()
    body = b'{"id": %b, "reference": "B"}' % order_id.encode() if is_edited else old.encode()
    assert landing.land([Record(order_id, "/order/", body, read_at)]).unchanged == 1
    landing.close()


def test_an_account_is_swept_by_one_run_at_a_time(acme: Account) -> None:
    workshop = acme.pulls.workshop
    with workshop.ledger.lease(KEY, PRESENCE), pytest.raises(LeaseHeld):
        acme.sweep()


def test_a_sweep_beside_changes_waits_for_neither(acme: Account) -> None:
    acme.box.clock.advance(timedelta(days=1))
    with acme.pulls.workshop.ledger.lease(KEY, "changes"):
        assert acme.sweep() == (0, 0, 0)
    with acme.pulls.workshop.ledger.lease(KEY, PRESENCE):
        assert acme.pulls.changes(KEY).counts.new > 0


def test_an_order_whose_newest_version_is_held_becomes_a_tombstone(acme: Account) -> None:
    order_id, workshop = acme.ids[7], acme.pulls.workshop
    account = acme.pulls.account(KEY)
    landing = Landing(source("brightpearl"), account, workshop.lake, workshop.ledger, "bad")
    body = b'{"id": %b, "orderTypeCode": ""}' % order_id.encode()
    landing.land([Record(order_id, "/order/", body, datetime.now(UTC))])
    landing.close()
    assert workshop.normaliser(account).drain().quarantined == 1
    acme.delete(order_id)
    acme.sweep()
    assert acme.sweep() == (0, 1, 0)
    assert acme.rows("orders", "is_deleted", order_id)[-1] == (True,)


def test_replay_from_raw_gives_the_same_tombstones(acme: Account) -> None:
    acme.delete(acme.ids[7], acme.ids[8])
    acme.sweep()
    undelete(acme, acme.ids[8])
    acme.sweep()
    kept = [acme.rows("orders", "*", each) for each in acme.ids[7:9]]
    acme.pulls.workshop.normaliser(acme.pulls.account(KEY)).replay()
    assert [acme.rows("orders", "*", each) for each in acme.ids[7:9]] == kept


def test_tombstones_are_not_among_the_ids_that_count_as_known(acme: Account) -> None:
    acme.delete(acme.ids[7])
    known = Landed(acme.pulls.workshop.lake, acme.pulls.account(KEY))
    acme.sweep()
    assert acme.ids[7] in known.ids()
    missed = {each.source_order_id for each in known.observed(acme.ids) if each.is_missed}
    assert missed == {acme.ids[7]}
    acme.sweep()
    assert acme.ids[7] not in known.ids()
    known.close()


def test_an_account_without_orders_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sandbox() as box:
        pulls = Pulls(point_at(box, tmp_path, monkeypatch))
        assert marked(pulls.sweep(KEY)) == (0, 0, 0)
        assert box.requests(KEY) == 0


def test_a_source_that_cannot_tell_is_a_mistake_of_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sandbox() as box:
        pulls = Pulls(point_at(box, tmp_path, monkeypatch))
        with pytest.raises(ConfigurationError, match="Feedback Company"):
            pulls.sweep("feedback_company.reviews")
