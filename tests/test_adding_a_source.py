"""CONTRIBUTING.md's "Add a source", followed literally with a sixth source."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback import Answer, Loopback, Seen

ROOT = Path(__file__).parents[1]
FIXTURE = Path(__file__).parent / "sixth_source"
ORDERS = [
    {"number": "a/1", "changed": "2026-11-01T10:00:00Z", "paid": True, "total": 15.0449,
     "lines": [{"sku": "X", "count": 2}, {"sku": "Y", "count": 1}]},
    {"number": "2", "changed": "2026-11-01T11:00:00Z", "paid": False, "total": "0.30", "lines": []},
    {"number": "3", "changed": "2026-11-01T12:00:00Z", "paid": False, "total": None, "lines": []},
]  # fmt: skip

ACCOUNTS = """
[shopfront.corner]
base_url = "{url}"
timezone = "Europe/London"
currency = "GBP"
started_on = 2026-01-01
[shopfront.corner.credentials]
token = "CORNER_TOKEN"
"""


def _answer(seen: Seen) -> Answer:
    since = dict(seen.query).get("since", "")
    page = [order for order in ORDERS if str(order["changed"]) > since][:2]
    headers = {"Content-Type": "application/json", "Date": "Sun, 01 Nov 2026 13:00:00 GMT"}
    return Answer(body=json.dumps({"orders": page}).encode(), headers=headers)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's packages, with the sixth source added as CONTRIBUTING.md says."""
    for package in ("schemas", "resources", "assets", "pipelines", "sandbox"):
        shutil.copytree(ROOT / package, tmp_path / package)
    for name in ("shopfront.py", "shopfront.sql"):
        shutil.copy(FIXTURE / name, tmp_path / "assets/sources" / name)
    registry = tmp_path / "assets/sources/__init__.py"
    text = registry.read_text(encoding="utf-8")
    added = text.replace('    "feedback_company",\n', '    "feedback_company",\n    "shopfront",\n')
    assert len(added.splitlines()) == len(text.splitlines()) + 1
    registry.write_text(added, encoding="utf-8")
    return tmp_path


def _orderloom(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {
        "PYTHONPATH": str(clone),
        "ORDERLOOM_HOME": str(clone / "var"),
        "ORDERLOOM_ACCOUNTS": str(clone / "accounts.toml"),
        "CORNER_TOKEN": "corner-token",
    }
    return subprocess.run(
        [sys.executable, "-P", "-c", "from pipelines.cli import main; main()", *arguments],
        cwd=clone,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sixth_source_reaches_the_marts(clone: Path) -> None:
    with Loopback(_answer) as server:
        (clone / "accounts.toml").write_text(ACCOUNTS.format(url=server.url), encoding="utf-8")
        first = _orderloom(clone, "sync", "shopfront.corner")
        assert first.returncode == 0, first.stderr
        asked = len(server.seen)
        second = _orderloom(clone, "sync")
        assert second.returncode == 0, second.stderr
        assert len(server.seen) == asked + 1
    question = (
        "SELECT o.order_key, o.gross_amount, d.payment_status, COUNT(r.order_row_key) AS n "
        "FROM orders AS o JOIN dim_payment_status AS d ON d.payment_status = o.payment_status "
        "LEFT JOIN order_rows AS r ON r.order_key = o.order_key GROUP BY ALL ORDER BY 1"
    )
    answer = _orderloom(clone, "query", question, "--format", "csv")
    assert answer.stdout.splitlines()[1:] == [
        "shopfront:corner:2,0.3000,unpaid,0",
        "shopfront:corner:a%2F1,15.0449,paid,2",
    ]
    question = "SELECT source_order_id, field FROM quarantine"
    held = _orderloom(clone, "query", question, "--format", "csv")
    assert held.stdout.splitlines()[1:] == ["3,total"]


def test_contributing_names_the_steps_that_this_test_takes() -> None:
    steps = re.search(r"## Add a source(.*?)\n## ", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    assert steps is not None
    for named in ("NAME.py", "NAME.sql", "SOURCES", "assets/sources/__init__.py", "tests/pages/"):
        assert named in steps.group(1)
