"""Erasing a person end to end: from the APIs to every file of the home, and back again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.erase import Eraser
from assets.erase_search import Person, Search
from assets.marts import MARTS
from assets.normalise import rewriting
from assets.reference import reference
from pipelines.cli import main
from resources.proof import search
from resources.publication import published_files
from sandbox.server import Sandbox
from schemas.canonical import LAKE
from tests import canonical_rows
from tests.home import Pulls, point_at

BRIGHTPEARL, TASTYIGNITER = "brightpearl.acme", "tastyigniter.bakery"
EMAIL, OLD_EMAIL = "asa.oneill@example.org", "asa.before@example.org"
NAME, TELEPHONE, STREET = "Åsa O'Neill", "+46 8 5550 1234", "17 Kråkvägen Östra"
VALUES = (EMAIL, OLD_EMAIL, NAME, TELEPHONE, STREET)
CONTACT = 990017
LASTING = (
    "order_key, order_number, order_status, payment_status, currency, gross_amount, net_amount"
)


def party(email: str, name: str = NAME) -> dict[str, Any]:
    return {
        "email": email,
        "addressFullName": name,
        "telephone": TELEPHONE,
        "addressLine1": STREET,
    }


def parties(email: str) -> dict[str, Any]:
    owner = party(email) | {"contactId": CONTACT}
    return {"customer": owner, "billing": owner, "delivery": party(email)}


@dataclasses.dataclass
class Home:
    """One home, its sandbox, and what its marts said before anybody was erased."""

    box: Sandbox
    pulls: Pulls
    orders: list[str]
    """Brightpearl: two of the person, one under the old address, one that mentions them."""
    meal: str
    """Tastyigniter: one of the person."""
    before: dict[str, list[Any]] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.pulls.workshop.places.home

    def publish(self, *, rebuild: bool = False) -> bool:
        workshop = self.pulls.workshop
        made = workshop.warehouse.publish(MARTS, reference(workshop), rebuild=rebuild)
        return made.published

    def sync(self) -> dict[str, tuple[int, int]]:
        """Pull both accounts: new and changed orders of each."""
        counts = {key: self.pulls.changes(key).counts for key in self.box.accounts}
        self.publish()
        return {key: (each.new, each.changed) for key, each in counts.items()}

    def edit(self, account: str, order_id: str, changes: dict[str, Any]) -> None:
        self.box.api(account).edit(order_id, changes)

    def rows(self, sql: str) -> list[Any]:
        return [
            tuple(row.values()) for row in self.pulls.workshop.warehouse.read_arrow(sql).to_pylist()
        ]

    def said(self) -> dict[str, list[Any]]:
        """What must be the same before and after."""
        own = ", ".join(f"'{each}'" for each in self.keys)
        return {
            "orders": self.rows(f"SELECT {LASTING} FROM orders ORDER BY order_key"),
            "rows": self.rows(
                "SELECT * EXCLUDE (content_hash) FROM order_rows ORDER BY order_row_key"
            ),
            "days": self.rows("SELECT * FROM daily_orders ORDER BY ALL"),
            "others": self.rows(
                "SELECT * FROM order_parties WHERE order_key NOT IN "
                f"({own}) ORDER BY order_key, role"
            ),
        }

    @property
    def keys(self) -> list[str]:
        """The keys of the person's orders."""
        mine = [f"brightpearl:acme:{each}" for each in self.orders[:3]]
        return [*mine, f"tastyigniter:bakery:{self.meal}"]

    def left(self) -> list[str]:
        rebuilt = published_files(self.folder / "marts.duckdb")
        return [str(each) for each in search([self.folder], VALUES, rebuilt).findings]


def orderloom(*arguments: str, said: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=said, catch_exceptions=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder: Path = tmp_path_factory.mktemp("erase")
    with (
        Sandbox(lifted=True, most=14, sources=("brightpearl", "tastyigniter")) as box,
        pytest.MonkeyPatch.context() as patch,
    ):
        orders = sorted(t["source_order_id"] for t in box.truth(BRIGHTPEARL) if t["body"])[:8]
        meal = sorted(t["source_order_id"] for t in box.truth(TASTYIGNITER) if t["body"])[0]
        home = Home(box, Pulls(point_at(box, folder, patch)), orders, meal)
        for order_id in orders[:2]:
            home.edit(BRIGHTPEARL, order_id, {"parties": parties(EMAIL)})
        home.edit(BRIGHTPEARL, orders[2], {"parties": parties(OLD_EMAIL)})
        note = {"PCF_NOTE": f"deliver to {EMAIL.upper()}"}
        home.edit(BRIGHTPEARL, orders[3], {"customFields": note})
        said = {"email": EMAIL, "first_name": "Åsa", "last_name": "O'Neill", "telephone": TELEPHONE}
        home.edit(TASTYIGNITER, meal, said | {"comment": f"Ring {TELEPHONE}, ask for Åsa"})
        for key in box.accounts:
            home.pulls.changes(key)
        home.edit(BRIGHTPEARL, orders[0], {"parties": parties(EMAIL) | {"delivery": {"email": ""}}})
        box.clock.advance(timedelta(hours=1))
        home.sync()
        home.before = home.said()
        yield home


@pytest.fixture(autouse=True)
def _pointed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    places = home.pulls.workshop.places
    monkeypatch.setenv("ORDERLOOM_HOME", str(places.home))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(places.accounts))


