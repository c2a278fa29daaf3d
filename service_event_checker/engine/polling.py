"""Polls each source once per interval, however many processes there are: takes its slot, checks, reports.

The slot is a row in the store, taken by compare-and-set; one whose poll does not report in time, or whose process was
killed, is free again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput, Reason, SourceError, StoreError
from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert, Event, PlannedWork, Slot, Snapshot
from service_event_checker.core.page_changes import outward
from service_event_checker.core.ports import Checker
from service_event_checker.core.roles import PollingStore
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, ResolvedBy
from service_event_checker.engine import hints, page_watch, places
from service_event_checker.engine.clocks import not_in_future
from service_event_checker.engine.page_watch import PageWatch
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.slot_owner import is_gone, new_owner
from service_event_checker.metrics import POLL_SECONDS, POLLS, UNKNOWN_VALUES
from service_event_checker.render.text import duration

JITTER = 0.1  # of the interval; keeps checkers from calling in step
BACK_OFF_MAX = timedelta(minutes=5)  # a page that comes back is seen within this
CLOCK_SKEW = timedelta(minutes=1)  # between instances
DISMISSED_MAX = 100  # per source; a feed, which is never complete, would keep them for ever
PLANNED_MAX = 10  # works of one source that are kept for the page
PLANNED_TITLE_MAX = 200  # characters; a slot is one short row of every store
PLANNED_URL_MAX = 500
PLANNED_AHEAD = timedelta(days=14)
UNKNOWN_FOR_LONG = timedelta(minutes=30)
_LISTED = frozenset(
    {Kind.OUTAGE, Kind.MAINTENANCE}
)  # by pages: what a receiver of the same name has born is not theirs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of asking a source at once; `busy`: its slot is another poll's right now."""

    snapshot: Snapshot | None = None
    error: SourceError | None = None
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A checker and how it is to be asked. `lease`: how long one poll may take before the slot is free again.

    `not_listed`: given what the source lists, warnings of places that are selected and are not there.
    `page`: what is known of the entry, to notice that the page is another one.
    """

    name: str
    checker: Checker
    every: timedelta
    lease: timedelta
    resolve_after: int
    affects: Callable[[Event], Affects]
    not_listed: Callable[[Mapping[str, frozenset[str]]], tuple[str, ...]] = lambda _listed: ()
    page: PageWatch = PageWatch()


class Poller:
    def __init__(
        self,
        store: PollingStore,
        pipeline: Pipeline,
        watches: Mapping[str, Watch],
        *,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.pipeline = pipeline
        self.watches = watches
        self._clock = clock
        self._jitter = jitter

    def due(self) -> list[str]:
        """Return the names of the checkers whose slots can be taken now; changes nothing."""
        now, known = self._clock(), self.store.slots()
        return [name for name in self.watches if (slot := known.get(name)) is None or _is_free(slot, now)]

    def take_due(self, only: Iterable[str] | None = None) -> list[Slot]:
        """Take the slots that are due now, of all checkers or those named; each is the caller's to poll and report.

        Raises KeyError for an unknown name, and StoreError.
        """
        now, known = self._clock(), self.store.slots()
        wanted = self.watches if only is None else only
        taken = (self._take(self.watches[name], known.get(name), now) for name in wanted)
        return [slot for slot in taken if slot]

    def check_now(self, name: str) -> Checked:
        """Poll one source at once, whenever it is due. Raises KeyError for an unknown name, and StoreError."""
        watch, now = self.watches[name], self._clock()
        slot = self.store.slots().get(name)
        taken = self._take(watch, replace(slot, due_at=now) if slot else None, now)
        if taken is None:
            return Checked(busy=True)
        found = self.poll(taken)
        return Checked(error=found) if isinstance(found, SourceError) else Checked(snapshot=found)

    def poll(self, slot: Slot) -> Snapshot | SourceError:
        """Check the source of a taken slot, ingest what it shows and report; return what came of it.

        Raises StoreError; the slot is then free again when its lease is over.
        """
        watch = self.watches[slot.name]
        try:
            snapshot, after = self._check(watch, slot)
        except SourceError as error:
            now = self._clock()
            slot = page_watch.failed(slot, error, others_answer=self._others_answer(slot, now), now=now)
            slot = page_watch.told(slot, watch.page, self.pipeline, now)
            known = page_watch.error_of(slot, error)
            self._report(self._failed(watch, slot, known))
            return known
        except StoreError:
            raise  # says nothing of the source
        except Exception:
            log.exception("check_crashed", checker=slot.name)
            self._report(self._failed(watch, slot, SourceError(slot.name, Reason.CRASHED)))
            raise
        after = page_watch.told(after, watch.page, self.pipeline, self._clock(), readable=True)
        self._report(replace(self._succeeded(after, snapshot), change=None))
        return snapshot

    def _check(self, watch: Watch, slot: Slot) -> tuple[Snapshot, Slot]:
        """Ask the source and commit what changed; return what it showed, and the slot with what is to be remembered.

        Raises SourceError (nothing is changed then) and StoreError.
        """
        of_source = self.store.open_alerts(watch.name)
        tracked = [alert for alert in of_source if alert.kind in _LISTED and not alert.test]
        asked = places.asked(tracked, slot.merged).union(slot.dismissed)
        with POLL_SECONDS.labels(watch.name).time():
            seen = watch.checker.check(outward(asked, slot.aliases))
        now = self._clock()
        seen, slot = page_watch.accept(seen, slot, watch.page, [*tracked, *self._ended_by_people(slot)], now)
        # Judged as the source gave it: cleaning cuts long labels.
        timely = _as_begun(not_in_future(now, seen.events, timedelta(0)), tracked)
        judged = (replace(event, affects_us=watch.affects(event)) for event in timely)
        snapshot, merged = places.join(_usable(replace(seen, events=tuple(judged))), tracked, slot.merged)
        events = [*snapshot.events, *_outdated(snapshot, tracked, now)]
        gone = _gone(slot.dismissed, snapshot, tracked)
        ended = [name for name, times in gone.items() if times >= watch.resolve_after]
        events += [_end_of(watch.name, fingerprint) for fingerprint in ended]
        known = self.pipeline.ingest(events, now, first_good_at=slot.first_good_at)
        self.pipeline.absent(tracked, snapshot, watch.resolve_after, now)
        listed = {alert.fingerprint: 0 for alert in known.values() if _is_dismissed(alert)}
        still = {name: times for name, times in gone.items() if name not in ended} | listed
        return snapshot, replace(slot, dismissed=dict(list(still.items())[-DISMISSED_MAX:]), merged=merged)

    def _ended_by_people(self, slot: Slot) -> list[Alert]:
        keys = [alert_key(slot.name, fingerprint) for fingerprint in slot.dismissed]
        return list(self.store.get(keys).values()) if keys else []

    def _take(self, watch: Watch, slot: Slot | None, now: datetime) -> Slot | None:
        if slot is None:
            slot = Slot(name=watch.name, due_at=now)
        elif not _is_free(slot, now):
            return None
        pause = watch.every * (1 + JITTER * self._jitter())
        mine = replace(slot, owner=new_owner(), lease_until=now + watch.lease, due_at=now + pause, last_run_at=now)
        return self.store.put_slot(mine)

    def _others_answer(self, slot: Slot, now: datetime) -> bool:
        """Whether another source could be read while this one fails, or there is none: the network works."""
        since = slot.unknown_since or now - UNKNOWN_FOR_LONG
        others = [each for name, each in self.store.slots().items() if name in self.watches and name != slot.name]
        return not others or any(each.last_success_at and each.last_success_at >= since for each in others)

    def _succeeded(self, slot: Slot, snapshot: Snapshot) -> Slot:
        now = self._clock()
        if slot.unknown_since:
            log.info("source_recovered", checker=slot.name, unknown_for=str(now - slot.unknown_since))
        for warning in set(snapshot.warnings) - set(slot.warnings):
            UNKNOWN_VALUES.labels(slot.name).inc()
            log.warning("source_warning", checker=slot.name, warning=warning)
        missing = self.watches[slot.name].not_listed(snapshot.listed)
        for warning in set(missing) - set(slot.warnings):
            log.warning("not_on_the_page", checker=slot.name, warning=warning)
        POLLS.labels(slot.name, "ok").inc()
        return replace(
            slot,
            last_success_at=now,
            first_good_at=slot.first_good_at or now,
            unknown_since=None,
            unknown_reason="",
            failures=0,
            warnings=(*snapshot.warnings, *missing),
            planned=_planned(snapshot.events, now),
        )

    def _failed(self, watch: Watch, slot: Slot, error: SourceError) -> Slot:
        """Note that the state is unknown, and ask later the more often it fails."""
        now = self._clock()
        POLLS.labels(slot.name, error.reason.name.lower()).inc()
        since = slot.unknown_since or now
        long = now - since >= UNKNOWN_FOR_LONG
        if not slot.unknown_since or long:
            level = log.error if long else log.warning
            level("source_unknown", checker=slot.name, reason=str(error), since=since.isoformat())
        pause = max(watch.every, min(watch.every * 2.0 ** min(slot.failures, 10), BACK_OFF_MAX))
        if error.retry_after is not None:
            pause = max(pause, timedelta(seconds=error.retry_after))
        due_at = now + pause * (1 + JITTER * self._jitter())
        reason = f"{error.reason}" + (f": {error.detail}" if error.detail else "")
        return replace(slot, unknown_since=since, unknown_reason=reason, failures=slot.failures + 1, due_at=due_at)

    def _report(self, slot: Slot) -> None:
        reported = self.store.put_slot(replace(slot, owner="", lease_until=None))
        if reported is None:
            log.warning("poll_lease_lost", checker=slot.name)  # our poll took too long; another one runs or has run
        else:
            hints.follow(self.store, reported)


def _planned(events: Iterable[Event], now: datetime) -> tuple[PlannedWork, ...]:
    """Return the works that concern us, are not over and begin soon, the earliest first."""
    works = [
        PlannedWork(
            fingerprint=event.fingerprint,
            title=event.title[:PLANNED_TITLE_MAX],
            starts_at=event.starts_at,
            ends_at=event.ends_at,
            url=event.url if len(event.url) <= PLANNED_URL_MAX else "",
        )
        for event in events
        if event.kind is Kind.MAINTENANCE and event.status is EventStatus.FIRING and event.affects_us is not Affects.NO
    ]
    soon = [work for work in works if work.starts_at is None or work.starts_at <= now + PLANNED_AHEAD]
    return tuple(sorted(soon, key=lambda work: (work.starts_at or now, work.fingerprint))[:PLANNED_MAX])


def _is_free(slot: Slot, now: datetime) -> bool:
    """Whether a slot is due and nobody's; one that was last run in the future bears the marks of a wrong clock."""
    if slot.last_run_at is not None and slot.last_run_at > now + CLOCK_SKEW:
        return True
    if is_gone(slot.owner):
        return True  # its poll has told nothing, and a poll may be repeated
    return slot.due_at <= now and (slot.lease_until is None or slot.lease_until <= now)


