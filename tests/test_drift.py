"""Schema drift: what is noted of real orders, kept in the lake, and published."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.drift import Scanner, masked
from assets.marts import MARTS
from assets.normalise import Normaliser
from assets.reference import reference
from assets.sources import SOURCES
from assets.workshop import Workshop
from schemas.canonical import LAKE
from schemas.known_fields import Known, known_fields
from tests.document_bodies import BODIES, body_of, path_of
from tests.home import Pulls, open_sandbox, point_at
from tests.mapping_harness import _record, account_of

FOLDER = Path(__file__).parents[1] / "schemas"
WILD = {"154": "{id}", "PCF_PROBE": "{code}", "Probe": "{name}"}


def landed(source: str, *bodies: Any, first: int = 1) -> pa.Table:
    records = [
        _record(source, seq, str(seq), body, "read") for seq, body in enumerate(bodies, first)
    ]
    return pa.Table.from_pylist(records, schema=LAKE["raw"])


def noted(source: str, *bodies: Any) -> dict[tuple[str, str, str | None], tuple[int, str | None]]:
    """(kind, field, JSON type) -> versions, example; without what is no drift."""
    scanner = Scanner(account_of(source))
    scanner.scan(landed(source, *bodies))
    return {
        (row["kind"], row["field"], row["json_type"]): (row["versions"], row["example"])
        for row in scanner.found().to_pylist()
        if row["kind"] != "settled_type"
    }


@pytest.mark.parametrize("source", sorted(BODIES))
def test_a_documented_order_has_no_drift(source: str) -> None:
    assert noted(source, body_of(source)) == {}


def _documented() -> Iterator[tuple[str, str]]:
    with (FOLDER / "field_map.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if not line["source_field"].startswith(("delete.", "request.")):
                yield line["source"], line["source_field"]


def _known(source: str, field: str) -> Known | None:
    found = known_fields(source)
    path: list[str | int] = (
        ["relationship_id"] if field == "path.relationship_id"
        else ["order", "order_id"] if field == "path.order_id"
        else path_of(source, field)
    )  # fmt: skip
    for part in path:
        if found is None:
            return None
        if isinstance(part, int):
            found = found.item
        else:
            found = found.fields.get(part) or (found.any_key if part in WILD else None)
    return found


def test_every_documented_field_is_known() -> None:
    assert [each for each in _documented() if _known(*each) is None] == []


def test_every_line_names_types_and_who_names_it() -> None:
    types = {"number", "string", "boolean", "object", "array", "any", "root"}
    with (FOLDER / "known_fields.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["source"] for line in lines} == set(SOURCES)
    assert len({(line["source"], line["field"]) for line in lines}) == len(lines)
    for line in lines:
        assert set(line["json_types"].replace("|", ",").split(",")) <= types, line
        assert line["named_by"] in {"document", "mapping", "envelope", "passed over"}, line
        assert line["note"] or line["named_by"] != "passed over", line


def test_unknown_fields_are_named_wherever_they_stand() -> None:
    body = body_of("brightpearl")
    body["loyaltyTier"] = "Gold 7"
    body["parties"]["customer"] = body["parties"]["customer"] | {"fax": "0117 2"}
    body["invoices"][0]["currency"] = {"code": "GBP"}
    body["orderRows"]["155"] = deepcopy(body["orderRows"]["154"]) | {"batch": ["A1"]}
    assert noted("brightpearl", body, body_of("brightpearl"), body) == {
        ("unknown_field", "loyaltyTier", "string"): (2, "xxxx 9"),
        ("unknown_field", "parties.customer.fax", "string"): (2, "9999 9"),
        ("unknown_field", "invoices[].currency", "object"): (2, '{"xxxx":"xxx"}'),
        ("unknown_field", "orderRows.{id}.batch", "array"): (2, '["x9"]'),
    }


def test_a_field_in_the_other_shape_is_the_same_field() -> None:
    attributes = body_of("tastyigniter") | {"tip": 1}
    body = {"type": "orders", "id": "1", "attributes": attributes, "meta": {}}
    assert set(noted("tastyigniter", body)) == {
        ("unknown_field", "tip", "number"),
        ("unknown_field", "meta", "object"),
    }


def test_a_documented_type_that_changes() -> None:
    body = body_of("brightpearl")
    body["totalValue"]["net"] = 10
    body["orderRows"]["154"]["quantity"] = "1.0000"
    body["invoices"] = {"invoiceReference": "INV"}
    assert noted("brightpearl", body) == {
        ("changed_type", "totalValue.net", "number"): (1, "99"),
        ("changed_type", "orderRows.{id}.quantity", "string"): (1, "9.9999"),
        ("changed_type", "invoices", "object"): (1, '{"xxxxxxxxxxxxxxxx":"xxx"}'),
    }


def test_nothing_and_emptiness_have_no_type() -> None:
    empty = {"invoiced_at": "", "net": None}
    body = body_of("efiling")
    body["order"] |= empty
    body["orderlines"][0]["officer"] = []
    assert noted("efiling", body) == {}


@pytest.mark.parametrize(
    ("first", "then", "drift"),
    [
        (15.5, "15.5", {("changed_type", "order_total", "string"): (1, "99.9")}),
        ("15.5", 15.5, {("changed_type", "order_total", "number"): (1, "99.9")}),
        (15.5, 15, {}),
        (15.5, "", {}),
    ],
)
def test_an_account_keeps_to_the_type_that_it_began_with(
    first: Any, then: Any, drift: dict[Any, Any]
) -> None:
    orders = [body_of("tastyigniter") | {"order_total": total} for total in (first, then, first)]
    assert noted("tastyigniter", *orders) == drift


def test_keys_that_may_say_who_it_is_are_not_shown() -> None:
    body = body_of("efiling")
    body["order"] |= {"ann@example.com": 1, "12345": 2, "Ann Example": 3}
    assert noted("efiling", body) == {("unknown_field", "order.{key}", "number"): (1, "9")}


def test_a_flood_of_fields_is_counted_together() -> None:
    body = body_of("efiling")
    body["order"] |= {f"field_{n}": n for n in range(2000)}
    found = noted("efiling", body)
    assert len(found) == 501
    assert found["unknown_field", "{further}", None] == (1, "999")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Ann O'Neill, Ünïcode 東京 12", "xxx x'xxxxx, xxxxxxx xx 99"),
        ("x" * 99, "x" * 60),
        (12.5, "99.9"),
        (True, "true"),
        (None, None),
        ({"a": [1]}, '{"x":[9]}'),
    ],
)
def test_examples_show_the_form_alone(value: Any, shown: str | None) -> None:
    assert masked(value) == shown


def test_what_is_no_order_is_left_to_the_mapping() -> None:
    assert noted("brightpearl", "[1]", "{", "null", '{"a":' * 3000) == {}


def test_a_source_without_a_list_of_fields_has_none_that_are_unknown() -> None:
    scanner = Scanner(account_of("sixth"))
    scanner.scan(landed("sixth", {"anything": 1}))
    assert scanner.found().num_rows == 0


EXPECTED = {
    "brightpearl.acme": {
        "orderWeighting", "originalInvoiceDate", "orderRows.{id}.clonedFromId",
        "parties.customer.fax", "parties.delivery.fax", "parties.billing.fax",
        "parties.supplier.fax",
    },
    "tastyigniter.bakery": {
        "order_time_is_asap", "delivery_comment", "order_type_name", "formatted_address",
        "order_menus[].option_values", "order_menus[].menu_options.{name}[].free_qty",
    },
    "efiling.formations": set(),
    "quotevine.leasing": {
        "order.driver_id", "order.created_by", "order.last_updated_by", "order.k4k_flag",
        "order.external_reference", "order.order_number", "order.quantity",
    },
    "feedback_company.reviews": set(),
}  # fmt: skip
"""Fields of the sandbox's orders that recorded replies have and no document names."""


