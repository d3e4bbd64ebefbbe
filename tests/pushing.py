"""A home with published orders and an account that takes them, for tests that push.

Belongs here: setting up and asking. Does not belong here: assertions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.marts import MARTS
from assets.push import Plan, Push
from assets.reference import reference
from assets.workshop import Workshop
from resources.accounts import Account
from resources.registrations import Registration
from sandbox.server import Sandbox
from sandbox.world import Body
from tests.home import Pulls, point_at

ROOT = Path(__file__).parents[1]
KEY = "feedback_company.reviews"
SHOP = "brightpearl.acme"
SECONDS = 60
LOGIN = 1
"""The request for a token."""


class Desk:
    """One home from which is pushed, and the sandbox that takes it."""

    def __init__(self, box: Sandbox, workshop: Workshop) -> None:
        self.box = box
        self.workshop = workshop
        self._pushes = 0

    @property
    def account(self) -> Account:
        return self.workshop.accounts.get(KEY)

    def registered(self) -> list[Body]:
        """What the sandbox was sent and took."""
        return self.box.api(KEY).registrations()  # type: ignore[attr-defined,no-any-return]

    def plan(self) -> Plan:
        return self.workshop.pusher.plan(self.account)

    def push(self, limit: int | None = None) -> Push:
        """One push in this process, without normalising."""
        self._pushes += 1
        return self.workshop.pusher.push(self.account, f"push-{self._pushes}", limit)

    def open(self) -> list[Registration]:
        return self.workshop.pusher.open_ones(self.account)

    def state(self, external_id: str) -> str | None:
        found = self.workshop.ledger.registrations.get(KEY, external_id)
        return found.state if found else None

    def publish(self) -> None:
        self.workshop.normaliser(self.account).drain()
        self.workshop.warehouse.publish(MARTS, reference(self.workshop))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.workshop.warehouse.read_arrow(sql).to_pylist()
        return found

    def published(self) -> set[str]:
        """External ids of the registrations in the marts."""
        sql = (
            "SELECT source_order_id FROM orders WHERE order_type = 'review_registration' "
            "AND source_order_id NOT LIKE 'invitation/%'"
        )
        return {row["source_order_id"] for row in self.rows(sql)}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line, in a process of its own."""
        code = "from pipelines.cli import main; main()"
        return self.python(code, *words)

    def python(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Python in a process of its own, in this tree."""
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def change_rule(self, change: Callable[[str], str]) -> None:
        """Rewrite accounts.toml."""
        path = self.workshop.places.accounts
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def ids(desk: Desk) -> list[str]:
    """External ids of what the sandbox took, in its order."""
    return [body["external_id"] for body in desk.registered()]


def seed(folder: Path) -> None:
    """A home in `folder` with the shop's orders published."""
    with Sandbox(sources=("brightpearl",)) as box, pytest.MonkeyPatch.context() as patch:
        workshop = point_at(box, folder, patch)
        Pulls(workshop).changes(SHOP)
        workshop.warehouse.publish(MARTS, reference(workshop))
        workshop.close()


def copy(box: Sandbox, seeded: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of that home, beside an account of a sandbox that takes its orders.

    The shop itself is not served: its orders are read from the marts alone.
    """
    shutil.copytree(seeded / "var", folder / "var", symlinks=True)
    desk = Desk(box, point_at(box, folder, monkeypatch))
    shop = (seeded / "accounts.toml").read_text(encoding="utf-8")
    desk.change_rule(lambda text: f"{text}\n{shop}")
    return desk
