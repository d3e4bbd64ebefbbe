"""Invariant 7: a canary in every credential turns up nowhere, in whichever way a run fails."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from resources.ledger import Ledger
from sandbox.server import Sandbox
from tests.faults_case import thin
from tests.home import point_at
from tests.secrets_search import leaks, texts_under

ECHO = {"times": None, "echo": True}
ROUNDS: tuple[dict[str, tuple[str, dict[str, Any]]], ...] = (
    {
        "brightpearl.acme": ("error", ECHO),
        "tastyigniter.bakery": ("revoked", ECHO),
        "efiling.formations": ("html", ECHO),
        "quotevine.leasing": ("rejected", ECHO),
        "feedback_company.reviews": ("rejected", {**ECHO, "path": "/oauth2/token"}),
    },
    {
        "brightpearl.acme": ("html", {**ECHO, "status": 403}),
        "tastyigniter.bakery": ("error", ECHO),
        "efiling.formations": ("forbidden", ECHO),
        "quotevine.leasing": ("html", ECHO),
        "feedback_company.reviews": ("html", {**ECHO, "path": "/oauth2/token"}),
    },
    {
        "brightpearl.acme": ("lost_reply", {"times": None}),
        "tastyigniter.bakery": ("truncated", {"times": None}),
        "efiling.formations": ("reset", {"times": None}),
        "quotevine.leasing": ("unavailable", ECHO),
        "feedback_company.reviews": ("reset", {"times": None, "path": "/oauth2/token"}),
    },
    {
        "brightpearl.acme": ("rejected", ECHO),
        "tastyigniter.bakery": ("html", {**ECHO, "status": 500}),
        "efiling.formations": ("error", ECHO),
        "quotevine.leasing": ("revoked", ECHO),
        "feedback_company.reviews": ("revoked", {**ECHO, "path": "/invitations"}),
    },
)
"""What strikes each account in each sync; where replies echo, the canary stands in their bodies."""


TOKEN = "sandbox-token-"
"""How the tokens begin that Feedback Company gives out."""


class Canaries:
    """A sandbox whose every credential is a canary, and everything that commands have said."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.said: list[str] = []
        self.secrets: list[str] = []
        for account, api in box.accounts.items():
            thin(box, account)
            words = {
                name: f"canary/7+{account}.{name}~{place}wxyz"
                for place, name in enumerate(api.setup.credentials)
            }
            api.setup.credentials.update(words)  # type: ignore[attr-defined]
            self.secrets += words.values()

    def run(self, *arguments: str) -> int:
        """One command of the command line; its exit code."""
        result = CliRunner().invoke(main, arguments)
        self.said.append(result.output)
        self.said.append(str(result.exception))
        return result.exit_code


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resources.pacing.Clock.sleep", lambda *_: None)
    with Sandbox(most=40) as box:
        canaries = Canaries(box)
        point_at(box, tmp_path, monkeypatch)
        yield canaries


def test_no_canary_turns_up_in_whichever_way_a_run_fails(
    canaries: Canaries,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    box = canaries.box
    for faults in ROUNDS:
        for account, (kind, how) in faults.items():
            box.fault(account, kind, **how)
        assert canaries.run("sync") == 1
        assert {account: box.faults(account)[0].struck > 0 for account in faults} == dict.fromkeys(
            faults, True
        )
        box.clear_faults()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERLOOM_TRACEBACK", "1")
        patch.setattr(Ledger, "cursor", _broken(canaries.secrets))
        assert canaries.run("sync", "brightpearl.acme") == 1
    wrong = "BRIGHTPEARL_ACME_ACCOUNT_TOKEN"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(wrong, canaries.secrets[0] + "-but-wrong")
        assert canaries.run("doctor") == 1
    assert canaries.run("sync") == 0
    captured = capfd.readouterr()
    texts = texts_under(tmp_path) | {
        "said by commands": "\n".join(canaries.said),
        "stdout": captured.out,
        "stderr": captured.err,
    }
    assert len(texts) > 30
    assert "Just a moment" in texts["said by commands"]
    for secret in (*canaries.secrets, TOKEN):
        assert leaks(secret, texts) == []


def _broken(secrets: list[str]) -> Any:
    """A method that fails as nobody foresaw, with every secret in its message."""

    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot go on with {secrets}")

    return broken


@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret,
        lambda secret: quote(secret, safe=""),
        lambda secret: base64.b64encode(f"user:{secret}!".encode()).decode(),
        lambda secret: secret.replace("/", "\\/"),
    ],
)
def test_the_search_finds_what_is_there(form: Any, tmp_path: Path) -> None:
    secret = "canary/7+of~searching"
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"-- " + form(secret).encode() + b" --"))
    assert len(leaks(secret, texts_under(tmp_path))) >= 1
    assert leaks("another/7+of~searching", texts_under(tmp_path)) == []
