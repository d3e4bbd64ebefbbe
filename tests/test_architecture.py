"""The house's own rules, held by machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("schemas", "resources", "assets", "pipelines")
MAY_IMPORT = {
    "schemas": {"schemas"},
    "resources": {"schemas", "resources"},
    "assets": {"schemas", "resources", "assets"},
    "pipelines": {"schemas", "resources", "assets", "pipelines", "sandbox"},
    "sandbox": {"sandbox"},
}
MOST_LINES = 400
OURS = (*LAYERS, "sandbox")


def _modules(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def _imported(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", OURS)
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in _modules(package)
        for name in _imported(module) & set(OURS)
        if name not in MAY_IMPORT[package]
    }
    assert not wrong


def test_sources_know_nothing_of_dagster() -> None:
    assert not [m for m in (ROOT / "assets/sources").glob("*.py") if "dagster" in _imported(m)]


def test_resources_and_schemas_know_nothing_of_dagster() -> None:
    both = [*_modules("schemas"), *_modules("resources")]
    assert not [module for module in both if "dagster" in _imported(module)]


@pytest.mark.parametrize("package", [*OURS, "benchmarks", "tests"])
def test_files_stay_short(package: str) -> None:
    files = [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.sql")]
    lines = {str(f.relative_to(ROOT)): len(f.read_text("utf-8").splitlines()) for f in files}
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("package", [*OURS, "benchmarks"])
def test_every_module_says_what_belongs_in_it(package: str) -> None:
    silent = [
        str(module.relative_to(ROOT))
        for module in _modules(package)
        if module.name != "__init__.py"
        and "elong" not in (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "")
    ]
    assert silent == []


def test_sql_files_begin_with_their_grain() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "assets").rglob("*.sql")
        if not file.read_text(encoding="utf-8").startswith(("-- Grain: ", "-- One row per "))
    ]
    assert silent == []


def test_nobody_else_ships_our_package_names() -> None:
    owners = packages_distributions()
    assert {name: set(owners.get(name, [])) - {"orderloom"} for name in OURS} == {
        name: set() for name in OURS
    }
