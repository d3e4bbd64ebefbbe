"""`orderloom report`: one page that reaches nowhere, draws its charts, and filters as SQL would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from canonical_rows import ACME, TWELVE, land, order, order_row, party, quarantined
from click.testing import CliRunner
from playwright.sync_api import Page
from warehouse_home import Home

from assets.marts import MARTS
from pipelines.cli import main
from pipelines.report.page import figures, render
from resources.ledger import Freshness
from resources.warehouse import AccountReference, Reference
from tests.browser import opened

HOSTILE = ("quotevine", "</script><script>document.title='taken'</script>&amp;<!--")
NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)
REFERENCE = Reference(
    accounts=[
        AccountReference(*ACME, timezone="Europe/London", currency="GBP", stale_after_hours=24,
                         last_success_at=NOW),
        AccountReference(*TWELVE, timezone="Europe/Berlin", currency="EUR", stale_after_hours=24,
                         last_success_at=NOW),
        AccountReference(*HOSTILE, timezone="UTC", stale_after_hours=24),
        AccountReference("efiling", "empty", timezone="UTC", stale_after_hours=24),
    ]
)  # fmt: skip
FRESH = {
    "brightpearl.acme": Freshness(NOW - timedelta(hours=1)),
    "tastyigniter.12": Freshness(NOW - timedelta(hours=30)),
}
NUMBER = re.compile(r"[\d,]+")


def _orders() -> Iterator[dict[str, Any]]:
    """Forty of one account, ten of another, three of the third, from January to March."""
    for number in range(1, 41):
        day = date(2026, 1, 5) + timedelta(days=2 * number)
        done = {"order_status": "completed"} if number % 4 else {}
        yield order(str(number), number, placed_on=day, business_date=day, **done,
                    totals_check="mismatch" if number < 4 else "ok",
                    order_type="sales_credit" if number % 10 == 0 else "sales_order",
                    currency="EUR" if number % 5 == 0 else "GBP")  # fmt: skip
    for number in range(1, 11):
        day = date(2026, 3, number)
        yield order(str(number), number, TWELVE, placed_on=day, business_date=day, currency="EUR")
    for number in range(1, 4):
        yield order(str(number), number, HOSTILE, currency=None, net_amount=None, tax_amount=None,
                    gross_amount=None, payment_status="paid")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("report"))
    orders = list(_orders())
    accounts = [(each["source_system"], each["source_account"]) for each in orders]
    ids = [(each["source_order_id"], each["landing_seq"]) for each in orders]
    rows = [order_row(*key, account=account) for key, account in zip(ids, accounts, strict=True)]
    parties = [party(*key, account) for key, account in zip(ids, accounts, strict=True)]
    land(home.lake, orders, rows, parties, quarantine=[quarantined("90", 90)])
    home.warehouse.publish(MARTS, REFERENCE)
    return home


@pytest.fixture(scope="module")
def page_file(home: Home) -> Path:
    file = home.files / "page.html"
    file.write_text(render(figures(home.places), FRESH, NOW), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with opened() as page:
        yield page


def _open(page: Page, file: Path) -> list[str]:
    """Show a page; what it says on the console."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-drawn]")
    assert said.pop(0) == file.as_uri()
    return said


def _number(page: Page, id: str) -> int:  # noqa: A002
    text = page.locator(f"#{id}").text_content() or ""
    found = NUMBER.search(text)
    return int(found[0].replace(",", "")) if found else 0


def _bars(page: Page, chart: str) -> int:
    return page.locator(f"#{chart} svg .mark-rect path").count()


SALES = """
    SELECT CAST(SUM(CASE WHEN order_type = 'sales_order' THEN orders ELSE 0 END) AS INT),
        CAST(SUM(CASE WHEN order_type = 'sales_credit' THEN orders ELSE 0 END) AS INT),
        CAST(COALESCE(SUM(CASE WHEN currency = $currency THEN gross_amount END), 0) AS INT)
    FROM daily_orders
    WHERE $account IN ('', source_system || '.' || source_account)
"""
OPEN = """
    SELECT COUNT(*) FROM open_orders
    WHERE $account IN ('', source_system || '.' || source_account)
"""


def _asked(home: Home, sql: str, **parameters: str) -> tuple[int, ...]:
    (row,) = home.warehouse.read_arrow(sql, parameters).to_pylist()
    return tuple(row.values())


