"""A first load whose pages mislead: repeated, empty, shifted by a deletion, stamped in the future.

Belongs here: lists of several pages. Does not belong here: faults that any request may meet
(test_faults.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults_case import SOURCES, Case, case_of

UNTOLD = {
    ("efiling", "duplicated_page"),
    ("efiling", "empty_page"),
    ("quotevine", "empty_page"),
}
"""Nothing shows that such a page is not the end where it comes again when asked for again."""
LISTS = {
    "brightpearl": "order-search",
    "tastyigniter": "/api/orders",
    "efiling": "filters[createdFrom]",
    "quotevine": "page=",
    "feedback_company": "/invitations",
}
BY_NUMBER = ["brightpearl", "tastyigniter"]
"""Sources whose pages shift while they are read."""
OTHERS = [
    pytest.param(source, marks=pytest.mark.nightly) for source in SOURCES if source not in BY_NUMBER
]


def heals(case: Case) -> None:
    """Two days later at most, without any fault, the marts are the truth."""
    case.clear()
    for _ in range(2):
        case.later(days=1)
        case.sync()
    assert case.wrong() == {}


@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.nightly), 2])
@pytest.mark.parametrize("kind", ["duplicated_page", "empty_page", "deletion", "future_stamp"])
@pytest.mark.parametrize("source", BY_NUMBER + OTHERS)
def test_a_misleading_page_loses_nothing(
    source: str, kind: str, after: int, tmp_path: Path
) -> None:
    with case_of(source, tmp_path) as case:
        how = {"which": "first"} if kind == "deletion" else {}
        fault = case.arm(kind, after=after, path=LISTS[source], **how)
        case.sync()
        assert fault.struck == 1
        if source not in ("efiling", "quotevine") or kind in ("duplicated_page", "empty_page"):
            assert case.wrong() == {}
        heals(case)


@pytest.mark.parametrize(
    "kind", [pytest.param("duplicated_page", marks=pytest.mark.nightly), "empty_page"]
)
@pytest.mark.parametrize("source", SOURCES)
def test_a_list_that_stays_misleading_is_not_taken_for_complete(
    source: str, kind: str, tmp_path: Path
) -> None:
    with case_of(source, tmp_path) as case:
        fault = case.arm(kind, times=None, after=1, path=LISTS[source])
        if (source, kind) in UNTOLD:
            case.sync()
        else:
            assert case.account in case.failing_sync() or source == "tastyigniter"
        assert fault.struck > 1
        heals(case)
