"""Small pictures of marts for the Dagster UI.

Belongs here: what is drawn of which mart. Does not belong here: the page that `orderloom report`
writes, other metadata (`assets/telling_marts.py`).

A picture is an SVG inside Markdown: the UI shows it on a click, and it is stored with every
publication, so it is kept small. What draws is imported where something is drawn.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import duckdb

MOST_BYTES = 30_000
"""A larger picture is not told of: the event storage keeps one for every publication."""
WIDTH, HEIGHT = 480, 140
"""Of the drawing area, pixels."""
_TOO_EXACT = re.compile(r"(\d\.\d)\d+")
_UNSEEN = re.compile(
    r' (?:aria-[a-z]+|role|class|pointer-events|font-family|xmlns:xlink)="[^"]*"'
    r'| (?:opacity|stroke-width)="1"|<path d="[^"]*" display="none"/>|<g></g>'
)
"""What nobody sees of a picture, more than half of it: digits, hints to programs, defaults."""


@dataclass(frozen=True)
class Chart:
    """One picture: stacked counts over something."""

    title: str
    sql: str
    """SELECT of x, a group, and a count."""
    is_over_time: bool = False
    """Whether x is a day; else bars stand beside one another."""


CHARTS = {
    "daily_orders": Chart(
        "Orders a day by source, the newest six weeks",
        """
        WITH days AS (
            SELECT order_date AS x, source_system AS colour, SUM(orders) AS y
            FROM daily_orders
            WHERE order_date <= CURRENT_DATE + 1
            GROUP BY order_date, source_system
        ),
        newest AS (SELECT MAX(x) AS day FROM days)
        SELECT CAST(s.day AS VARCHAR), c.colour, COALESCE(d.y, 0)
        FROM (SELECT day - CAST(ago AS INTEGER) AS day FROM newest, RANGE(42) AS r (ago)) AS s
        CROSS JOIN (SELECT DISTINCT colour FROM days, newest WHERE x > day - 42) AS c
        LEFT JOIN days AS d ON d.x = s.day AND d.colour = c.colour
        ORDER BY s.day, c.colour
        """,
        is_over_time=True,
    ),
    "sales_by_month": Chart(
        "Orders a month by source, the newest 12 months",
        """
        SELECT strftime(month, '%Y-%m') AS x, source_system AS colour, SUM(orders) AS y
        FROM sales_by_month
        WHERE month <= CURRENT_DATE + 1
            AND month > (
                SELECT MAX(month) - INTERVAL 12 MONTH FROM sales_by_month
                WHERE month <= CURRENT_DATE + 1
            )
        GROUP BY month, source_system
        ORDER BY month, source_system
        """,
    ),
    "open_orders": Chart(
        "Open orders by status and source",
        """
        SELECT order_status AS x, source_system AS colour, COUNT(*) AS y
        FROM open_orders
        GROUP BY order_status, source_system
        ORDER BY order_status, source_system
        """,
    ),
}
"""Mart -> what is drawn of it."""


def picture(con: duckdb.DuckDBPyConnection, mart: str, log: Any) -> str | None:
    """The picture of a mart as Markdown; None for a mart without one, or without rows.

    A picture that cannot be drawn is told to `log`: nothing else may fail for it.
    """
    chart = CHARTS.get(mart)
    if chart is None:
        return None
    try:
        drawn = _draw(con, chart)
    except Exception as fault:  # noqa: BLE001  (whatever a drawing library raises)
        log.warning("no picture of %s: %s: %s", mart, type(fault).__name__, fault)
        return None
    if drawn is None:
        return None
    if len(drawn) > MOST_BYTES:
        log.warning("no picture of %s: it would take %d bytes", mart, len(drawn))
        return None
    return drawn


def _draw(con: duckdb.DuckDBPyConnection, chart: Chart) -> str | None:
    values = con.execute(chart.sql).fetchall()
    if not values:
        return None
    import vl_convert

    svg = _small(vl_convert.vegalite_to_svg(_specification(chart, values)))
    return f"![{chart.title}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def _small(svg: str) -> str:
    """The same picture in fewer bytes."""
    bare = _UNSEEN.sub("", _TOO_EXACT.sub(r"\1", svg))
    return bare.replace("<svg ", '<svg font-family="sans-serif" ', 1)


def _specification(chart: Chart, values: list[tuple[Any, ...]]) -> dict[str, Any]:
    """The picture in Vega-Lite: written down, since importing a library for it takes longer."""
    across: dict[str, Any] = {"field": "x", "title": None}
    mark: dict[str, Any]
    if chart.is_over_time:
        across |= {"type": "temporal", "axis": {"tickCount": 8, "grid": False}}
        mark = {"type": "area", "interpolate": "step"}
    else:
        across |= {"type": "nominal", "axis": {"labelAngle": 0}}
        mark = {"type": "bar", "size": 28}
    return {
        "title": chart.title,
        "width": WIDTH,
        "height": HEIGHT,
        "background": "white",
        "data": {"values": [{"x": x, "y": int(y), "colour": of} for x, of, y in values]},
        "mark": mark,
        "encoding": {
            "x": across,
            "y": {"field": "y", "type": "quantitative", "title": None,
                  "axis": {"tickMinStep": 1, "tickCount": 4}},
            "color": {"field": "colour", "type": "nominal", "title": None},
        },
        "config": {"aria": False, "view": {"stroke": None}},
    }  # fmt: skip
