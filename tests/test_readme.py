"""What README.md and the pages in docs tell people to type, typed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import tenacity

from assets.sources import all_sources
from assets.sources.feedback_company_rule import PushRule
from pipelines.cli import main
from resources.accounts import load_accounts
from sandbox.server import Sandbox
from tests.home import open_sandbox

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SANDBOX = (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")
PUSH = (ROOT / "docs/push.md").read_text(encoding="utf-8")


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands(text: str) -> list[str]:
    lines = "".join(_blocks(text, "console")).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


STAYING = ("ui", "sandbox")
ORDERLOOM = [each for each in _commands(README + SANDBOX + PUSH) if "bin/orderloom" in each]
PASSING = [each for each in ORDERLOOM if shlex.split(each)[1] not in STAYING]
OTHERS = [each for each in _commands(README + SANDBOX + PUSH) if "bin/orderloom" not in each]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with open_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def surroundings(box: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A synced home, as variables."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "accounts.toml").write_text(box.accounts_toml(), encoding="utf-8")
    variables = os.environ | box.environment()
    variables |= {
        "ORDERLOOM_HOME": str(folder / "var"),
        "ORDERLOOM_ACCOUNTS": str(folder / "accounts.toml"),
    }
    done = subprocess.run([BIN / "orderloom", "sync"], env=variables, check=False)
    assert done.returncode == 0
    return variables


def test_every_command_is_one_that_a_test_or_ci_runs() -> None:
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert len(ORDERLOOM) > 5
    for command in OTHERS:
        made = command.startswith("make ") and f"--no-print-directory {command[5:]}" in ci
        assert made or command.startswith("curl "), command


@pytest.mark.parametrize("command", PASSING)
def test_a_command_does_what_it_is_shown_to_do(
    command: str, surroundings: dict[str, str], tmp_path: Path
) -> None:
    words = shlex.split(command)
    done = subprocess.run(
        [BIN / "orderloom", *words[1:]], env=surroundings, cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.parametrize("text", _blocks(README, "python") + _blocks(SANDBOX, "python"))
def test_a_python_example_runs(text: str, surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_accounts_example_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(_blocks(README, "toml")[0], encoding="utf-8")
    kinds = {name: each.kind() for name, each in all_sources().items()}
    assert load_accounts(file, kinds).keys() == ("brightpearl.acme",)


def test_the_rule_of_a_push_is_accepted_and_shows_the_defaults() -> None:
    (text,) = _blocks(PUSH, "toml")
    given = tomllib.loads(text)["feedback_company"]["reviews"]["push"]
    shown = PushRule.model_validate(given)
    assert set(given) == set(PushRule.model_fields)
    least = PushRule(from_accounts=["a.b"], delay=shown.delay)
    for name in ("shipping_statuses", "order_statuses", "order_types", "max_age_days"):
        assert getattr(shown, name) == getattr(least, name)


def test_the_question_about_registrations_runs(surroundings: dict[str, str]) -> None:
    (sql,) = _blocks(PUSH, "sql")
    done = subprocess.run(
        [BIN / "orderloom", "query", sql], env=surroundings, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_the_table_of_commands_is_complete() -> None:
    shown = set(re.findall(r"^\| `orderloom (\w+)", README, re.MULTILINE))
    assert shown == set(main.commands)


def test_the_table_of_sources_says_what_they_declare() -> None:
    for name, source in all_sources().items():
        line = next(row for row in README.splitlines() if row.startswith(f"| `{name}` |"))
        assert all(f"`{each}`" in line for names in source.credentials for each in names)
        assert f"| {source.requests_per_minute}" in line
        own = source.settings.model_fields.keys() - source.settings.__mro__[1].model_fields.keys()
        if source.settings.__name__ != "AccountSettings":
            assert all(f"`{each}`" in line for each in own)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _staying(arguments: list[str], surroundings: dict[str, str], cwd: Path) -> Iterator[None]:
    """A command that stays until it is interrupted, with everything that it started."""
    process = subprocess.Popen(
        [BIN / "orderloom", *arguments], env=surroundings, cwd=cwd, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


@tenacity.retry(
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_delay(90),
    retry=tenacity.retry_if_exception_type(httpx.TransportError),
)
def _answer(url: str) -> httpx.Response:
    return httpx.get(url)


def test_the_ui_comes_up_on_this_homes_runs(surroundings: dict[str, str], tmp_path: Path) -> None:
    port = _free_port()
    with _staying(["ui", "--port", str(port)], surroundings, tmp_path):
        assert "dagster_version" in _answer(f"http://127.0.0.1:{port}/server_info").json()
        query = "{runsOrError(limit: 99) {... on Runs {results {jobName status}}}}"
        found = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=60)
        jobs = {run["jobName"] for run in found.json()["data"]["runsOrError"]["results"]}
        assert {"brightpearl_sync", "publish"} <= jobs


def test_the_sandbox_by_hand_writes_accounts_and_moves_its_clock(tmp_path: Path) -> None:
    command = next(each for each in ORDERLOOM if "orderloom sandbox" in each)
    port = _free_port()
    arguments = [*shlex.split(command)[1:], "--port", str(port)]
    with _staying(arguments, dict(os.environ), tmp_path):
        curl = next(each for each in OTHERS if each.startswith("curl "))
        words = shlex.split(curl)
        url = next(each for each in words if each.startswith("http")).replace("8766", str(port + 1))
        before = _answer(url).json()
        after = httpx.post(url, content=words[-1]).json()
        assert before != after
        assert (tmp_path / "accounts.toml").exists()
