"""docs/marts.md is what the published file says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assets.dictionary import main, render
from assets.marts import MARTS
from resources.warehouse import Warehouse
from schemas.published import GRAINS, MACROS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/marts.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_current(page: str) -> None:
    assert page == render(), "docs/marts.md is stale: run `make docs`"


def test_make_docs_writes_the_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["dictionary", str(tmp_path / "marts.md")])
    main()
    assert (tmp_path / "marts.md").read_text(encoding="utf-8") == page
    assert "$(BIN)/python -m assets.dictionary" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_relation_has_its_place_and_its_link(page: str) -> None:
    titles = re.findall(r"^### (\w+)", page, re.MULTILINE)
    assert len(titles) == len(set(titles))
    assert {*GRAINS, *MACROS, *(mart.name for mart in MARTS)} <= set(titles)
    anchors = {
        re.sub(r"[^\w-]", "", title.replace(" ", "-"))
        for title in re.findall(r"^#+ (.+)$", page.lower(), re.MULTILINE)
    }
    assert len(re.findall(r"^Key: ", page, re.MULTILINE)) == len(MARTS)
    links = re.findall(r"\]\(#([^)]*)\)", page)
    assert len(links) > 30
    assert set(links) <= anchors


def test_the_page_lists_what_a_published_file_holds(page: str, small_marts: Warehouse) -> None:
    with small_marts.open() as con:
        found = con.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE NOT internal AND schema_name = 'main' AND table_name NOT IN"
            " (SELECT view_name FROM duckdb_views() WHERE NOT internal)"
        ).fetchall()
    assert len(found) > 300
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n### ")}
    for table, column, kind in found:
        assert f"| `{column}` | `{kind}" in sections[table], (table, column)


def test_every_column_says_what_it_means(page: str) -> None:
    assert not re.findall(r"^\| `\w+` \| `[^`]+` \| *\|$", page, re.MULTILINE)
    for line in re.findall(r"^\| `\w+` \| `TIMESTAMP.*$", page, re.MULTILINE):
        assert "UTC" in line, line
