"""A headless Chromium for tests that look at a page as a person does.

Belongs here: finding it, starting it, and a page of it that reaches nothing beyond this machine.
Does not belong here: what a test clicks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
_HERE = ("127.0.0.1", "localhost")


def chromium() -> str:
    """The path of an installed Chromium; where there is none, the test is skipped and says so."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium is installed here: none of {', '.join(NAMES)} is on the PATH")
    return found


@contextmanager
def opened(width: int = 1500, height: int = 1000) -> Iterator[Page]:
    """A blank page of so many CSS pixels. Requests that would leave this machine fail the test."""
    path = chromium()
    strayed: list[str] = []

    def guard(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("http", "https") and parts.hostname not in _HERE:
            strayed.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.route("**/*", guard)
            yield page
        finally:
            browser.close()
    assert not strayed, "the page asks for addresses beyond this machine"
