"""What materialisations say of themselves: numbers without gaps, and nothing personal."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner
from dagster import AssetCheckEvaluation

from assets import charts, previews, source_checks, telling, telling_marts
from assets.checks import specs
from assets.marts import MARTS
from assets.publish import TABLES
from assets.workshop import Workshop
from pipelines import troubles
from pipelines.cli import main
from pipelines.commands import exit_code
from pipelines.running import Ran, Runner
from resources.warehouse import Mart
from sandbox.server import Sandbox
from schemas.canonical import LAKE, PERSONAL
from schemas.published import PUBLISHED
from tests import canonical_rows
from tests.canonical_rows import order
from tests.faults_case import thin
from tests.home import point_at

ACCOUNT = "tastyigniter.bakery"
SOURCE, NAME = ACCOUNT.split(".")


@dataclass
class Scene:
    """Two syncs of one small account, a day apart, each published."""

    runner: Runner
    workshop: Workshop
    ran: list[tuple[Ran, Ran]]

    def evaluations(self, ran: Ran) -> list[AssetCheckEvaluation]:
        records = self.runner._instance.all_logs(
            ran.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        return [record.get_dagster_event().asset_check_evaluation_data for record in records]

    def everything(self) -> str:
        """All that Dagster keeps of all runs, as text."""
        runs = [ran.run_id for pair in self.ran for ran in pair]
        return "".join(
            record.to_json() for run in runs for record in self.runner._instance.all_logs(run)
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Sandbox(lifted=True, sources=(SOURCE,)) as box, pytest.MonkeyPatch.context() as patch:
        thin(box, ACCOUNT)
        workshop = point_at(box, tmp_path_factory.mktemp("telling"), patch)
        account = workshop.accounts.get(ACCOUNT)
        with Runner(workshop) as runner:
            ran = []
            for _ in range(2):
                ran.append((runner.sync(account), runner.publish()))
                box.clock.advance(timedelta(days=1))
            yield Scene(runner, workshop, ran)


def numbers(said: dict[str, Any]) -> set[str]:
    return {name for name, value in said.items() if isinstance(value, int | float)}


def test_numbers_have_the_same_names_on_every_run(scene: Scene) -> None:
    for first, second in zip(*scene.ran, strict=True):
        assert first.success, first.problem
        assert second.success, second.problem
        assert first.metadata.keys() == second.metadata.keys()
        for asset, said in first.metadata.items():
            assert numbers(said) == numbers(second.metadata[asset]), asset
    changes = numbers(scene.ran[0][0].metadata["changes"])
    assert changes >= {"requests", "least_requests", "received", "new", "changed", "unchanged"}
    assert "quarantined" in numbers(scene.ran[0][0].metadata["orders"])


def test_a_run_of_changes_says_from_when_to_when(scene: Scene) -> None:
    (first, _), (second, _) = scene.ran
    account = scene.workshop.accounts.get(ACCOUNT)
    midnight = datetime.combine(account.settings.started_on, time(), account.zone)
    assert first.metadata["changes"]["window_from"] == midnight.timestamp()
    assert second.metadata["changes"]["window_from"] == first.metadata["changes"]["window_to"]
    assert second.metadata["changes"]["window_to"] > second.metadata["changes"]["window_from"]


def test_what_is_kept_of_runs_is_not_personal(scene: Scene) -> None:
    kept = scene.everything()
    assert "tastyigniter:bakery:" in kept, "previews name orders"
    people = scene.workshop.warehouse.read_arrow(
        "SELECT full_name, email, telephone, address_line_1 FROM order_parties"
    )
    named = {text for column in people.to_pydict().values() for text in column if text}
    assert len(named) > 20
    assert [text for text in named if len(text) > 5 and text in kept] == []


def test_tables_show_rows_columns_and_a_preview(scene: Scene) -> None:
    sync, publish = scene.ran[0]
    orders = sync.metadata["orders"]
    assert orders["dagster/partition_row_count"] == orders["rows_written"] > 0
    assert orders["preview"].startswith("| order_key | placed_on |")
    told = publish.metadata["daily_orders"]
    with scene.workshop.warehouse.open() as con:
        sql = "SELECT COUNT(*), SUM(orders) FROM daily_orders"
        ((count, total),) = con.execute(sql).fetchall()
    newest = scene.ran[1][1].metadata["daily_orders"]
    assert (newest["dagster/row_count"], newest["orders"]) == (count, total)
    columns = {column.name: column for column in told["dagster/column_schema"].columns}
    assert columns["gross_amount"].type.startswith("DECIMAL(")
    assert columns["currency"].description == "ISO 4217 code of the amounts; NULL: not known"
    shown = {name: said["preview"] for name, said in publish.metadata.items() if "preview" in said}
    assert shown.keys() >= {"orders", "daily_orders", "data_quality", "payment_exposure"}
    for text in shown.values():
        assert len(text) <= previews.MOST_CHARACTERS
        assert text.count("\n") > 1


def test_defined_columns_are_those_of_the_file(scene: Scene) -> None:
    for name in TABLES:
        assert telling_marts.has_defined_columns(name)
        with scene.workshop.warehouse.open() as con:
            found = {c.name: c for c in telling_marts._columns(con, name).columns}
        defined = {column.name: column for column in telling_marts.defined_columns(name).columns}
        assert defined.keys() == found.keys()
        for column, said in defined.items():
            assert found[column].type.replace('"', "") == said.type, column
            assert found[column].description == said.description
            assert found[column].constraints == said.constraints


def test_a_mart_has_a_small_picture(scene: Scene) -> None:
    published = scene.ran[1][1].metadata
    assert charts.CHARTS.keys() <= {mart.name for mart in MARTS}
    drawn = {name for name, said in published.items() if "chart" in said}
    assert drawn == charts.CHARTS.keys()
    picture = published["daily_orders"]["chart"]
    assert len(picture) <= charts.MOST_BYTES
    head, _, data = picture.partition("base64,")
    assert head == "![Orders a day by source, the newest six weeks](data:image/svg+xml;"
    svg = base64.b64decode(data.removesuffix(")")).decode()
    assert svg.startswith("<svg")
    assert "tastyigniter" in svg


def test_a_picture_that_cannot_be_drawn_is_told_and_no_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("pictures")
    with scene.workshop.warehouse.open() as con:
        monkeypatch.setattr(charts, "MOST_BYTES", 10)
        assert charts.picture(con, "daily_orders", log) is None
        monkeypatch.setattr(
            "vl_convert.vegalite_to_svg", lambda _: (_ for _ in ()).throw(ValueError("no font"))
        )
        assert charts.picture(con, "open_orders", log) is None
        assert charts.picture(con, "order_changes", log) is None
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no picture of daily_orders",
        "no picture of open_orders",
    ]


def test_checks_are_told_of_every_account_and_publication(scene: Scene) -> None:
    sync, publish = scene.ran[0]
    told = scene.evaluations(sync)
    assert {each.partition for each in told} == {NAME}
    names = {(each.asset_key.path[-1], each.check_name) for each in told}
    assert names >= {(check.table, check.name) for check in source_checks.CHECKS}
    told = scene.evaluations(publish)
    assert {each.asset_check_key for each in told} == {spec.key for spec in specs()}
    failed = [each for each in told if not each.passed]
    assert {each.severity for each in failed} <= {dg.AssetCheckSeverity.WARN}
    assert {each.check_name for each in failed} >= {"codes_are_mapped"}


def test_a_run_that_normalises_nothing_succeeds_and_tells_checks(scene: Scene) -> None:
    idle = scene.runner.normalise(scene.workshop.accounts.get(ACCOUNT))
    assert idle.success, idle.problem
    assert len(scene.evaluations(idle)) == len(source_checks.specs(SOURCE))
    assert numbers(idle.metadata["orders"]) == numbers(scene.ran[0][0].metadata["orders"])


def test_a_publication_without_news_tells_checks_and_no_table(scene: Scene) -> None:
    again = scene.runner.publish()
    assert (again.success, again.metadata) == (True, {})
    assert len(scene.evaluations(again)) == len(specs())


def test_no_personal_column_enters_a_preview() -> None:
    for table, columns in previews.NEWEST.items():
        assert set(columns) <= set(LAKE[table].names)
        assert not PERSONAL[table] & set(columns)
    personal = set().union(*(names for table, names in PERSONAL.items() if table != "drift"))
    assert not previews.TEXTS & personal
    texts = [
        (table, field.name)
        for table, schema in {**LAKE, **PUBLISHED}.items()
        for field in schema
        if pa.types.is_string(field.type) and field.name not in {"account", *previews.TEXTS}
    ]
    assert not any(previews.may_show(table, name, "VARCHAR") for table, name in texts)
    assert not previews.may_show("drift", "code", "VARCHAR")
    listed = [(t, f.name) for t, s in LAKE.items() for f in s if pa.types.is_nested(f.type)]
    assert ("orders", "custom_fields") in listed
    assert not previews.may_show("orders", "custom_fields", "STRUCT(field_code VARCHAR)[]")


def test_a_preview_is_shown_in_place_and_is_nothing_but_a_table() -> None:
    row: dict[str, previews.Shown] = {"sku": "a|b `c`\n<img>", "orders": 3, "note": None}
    shown = previews.as_markdown([row])
    assert shown == "| sku | orders | note |\n| --- | --: | --- |\n| a b c img  | 3 |  |"
    assert len(previews.as_markdown([{"sku": "x" * 300}] * 5)) <= previews.MOST_CHARACTERS
    assert previews.as_markdown([{"sku": "x" * 1200}]).count("\n") == 2


def test_a_push_tells_every_state() -> None:
    said = telling.registrations_metadata({"accepted": 2})
    assert said == {"intended": 0, "accepted": 2, "refused": 0, "uncertain": 0, "released": 0}


def test_a_run_that_normalised_nothing_repeats_the_last_word(scene: Scene) -> None:
    account = scene.workshop.accounts.get(ACCOUNT)
    before, idle = scene.runner.sync(account), scene.runner.sync(account)
    assert idle.success, idle.problem
    assert idle.metadata["orders"]["rows_written"] == 0
    last, again = (
        {
            each.check_name + str(each.asset_key): (each.passed, each.description)
            for each in scene.evaluations(ran)
            if each.asset_key.path[-1] != "changes"
        }
        for ran in (before, idle)
    )
    assert again == last
    assert not all(passed for passed, _ in last.values()), "nothing to repeat"
    scene.runner.publish()


def test_a_version_that_does_not_hold_is_told_with_exit_code_one(scene: Scene) -> None:
    """What is wrong stays in this home's lake until the next test."""
    own = (SOURCE, NAME)
    before = scene.workshop.warehouse.row_counts()["orders"]
    wrong = canonical_rows.table("orders", [order("odd", 10**6, own, row_count=3)])
    assert scene.workshop.lake.append("orders", wrong, stage="odd", batch=1)
    ran = scene.runner.publish()
    line = "tastyigniter.bakery is held back: 1 orders lack some of their rows"
    assert ran.metadata["data_quality"]["held_back"] == line
    assert ran.metadata["data_quality"]["accounts_held_back"] == 1
    assert (ran.success, exit_code([ran])) == (True, 1)
    (told,) = (each for each in scene.evaluations(ran) if not each.passed and
               each.severity == dg.AssetCheckSeverity.ERROR)  # fmt: skip
    assert told.check_name == "every_order_has_its_rows"
    assert told.description == "1 orders lack some of their rows (held back): tastyigniter.bakery"
    assert scene.workshop.warehouse.row_counts()["orders"] == before


