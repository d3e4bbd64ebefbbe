"""`orderloom report`.

Belongs here: the figures, and putting them, the charts and the page together. Does not belong here:
what is counted (`report.sql`), how a chart is drawn (`charts.py`), how the page looks and what its
filters do (`report.html`, `report.css`, `report.js`).

Nobody's data is on the page: it holds counts, sums and names of accounts.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipelines.report import charts
from resources.durable import replaced
from resources.errors import ConfigurationError, WarehouseError
from resources.ledger import Freshness, Ledger
from resources.places import Places
from resources.warehouse import error_line, open_marts

Record = dict[str, Any]
Figures = dict[str, list[Record]]
"""Panel of report.sql -> its rows."""


def write(output: Path | None) -> int:
    """Write the page (default: report.html in ORDERLOOM_HOME) and return the exit code."""
    places = Places.from_environment()
    path = output or places.home / "report.html"
    found = figures(places)
    page = render(found, freshness(places), now=datetime.now(UTC)).encode()
    try:
        with replaced(path) as file:
            file.write(page)
    except OSError as fault:
        raise ConfigurationError(
            f"cannot write: {fault.strerror}", str(path), "name another file with --output FILE"
        ) from None
    (publication,) = found["publication"]
    click.echo(
        f"{len(found['accounts'])} accounts, {publication['orders']:,} orders, as published on"
        f" {_minute(publication['published_at'])} UTC"
    )
    click.echo(f"{path} ({len(page) / 1e6:.1f} MB): open it in a browser")
    return 0


def figures(places: Places) -> Figures:
    """Every panel's rows. Raises WarehouseError where there are no marts, or too old ones."""
    text = files("pipelines.report").joinpath("report.sql").read_text(encoding="utf-8")
    shared, *parts = re.split(r"^-- panel: ", text, flags=re.MULTILINE)
    with open_marts(places) as connection:
        try:
            connection.execute(shared)
            return {
                name: _records(connection.execute(sql))
                for name, _, sql in (part.partition("\n") for part in parts)
            }
        except duckdb.Error as fault:
            raise WarehouseError(
                f"these marts were made by another version: {error_line(fault)}",
                str(places.marts),
                "run orderloom rebuild, then again",
            ) from fault


def freshness(places: Places) -> dict[str, Freshness]:
    """What the ledger knows of each account; runs that brought nothing new are in no marts."""
    file = places.ledger.removeprefix("sqlite:///")
    if file != places.ledger and not Path(file).exists():
        return {}
    with Ledger(places.ledger) as ledger:
        return ledger.freshness()


def render(found: Figures, fresh: dict[str, Freshness], now: datetime) -> str:
    """The page as text. `now` is when it is made; UTC."""
    (publication,) = found["publication"]
    sources = sorted({each["source"] for each in found["sales"]})
    data: Record = {name: _columns(found[name]) for name in _OF_CHARTS}
    data["freshness"] = [_state(each, fresh, now) for each in found["accounts"]]
    newest_week = max((each["week"] for each in found["sales"]), default=now.date())
    page = Environment(
        loader=PackageLoader("pipelines.report", "."), autoescape=True, undefined=StrictUndefined
    )
    page.filters["inline"] = _inline
    return page.get_template("report.html").render(
        publication=publication,
        made_at=now,
        accounts=[each["account"] for each in found["accounts"]],
        currencies=_currencies(found["sales"]),
        periods=_periods(newest_week),
        until=newest_week + timedelta(weeks=1),
        data=data,
        specs=charts.specifications(sources),
        library=charts.library(),
        style=_file("report.css"),
        script=_file("report.js"),
    )


_OF_CHARTS = ("sales", "left_out", "open", "lead_times", "lead_medians", "quality")


def _records(found: duckdb.DuckDBPyConnection) -> list[Record]:
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _columns(records: list[Record]) -> Record:
    """Records without repeating the names of their fields."""
    names = list(records[0]) if records else []
    return {"names": names, "rows": [list(record.values()) for record in records]}


def _currencies(sales: list[Record]) -> list[str]:
    """Currencies of sales, the one of the most orders first."""
    counted: dict[str, int] = {}
    for each in sales:
        if each["amount"] is not None:
            counted[each["currency"]] = counted.get(each["currency"], 0) + abs(each["orders"])
    return sorted(counted, key=lambda name: (-counted[name], name))


def _periods(newest: date) -> list[tuple[int, str]]:
    """Spans of time to choose from: weeks, and the first of them, up to the newest week of sale."""
    return [(weeks, str(newest - timedelta(weeks=weeks - 1))) for weeks in (13, 26, 53)]


def _state(account: Record, known: dict[str, Freshness], now: datetime) -> Record:
    """When an account last succeeded, and whether that is too long ago."""
    in_marts = account["last_success_at"]
    seen = known.get(account["account"]) or Freshness(in_marts and in_marts.replace(tzinfo=UTC))
    hours = account["stale_after_hours"]
    stale_at = seen.stale_at(hours or 0)
    if account["paused"]:
        state = "paused"
    elif seen.is_failing:
        state = "failing"
    elif stale_at is None:
        state = "never synced"
    else:
        state = "stale" if hours and stale_at <= now else "fresh"
    return {
        "account": account["account"],
        "orders": account["orders"],
        "state": state,
        "last_success": _minute(seen.last_success),
        "hours_ago": None if seen.last_success is None
        else round((now - seen.last_success).total_seconds() / 3600, 1),
        "stale_after_hours": hours,
    }  # fmt: skip


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _inline(value: Any) -> str:
    """A value as JSON that may stand in a script element, whatever its texts hold."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def _file(name: str) -> str:
    return files("pipelines.report").joinpath(name).read_text(encoding="utf-8")
