"""Whether every contestant ends with the same orders, and with those that the server has.

Belongs here: reading counts, sums and a digest, and refusing to go on where they differ. Does not
belong here: running contestants (`compare.py`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.contestant import SCRIPTS, Contestant
from benchmarks.measure import MeasurementFailed


class Unequal(Exception):
    """Two contestants ended with different orders: their times cannot be compared."""


@dataclass(frozen=True)
class Held:
    """What an output holds: numbers, exact sums, and a digest of id, updated and total by id."""

    orders: int
    order_rows: int
    net: Decimal
    tax: Decimal
    total: Decimal
    rows_net: Decimal
    rows_tax: Decimal
    digest: str


def held_by(contestant: Contestant, folder: Path) -> Held:
    """Read what a contestant wrote. Raises MeasurementFailed."""
    done = subprocess.run(
        [contestant.python(), SCRIPTS / "read_back.py", folder / contestant.database,
         contestant.orders, contestant.rows],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise MeasurementFailed(f"the output of {contestant.name} cannot be read:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sums = ("net", "tax", "total", "rows_net", "rows_tax")
    return Held(**found | {name: Decimal(found[name] or 0) for name in sums})


def held_by_server(truth: Mapping[str, int]) -> dict[str, Decimal | int]:
    """What any output must hold; the server counts in pence."""
    net, tax = Decimal(truth["net"]) / 100, Decimal(truth["tax"]) / 100
    return {
        "orders": truth["orders"],
        "order_rows": truth["order_rows"],
        "net": net,
        "tax": tax,
        "total": net + tax,
        "rows_net": net,
        "rows_tax": tax,
    }


def require_equal(case: str, truth: Mapping[str, int], outputs: Mapping[str, Held]) -> None:
    """Raise Unequal where an output differs from the server's orders or from another's digest."""
    wanted = held_by_server(truth)
    differences = [
        f"{name}: {field} is {getattr(held, field)}, the server has {value}"
        for name, held in outputs.items()
        for field, value in wanted.items()
        if getattr(held, field) != value
    ]
    digests = {name: held.digest for name, held in outputs.items()}
    if not differences and len(set(digests.values())) > 1:
        differences = [f"{name}: digest {digest}" for name, digest in digests.items()]
    if differences:
        raise Unequal(f"{case}: outputs differ, so no time is shown\n" + "\n".join(differences))