def test_the_filter_changes_every_number_as_a_query_says(
    home: Home, page_file: Path, page: Page
) -> None:
    hostile = ".".join(HOSTILE)
    said = _open(page, page_file)
    drawn = set()
    for account, currency in (("", "EUR"), ("brightpearl.acme", "GBP"),
                              ("tastyigniter.12", "EUR"), (hostile, "")):  # fmt: skip
        page.select_option("#account", account)
        if currency and page.locator("#currency").is_enabled():
            page.select_option("#currency", currency)
        page.wait_for_selector("body[data-drawn]")
        orders, credited, value = _asked(home, SALES, account=account, currency=currency)
        assert (_number(page, "tile-orders"), _number(page, "tile-orders-note")) == (
            orders, credited
        )  # fmt: skip
        assert _number(page, "tile-value") == value
        (is_open,) = _asked(home, OPEN, account=account)
        assert _number(page, "tile-open") == is_open
        drawn.add((_bars(page, "orders"), _bars(page, "status")))
        freshness = page.locator("#freshness-table tbody tr")
        assert freshness.count() == (1 if account else 4)
    assert len(drawn) == 4
    assert page.locator("#value-nothing").is_visible()
    assert not page.locator("#value").is_visible()
    assert said == []


def test_charts_are_drawn_and_fit_a_desktop_and_a_phone(page_file: Path, page: Page) -> None:
    for width in (1500, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert _open(page, page_file) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for chart in ("orders", "value", "status", "waits"):
            assert _bars(page, chart) > 1, chart
            box = page.locator(f"#{chart} svg").bounding_box()
            assert box is not None
            assert box["width"] <= width
        first = page.locator("#quality-table tbody th").first.bounding_box()
        assert first is not None
        assert first["height"] < 60
        table = page.locator("#status-table")
        assert not table.is_visible()
        page.locator("details", has=table).locator("summary").press("Enter")
        assert "open" in (table.text_content() or "")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_names_are_shown_as_they_are_and_stay_text(page_file: Path, page: Page) -> None:
    assert _open(page, page_file) == []
    assert page.title() == "Orders, " + page.title().partition(", ")[2]
    assert ".".join(HOSTILE) in page.locator("#account option").all_text_contents()
    assert ".".join(HOSTILE) in (page.locator("#quality-table").text_content() or "")


def test_freshness_is_as_the_ledger_knows_it(page_file: Path, page: Page) -> None:
    _open(page, page_file)
    rows = page.locator("#freshness-table tbody tr").all()
    states = {row.locator("th").text_content(): row.locator(".state").text_content()
              for row in rows}  # fmt: skip
    assert states["brightpearl.acme"] == "fresh"
    assert states["tastyigniter.12"] == "stale"
    assert states["efiling.empty"] == "never synced"


def test_nobody_is_on_the_page(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    own = text.replace(_library(text), "")
    for personal in ("Jane", "example.com", "N1", "SKU-1", "brightpearl:acme"):
        assert personal not in own
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", own)


def _library(text: str) -> str:
    start = text.index("<script>(() =>")
    return text[start : text.index("</script>", start)]


def test_without_any_order_the_page_still_says_so(tmp_path: Path, page: Page) -> None:
    home = Home(tmp_path)
    home.warehouse.publish(MARTS, Reference())
    file = tmp_path / "page.html"
    file.write_text(render(figures(home.places), {}, NOW), encoding="utf-8")
    page.set_viewport_size({"width": 390, "height": 900})
    assert _open(page, file) == []
    for chart in ("orders", "value", "status", "waits", "lead"):
        assert page.locator(f"#{chart}-nothing").is_visible()
        assert not page.locator(f"#{chart}").is_visible()


def test_the_command_writes_the_page_or_says_why_not(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDERLOOM_HOME", str(home.files))
    told = CliRunner().invoke(main, ["report"])
    assert told.exit_code == 0, told.output
    assert "<!doctype html>" in (home.files / "report.html").read_text(encoding="utf-8")
    assert not list(home.files.glob(".report*"))
    nowhere = CliRunner().invoke(main, ["report", "--output", str(tmp_path / "no" / "page.html")])
    assert nowhere.exit_code == 2
    monkeypatch.setenv("ORDERLOOM_HOME", str(tmp_path))
    assert "run orderloom sync" in CliRunner().invoke(main, ["report"]).stderr
