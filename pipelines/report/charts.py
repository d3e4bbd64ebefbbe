"""The charts of the report.

Belongs here: what each chart shows, its axes, colours and order. Does not belong here: figures
(`report.sql`), filters and themes (`report.js`).

Every chart reads the data set of its panel from the page, and what is chosen there as parameters:
`account` (empty: all of them), for sales `since` and `until`, for amounts `currency`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert

SOURCE_COLOURS = (
    *("#4269d0", "#e39b1b", "#e0604f", "#46a892", "#9b6bd3", "#8a8f98", "#c46a9f", "#7a8b2f"),
)
"""By the order of the sources' names; told apart by people who see few colours, too."""

AGES = ("under 1 week", "1 to 4 weeks", "4 to 13 weeks", "over 13 weeks", "not known")
AGE_COLOURS = ("#a9c7e8", "#6f9fd8", "#3f73b7", "#1f4780", "#9aa0a8")

STEPS = ("allocated", "shipped", "delivered")
STEP_COLOURS = ("#8fb8de", "#46a892", "#9b6bd3")

DURATIONS = ("under 4 h", "4 to 24 h", "1 to 2 days", "2 to 4 days", "4 to 7 days", "1 to 2 weeks",
             "2 to 4 weeks", "over 4 weeks")  # fmt: skip

LEGEND = alt.Legend(orient="top", title=None, labelLimit=160, symbolType="square")
HEIGHT = 260

WEEK = 7 * 24 * 60 * 60 * 1000
MONDAYS = (
    f"sequence(+toDate(since), +toDate(until), {WEEK} *"
    f" ceil((toDate(until) - toDate(since)) / {WEEK} / 6))"
)
"""At most six Mondays of the weeks shown."""


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, fit to stand in a page."""
    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    text = text.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    return f"(() => {{{text}\n}})();"


def specifications(sources: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Id of a chart -> its Vega-Lite specification."""
    charts = {
        "orders": _by_week(sources, "orders", "orders, credits below zero", ",d"),
        "value": _by_week(sources, "amount", "amount with tax", "~s", has_currency=True),
        "status": _open("status"),
        "waits": _open("waits_for"),
        "lead": _lead_times(),
    }
    return {name: _shown(chart) for name, chart in charts.items()}


def _shown(chart: alt.Chart) -> dict[str, Any]:
    made = chart.properties(width="container", background="transparent")
    specification: dict[str, Any] = made.to_dict()
    specification.pop("config", None)
    return specification


def _of_account(panel: str) -> alt.Chart:
    chart: alt.Chart = (
        alt.Chart(alt.NamedData(panel))
        .add_params(alt.param(name="account", value=""))
        .transform_filter("account === '' || datum.account === account")
    )
    return chart


def _by_week(
    sources: Sequence[str], field: str, title: str, form: str, *, has_currency: bool = False
) -> alt.Chart:
    span = (alt.param(name=name, value="") for name in ("since", "until"))
    chart = _of_account("sales").add_params(*span)
    chart = chart.transform_filter("toDate(datum.week) >= toDate(since)")
    if has_currency:
        currency = alt.param(name="currency", value="")
        chart = chart.add_params(currency).transform_filter("datum.currency === currency")
    colours = [SOURCE_COLOURS[n % len(SOURCE_COLOURS)] for n in range(len(sources))]
    week = alt.X(
        "week:T",
        title="week of sale, by its Monday",
        scale=alt.Scale(
            type="utc",
            domainMin=alt.ExprRef("toDate(since)"),
            domainMax=alt.ExprRef("toDate(until)"),
        ),
        axis=alt.Axis(
            format="%-d %b %Y", labelOverlap=True, grid=False, values=alt.ExprRef(MONDAYS)
        ),
    )
    made: alt.Chart = (
        chart.transform_aggregate(total=f"sum({field})", groupby=["week", "week_end", "source",
                                                                  "kind"])
        .mark_bar(orient="vertical", binSpacing=1)
        .encode(
            x=week,
            x2="week_end:T",
            y=alt.Y("total:Q", title=title, stack="zero", axis=alt.Axis(format=form, tickCount=5)),
            color=alt.Color("source:N", legend=LEGEND,
                            scale=alt.Scale(domain=list(sources), range=colours)),
            tooltip=[
                alt.Tooltip("week:T", title="week of", format="%-d %b %Y"),
                alt.Tooltip("source:N"),
                alt.Tooltip("kind:N"),
                alt.Tooltip("total:Q", title=field,
                            format=",d" if field == "orders" else ",.2f"),
            ],
        )
        .properties(height=HEIGHT)
    )  # fmt: skip
    return made


def _open(field: str) -> alt.Chart:
    title = {"status": "order status", "waits_for": "waits for"}[field]
    chart: alt.Chart = (
        _of_account("open")
        .transform_aggregate(total="sum(orders)", groupby=[field, "age"])
        .transform_calculate(order=f"indexof({list(AGES)!r}, datum.age)")
        .mark_bar(height=alt.expr("min(24, 0.7 * bandwidth('y'))"))
        .encode(
            y=alt.Y(f"{field}:N", title=None,
                    sort=alt.EncodingSortField("total", "sum", "descending"),
                    axis=alt.Axis(labelLimit=110, ticks=False, domain=False,
                                  labelExpr="replace(datum.label, /_/g, ' ')")),
            x=alt.X("total:Q", title="open orders", axis=alt.Axis(format=",d", tickCount=5,
                                                                 tickMinStep=1)),
            color=alt.Color("age:O", legend=LEGEND,
                            scale=alt.Scale(domain=list(AGES), range=list(AGE_COLOURS))),
            order="order:Q",
            tooltip=[alt.Tooltip(f"{field}:N", title=title), alt.Tooltip("age:N"),
                     alt.Tooltip("total:Q", title="open orders", format=",d")],
        )
        .properties(height=HEIGHT)
    )  # fmt: skip
    return chart


def _lead_times() -> alt.Chart:
    chart: alt.Chart = (
        _of_account("lead_times")
        .transform_aggregate(total="sum(orders)", groupby=["step", "duration"])
        .mark_bar()
        .encode(
            x=alt.X("duration:O", title="time since the order was placed",
                    scale=alt.Scale(domain=list(DURATIONS)),
                    axis=alt.Axis(labelAngle=-40, labelOverlap=False, grid=False)),
            xOffset=alt.XOffset("step:N", scale=alt.Scale(domain=list(STEPS))),
            y=alt.Y("total:Q", title="orders", axis=alt.Axis(format=",d", tickCount=5,
                                                             tickMinStep=1)),
            color=alt.Color("step:N", legend=LEGEND,
                            scale=alt.Scale(domain=list(STEPS), range=list(STEP_COLOURS))),
            tooltip=[alt.Tooltip("step:N"), alt.Tooltip("duration:N"),
                     alt.Tooltip("total:Q", title="orders", format=",d")],
        )
        .properties(height=HEIGHT)
    )  # fmt: skip
    return chart