def test_an_account_that_is_held_back_is_in_trouble_until_it_is_mended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goes on from the test before. A publication that changes nothing notes nothing."""
    ledger, now = scene.workshop.ledger, datetime.now(UTC)
    error = "new versions are held back: 1 orders lack some of their rows"
    accepted = scene.runner.publish(accept_unlike_before=[ACCOUNT])
    assert accepted.metadata["orders"]["accounts_held_back"] == 1, "it is not unlike before"
    (noted,) = ledger.runs(kind="publish")
    assert (noted["account"], noted["outcome"], noted["error"]) == (ACCOUNT, "failed", error)
    (trouble,) = (each for each in troubles.of_accounts(scene.workshop, now) if each.error == error)
    assert (trouble.key, trouble.kind) == (f"{ACCOUNT}/publish", "failing")
    monkeypatch.setenv("ORDERLOOM_HOME", str(scene.workshop.places.home))
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", str(scene.workshop.places.accounts))
    shown = CliRunner().invoke(main, ["status"])
    assert (shown.exit_code, "held back" in shown.stdout) == (1, True), shown.output
    mended = canonical_rows.table("orders", [order("odd", 10**6 + 1, (SOURCE, NAME), row_count=0)])
    assert scene.workshop.lake.append("orders", mended, stage="odd", batch=2)
    assert scene.runner.publish().metadata
    assert [each["outcome"] for each in ledger.runs(kind="publish")] == ["succeeded", "failed"]
    assert not scene.runner.publish().metadata, "what is noted makes no new file"
    assert len(ledger.runs(kind="publish")) == 2
    left = {each.key for each in troubles.of_accounts(scene.workshop, now)}
    assert f"{ACCOUNT}/publish" not in left
    assert "held back" not in CliRunner().invoke(main, ["status"]).stdout


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_every_mart_says_what_tells_its_rows_apart(mart: Mart) -> None:
    assert "grain_is_unique" in {condition.name for condition in mart.conditions}