def _gone(dismissed: Mapping[str, int], snapshot: Snapshot, tracked: Iterable[Alert]) -> dict[str, int]:
    """Count the good polls that no longer listed what a person had resolved; what is listed or open is left out."""
    seen = {event.fingerprint for event in snapshot.events} | {alert.fingerprint for alert in tracked}
    one = int(snapshot.complete)
    unread = snapshot.unknown
    return {name: times + (one if name not in unread else 0) for name, times in dismissed.items() if name not in seen}


def _end_of(source: str, fingerprint: str) -> Event:
    return Event(source=source, fingerprint=fingerprint, kind=Kind.OUTAGE, status=EventStatus.RESOLVED)


def _is_dismissed(alert: Alert) -> bool:
    return alert.resolved_by is ResolvedBy.PERSON and not alert.source_ended


def _as_begun(events: Iterable[Event], tracked: Iterable[Alert]) -> Iterator[Event]:
    """Drop a start that lies after we saw the outage: it was one of the future, of a page whose clock is ahead."""
    opened = {alert.fingerprint: alert.opened_at for alert in tracked if alert.kind is not Kind.MAINTENANCE}
    for event in events:
        since = opened.get(event.fingerprint)
        late = since is not None and event.starts_at is not None and event.starts_at > since
        yield replace(event, starts_at=None) if late else event


