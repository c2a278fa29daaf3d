"""What a search reads is bounded, and meanwhile alerts change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert
from service_event_checker.core.store import Page, Query
from service_event_checker.engine import search
from service_event_checker.engine.search import Search, count, find
from tests.factories import NOW, alert


class Listing:
    """Alerts as a store pages them; `meanwhile` takes one away before the next page is read."""

    def __init__(self, number: int) -> None:
        self.alerts = [
            alert(fingerprint=str(place), updated_at=NOW - timedelta(seconds=place), labels={"n": str(place % 10)})
            for place in range(number)
        ]
        self.read = 0
        self.meanwhile: str = ""

    def page(self, query: Query) -> Page:
        if self.meanwhile and self.read:
            self.alerts = [one for one in self.alerts if one.fingerprint != self.meanwhile]
        older = [one for one in self.alerts if not query.cursor or cursor_of(one) < query.cursor]
        shown = older[: query.limit]
        self.read += len(shown)
        return Page(alerts=tuple(shown), cursor=cursor_of(shown[-1]) if len(older) > len(shown) else "")


def cursor_of(one: Alert) -> str:
    return f"{int(one.updated_at.timestamp()) * 1_000_000}-{one.key}"


def asked(text: str = 'n="3"', limit: int = 50, cursor: str = "") -> Search:
    return Search(query=Query(limit=limit, cursor=cursor), matchers=parse(text))


def test_a_search_that_meets_its_bound_gives_a_cursor_and_goes_on() -> None:
    store = Listing(search.SCANNED_MAX + 20)

    first = find(store, asked('n="x"'))
    assert (first.alerts, bool(first.cursor), store.read) == ((), True, search.SCANNED_MAX)

    assert find(store, asked('n="x"', cursor=first.cursor)) == Page(alerts=())


def test_a_count_ends_at_its_bound() -> None:
    assert count(Listing(1200), asked('n=~".+"')) == (search.COUNTED_MAX, True)
    assert count(Listing(1200), asked()) == (120, False)


def test_a_search_since_a_time_reads_no_older_pages() -> None:
    store = Listing(3000)

    found = find(store, Search(query=Query(limit=500), since=NOW - timedelta(seconds=9), text="GitHub"))

    assert (len(found.alerts), found.cursor, store.read) == (10, "", 500)


@pytest.mark.parametrize("gone", ["3", "5", "13"])
def test_an_alert_that_changes_between_two_reads_hides_no_other(gone: str) -> None:
    store = Listing(40)
    store.meanwhile = gone

    first = find(store, asked(limit=2))
    second = find(store, asked(limit=2, cursor=first.cursor))

    assert {one.fingerprint for one in (*first.alerts, *second.alerts)} >= {"3", "13", "23"}