@pytest.fixture(scope="module")
def erased(home: Home) -> Result:
    assert home.left(), "nothing would be found of what is not erased"
    places = home.pulls.workshop.places
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERLOOM_HOME", str(places.home))
        patch.setenv("ORDERLOOM_ACCOUNTS", str(places.accounts))
        history = f"SELECT * FROM order_parties WHERE email = '{EMAIL}';\n"
        places.shell_history.write_text(history, encoding="utf-8")
        return orderloom("erase", "--email", "-", "--yes", said=f" {EMAIL.title()}\n")


def test_without_yes_it_only_counts(home: Home) -> None:
    version = home.pulls.workshop.lake.version("raw")
    shown = orderloom("erase", "--email", EMAIL)
    assert shown.exit_code == 0, shown.output
    assert [line.split() for line in shown.stdout.splitlines() if "." in line[:20]][:2] == [
        [BRIGHTPEARL, "3", "5"],
        [TASTYIGNITER, "1", "1"],
    ]
    assert "--yes" in shown.stdout
    assert not any(each in shown.output for each in VALUES)
    assert home.pulls.workshop.lake.version("raw") == version
    assert "nobody was erased" in orderloom("erase", "--list").stdout


def test_nothing_is_left_in_any_file(home: Home, erased: Result) -> None:
    assert erased.exit_code == 0, erased.output
    assert "files read, nothing left" in erased.stdout
    assert home.left() == []
    assert len(list(home.folder.glob("marts-*.duckdb"))) == 1


def test_amounts_and_other_people_stay(home: Home, erased: Result) -> None:
    assert erased.exit_code == 0
    after = home.said()
    assert {name: after[name] == home.before[name] for name in after} == dict.fromkeys(after, True)
    kept = home.rows(f"SELECT order_key FROM order_parties WHERE order_key IN {tuple(home.keys)}")
    assert [key for (key,) in kept if "tastyigniter" in key] == []
    assert home.rows("SELECT COUNT(*) FROM quarantine") == [(0,)]


def test_the_record_names_nobody(erased: Result) -> None:
    assert erased.exit_code == 0
    listed = orderloom("erase", "--list")
    assert listed.exit_code == 0
    assert "proven" in listed.stdout
    assert "order_parties" in listed.stdout


def test_a_sync_a_replay_a_rebuild_and_a_compaction_bring_nobody_back(
    home: Home, erased: Result
) -> None:
    assert erased.exit_code == 0
    workshop = home.pulls.workshop
    home.box.clock.advance(timedelta(hours=1))
    assert home.sync() == dict.fromkeys(home.box.accounts, (0, 0))
    published = home.said()
    for key in home.box.accounts:
        workshop.normaliser(home.pulls.account(key)).replay()
    for table in LAKE:
        with rewriting(workshop.ledger, table):
            workshop.lake.compact(table)
    home.publish(rebuild=True)
    assert home.said() == published
    assert home.left() == []


def test_what_is_edited_at_the_source_arrives_blanked(home: Home, erased: Result) -> None:
    assert erased.exit_code == 0
    home.edit(BRIGHTPEARL, home.orders[1], {"orderPaymentStatus": "PARTIALLY_PAID"})
    home.edit(
        BRIGHTPEARL, home.orders[2], {"parties": {"customer": party("new@example.org", NAME)}}
    )
    home.edit(TASTYIGNITER, home.meal, {"status_id": 3})
    home.box.clock.advance(timedelta(hours=1))
    assert home.sync() == {BRIGHTPEARL: (0, 2), TASTYIGNITER: (0, 1)}
    assert home.left() == []


