"""What was to be reached, and whether it was.

Belongs here: each target's number as computed from the results, what it must be and what would be
better. Does not belong here: tables (`report.py`), measuring.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

Result = Mapping[str, Any]
Results = Mapping[str, Result]
"""Results by name: orders-20000, efiling, commands and so on, as `compare.py` writes them."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Target:
    """One target and what was reached."""

    text: str
    value: float
    must: float
    goal: float
    unit: str
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Goal met, met or missed."""
        sign = -1 if self.more_is_better else 1
        if sign * self.value <= sign * self.goal:
            return "goal met"
        return "met" if sign * self.value <= sign * self.must else "**missed**"

    def shown(self, number: float) -> str:
        """A number with the target's unit."""
        if self.unit == "x":
            return f"{number:.1f}x"
        if self.unit == "%":
            return f"{number:.0%}"
        if self.unit == "s":
            return f"{number:.2f} s" if number < 10 else f"{number:.0f} s"
        return f"{number:,.0f} {self.unit}".strip()


def reached(results: Results) -> list[Target]:
    """Every target for which there are results."""
    found: list[Target] = []
    for orders, change in ((20_000, (0.8, 0.5)), (100_000, (1.1, 0.7))):
        result = results.get(f"orders-{orders}")
        if result is not None:
            found += _of_size(result, change)
    if "orders-100000" in results:
        value = middle(results["orders-100000"], "orderloom", "full", "peak")
        found.append(Target("100,000 orders: peak memory", value, 700, 400, "MB"))
        found += _of_a_million(results)
    if "efiling" in results:
        text = "efiling: 1,000 orders with lines, 50 ms latency"
        wall = middle(results["efiling"], "orderloom", "full", "wall")
        found.append(Target(text, wall, 5, 4, "s"))
    for name, command in (("help", "orderloom --help"), ("status", "orderloom status")):
        if "commands" in results:
            wall = middle(results["commands"], "orderloom", name, "wall")
            found.append(Target(f"`{command}`", wall, 1, 0.5, "s"))
    return found


def _of_size(result: Result, change: tuple[float, float]) -> list[Target]:
    """The targets of 20,000 and 100,000 orders. `change`: seconds for 1 %, must and goal."""
    size = f"{result['orders']:,} orders"
    own = middle(result, "orderloom", "full", "wall")
    found = []
    for other, must, goal in (("pandas", 2.2, 3.0), ("dlt", 4.0, 6.0)):
        if other in result["runs"]:
            ratio = middle(result, other, "full", "wall") / own
            text = f"{size}, full load, against {other}"
            found.append(Target(text, ratio, must, goal, "x", more_is_better=True))
    if "limit" in result["runs"]:
        share = middle(result, "limit", "full", "wall") / own
        text = f"{size}, full load, share of the limit's speed"
        found.append(Target(text, share, 0.5, 0.6, "%", more_is_better=True))
    for case, title in (("full", "full"), ("changed", "1 % changed"), ("no_change", "no change")):
        least = result["least"][case]
        value = middle(result, "orderloom", case, "requests")
        found.append(Target(f"{size}, requests, {title}", value, least, least, ""))
    inside = middle_of(result, "orderloom", "no_change", inside_process)
    found.append(Target(f"{size}, no change, inside the process", inside, 0.5, 0.25, "s"))
    memory = middle(result, "orderloom", "no_change", "peak")
    found.append(Target(f"{size}, no change, peak memory", memory, 50, 50, "MB"))
    inside = middle_of(result, "orderloom", "changed", inside_process)
    found.append(Target(f"{size}, 1 % changed, published", inside, *change, "s"))
    return found


def _of_a_million(results: Results) -> list[Target]:
    """A million orders, compared with 100,000."""
    result, smaller = results.get(f"orders-{MILLION}"), results["orders-100000"]
    if result is None:
        return []
    ratio = middle(result, "orderloom", "full", "peak") / middle(
        smaller, "orderloom", "full", "peak"
    )
    wall = middle(result, "orderloom", "full", "wall")
    as_fast = 10 * middle(smaller, "orderloom", "full", "wall")
    return [
        Target("1,000,000 orders: peak memory, against 100,000", ratio, 1.2, 1.0, "x"),
        Target("1,000,000 orders, full load", wall, 130, min(130, as_fast), "s"),
    ]


def middle(result: Result, contestant: str, case: str, figure: str) -> float:
    """The median of a figure."""
    return middle_of(result, contestant, case, lambda run: run[figure])


def middle_of(result: Result, contestant: str, case: str, read: Callable[[Result], float]) -> float:
    """The median of what is read from each run."""
    return median(map(read, result["runs"][contestant][case]))


def inside_process(run: Result) -> float:
    """Wall seconds of all stages, from the first import on: without starting Python."""
    stages: Mapping[str, list[float]] = json.loads(run["said"])["stages"]
    return sum(wall for wall, _ in stages.values())
