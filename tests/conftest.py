"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from resources import redaction
from resources.accounts import Account, AccountSettings
from resources.lake import Lake
from resources.ledger import Ledger

if TYPE_CHECKING:
    from resources.warehouse import Warehouse
    from tests.pushing import Desk

settings.register_profile("nightly", print_blob=True)


IS_NIGHTLY = bool(os.environ.get("ORDERLOOM_NIGHTLY"))


def pytest_configure() -> None:
    """Let signals end what tests start, however the tests themselves were started.

    A shell's job in the background ignores SIGINT, and so would every process below it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `nightly`, further cases of what is tested anyway, to `make nightly`."""
    if IS_NIGHTLY:
        return
    left_out = [item for item in items if item.get_closest_marker("nightly")]
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on, or touches, what the developer's own environment names."""
    for name in ("ORDERLOOM_HOME", "ORDERLOOM_LAKE", "ORDERLOOM_LEDGER", "ORDERLOOM_ACCOUNTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    yield
    redaction.forget()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, on SQLite."""
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def account() -> Account:
    """A Brightpearl account of which nothing is asked."""
    settings = AccountSettings(
        base_url="http://127.0.0.1:1", timezone="Europe/London", started_on=date(2020, 1, 1)
    )
    return Account("brightpearl", "acme", settings, {})


@pytest.fixture(scope="session")
def published_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the shop's orders published; to be copied, not written to."""
    from tests.pushing import seed

    folder = tmp_path_factory.mktemp("shop")
    seed(folder)
    return folder


@pytest.fixture(scope="session")
def small_marts(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Published marts of every source, a few dozen orders each; to be read, not written to."""
    from tests.small_marts import build

    return build(tmp_path_factory.mktemp("small"))


@pytest.fixture
def desk(published_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A home of a test's own from which is pushed to a sandbox."""
    from sandbox.server import Sandbox
    from tests.pushing import copy

    with Sandbox(sources=("feedback_company",)) as box:
        yield copy(box, published_shop, tmp_path, monkeypatch)
