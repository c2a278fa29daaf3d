"""From events to one commit: load what is known, track, route, write. It decides nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core import announcements, reconcile, routing, rules, tracker
from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput, StoreConflict
from service_event_checker.core.model import Alert, Event, Link, Snapshot
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Status
from service_event_checker.engine import pending_events
from service_event_checker.metrics import TRANSITIONS, label

CONFLICTS_MAX = 20  # rounds; each round at least one writer of a contended alert wins
RECEIPT_WITHIN = timedelta(minutes=1)  # clocks differ; what nobody did later than this is not our own doing
_STATUS_OF = {
    EventStatus.ACKNOWLEDGED: Status.ACKNOWLEDGED,
    EventStatus.UNACKNOWLEDGED: Status.FIRING,
    EventStatus.RESOLVED: Status.RESOLVED,
}
_OPPOSITES = {EventStatus.ACKNOWLEDGED: Status.FIRING, EventStatus.UNACKNOWLEDGED: Status.ACKNOWLEDGED}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event whose alert is known, and the link of the object that it came from, if it came from one."""

    event: Event
    link: Link | None = None


class Pipeline:
    """Safe to call from several threads. `wake` is called after a commit that owes somebody something."""

    def __init__(self, store: Store, book: Rulebook, wake: Callable[[], None] = lambda: None) -> None:
        self.store = store
        self.book = book
        self._wake = wake

    def ingest(
        self, events: Iterable[Event], now: datetime, *, first_good_at: datetime | None = None
    ) -> dict[str, Alert]:
        """Commit what the events change and return the alerts that exist then, by key.

        When this returns, all of it is durable. Raises StoreError (what was not committed may be sent again;
        a repetition changes nothing) and InvalidInput. An event that names an object which nobody knows yet is
        parked, and is taken up by `unpark`.
        """
        known, unknown = self._recognised(events)
        found: dict[str, Alert] = {}
        for group in _rounds(known):
            found |= self._settle_round(group, now, first_good_at)
        pending_events.park(self.store.holding, unknown, now)
        return found

    def unpark(self, now: datetime) -> int:
        """Take up what waited for its object; return how many events found it."""
        taken = 0
        for kept, event in pending_events.waiting(self.store.holding, self.store, self.book, now):
            known, _ = self._recognised([event])
            if known:
                self._settle_round({known[0].event.key: known[0]}, now, None)
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
        changes = tracker.absent(alerts, snapshot, resolve_after, now)
        found = (change.alert for change in changes if change.alert)
        steps = zip(found, (change.transitions for change in changes), strict=True)
        self._commit([routing.route(alert, transitions, self.book, now) for alert, transitions in steps], now)

    def release(self, now: datetime) -> int:
        """Tell those whose silence is over or whose destination is on again; return how many alerts changed."""
        writes = [routing.release(alert, self.book, now) for alert in self.store.withheld_alerts()]
        return len(self._commit([write for write in writes if write], now))

    def commit(self, write: Write, now: datetime) -> bool:
        """Commit what somebody else has decided; False when the alert was changed meanwhile. Raises StoreError."""
        (result,) = self._commit([write], now)
        return isinstance(result, Done)

    def _recognised(self, events: Iterable[Event]) -> tuple[list[_Seen], list[Event]]:
        """Return the events with the alert that each speaks of, and those whose object is not known."""
        known: list[_Seen] = []
        unknown: list[Event] = []
        for event in events:
            link = self.store.link_by(*event.ref) if event.ref else None
            alert = self.store.get([link.key]).get(link.key) if link else None
            if event.ref and (link is None or alert is None or self._is_being_reopened(link, alert)):
                unknown.append(event)
                continue
            if alert:
                event = replace(event, source=alert.source, fingerprint=alert.fingerprint)
                event = replace(event, kind=alert.kind, test=alert.test)
            known.append(_Seen(clean(event), link))
        return known, unknown

    def _is_being_reopened(self, link: Link, alert: Alert) -> bool:
        """Whether an object of the episode before may soon be this one's: what is said there must wait for that."""
        if not alert.open or link.episode != alert.episode - 1:
            return False
        receiver = self.book.receivers.get(link.receiver)
        carried = receiver is not None and receiver.reopen_within > timedelta(0)
        return carried and alert.key in self.store.keys_with_pending(link.receiver)

    def _requestable(self, key: str, receiver: str) -> Alert:
        known = self.book.receivers.get(receiver)
        if known is None:
            raise InvalidInput("receiver", f'"{receiver}" is no destination', "Name one of config.json")
        if known.why_off:
            raise InvalidInput("receiver", f"{receiver} is off: {known.why_off}")
        alert = self.store.get([key]).get(key)
        if alert is None:
            raise InvalidInput("alert", "is not known")
        if not alert.open and receiver not in alert.receivers:
            raise InvalidInput("alert", f"{alert.internal_id} is over")
        return alert

    def _settle_round(self, group: dict[str, _Seen], now: datetime, first_good_at: datetime | None) -> dict[str, Alert]:
        """Commit one event per key; a key that somebody else changed meanwhile is read and decided anew."""
        found: dict[str, Alert] = {}
        taken: dict[str, int] = {}
        waiting = dict(group)
        for _ in range(CONFLICTS_MAX):
            known = self.store.get(waiting)
            found |= known
            writes = []
            for key, seen in waiting.items():
                write = self._decide(known.get(key), seen, now, first_good_at, taken.get(key, 0))
                writes += [write] if write else []
            refused = self._commit_counting(writes, now, found, taken)
            waiting = {key: waiting[key] for key in refused}
            if not waiting:
                return found
        raise StoreConflict(f"{len(waiting)} alerts were changed by others {CONFLICTS_MAX} times in a row")

    def _decide(
        self, known: Alert | None, seen: _Seen, now: datetime, first_good_at: datetime | None, longer: int
    ) -> Write | None:
        if seen.link is not None and (
            _says_nothing_new(seen.event, seen.link, known) or self._is_overwritten(seen.event, seen.link)
        ):
            return None
        event = self.book.mirrors.promote_to_alert_end(seen.event)
        change = tracker.track(known, event, now, first_good_at=first_good_at)
        if change.alert is None or change.alert == known:
            return None
        alert = change.alert
        opening = any(transition.why.opens for transition in change.transitions)
        if opening and alert.kind is Kind.MAINTENANCE and not rules.matched(alert, self.book.rules):
            return None  # maintenance is tracked only where a rule asks for it
        for _ in range(longer if opening else 0):
            alert = tracker.longer_id(alert)
        write = routing.route(alert, change.transitions, self.book, now)
        return replace(write, links=(*write.links, *_marked(seen)))

    def _is_overwritten(self, event: Event, link: Link) -> bool:
        """Whether a pager tells of a status that we have replaced there since. Elsewhere what we write is a comment."""
        if event.intake == reconcile.INTAKE or self.book.receivers[link.receiver].family is not Family.PAGER:
            return False
        at = _opposite_at(event, link)
        return at is not None and event.at is not None and event.at <= at

    def _commit_counting(
        self, writes: Sequence[Write], now: datetime, found: dict[str, Alert], taken: dict[str, int]
    ) -> list[str]:
        refused = []
        for result in self._commit(writes, now):
            match result:
                case Done(alert=alert):
                    found[alert.key] = alert
                case IdTaken(key=key):
                    taken[key] = taken.get(key, 0) + 1
                    refused.append(key)
                case Conflict(key=key):
                    refused.append(key)
        return refused

    def _commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        if not writes:
            return []
        results = self.store.commit(writes, now)
        done = [write for write, result in zip(writes, results, strict=True) if isinstance(result, Done)]
        for write in done:
            tell(write)
        if any(write.deliveries for write in done):
            self._wake()
        return results


