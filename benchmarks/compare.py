"""`make bench`: orderloom against dlt, a pandas script and a hand-written limit, side by side.

Belongs here: what is run in which order, and that nothing is shown before all outputs are equal.
Does not belong here: measuring one command (`measure.py`), tables and charts (`report.py`).

    python -m benchmarks.compare                             # what make bench runs: ten minutes
    python -m benchmarks.compare --orders 1000000 --rounds 1 # orderloom and the limit alone
    python -m benchmarks.compare --orders 1000 --rounds 1 --results /tmp/bench

Each size is one interleaved run: in every round each contestant loads all orders into an empty
folder, runs again with nothing changed, with 1 % and with one order changed. The order of the
contestants moves on by one from round to round.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import environments, machine
from benchmarks.contestant import ALL, DLT, LIMIT, ORDERLOOM, PANDAS, SCRIPTS, SYNC, Contestant
from benchmarks.equality import Held, held_by, require_equal
from benchmarks.measure import DATA, ROOT, Figures, Server, measured, serving

RESULTS = Path(__file__).parent / "results"
DEFAULT = {20_000: 3, 100_000: 2}
"""Rounds by number of orders."""
OUT_OF_REACH = 200_000
"""From here on only orderloom and the limit are run: the others take too much memory or time."""
WITH_DAGSTER = 20_000
"""Up to here `orderloom sync` is run as well, so that Dagster's own start is seen apart."""
CASES = ("full", "no_change", "changed", "one_changed")
EFILING_ORDERS = 1_000
EFILING_LATENCY = 50
"""Milliseconds."""
COMMANDS = {"help": ("--help",), "status": ("status",)}
Runs = dict[str, dict[str, list[Figures]]]


@dataclass
class Comparison:
    """All that one size came to."""

    orders: int
    runs: Runs = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)

    def note(self, contestant: str, case: str, figures: Figures) -> None:
        """Keep the figures of one run."""
        self.runs.setdefault(contestant, {}).setdefault(case, []).append(figures)

    def as_json(self) -> dict[str, Any]:
        """What is written to the results: every figure of every run."""
        return {
            **machine.described(),
            "orders": self.orders,
            "least": self.least,
            "order_rows": next(iter(self.held.values())).order_rows,
            "runs": {
                name: {case: [each.as_json() for each in runs] for case, runs in cases.items()}
                for name, cases in self.runs.items()
            },
        }


def compare(
    contestants: Sequence[Contestant],
    orders: int,
    rounds: int,
    cases: Sequence[str] = CASES,
    data: Path = DATA,
) -> Comparison:
    """Run all contestants that many times. `data`: where orders are kept and outputs are written.

    Raises Unequal where outputs differ.
    """
    found = Comparison(orders)
    for each in contestants:
        each.python()
    with serving(orders, folder=data / "orders") as server, workplace(data) as folder:
        for number in range(rounds):
            turn = number % len(contestants)
            outputs: dict[str, dict[str, Held]] = {case: {} for case in cases}
            truths: dict[str, dict[str, int]] = {}
            for contestant in [*contestants[turn:], *contestants[:turn]]:
                own = folder / contestant.name
                contestant.prepare(server, own)
                for case, held in _cases(contestant, server, own, found, cases):
                    outputs[case][contestant.name] = held
                    truths[case] = server.truth()
                shutil.rmtree(own)
                _progress(f"{orders:,} orders, round {number + 1} of {rounds}: {contestant.name}")
            for case, truth in truths.items():
                require_equal(f"{orders:,} orders, {case}", truth, outputs[case])
            found.held = outputs["full"]
    return found


