"""Is it us or them, for what comes in and for what is there: judges alerts by the vendors' outages.

What opens or changes is judged with its commit, by outages that are a few seconds old. When an outage opens, changes
or ends, the alerts that are open or lately closed are judged again. A repetition finds nothing new.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Protocol

import structlog

from service_event_checker.core import correlate, explaining, failover, page_notice, routing
from service_event_checker.core.knowledge import Change, Knowledge
from service_event_checker.core.model import GROUPS, STORMS, Alert
from service_event_checker.core.replacing import replace
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Conflict, Done, IdTaken, Query, Write
from service_event_checker.core.tracker import Tracked
from service_event_checker.core.verdict import Verdict
from service_event_checker.core.vocabulary import Affects, Kind, ResolvedBy
from service_event_checker.engine import changes as own_changes
from service_event_checker.engine import learning
from service_event_checker.metrics import VERDICTS

OVER_FOR = timedelta(hours=2)  # how long an outage and an alert are still looked at after their end
CACHED = timedelta(seconds=2)
JUDGED_MAX = 5_000  # alerts at once
OUTAGES_MAX = 500
READ_AT_ONCE = 500  # closed alerts
AT_ONCE = 100  # alerts of a commit
_OWN_SOURCES = frozenset({GROUPS, STORMS, failover.SOURCE, page_notice.SOURCE})
_THEIRS = frozenset({Kind.OUTAGE, Kind.MAINTENANCE})

log = structlog.get_logger()


class Committing(Protocol):
    """What of the pipeline is needed here."""

    def book_at(self, now: datetime) -> Rulebook: ...
    def commit_all(self, writes: Sequence[Write], now: datetime) -> Sequence[Done | Conflict | IdTaken]: ...


@dataclass(frozen=True, slots=True)
class Around:
    """The outages that are open or just over, and what is known beside them. `void`: ids that explain nothing more."""

    outages: tuple[Alert, ...] = ()
    known: Knowledge = field(default_factory=Knowledge)
    void: frozenset[str] = frozenset()

    @property
    def ids(self) -> frozenset[str]:
        return self.void.union(outage.internal_id for outage in self.outages)


@dataclass(frozen=True, slots=True)
class _Judged:
    """By what alerts were judged: outages as (vendor, key, revision), what explains nothing more, our changes."""

    outages: frozenset[tuple[str, str, int]]
    void: frozenset[str]
    unreadable: frozenset[str]
    changes: frozenset[Change]

    @classmethod
    def of(cls, around: Around) -> _Judged:
        known = around.known
        outages = frozenset((each.source, each.key, each.revision) for each in around.outages)
        return cls(outages, around.void, known.unreadable, frozenset(known.changes))

    def touched_since(self, before: _Judged | None) -> Callable[[correlate.Reading], bool]:
        """Return a test whether what has changed since concerns an alert, by its reading; at first, of any tie."""
        if before is None:
            return lambda reading: bool(reading.named or reading.declared or reading.service)
        vendors = {vendor for vendor, *_ in self.outages ^ before.outages} | (self.unreadable ^ before.unreadable)
        services = {change.service for change in self.changes ^ before.changes}

        def concerns(reading: correlate.Reading) -> bool:
            tied = not (vendors.isdisjoint(reading.named) and vendors.isdisjoint(reading.declared))
            return tied or (reading.service in services)

        return concerns


class Correlation:
    """Safe to call from several threads."""

    def __init__(self, store: Store, known: Knowledge, checkers: Iterable[str] = ()) -> None:
        self._store = store
        self._known = known
        self._checkers = frozenset(checkers)
        self._lock = threading.Lock()
        self._around = Around()
        self._read_at: datetime | None = None
        self._judged: _Judged | None = None
        self._readings: dict[str, tuple[Alert, correlate.Reading]] = {}  # of the last look back, by key

    def around(self, now: datetime) -> Around:
        """Return what alerts are judged by now, at most two seconds old. Raises StoreError."""
        with self._lock:
            if self._read_at is None or not timedelta(0) <= now - self._read_at < CACHED:
                self._around, self._read_at = self._read(now), now
            return self._around

    def explain(self, changes: Sequence[Tracked], _context: object, now: datetime) -> Sequence[Tracked]:
        """Return the changes with their verdicts; without an outage this costs nothing."""
        if not any(_is_ours(change.alert) for change in changes):
            return changes
        around = self.around(now)
        if not around.outages:
            return changes
        return [_explained(change, around, now) for change in changes]

    def judge(self, alert: Alert, now: datetime) -> Verdict:
        """Return the verdict on an alert as it is now, whatever is kept of it. Raises StoreError."""
        return verdict_on(alert, self.around(now), now)

    def look_back(self, pipeline: Committing, now: datetime) -> int:
        """Judge again what is open or lately closed, if an outage has changed since; return how many verdicts changed.

        Raises StoreError.
        """
        around = self._read(now)
        these = _Judged.of(around)
        if these == self._judged or (not around.outages and not around.void and self._judged is None):
            return 0
        touched = these.touched_since(self._judged)
        alerts = list(self._alerts(now))
        readings = self._read_all(alerts, around.known)
        siblings = correlate.Siblings(readings)
        changes = []
        for alert, reading in readings:
            if not touched(reading):
                continue
            known = _with_votes(around.known, alert)
            verdict = correlate.judge(alert, reading, around.outages, known, now, siblings.of(alert, reading))
            if explaining.is_news(alert, verdict, around.ids):
                changes.append(explaining.changed(alert, verdict, now))
        changed, lost = _commit(pipeline, changes, now)
        self._judged = None if lost else these
        return changed

    def _read_all(self, alerts: Iterable[Alert], known: Knowledge) -> list[tuple[Alert, correlate.Reading]]:
        """Return the alerts with what their words tell; one that has not changed since is not read again."""
        before, self._readings = self._readings, {}
        found = []
        for alert in alerts:
            seen = before.get(alert.key)
            reading = seen[1] if seen and _reads_like(seen[0], alert) else correlate.read(alert, known)
            self._readings[alert.key] = alert, reading
            found.append((alert, reading))
        return found

    def _alerts(self, now: datetime) -> Iterator[Alert]:
        """Yield our own alerts that are open or were closed lately, at most 5,000."""
        return islice(filter(_is_ours, chain(self._store.open_alerts(), self._closed_lately(now))), JUDGED_MAX)

    def _closed_lately(self, now: datetime) -> Iterator[Alert]:
        """Yield the alerts that were closed lately, those that changed last first."""
        query = Query(open=False, kinds=frozenset({Kind.ALERT}), limit=READ_AT_ONCE)
        for _ in range(JUDGED_MAX // READ_AT_ONCE):
            page = self._store.page(query)
            yield from (each for each in page.alerts if each.closed_at and now - each.closed_at <= OVER_FOR)
            if not page.cursor or now - page.alerts[-1].updated_at > OVER_FOR:
                return
            query = replace(query, cursor=page.cursor)

    def _read(self, now: datetime) -> Around:
        shown = self._store.page(Query(open=True, kinds=_THEIRS, limit=OUTAGES_MAX)).alerts
        over = self._store.page(Query(open=False, kinds=_THEIRS, limit=OUTAGES_MAX)).alerts
        late = (each for each in over if each.closed_at and now - each.closed_at <= OVER_FOR)
        found = [each for each in (*shown, *late) if not each.test and _has_begun(each, now)]
        nothing = {each.key: each.internal_id for each in found if _explains_nothing(each)}
        outages = tuple(each for each in found if each.key not in nothing)
        if not found:
            return Around()
        changes = tuple(own_changes.recent(self._store.holding, now))
        said = learning.learned(self._store, now)
        known = replace(self._known, unreadable=self._unreadable(), changes=changes, learned=said)
        return Around(outages, known, frozenset(nothing.values()))

    def _unreadable(self) -> frozenset[str]:
        slots = self._store.slots()
        return frozenset(
            name
            for name in self._checkers
            if (slot := slots.get(name)) is None or slot.unknown_since or slot.last_success_at is None
        )


def verdict_on(alert: Alert, around: Around, now: datetime) -> Verdict:
    """Return the verdict on one alert, by its own words and by what the last verdict knew of others."""
    known, kept = _with_votes(around.known, alert), alert.verdict.evidence if alert.verdict else ()
    return correlate.judge(alert, correlate.read(alert, known), around.outages, known, now, kept=kept)


def _explained(change: Tracked, around: Around, now: datetime) -> Tracked:
    alert = change.alert
    if alert is None or not _is_ours(alert) or not alert.open:
        return change
    verdict = verdict_on(alert, around, now)
    if change.opens:
        return explaining.opened(change, alert, verdict)
    if not explaining.is_news(alert, verdict, around.ids):
        return change
    later = explaining.changed(alert, verdict, now)
    return replace(change, alert=later.alert, transitions=(*change.transitions, *later.transitions))


def _explains_nothing(outage: Alert) -> bool:
    return outage.affects_us is Affects.NO or outage.resolved_by is ResolvedBy.RETRACTED


def _is_ours(alert: Alert | None) -> bool:
    """Whether an alert may have a cause: groups, digests and our own notices only list others, or tell of us."""
    lists = alert is None or alert.source in _OWN_SOURCES
    return alert is not None and alert.kind is Kind.ALERT and not alert.test and not lists


def _reads_like(one: Alert, other: Alert) -> bool:
    """Whether two states of an alert tell the same; a new verdict or status is no other word."""
    return (one.title, one.description, one.severity, one.labels, one.annotations, one.intakes) == (
        other.title,
        other.description,
        other.severity,
        other.labels,
        other.annotations,
        other.intakes,
    )


def _has_begun(outage: Alert, now: datetime) -> bool:
    """Whether it can explain anything: planned work that has not begun cannot."""
    return outage.kind is Kind.OUTAGE or outage.started_at <= now


def _with_votes(known: Knowledge, alert: Alert) -> Knowledge:
    """Return what is known with what people said of this alert."""
    if not alert.votes:
        return known
    said: dict[str, dict[tuple[str, str], str]] = {"confirm": {}, "reject": {}}
    for outage, vote in alert.votes.items():
        word, _, by = vote.partition(":")
        said[word][alert.key, outage] = by
    return replace(known, confirmed=said["confirm"], rejected=said["reject"])


def _commit(pipeline: Committing, changes: Sequence[Tracked], now: datetime) -> tuple[int, int]:
    """Commit changed verdicts; return of how many alerts, and how many others were faster with."""
    done = lost = 0
    for first in range(0, len(changes), AT_ONCE):
        book = pipeline.book_at(now)
        some = changes[first : first + AT_ONCE]
        writes = [routing.route(each.alert, each.transitions, book, now) for each in some if each.alert]
        for result in pipeline.commit_all(writes, now):
            done += isinstance(result, Done)
            lost += not isinstance(result, Done)
    for each in changes:
        if each.alert and each.alert.verdict:
            VERDICTS.labels(each.alert.verdict.answer.value).inc()
    return done, lost
