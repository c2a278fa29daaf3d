"""From events to commits: recognise, load, track, correlate, route, commit, each over all events of a message.

The steps read and write; `core` decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from service_event_checker.core import announcements, routing, rules, tracker
from service_event_checker.core.errors import InvalidInput, StoreConflict
from service_event_checker.core.model import GROUPS, Alert, Event, Snapshot
from service_event_checker.core.replacing import replace
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import CONFIGURED
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.tracker import Tracked
from service_event_checker.core.vocabulary import Kind, Why
from service_event_checker.engine import grouping, pending_events
from service_event_checker.engine.echoes import is_no_news, marked
from service_event_checker.engine.recognise import Seen, recognise, rounds
from service_event_checker.logs import alert_facts, together
from service_event_checker.metrics import DECISIONS, SILENCE_HITS, TRANSITIONS, UNROUTED, label

CONFLICTS_MAX = 20  # tries; at each at least one writer of a contended alert wins

_TOLD_ELSEWHERE = frozenset({Why.LINKED, Why.REPEATED})  # by the delivery's line, or before

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Context:
    """What the events of a round are judged by, read once for all of them."""

    alerts: Mapping[str, Alert]


Correlate = Callable[[Sequence[Tracked], Context, datetime], Sequence[Tracked]]
Wake = Callable[[Iterable[str]], None]
Hear = Callable[[Iterable[Event], datetime], Iterable[Event]]
Matched = Callable[[Iterable[Rule], datetime], None]


def unexplained(changes: Sequence[Tracked], _context: Context, _now: datetime) -> Sequence[Tracked]:
    """Correlate nothing: each change stands for itself."""
    return changes


def unheard(events: Iterable[Event], _now: datetime) -> Iterable[Event]:
    """Take no event for a sign of life: each is about an alert."""
    return events


class Pipeline:
    """Safe to call from several threads. `wake` is called after a commit, with the receivers of its deliveries.

    `correlate` explains changes by each other and by the context. It may add to a change, and add changes of other
    alerts, at most one per alert. It is asked at every try, so it must be pure. `hear` notes events that are only a
    sign of life of their sender, and returns the others. `matched` is told which rules matched an alert that opened.
    """

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        wake: Wake = lambda _receivers: None,
        correlate: Correlate = unexplained,
        repeat_within: timedelta = tracker.REPEAT_WITHIN,
        hear: Hear = unheard,
        matched: Matched = lambda _rules, _now: None,
    ) -> None:
        self.store = store
        self.book = book
        self._wake = wake
        self._correlate = correlate
        self._repeat_within = repeat_within
        self._hear = hear
        self._matched = matched
        self._without_groups = False  # no rule makes them, and those of earlier rules are ended

    def ingest(
        self, events: Iterable[Event], now: datetime, *, first_good_at: datetime | None = None
    ) -> dict[str, Alert]:
        """Commit what the events change and return their alerts as they are then, by key.

        When this returns, all of it is durable. Raises StoreError (what was not committed may be sent again;
        a repetition changes nothing) and InvalidInput. An event that names an object which nobody knows yet is
        parked, and is taken up by `unpark`. A sign of life of a sender has no alert.
        """
        known, unknown = recognise(self._hear(events, now), self.store, self.book)
        found: dict[str, Alert] = {}
        for batch in rounds(known):
            found |= self._take(batch, now, first_good_at)
        pending_events.park(self.store.holding, unknown, now)
        return found

    def unpark(self, now: datetime) -> int:
        """Take up what waited for its object; return how many events found it."""
        taken = 0
        for kept, event in pending_events.waiting(self.store.holding, self.store, self.book, now):
            known, _ = recognise([event], self.store, self.book)
            for batch in rounds(known):
                self._take(batch, now, None)
                self.store.holding.remove(pending_events.AREA, kept.id)
                taken += 1
        return taken

    def request(self, key: str, receiver: str, *, actor: str, now: datetime) -> Alert:
        """Let a person add a receiver to an open alert, as `/CreateTicket` does; a repetition changes nothing.

        Raises InvalidInput with the reason when that cannot be, and StoreError.
        """
        for _ in range(CONFLICTS_MAX):
            alert = self._requestable(key, receiver)
            write = announcements.requested(alert, receiver, actor, self.book, now)
            if write is None:
                return alert
            (result,) = self._commit([write], now)
            if isinstance(result, Done):
                return result.alert
        raise StoreConflict(f"alert {key} was changed by others {CONFLICTS_MAX} times in a row")

    def absent(self, alerts: Iterable[Alert], snapshot: Snapshot, resolve_after: int, now: datetime) -> None:
        """Count a good poll against the alerts it no longer mentions. An alert changed meanwhile waits for the next."""
        context = Context({alert.key: alert for alert in alerts})
        self._settle(tracker.absent(context.alerts.values(), snapshot, resolve_after, now), context, now)

    def expire(self, alerts: Iterable[Alert], now: datetime) -> int:
        """End those whose time is over; one repeated meanwhile waits for the next call. Return how many ended."""
        context = Context({alert.key: alert for alert in alerts})
        results = self._settle(tracker.expired(context.alerts.values(), now), context, now)
        return sum(isinstance(each, Done) for each in results)

    def release(self, now: datetime) -> int:
        """Tell those who waited for a time or a destination (`routing.release`); return how many alerts changed."""
        book = self.book_at(now)
        writes = [routing.release(alert, book, now) for alert in self.store.withheld_alerts()]
        return len(self._commit([write for write in writes if write], now))

    def book_at(self, now: datetime) -> Rulebook:
        """Return the book with the stored silences. Raises StoreError."""
        return self.book.with_silences(self.store.silences.live(now))

    def commit(self, write: Write, now: datetime) -> bool:
        """Commit what somebody else has decided; False when the alert was changed meanwhile. Raises StoreError."""
        return isinstance(self.try_commit(write, now), Done)

    def try_commit(self, write: Write, now: datetime) -> Done | Conflict | IdTaken:
        """Commit what somebody else has decided, and say what came of it. Raises StoreError."""
        (result,) = self._commit([write], now)
        return result

    def commit_all(self, writes: Sequence[Write], now: datetime) -> Sequence[Done | Conflict | IdTaken]:
        """Commit what somebody else has decided, and say what came of each. Raises StoreError."""
        return self._commit(writes, now)

    def mend_groups(self, now: datetime) -> None:
        """Bring all groups up to date with their members, and tell those whose wait is over. Raises StoreError."""
        if self.book.groups or not self._without_groups:
            grouping.mend(self, now)
            self._without_groups = not self.book.groups and not self.store.open_alerts(GROUPS)

    def _requestable(self, key: str, receiver: str) -> Alert:
        known = self.book.receivers.get(receiver)
        if known is None:
            raise InvalidInput("receiver", f'"{receiver}" is not a destination', "Name one of config.json")
        if known.why_off:
            raise InvalidInput("receiver", f"{receiver} is off: {known.why_off}")
        alert = self.store.get([key]).get(key)
        if alert is None:
            raise InvalidInput("alert", "is not known")
        if not alert.open and receiver not in alert.receivers:
            raise InvalidInput("alert", f"{alert.internal_id} is over")
        return alert

    def _take(self, batch: Mapping[str, Seen], now: datetime, first_good_at: datetime | None) -> dict[str, Alert]:
        """Commit one event per alert, all in one commit; what somebody else changed meanwhile is decided anew.

        A change that `correlate` added for another alert is not tried again: the next correlation sees it.
        """
        found: dict[str, Alert] = {}
        ids_taken: Counter[str] = Counter()
        for _ in range(CONFLICTS_MAX):
            context = self._load(batch)
            found |= context.alerts
            changes = self._track(batch, context, now, first_good_at)
            changes = [tracker.with_longer_id(change, ids_taken) for change in changes]
            results = self._settle(changes, context, now)
            found |= {
                each.alert.key: each.alert for each in results if isinstance(each, Done) and each.alert.key in batch
            }
            ids_taken.update(each.key for each in results if isinstance(each, IdTaken))
            batch = {each.key: batch[each.key] for each in results if not isinstance(each, Done) and each.key in batch}
            if not batch:
                return found
        raise StoreConflict(f"{len(batch)} alerts were changed by others {CONFLICTS_MAX} times in a row")

    def _load(self, keys: Iterable[str]) -> Context:
        return Context(alerts=self.store.get(keys))

    def _track(
        self, batch: Mapping[str, Seen], context: Context, now: datetime, first_good_at: datetime | None
    ) -> list[Tracked]:
        """Return what the events change; those that change nothing have no change."""
        changes = []
        counts_firings = self.book.counts_firings
        for key, seen in batch.items():
            known, link = context.alerts.get(key), seen.link
            if link and is_no_news(seen.event, link, known, self.book):
                continue
            change = tracker.track(
                known,
                self.book.mirrors.promote_to_alert_end(seen.event),
                now,
                first_good_at=first_good_at,
                repeat_within=self._repeat_within,
            )
            if counts_firings:
                change = tracker.fired_again(known, seen.event, change, now)
            if change.alert is None or change.alert == known or self._is_unwanted(change.alert, change, now):
                continue
            changes.append(replace(change, links=marked(seen.event, link)) if link else change)
        return changes

    def _is_unwanted(self, alert: Alert, change: Tracked, now: datetime) -> bool:
        """Whether it is a maintenance that no rule asks for; one that is tracked already is tracked to its end."""
        return change.opens and alert.kind is Kind.MAINTENANCE and not rules.is_sent(alert, self.book, now)

    def _settle(
        self, changes: Sequence[Tracked], context: Context, now: datetime
    ) -> Sequence[Done | Conflict | IdTaken]:
        return self._commit(self._route(self._correlate(changes, context, now), now), now)

    def _route(self, changes: Sequence[Tracked], now: datetime) -> list[Write]:
        """Return the changes with their deliveries; without changes, no silences are read."""
        writes = []
        book = self.book_at(now) if changes else self.book
        for change in changes:
            if change.alert is not None:
                write = routing.route(change.alert, change.transitions, book, now)
                writes.append(replace(write, links=(*write.links, *change.links)) if change.links else write)
        return writes

    def _commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        if not writes:
            return []
        results = self.store.commit(writes, now)
        done = [write for write, result in zip(writes, results, strict=True) if isinstance(result, Done)]
        with together():
            tell(*done)
            self._tell_decisions(done, now)
        if owed := {delivery.receiver for write in done for delivery in write.deliveries}:
            self._wake(owed)
        if any(write.alert.groups or write.alert.is_group for write in done):
            grouping.follow(self, done, now)
        return results

    def _tell_decisions(self, writes: Iterable[Write], now: datetime) -> None:
        """Count what the rules decided of alerts that open. Log those that no rule matches: nobody hears of them."""
        decisions: Counter[tuple[str, str]] = Counter()
        for write in writes:
            alert = write.alert
            if write.silenced_by:
                SILENCE_HITS.labels("config" if write.silenced_by.startswith(CONFIGURED) else "store").inc()
            if alert.test or not any(transition.why.opens for transition in write.transitions):
                continue
            matching = rules.matching(alert, self.book, now)
            self._matched(matching, now)
            decisions.update((name, "told") for name in alert.receivers)
            decisions.update((name, "withheld") for name in alert.withheld)
            if not matching and rules.is_unrouted(alert, self.book, now):
                UNROUTED.inc()
                log.warning(
                    "alert_unrouted", id=alert.internal_id, key=alert.key, source=alert.source, why="no rule matched"
                )
        for names, number in decisions.items():
            DECISIONS.labels(*names).inc(number)


def tell(*writes: Write) -> None:
    """Log and count committed writes: one line per change of state. What a delivery brought about is told there."""
    bound, counts = log.bind(), Counter[tuple[str, str]]()
    for write in writes:
        alert = write.alert
        for transition in write.transitions:
            if transition.why is Why.WITHHELD:
                continue  # not a change of the alert: of each receiver that is off there is one
            level = bound.debug if transition.why in _TOLD_ELSEWHERE else bound.info
            facts = {"receiver": transition.receiver, "actor": transition.actor, "note": transition.note}
            level(
                f"alert_{transition.why.name.lower()}",
                **alert_facts(alert),
                status=transition.after.value,
                severity=alert.severity.value,
                episode=alert.episode,
                deliveries=[f"{delivery.verb}:{delivery.receiver}" for delivery in write.deliveries],
                **{name: text for name, text in facts.items() if text},
            )
            if not alert.test:
                counts[alert.kind.value, label(transition.why)] += 1
    for names, number in counts.items():
        TRANSITIONS.labels(*names).inc(number)
