"""What stored alerts tell of dependencies: which services' alerts name which vendors. It applies nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from service_event_checker.core.clues import read
from service_event_checker.core.knowledge import Knowledge
from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Kind

PAGE = 500
LOOKED_AT = 5_000  # alerts, the latest
LEAST = 2  # alerts that name a vendor; one may be chance


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`alerts`: how many of the service's alerts name the vendor; `by`: words that do, like a host."""

    service: str
    vendor: str
    alerts: int
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggested:
    """`unlabelled`: alerts that name a vendor and have no label `service`, so that nothing can be proposed of them."""

    suggestions: tuple[Suggestion, ...]
    looked_at: int
    unlabelled: int


def suggest(store: Alerts, known: Knowledge) -> Suggested:
    """Return what is not declared yet, the most frequent first. Raises StoreError."""
    counts: Counter[tuple[str, str]] = Counter()
    words: dict[tuple[str, str], dict[str, None]] = {}
    looked_at = unlabelled = 0
    for alert in _alerts(store):
        looked_at += 1
        reading = read(alert, known)
        unlabelled += bool(reading.named and not reading.service)
        for vendor in reading.named if reading.service else ():
            if vendor not in reading.declared:
                counts[reading.service, vendor] += 1
                words.setdefault((reading.service, vendor), {}).update((how, None) for _, how in reading.named[vendor])
    found = [
        Suggestion(service, vendor, number, tuple(words[service, vendor])[:3])
        for (service, vendor), number in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        if number >= LEAST
    ]
    return Suggested(tuple(found), looked_at, unlabelled)


def _alerts(store: Alerts) -> Iterator[Alert]:
    cursor, left = "", LOOKED_AT
    while left > 0:
        page = store.page(Query(kinds=frozenset({Kind.ALERT}), limit=min(PAGE, left), cursor=cursor))
        yield from (alert for alert in page.alerts if not alert.test and not alert.is_group)
        cursor, left = page.cursor, left - PAGE
        if not cursor:
            return
