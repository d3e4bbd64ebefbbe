"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from resources import redaction

settings.register_profile("nightly", print_blob=True)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on, or touches, what the developer's own environment names."""
    for name in ("ORDERLOOM_HOME", "ORDERLOOM_LAKE", "ORDERLOOM_LEDGER", "ORDERLOOM_ACCOUNTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    yield
    redaction.forget()
