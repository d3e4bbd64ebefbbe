"""`orderloom status`.

Belongs here: what the ledger knows of each account, as a table. Does not belong here: asking APIs
(`pipelines/doctor.py`), Dagster.
"""

from __future__ import annotations

from datetime import UTC, datetime

from assets.sources import accounts
from pipelines import console, drift
from resources.accounts import AccountSettings
from resources.erasures import BEGUN
from resources.ledger import CHANGES, NORMALISE, PUBLISH, Freshness, Ledger
from resources.places import Places

FAILING, HELD_BACK, STALE = "failing", "held back", "stale"
COLUMNS = ("account", "state", "last success (UTC)", "age", "come to", "last problem")


def show() -> int:
    """Print one line per account; 1 where the last run of one failed, or one is stale or held back.

    Held back: what was normalised of it is not published.
    """
    places = Places.from_environment()
    known = accounts(places)
    if not places.home.exists():
        console.out.print(f"nothing has been synced into {places.home} yet: run `orderloom sync`")
        return 0
    with Ledger(places.ledger) as ledger:
        fresh, normalised, published = map(ledger.freshness, (CHANGES, NORMALISE, PUBLISH))
        rows = []
        for account in known:
            key = account.key
            seen = fresh.get(key, Freshness())
            further = [each.get(key, Freshness()) for each in (normalised, published)]
            state = _state(seen, *further, settings=account.settings)
            cursor = ledger.cursor(key) or {}
            rows.append(
                (
                    key,
                    state,
                    _moment(seen.last_success),
                    _age(seen.last_success),
                    str(cursor.get("watermark", "") or "")[:19],
                    next((each.error for each in (seen, *further) if each.is_failing), ""),
                )
            )
        begun = [each for each in ledger.erasures.all() if each.state == BEGUN]
    console.table("", COLUMNS, rows)
    for each in begun:
        console.out.print(f"erasure {each.erasure_id} is unfinished: repeat `orderloom erase`")
    for line in drift.lines(places):
        console.out.print(line)
    console.out.print(f"marts: {places.marts}" if places.marts.exists() else "no marts yet")
    return 1 if any(row[1].startswith((FAILING, HELD_BACK, STALE)) for row in rows) else 0


def _state(
    seen: Freshness, normalised: Freshness, published: Freshness, *, settings: AccountSettings
) -> str:
    if settings.paused:
        return "paused"
    stale_at = seen.stale_at(settings.stale_after_hours)
    stale = stale_at is not None and stale_at <= datetime.now(UTC)
    since = f"{STALE} since {_moment(stale_at)[:-3]}" if stale else ""
    if seen.is_failing or normalised.is_failing or published.is_failing:
        wrong = FAILING if seen.is_failing or normalised.is_failing else HELD_BACK
        return f"{wrong}, {since}" if stale else wrong
    return since or ("fresh" if seen.last_success else "never synced")


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"
