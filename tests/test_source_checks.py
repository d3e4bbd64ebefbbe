"""Checks of the versions that one run normalised, over a real lake: each can pass and fail."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from canonical_rows import (
    ACME,
    START,
    TWELVE,
    identity,
    land,
    order,
    order_row,
    party,
    quarantined,
    table,
)
from warehouse_home import whole

from assets import source_checks
from assets.normalise import Normalised
from assets.workshop import Workshop
from resources.accounts import Account, AccountSettings
from resources.places import Places

SETTINGS = AccountSettings(
    base_url="https://example.test", timezone="Europe/London", started_on=date(2026, 1, 1)
)
ACCOUNT = Account("brightpearl", "acme", SETTINGS, {})


def drifted(field: str, seq: int) -> dict[str, Any]:
    """A field that nobody names, in one order."""
    return {
        **identity(ACME, "2", seq),
        "kind": "unknown_field",
        "field": field,
        "json_type": "string",
        "versions": 1,
        "first_landing_seq": seq,
        "first_seen_at": START,
        "last_seen_at": START,
    }


BROKEN: dict[str, dict[str, list[dict[str, Any]]]] = {
    "every_version_is_unique": {"orders": [order("2", 2, row_count=0)] * 2},
    "every_order_has_its_rows": {"orders": [order("2", 2, row_count=3)]},
    "order_row_key_is_unique": {
        "orders": [order("2", 2, row_count=2)], "order_rows": [order_row("2", 2)] * 2
    },
    "every_row_has_its_order": {"order_rows": [order_row("2", 2)]},
    "every_party_has_its_order": {"order_parties": [party("2", 2)]},
    "totals_agree": {"orders": [order("2", 2, row_count=0, totals_check="mismatch")]},
    "codes_are_mapped": {
        "orders": [order("2", 2, row_count=0, quality_flags=["unmapped_code:order_status"])]
    },
    "nothing_is_quarantined": {"quarantine": [quarantined("2", 2)]},
    "fields_are_known": {"drift": [drifted("vat", 2)]},
}  # fmt: skip


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A lake with one whole order of two accounts, normalised by an earlier run."""
    made = Workshop(Places(tmp_path, str(tmp_path / "lake"), "", tmp_path / "accounts.toml"))
    for account in (ACME, TWELVE):
        land(made.lake, **whole("1", 1, account))
    return made


def failed(workshop: Workshop, made: Normalised) -> dict[str, str | None]:
    told = source_checks.results(workshop, ACCOUNT, made)
    return {each.check_name or "": each.description for each in told if not each.passed}


@pytest.mark.parametrize("check", source_checks.CHECKS, ids=lambda check: check.name)
def test_a_check_of_new_versions_passes_and_fails(
    workshop: Workshop, check: source_checks.Check
) -> None:
    assert failed(workshop, Normalised(orders=1)) == {}
    broken = dict(BROKEN[check.name])
    for record in broken.pop("drift", []):
        assert workshop.lake.append("drift", table("drift", [record]), stage="drift", batch=2)
    land(workshop.lake, **broken)
    found = failed(workshop, Normalised(orders=1, after=1))
    assert check.name in found
    assert (found[check.name] or "").startswith("brightpearl.acme: 1 ")


def test_older_versions_and_other_accounts_are_not_looked_at(workshop: Workshop) -> None:
    land(workshop.lake, orders=[order("2", 2, row_count=3)])
    land(workshop.lake, orders=[order("2", 3, TWELVE, row_count=3)])
    assert failed(workshop, Normalised(orders=1, after=2)) == {}


def test_a_run_without_news_looks_at_the_newest_batch_again(workshop: Workshop) -> None:
    land(workshop.lake, orders=[order("2", 2, row_count=3)])
    assert failed(workshop, Normalised()).keys() == {"every_order_has_its_rows"}
    land(workshop.lake, **whole("3", 3))
    assert failed(workshop, Normalised()) == {}
    told = list(source_checks.results(workshop, ACCOUNT, Normalised()))
    assert len(told) == len(source_checks.specs("brightpearl")), "Dagster wants every one"


def test_an_account_of_which_nothing_was_ever_landed_passes(tmp_path: Path) -> None:
    made = Workshop(Places(tmp_path, str(tmp_path / "lake"), "", tmp_path / "accounts.toml"))
    assert failed(made, Normalised()) == {}