def test_drift_of_the_sandbox_is_published_and_grows_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sandbox(most=300) as box:
        workshop = point_at(box, tmp_path, monkeypatch)
        pulls = Pulls(workshop)
        for account in box.accounts:
            pulls.changes(account)
        workshop.warehouse.publish(MARTS, reference(workshop))
        assert _unknown(workshop) == EXPECTED
        before = _drift(workshop)
        account = "quotevine.leasing"
        order_id = _newest(box, account)
        box.api(account).edit(
            order_id,
            {"paint_option_code": "A7", "vat_number": "GB 123", "delivery_method": "Drone"},
        )
        pulls.changes(account)
        workshop.warehouse.publish(MARTS, reference(workshop))
        fresh = {k: v for k, v in _drift(workshop).items() if k not in before}
        assert fresh == {
            ("quotevine", "changed_type", "order.paint_option_code", "string", None): (1, "x9"),
            ("quotevine", "unknown_field", "order.vat_number", "string", None): (1, "xx 999"),
            ("quotevine", "unmapped_code", "fulfilment_method", None, "Drone"): (1, "Drone"),
        }
        kept = _whole(workshop)
        workshop.warehouse.publish(MARTS, reference(workshop), rebuild=True)
        assert _whole(workshop) == kept
        for key in box.accounts:
            made = workshop.normaliser(pulls.account(key)).replay()
            assert EXPECTED[key] == {f for kind, f, _ in made.drift if kind == "unknown_field"} - {
                "order.vat_number"
            }
        workshop.warehouse.publish(MARTS, reference(workshop))
        assert _whole(workshop) == kept