def test_a_new_order_of_theirs_arrives_blanked_until_released(home: Home, erased: Result) -> None:
    assert erased.exit_code == 0
    later, last = home.orders[4:6]
    home.edit(BRIGHTPEARL, later, {"parties": parties(EMAIL)})
    home.box.clock.advance(timedelta(hours=1))
    assert home.sync()[BRIGHTPEARL] == (0, 1)
    assert (
        home.rows(f"SELECT * FROM order_parties WHERE order_key LIKE '%:{later}' AND email > ''")
        == []
    )
    [begun] = home.pulls.workshop.ledger.erasures.all()
    assert orderloom("erase", "--release", begun.erasure_id).exit_code == 0
    home.edit(BRIGHTPEARL, later, {"orderPaymentStatus": "UNPAID"})
    home.edit(BRIGHTPEARL, last, {"parties": parties(EMAIL)})
    home.box.clock.advance(timedelta(hours=1))
    home.sync()
    found = home.rows(f"SELECT DISTINCT order_key FROM order_parties WHERE email = '{EMAIL}'")
    assert found == [(f"brightpearl:acme:{last}",)]


def test_an_erasure_that_died_is_finished_by_the_same_command(home: Home, erased: Result) -> None:
    """By name, and dead after its intent: what another sync lands is blanked from then on."""
    assert erased.exit_code == 0
    workshop = home.pulls.workshop
    finder = Search(workshop.lake, workshop.ledger.erasures)
    found = finder.find(Person("name", f"  {NAME.upper()} "))
    assert found.orders == {BRIGHTPEARL: {f"brightpearl:acme:{home.orders[5]}": "customer"}}
    Eraser(workshop).begin(found, finder.digests(found.person))
    assert orderloom("erase", "--list").exit_code == 1
    again = Eraser(workshop).begin(found, finder.digests(found.person))
    proof = Eraser(workshop).carry_out(again, found.values)
    assert proof is not None
    assert proof.findings == []
    assert [each.state for each in workshop.ledger.erasures.all()] == ["released", "proven"]
    assert home.left() == []


def test_namesakes_and_shared_customer_ids_are_told(home: Home, erased: Result) -> None:
    assert erased.exit_code == 0
    for order_id, email in zip(
        home.orders[6:8], ("one@example.org", "two@example.org"), strict=True
    ):
        owner = party(email, "Bo Ek") | {"contactId": 990018}
        home.edit(BRIGHTPEARL, order_id, {"parties": {"customer": owner}})
    stranger = party("three@example.org", "Di Ai") | {"contactId": 990018}
    home.edit(BRIGHTPEARL, home.orders[3], {"parties": {"customer": stranger}})
    home.box.clock.advance(timedelta(hours=1))
    home.pulls.changes(BRIGHTPEARL)
    refused = orderloom("erase", "--name", "Bo Ek", "--yes")
    assert refused.exit_code == 2
    assert "--namesakes" in refused.stderr
    assert len(home.pulls.workshop.ledger.erasures.all()) == 2
    shown = orderloom("erase", "--email", "one@example.org")
    assert f"{BRIGHTPEARL}: 1 orders bear the same customer id" in shown.stdout
    by_id = orderloom("erase", "--customer-id", "990018", "--account", BRIGHTPEARL)
    assert [line.split() for line in by_id.stdout.splitlines() if BRIGHTPEARL in line] == [
        [BRIGHTPEARL, "3", "3"]
    ]


def test_an_account_that_is_held_back_keeps_nobody_in(home: Home, erased: Result) -> None:
    """The last test of this home. What is wrong is of another account than the person."""
    assert erased.exit_code == 0
    workshop, email = home.pulls.workshop, "two@example.org"
    home.publish()
    kept = home.rows("SELECT COUNT(*) FROM orders WHERE source_system = 'tastyigniter'")
    wrong = canonical_rows.order("odd", 10**6, ("tastyigniter", "bakery"), row_count=3)
    landed = canonical_rows.table("orders", [wrong])
    assert workshop.lake.append("orders", landed, stage="odd", batch=1)
    done = orderloom("erase", "--email", email, "--yes")
    assert done.exit_code == 0, done.output
    (live,) = published_files(home.folder / "marts.duckdb")
    assert search([home.folder], [email], [live]).findings == []
    assert home.rows("SELECT COUNT(*) FROM orders WHERE source_system = 'tastyigniter'") == kept
    (noted,) = workshop.ledger.runs(kind="publish")
    assert (noted["account"], noted["outcome"]) == (TASTYIGNITER, "failed")
    assert "1 orders lack some of their rows" in noted["error"]
