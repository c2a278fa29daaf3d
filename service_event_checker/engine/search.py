"""Finds alerts by what no index holds: labels, text, times and other orders. Reads page by page, within bounds.

The indexed filters (status, severity, kind, source) are the store's. A search that meets a bound goes on by its cursor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service_event_checker.core import matchers
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Alerts
from service_event_checker.core.rules import names_of
from service_event_checker.core.store import Page, Query

SCANNED_MAX = 5000  # alerts that one search reads
SECONDS_MAX = 2.0  # after which it reads no further page
COUNTED_MAX = 1000
FILTERS_MAX = 20
NEWEST_FIRST = "-updated"
_PAGE = 500
_OFFSET = "s"  # before the number in a cursor of an order that is not the store's
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES: Mapping[str, Callable[[Alert], datetime]] = {
    "updated": lambda alert: alert.updated_at,
    "started": lambda alert: alert.started_at,
    "opened": lambda alert: alert.opened_at,
}
TIMES = tuple(_TIMES)
_KEYS: Mapping[str, Callable[[Alert], Any]] = {**_TIMES, "severity": lambda alert: alert.severity.rank}
SORTS = tuple(sign + name for name in _KEYS for sign in ("", "-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is asked for beside the store's `query`. `since`, `until`: bounds of the time that `by` names, one of TIMES.

    `sort` is one of SORTS: by time the oldest first, by severity the most severe first; `-` turns it round.
    """

    query: Query
    matchers: tuple[Matcher, ...] = ()
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    by: str = "updated"
    sort: str = NEWEST_FIRST

    @property
    def is_plain(self) -> bool:
        """Whether the store alone can answer it."""
        return self == Search(query=self.query, by=self.by)

    def admits(self, alert: Alert) -> bool:
        at = _TIMES[self.by](alert)
        if (self.since and at < self.since) or (self.until and at > self.until):
            return False
        if self.text and not any(self.text.casefold() in text.casefold() for text in _texts(alert)):
            return False
        names = names_of(alert) if self.matchers else {}
        return all(matcher.matches(names) for matcher in self.matchers)

    def is_past(self, page: Page) -> bool:
        """Whether all that follows a page is too old: pages come by `updated`."""
        return bool(self.by == "updated" and self.since and page.alerts and page.alerts[-1].updated_at < self.since)


def read_filters(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Return the matchers of a filter that a person sent. Raises InvalidInput, also for a pattern that is costly."""
    found = tuple(matcher for text in texts for matcher in matchers.parse(text, "filter"))
    if len(found) > FILTERS_MAX:
        raise InvalidInput("filter", f"has more than {FILTERS_MAX} matchers", "Leave some out")
    costly = next((matcher for matcher in found if matcher.pattern and matchers.is_costly(matcher.value)), None)
    if costly:
        problem = f"the pattern of {costly.name} could take too long"
        raise InvalidInput("filter", problem, "Repeat no group, and little else")
    return found


def find(store: Alerts, search: Search) -> Page:
    """Return the next alerts that it admits. Fewer than its limit with a cursor: a bound was met, go on with it.

    The cursor is one that `is_offset` tells to be of this order. Raises StoreError.
    """
    return _next(store, search) if search.sort == NEWEST_FIRST else _sorted(store, search)


def count(store: Alerts, search: Search) -> tuple[int, bool]:
    """Return how many alerts it admits, at most COUNTED_MAX, and whether there may be more. Raises StoreError."""
    counted, page = 0, Page(alerts=())
    first = replace(search, query=replace(search.query, cursor=""))
    for page in pages(store, first):
        counted += sum(map(search.admits, page.alerts))
        if counted > COUNTED_MAX:
            return COUNTED_MAX, True
    return counted, bool(page.cursor) and not search.is_past(page)


def _next(store: Alerts, search: Search) -> Page:
    found: list[Alert] = []
    page = Page(alerts=())
    for page in pages(store, search):
        for place, alert in enumerate(page.alerts):
            if search.admits(alert):
                found.append(alert)
            if len(found) == search.query.limit:
                return Page(alerts=tuple(found), cursor=cursor_after(page, place))
    return Page(alerts=tuple(found), cursor="" if search.is_past(page) else page.cursor)


def _sorted(store: Alerts, search: Search) -> Page:
    """Sort what is found within the bounds; the cursor counts alerts."""
    offset = int(search.query.cursor.removeprefix(_OFFSET) or 0)
    first = replace(search, query=replace(search.query, cursor=""))
    found = [alert for page in pages(store, first) for alert in filter(search.admits, page.alerts)]
    name = search.sort.removeprefix("-")
    found.sort(key=lambda alert: (_KEYS[name](alert), alert.key), reverse=search.sort.startswith("-"))
    end = offset + search.query.limit
    return Page(alerts=tuple(found[offset:end]), cursor=f"{_OFFSET}{end}" if end < len(found) else "")


def pages(store: Alerts, search: Search) -> Iterator[Page]:
    """Yield pages until one is the last or a bound is met."""
    cursor, scanned, until = search.query.cursor, 0, time.monotonic() + SECONDS_MAX
    while scanned < SCANNED_MAX:
        page = store.page(replace(search.query, limit=_PAGE, cursor=cursor))
        yield page
        if not page.cursor or search.is_past(page) or time.monotonic() > until:
            return
        scanned, cursor = scanned + len(page.alerts), page.cursor


def read_all(store: Alerts, search: Search) -> tuple[list[Alert], bool]:
    """Return the alerts without tests and groups, and whether these are all of them: no bound was met."""
    found: list[Alert] = []
    page = Page(alerts=())
    for page in pages(store, search):
        found += [alert for alert in page.alerts if not alert.test and not alert.is_group]
    return found, not page.cursor or search.is_past(page)


def cursor_after(page: Page, place: int) -> str:
    """Return the cursor behind an alert in the midst of a page, in the form that `Page` names."""
    if place + 1 == len(page.alerts):
        return page.cursor
    alert = page.alerts[place]
    return f"{(alert.updated_at - _EPOCH) // timedelta(microseconds=1)}-{alert.key}"


def is_offset(cursor: str) -> bool:
    """Whether a cursor is that of an order which is not the store's."""
    return cursor.startswith(_OFFSET) and cursor.removeprefix(_OFFSET).isdecimal()


def _texts(alert: Alert) -> tuple[str, ...]:
    return (alert.title, alert.description, alert.internal_id, alert.source, alert.fingerprint, *alert.labels.values())
