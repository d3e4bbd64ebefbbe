"""Tables and charts of the results, and the pages that show them.

Belongs here: Markdown and charts made of `results/*.json`, and writing them between the markers of
README.md and docs/performance.md. Does not belong here: measuring, and what is to be reached
(`targets.py`).

    python -m benchmarks.report      # after an edit by hand of the results: the pages anew
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

import altair as alt
import pandas as pd

from benchmarks.contestant import ALL
from benchmarks.measure import ROOT
from benchmarks.targets import Result, Results, inside_process, middle, middle_of, reached

HERE = Path(__file__).parent / "results"
PAGES = {ROOT / "README.md": "summary", ROOT / "docs" / "performance.md": "tables"}
CASES = {"full": "full load", "no_change": "no change", "changed": "1 % changed"}
CASES |= {"one_changed": "one changed"}
QUIET = 0.1
"""Cores that other work may keep busy before it is told."""
INK, OTHERS = "#1b6ca8", "#b8c4ce"


def read(results: Path) -> dict[str, Result]:
    """All results by name, smaller sizes first."""
    found = [(file.stem, json.loads(file.read_text("utf-8"))) for file in results.glob("*.json")]
    return dict(sorted(found, key=lambda each: (each[1]["orders"], each[0])))


def write(results: Path, *, into_pages: bool) -> str:
    """Write table.md and full_load.svg beside the results; the text of the table."""
    found = read(results)
    text = tables(found)
    (results / "table.md").write_text(text + "\n", encoding="utf-8")
    chart(found).save(results / "full_load.svg")
    if into_pages:
        for page, part in PAGES.items():
            insert(page, part, summary(found) if part == "summary" else text)
    return text


def insert(page: Path, part: str, text: str) -> None:
    """Put a text between a page's markers."""
    before = page.read_text(encoding="utf-8")
    page.write_text(with_text(before, part, text), encoding="utf-8")


def with_text(page: str, part: str, text: str) -> str:
    """A page with a text between its markers. Raises ValueError where it has none."""
    begin, end = f"<!-- benchmarks: {part} -->", f"<!-- /benchmarks: {part} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"no {begin} ... {end} in the page")
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page)


def summary(results: Results) -> str:
    """What the README shows: seconds of every contestant, and on which machine."""
    sizes = [each for name, each in results.items() if name.startswith("orders-")]
    heads = [f"{each['orders']:,} orders" for each in sizes] + ["the same, 1 % changed", "memory"]
    largest = [each for each in sizes if "pandas" in each["runs"]][-1]
    lines = [*_head(["", *heads])]
    for name in ("orderloom", "pandas", "dlt", "limit"):
        cells = [_spread(each, name, "full") for each in sizes]
        cells.append(_spread(largest, name, "changed"))
        cells.append(f"{middle(largest, name, 'full', 'peak'):,.0f} MB")
        lines.append(_line([ALL[name].title, *cells]))
    of = f"Medians and ranges; the last two columns are of {largest['orders']:,} orders."
    return "\n".join([*lines, "", f"{of} {machine(largest)}"])


def tables(results: Results) -> str:
    """Targets, then every size, then what else was measured."""
    parts = ["### Targets", _targets(results)]
    for name, each in results.items():
        if name.startswith("orders-"):
            parts += [f"### {each['orders']:,} orders, {each['order_rows']:,} rows", _size(each)]
            parts.append(machine(each))
    if "efiling" in results:
        parts += ["### efiling: 1,000 orders, a request each for their lines, 50 ms a reply"]
        parts.append(_efiling(results["efiling"]))
    return "\n\n".join(parts)