def _newest(box: Any, account: str) -> str:
    alive = [t["source_order_id"] for t in box.truth(account) if not t["is_deleted"]]
    return str(alive[-1])


def _whole(workshop: Any) -> list[dict[str, Any]]:
    rows = workshop.warehouse.read_arrow("SELECT * FROM schema_drift").to_pylist()
    return sorted(rows, key=lambda row: json.dumps(row, default=str))


def _drift(workshop: Any) -> dict[tuple[Any, ...], tuple[int, str | None]]:
    names = ("source_system", "kind", "field", "json_type", "code")
    return {
        tuple(row[name] for name in names): (row["versions"], row["example"])
        for row in _whole(workshop)
    }


def _unknown(workshop: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {key: set() for key in EXPECTED}
    for row in _whole(workshop):
        assert row["kind"] in ("unknown_field", "unmapped_code"), row
        if row["kind"] == "unknown_field":
            found[f"{row['source_system']}.{row['source_account']}"].add(row["field"])
    return found


def _folded(table: pa.Table) -> set[tuple[Any, ...]]:
    """Kind, field, type and code -> versions, first and last landing sequence, over all batches."""
    totals = table.group_by(["kind", "field", "json_type", "code"]).aggregate(
        [("versions", "sum"), ("first_landing_seq", "min"), ("landing_seq", "max")]
    )
    return {tuple(row.values()) for row in totals.to_pylist()}


def _kept_and_found(workshop: Any, account: Any) -> tuple[set[Any], set[Any]]:
    """What the lake keeps of an account's drift, and what all of its raw records hold."""
    own = (account.source, account.name)
    scanner = Scanner(account)
    with duckdb.connect() as connection:
        tables = {
            name: workshop.lake.read(connection, name, account=own).to_arrow_table()
            for name in ("drift", "raw", "orders")
        }
    scanner.scan(tables["raw"].sort_by("landing_seq"))
    scanner.codes(tables["orders"].sort_by("landing_seq"))
    return _folded(tables["drift"]), _folded(scanner.found())


def test_nothing_is_noted_twice_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lake from before the table was kept, then a run that died after noting."""
    key = "quotevine.leasing"
    with open_sandbox(most=300) as box:
        workshop = point_at(box, tmp_path, monkeypatch)
        account = workshop.accounts.get(key)
        Pulls(workshop).changes(key)
        rmtree(workshop.places.home / "lake" / "drift")
        workshop.close()
        later = Workshop()
        for run, number in (("second", "A7"), ("third", "A8")):
            box.api(key).edit(_newest(box, key), {"paint_option_code": number, run: 1})
            later.puller.changes(account, run)
            if run == "third":
                with monkeypatch.context() as patch:
                    patch.setattr(Normaliser, "_write", _die)
                    with pytest.raises(KeyboardInterrupt):
                        later.normaliser(account).drain()
                box.api(key).edit(_newest(box, key), {"paint_option_code": "A9", "fourth": 1})
                later.puller.changes(account, "fourth")
            later.normaliser(account).drain()
            kept, found = _kept_and_found(later, account)
            assert kept == found
        assert ("unknown_field", "order.fourth", "number", None) in {row[:4] for row in kept}
        later.close()


def _die(*_: object) -> None:
    raise KeyboardInterrupt