def _outdated(snapshot: Snapshot, tracked: Iterable[Alert], now: datetime) -> list[Event]:
    """Return the ends of those alerts that a source does not show and had no news of for longer than it is believed."""
    if snapshot.max_age is None:
        return []
    shown = {event.fingerprint for event in snapshot.events}
    unseen = [alert for alert in tracked if alert.fingerprint not in shown]
    old = [alert for alert in unseen if now - _last_news(alert) > snapshot.max_age]
    text = f"No news of it for {duration(snapshot.max_age)}: it is no longer believed."
    return [replace(_end_of(snapshot.source, alert.fingerprint), note=text) for alert in old]


def _last_news(alert: Alert) -> datetime:
    return max(filter(None, (alert.opened_at, alert.seen_at)))


def _usable(snapshot: Snapshot) -> Snapshot:
    """Leave out, with a warning, events that cannot be stored; any tracked alert may be one of them."""
    events: list[Event] = []
    warnings: dict[str, None] = {}
    for event in snapshot.events:
        try:
            events.append(clean(event))
        except InvalidInput as error:
            warnings[f"an item cannot be used: {error}"] = None
    if not warnings:
        return snapshot
    return replace(snapshot, events=tuple(events), complete=False, warnings=(*snapshot.warnings, *warnings))