def machine(result: Result) -> str:
    """One sentence on what it was measured on."""
    versions = ", ".join(
        f"{name} {number}"
        for owner in ("orderloom", "dlt", "pandas")
        for name, number in result["versions"][owner].items()
        if name in ("dagster", "duckdb", "deltalake", "dlt", "pandas")
        and (owner == "orderloom" or name == owner)
    )
    others = median(
        run["others"]
        for cases in result["runs"].values()
        for runs in cases.values()
        for run in runs
    )
    beside = f" Other work kept {others:.1f} cores busy meanwhile." if others > QUIET else ""
    return (
        f"{result['processor']}, {result['cores']} cores, {result['memory_gb']} GB,"
        f" {result['system']}, Python {result['python']}, {versions}; {result['taken_on']}.{beside}"
    )


def _targets(results: Results) -> str:
    lines = [*_head(["", "reached", "must", "goal", ""])]
    for each in reached(results):
        numbers = [each.shown(number) for number in (each.value, each.must, each.goal)]
        lines.append(_line([each.text, *numbers, each.verdict]))
    return "\n".join(lines)


def _size(result: Result) -> str:
    rounds = len(next(iter(result["runs"].values()))["full"])
    lines = []
    for case, title in CASES.items():
        least = result["least"][case]
        heads = [title, "wall s", "CPU s", "peak MB", "requests", "written MB"]
        lines += ["", *_head(heads)]
        for name in result["runs"]:
            cells = [
                _spread(result, name, case, unit=""),
                f"{middle(result, name, case, 'cpu'):.2f}",
                f"{middle(result, name, case, 'peak'):,.0f}",
                f"{middle(result, name, case, 'requests'):,.0f} of {least:,}",
                f"{middle(result, name, case, 'written'):,.1f}",
            ]
            lines.append(_line([ALL[name].title, *cells]))
            if name == "orderloom":
                inside = middle_of(result, name, case, inside_process)
                lines.append(_line(["- inside the process", f"{inside:.2f}", "", "", "", ""]))
    runs = "1 run each" if rounds == 1 else f"{rounds} runs each, medians and ranges"
    return "\n".join([f"{runs}; requests of the least possible.", *lines])


def _efiling(result: Result) -> str:
    lines = [*_head(["", "wall s", "CPU s", "peak MB", "requests"])]
    for name, title in (("orderloom", "orderloom"), ("limit", "fetching alone, 20 at a time")):
        cells = [
            _spread(result, name, "full", unit=""),
            f"{middle(result, name, 'full', 'cpu'):.2f}",
            f"{middle(result, name, 'full', 'peak'):,.0f}",
            f"{middle(result, name, 'full', 'requests'):,.0f} of {result['least']['full']:,}",
        ]
        lines.append(_line([title, *cells]))
    return "\n".join(lines)


def chart(results: Results) -> Any:
    """Seconds of a full load, a panel a size."""
    rows = [
        {"orders": f"{each['orders']:,} orders", "who": ALL[name].title, "seconds": seconds}
        for result_name, each in results.items()
        if result_name.startswith("orders-")
        for name in each["runs"]
        if name != "sync"
        for seconds in [round(middle(each, name, "full", "wall"), 2)]
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("who:N", sort="x", title=None),
        x=alt.X("seconds:Q", title="seconds, median"),
    )
    colour = alt.condition(alt.datum.who == "orderloom", alt.value(INK), alt.value(OTHERS))
    bars = base.mark_bar().encode(color=colour)
    numbers = base.mark_text(align="left", dx=4).encode(text="seconds:Q")
    return (
        alt.layer(bars, numbers)
        .properties(width=520)
        .facet(row=alt.Row("orders:N", title=None, sort=None))
        .resolve_scale(x="independent", y="independent")
        .properties(title="A full load, from the API to tables one can ask")
    )


def _spread(result: Result, name: str, case: str, unit: str = " s") -> str:
    """Median and range of the wall seconds; a dash for who was not run."""
    if name not in result["runs"]:
        return "-"
    walls = sorted(run["wall"] for run in result["runs"][name][case])
    shown = f"{median(walls):.2f}{unit}"
    return shown if len(walls) == 1 else f"{shown} ({walls[0]:.2f}-{walls[-1]:.2f})"


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), "|" + "---|" * len(cells)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(write(HERE, into_pages=True) + "\n")