def _cases(
    contestant: Contestant,
    server: Server,
    folder: Path,
    found: Comparison,
    cases: Sequence[str],
) -> Iterator[tuple[str, Held]]:
    """Run every case, each with what the contestant holds after it."""
    command, env = contestant.command(server, folder), contestant.environment(folder)
    server.restore()
    changes = {"changed": max(1, found.orders // 100), "one_changed": 1}
    for case in cases:
        if case in changes:
            server.change(changes[case])
        found.least[case] = server.least()[case if case in ("full", "no_change") else "changed"]
        found.note(contestant.name, case, measured(command, server, env=env, cwd=ROOT))
        yield case, held_by(contestant, folder)


def compare_efiling(rounds: int) -> Comparison:
    """Orders whose lines are a request each, every reply late. Raises Unequal."""
    found = Comparison(EFILING_ORDERS)
    with serving(1, EFILING_ORDERS) as server, workplace() as folder:
        server.ask(f"latency?milliseconds={EFILING_LATENCY}")
        stats = server.stats()
        found.least["full"] = stats["least"]["efiling"]
        script: list[str | Path] = [SCRIPTS / "efiling_limit.py", f"{server.url}/bench1"]
        for number in range(rounds):
            own = folder / "orderloom"
            ORDERLOOM.prepare(server, own, "efiling")
            figures = measured(
                ORDERLOOM.command(server, own), server, env=ORDERLOOM.environment(own), cwd=ROOT
            )
            found.note("orderloom", "full", figures)
            found.held["orderloom"] = held_by(ORDERLOOM, own)
            require_equal("efiling", stats["efiling_truth"], found.held)
            limit = measured([LIMIT.python(), *script, folder / "limit"], server)
            found.note("limit", "full", limit)
            shutil.rmtree(own)
            _progress(f"efiling, round {number + 1} of {rounds}")
    return found


def time_commands(orders: int, rounds: int) -> Comparison:
    """What a person waits for who asks for help or for the status of a home of so many orders."""
    found = Comparison(orders)
    with serving(orders) as server, workplace() as folder:
        own = folder / "orderloom"
        ORDERLOOM.prepare(server, own)
        env = ORDERLOOM.environment(own)
        measured(ORDERLOOM.command(server, own), server, env=env, cwd=ROOT)
        found.held["orderloom"] = held_by(ORDERLOOM, own)
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                command: list[str | Path] = [ORDERLOOM.python(), "-m", "pipelines.cli", *words]
                found.note("orderloom", name, measured(command, env=env, cwd=ROOT))
    return found


@contextmanager
def workplace(data: Path = DATA) -> Iterator[Path]:
    """An empty folder beside the rendered orders, removed in the end."""
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data, prefix="run-") as folder:
        yield Path(folder)


def write(found: Comparison, name: str, results: Path) -> None:
    """Keep every figure as JSON, one size or subject a file."""
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found.as_json(), indent=1)
    (results / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def chosen(orders: int, names: Sequence[str]) -> list[Contestant]:
    """Who is compared at that size, unless it is said by name."""
    if names:
        return [ALL[name] for name in names]
    if orders >= OUT_OF_REACH:
        return [ORDERLOOM, LIMIT]
    with_dagster = [SYNC] if orders <= WITH_DAGSTER else []
    return [ORDERLOOM, DLT, PANDAS, LIMIT, *with_dagster]


def main() -> None:
    """The commands shown above."""
    from benchmarks import report

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, nargs="*", help="sizes; by default 20000 and 100000")
    parser.add_argument("--rounds", type=int, help="by default 3 and 2")
    parser.add_argument("--contestants", nargs="*", default=[], choices=[*ALL])
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    environments.interpreter("server")
    sizes = {n: given.rounds or DEFAULT.get(n, 1) for n in given.orders or DEFAULT}
    for orders, rounds in sizes.items():
        found = compare(chosen(orders, given.contestants), orders, rounds)
        write(found, f"orders-{orders}", given.results)
    if not given.orders:
        write(compare_efiling(given.rounds or 3), "efiling", given.results)
        write(time_commands(min(DEFAULT), given.rounds or 3), "commands", given.results)
    sys.stdout.write(report.write(given.results, into_pages=given.results == RESULTS) + "\n")


def _progress(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
