"""What an installation gets: every file that the code reads, and pinned versions."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "resources", "assets", "pipelines", "sandbox")


def test_the_wheel_ships_every_file_of_the_packages(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(tracked) > 80
    assert set(tracked) - shipped == set()
    assert not [name for name in shipped if name.startswith("tests/")]


def _pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs)
    return {_name(name): version for name, version in pairs}


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=\[ ]", text, maxsplit=1)[0]).lower()


def test_every_declared_dependency_is_pinned_without_an_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    assert {_name(each) for each in declared} - _pinned().keys() == set()
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_every_declared_dependency_has_its_reason_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("### Dependencies") :]
    declared = [*project["project"]["dependencies"],
                *project["project"]["optional-dependencies"]["dev"]]  # fmt: skip
    assert [each for each in declared if _name(each) not in section] == []
