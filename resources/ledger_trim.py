"""Which runs the ledger may forget.

Belongs here: choosing and deleting rows of the table `runs`. Does not belong here: how long they
are kept (`service.py`), what else the ledger holds: none of that is ever trimmed.

A run that brought nothing is forgotten sooner than one that brought orders, which the marts name as
the run that landed them. What freshness and the alarm of silent runs rest on is never forgotten.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from resources.ledger_store import Store, runs

ALWAYS_KEPT = 20
"""Newest runs of an account and kind that are kept, whatever their age."""


def forget_runs(store: Store, idle_before: datetime, any_before: datetime) -> int:
    """Delete old rows of run history; how many there were. Moments are UTC.

    `idle_before`: runs that succeeded and brought nothing and ended before this; `any_before`: the
    same for all other runs.
    """
    brought = sum(
        (func.coalesce(runs.c[name], 0) for name in ("new", "changed", "quarantined", "cancelled")),
        start=func.coalesce(runs.c.received, 0) * 0,
    )
    is_idle = and_(runs.c.outcome == "succeeded", brought == 0, runs.c.kind != "history")
    is_old = or_(and_(is_idle, runs.c.finished_at < idle_before), runs.c.finished_at < any_before)
    doomed = select(runs.c.run_id).where(is_old, runs.c.run_id.not_in(_kept()))
    with store.writing() as connection:
        return connection.execute(delete(runs).where(runs.c.run_id.in_(doomed))).rowcount


def _kept() -> ColumnElement[str]:
    """Runs that something rests on: of every account and kind the newest of all, the newest of each
    outcome, and the newest that received nothing."""
    newest_first = func.coalesce(runs.c.ordinal, 0).desc(), runs.c.finished_at.desc()
    received = func.coalesce(runs.c.received, 0) + func.coalesce(runs.c.listed, 0)
    of_kind = [runs.c.account, runs.c.kind]
    places = (
        select(
            runs.c.run_id,
            func.row_number().over(partition_by=of_kind, order_by=newest_first).label("of_all"),
            func.row_number()
            .over(partition_by=[*of_kind, runs.c.outcome], order_by=newest_first)
            .label("of_outcome"),
            func.row_number()
            .over(partition_by=[*of_kind, received == 0], order_by=newest_first)
            .label("of_silence"),
        )
    ).subquery()
    wanted = or_(places.c.of_all <= ALWAYS_KEPT, places.c.of_outcome == 1, places.c.of_silence == 1)
    return select(places.c.run_id).where(wanted).scalar_subquery()