def tell(write: Write) -> None:
    """Log and count a committed write: one line per change of state."""
    alert = write.alert
    for transition in write.transitions:
        log.info(
            "alert_changed",
            why=transition.why.value,
            id=alert.internal_id,
            key=alert.key,
            episode=alert.episode,
            status=transition.after.value,
            severity=alert.severity.value,
            source=alert.source,
            receiver=transition.receiver,
            owed=[f"{delivery.verb}:{delivery.receiver}" for delivery in write.deliveries],
        )
        if not alert.test:
            TRANSITIONS.labels(alert.kind.value, label(transition.why)).inc()


def _rounds(events: Iterable[_Seen]) -> list[dict[str, _Seen]]:
    """Split events so that each round has at most one per alert, in the order they came."""
    rounds: list[dict[str, _Seen]] = []
    depth: dict[str, int] = {}
    for seen in events:
        key = seen.event.key
        number = depth.get(key, 0)
        depth[key] = number + 1
        if number == len(rounds):
            rounds.append({})
        rounds[number][key] = seen
    return rounds


def _says_nothing_new(event: Event, link: Link, alert: Alert | None) -> bool:
    """Whether a copy tells of an episode that is past, of its known end, or of nothing but what we did there."""
    if alert is not None and link.episode != alert.episode:
        return True
    if event.status is EventStatus.RESOLVED and link.closed and not _is_second_end(event, link, alert):
        return True
    return event.intake != reconcile.INTAKE and _is_echo(event, link)  # what was read there is none


def _is_echo(event: Event, link: Link) -> bool:
    """Whether nobody did it, and we did: just before, and not the opposite since."""
    status = _STATUS_OF.get(event.status)
    sent_at = link.sent.get(status) if status else None
    if sent_at is None or event.actor:
        return False
    if event.at is None:
        return True
    undone_at = _opposite_at(event, link)
    undone = undone_at is not None and sent_at < undone_at < event.at
    return event.at <= sent_at + RECEIPT_WITHIN and not undone


def _opposite_at(event: Event, link: Link) -> datetime | None:
    """Return when we last wrote there the opposite of what the event tells."""
    opposite = _OPPOSITES.get(event.status)
    return link.sent.get(opposite) if opposite else None


def _is_second_end(event: Event, link: Link, alert: Alert | None) -> bool:
    """Whether an object whose end is known has been ended so much later that it was taken up in between."""
    known = [link.sent.get(Status.RESOLVED), alert.status_seen_at.get((event.via, None)) if alert else None]
    latest = max(filter(None, known), default=None)
    return event.at is not None and latest is not None and event.at > latest + RECEIPT_WITHIN


def _marked(seen: _Seen) -> tuple[Link, ...]:
    """Return the link of a copy that was ended by its own system, or has come back to life there."""
    if seen.link is None or seen.event.person:
        return ()
    if seen.event.status is EventStatus.RESOLVED:
        return (replace(seen.link, closed=True),)
    alive = seen.event.status in (EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED)
    return (replace(seen.link, closed=False),) if alive and seen.link.closed else ()
