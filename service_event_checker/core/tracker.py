"""What changed: folds one observation into the alert it belongs to. Pure; `now` is an argument.

An alert is opened by its source, ended by its source or a person, and opened again as a new episode by the
rules of `_opens_again`. What cannot be read changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service_event_checker.core.conditions import fired
from service_event_checker.core.ids import internal_id
from service_event_checker.core.model import NOTICE, POSTS_MAX, Alert, Event, Link, Post, Recent, Snapshot, Transition
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, ResolvedBy, Status, Verb, Why

REPEATS_COUNTED_EVERY = timedelta(hours=1)  # a re-sent alert costs at most one write an hour
REPEAT_WITHIN = timedelta(seconds=60)  # after an end, a firing with the same start is a late duplicate for this long
SAME_START = timedelta(milliseconds=1)  # Alertmanager tells nanoseconds by webhook, milliseconds by its API
NOTES_REMEMBERED = 50  # of each receiver: a busy one must not make the others' notes new again
POLL = "poll"
_TELLS_SEVERITY = frozenset({*(why for why in Why if why.opens), Why.SEVERITY_RAISED, Why.SEVERITY_LOWERED})
_STATUSES = frozenset({EventStatus.RESOLVED, EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED})


@dataclass(frozen=True, slots=True)
class Tracked:
    """The alert after an event, and the transitions that led there; `alert` is None when there is nothing to keep.

    `links`: those that are stored with it.
    """

    alert: Alert | None
    transitions: tuple[Transition, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether a new episode begins here."""
        return any(transition.why.opens for transition in self.transitions)


def track(
    alert: Alert | None,
    event: Event,
    now: datetime,
    *,
    first_good_at: datetime | None = None,
    repeat_within: timedelta = REPEAT_WITHIN,
) -> Tracked:
    """Fold `event` into `alert` (None: its key was never seen).

    `first_good_at`: when the source could first be read; what was over before is history and is not stored.
    `repeat_within`: how long after a change the repetition of an earlier message is a late duplicate.
    """
    if event.content_only and not _takes_content(alert, event):
        return Tracked(alert)
    if alert is None:
        return _first_seen(event, now, first_good_at)
    if not event.via or event.person or event.status not in _STATUSES:
        return _fold(alert, event, now, repeat_within)
    if event.at is None:
        return _fold(alert, event, now, repeat_within)
    newest, this = (event.via, None), (event.via, event.status)
    seen_at = alert.status_seen_at
    if event.at < seen_at.get(newest, event.at) or event.at == seen_at.get(this):
        return Tracked(alert)  # overtaken: that receiver has told of a later status; or told once more
    change = _fold(alert, event, now, repeat_within)
    seen_at = {**seen_at, newest: event.at, this: event.at}
    return replace(change, alert=replace(change.alert or alert, status_seen_at=seen_at))


def _takes_content(alert: Alert | None, event: Event) -> bool:
    """Whether a mere change of content concerns an alert: it is open, or it got worse after a person's end."""
    if alert is None or alert.open:
        return alert is not None
    worse = event.severity_told and event.severity.rank < alert.severity.rank
    return alert.resolved_by is ResolvedBy.PERSON and worse


def _fold(alert: Alert, event: Event, now: datetime, repeat_within: timedelta) -> Tracked:
    match event.status:
        case EventStatus.FIRING if alert.open:
            return _observe(alert, event, now)
        case EventStatus.FIRING:
            return _after_the_end(alert, event, now, repeat_within)
        case EventStatus.RESOLVED:
            return _end(alert, event, now, repeat_within)
        case EventStatus.ACKNOWLEDGED if alert.status is Status.FIRING:
            return _step(alert, Why.ACKNOWLEDGED, event, now, Verb.ACK, status=Status.ACKNOWLEDGED, owner=event.actor)
        case EventStatus.UNACKNOWLEDGED if alert.status is Status.ACKNOWLEDGED:
            return _step(alert, Why.UNACKNOWLEDGED, event, now, Verb.UNACK, status=Status.FIRING, owner="")
        case EventStatus.NOTED:
            return _note(alert, event, now)
    return Tracked(alert)


def absent(alerts: Iterable[Alert], snapshot: Snapshot, resolve_after: int, now: datetime) -> list[Tracked]:
    """Count a good complete poll against the open alerts that it no longer mentions; resolve at `resolve_after`."""
    if not snapshot.complete:
        return []  # unknown is not over
    mentioned = {event.fingerprint for event in snapshot.events} | snapshot.unknown
    missing = [alert for alert in alerts if alert.open and not alert.test and alert.fingerprint not in mentioned]
    return [_miss(alert, resolve_after, now, retracted=alert.fingerprint in snapshot.retracted) for alert in missing]


def expired(alerts: Iterable[Alert], now: datetime) -> list[Tracked]:
    """Resolve the open alerts that their source has not repeated by the time that it named."""
    due = [(alert, alert.expires_at) for alert in alerts if alert.open and alert.expires_at]
    return [_gone(alert, Why.EXPIRED, expires_at, now) for alert, expires_at in due if expires_at <= now]


def fired_again(alert: Alert | None, event: Event, change: Tracked, now: datetime) -> Tracked:
    """Add to a change that an open alert was reported as firing anew, for rules that ask how often it fired.

    It is anew if its start is later than the known one, or if it names no start. A poll and a list show what goes on,
    and what comes back from a destination is our own.
    """
    if alert is None or not alert.open or change.alert is None or event.status is not EventStatus.FIRING:
        return change
    if event.content_only or event.via or _is_listed(event):
        return change
    known = alert.starts_at or alert.started_at
    if event.starts_at is not None and event.starts_at <= known + SAME_START:
        return change
    recent = change.alert.recent
    after = replace(change.alert, updated_at=now, recent=replace(recent, fired_at=fired(recent.fired_at, now)))
    row = _transition(after, Why.FIRED_AGAIN, event, now, before=alert.status, verbs=())
    return replace(change, alert=after, transitions=(*change.transitions, row))


def over_at_once(event: Event, known: Alert | None, now: datetime) -> Alert:
    """Return an alert that only tells something, and is over from the start. `known`: the newest one of its key."""
    told = replace(event, intake=NOTICE)
    return replace(_opened(told, now, known), **_ended(told, now, ResolvedBy.SOURCE))  # type: ignore[arg-type]


def longer_id(alert: Alert) -> Alert:
    """Give the alert an internal id of one character more, for when another episode has the short one."""
    length = len(alert.internal_id.rpartition("-")[2]) + 1
    return replace(alert, internal_id=internal_id(alert.source, alert.key, alert.episode, length=length))


def with_longer_id(change: Tracked, ids_taken: Mapping[str, int]) -> Tracked:
    """Give what opens one character more for each internal id that was another's already."""
    alert = change.alert
    if alert is None or not ids_taken or not change.opens:
        return change
    for _ in range(ids_taken.get(alert.key, 0)):
        alert = longer_id(alert)
    return replace(change, alert=alert)


def _first_seen(event: Event, now: datetime, first_good_at: datetime | None) -> Tracked:
    if event.affects_us is Affects.NO:
        return Tracked(None)
    if event.status is EventStatus.FIRING:
        return _open(event, now)
    posted_at = event.posted_at or event.starts_at or event.at
    if event.status is not EventStatus.RESOLVED or event.intake != POLL:
        return Tracked(None)
    if first_good_at is None or posted_at is None or posted_at <= first_good_at:
        return Tracked(None)
    return _step(_opened(event, now), Why.MISSED, event, now, **_ended(event, now, ResolvedBy.SOURCE))


def _open(event: Event, now: datetime, previous: Alert | None = None) -> Tracked:
    alert = _opened(event, now, previous)
    why = Why.OPENED_AGAIN if previous else Why.OPENED
    return Tracked(alert, (_transition(alert, why, event, now, before=None, verbs=()),))


def _opened(event: Event, now: datetime, previous: Alert | None = None) -> Alert:
    episode = previous.episode + 1 if previous else 1
    recent = previous.recent if previous else Recent()
    return Alert(
        key=event.key,
        source=event.source,
        fingerprint=event.fingerprint,
        kind=event.kind,
        episode=episode,
        internal_id=internal_id(event.source, event.key, episode),
        status=Status.FIRING,
        severity=event.severity,
        title=event.title,
        started_at=event.starts_at or event.at or now,
        opened_at=now,
        updated_at=now,
        description=event.description,
        url=event.url,
        labels=event.labels,
        annotations=event.annotations,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        expires_at=event.expires_at,
        seen_at=event.at,
        origin=event.origin,
        intakes=(event.intake,),
        affects_us=event.affects_us,
        posted_at=event.posted_at,
        posts=event.posts[-POSTS_MAX:],
        states=event.states,
        test=event.test,
        previous_ended_at=previous.ended_at if previous else None,
        recent=replace(recent, fired_at=fired(recent.fired_at, now)),
        revision=previous.revision if previous else 0,
    )


def _observe(alert: Alert, event: Event, now: datetime) -> Tracked:
    """Take the newer content of an open alert; the verbs that follow are those of what really changed."""
    seen = replace(
        alert,
        missing_polls=0,
        missing_since=None,
        intakes=alert.intakes if event.intake in alert.intakes else (*alert.intakes, event.intake),
        starts_at=alert.starts_at if _is_planned(alert) else _later(alert.starts_at, event.starts_at),
        expires_at=alert.expires_at if event.via else _latest_expiry(alert, event),
    )
    transitions = []
    if seen.intakes != alert.intakes:
        transitions.append(_transition(seen, Why.NEW_INTAKE, event, now, before=alert.status, verbs=()))
    if alert.seen_at is not None and event.at is not None and event.at < alert.seen_at:
        return Tracked(replace(seen, updated_at=now) if transitions else seen, tuple(transitions))
    fresh = _content(seen, event)
    if _told(fresh) == _told(seen):
        return Tracked(replace(fresh, updated_at=now) if transitions else fresh, tuple(transitions))
    worse = fresh.severity.rank < alert.severity.rank
    why = Why.SEVERITY_RAISED if worse else Why.SEVERITY_LOWERED if fresh.severity != alert.severity else Why.CHANGED
    verbs: tuple[Verb, ...] = (Verb.UPDATE,)
    if worse and alert.status is Status.ACKNOWLEDGED:  # who took it took something smaller
        fresh, verbs = replace(fresh, status=Status.FIRING, owner=""), (Verb.UPDATE, Verb.UNACK)
    fresh = replace(fresh, updated_at=now)
    transitions.append(_transition(fresh, why, event, now, before=alert.status, verbs=verbs))
    return Tracked(fresh, tuple(transitions))


def _content(alert: Alert, event: Event) -> Alert:
    """Return the alert with the event's content, as its source owns it; what the event leaves out stays."""
    plan = event.starts_at if _is_planned(alert) else None
    return replace(
        alert,
        started_at=plan or alert.started_at,
        starts_at=plan or alert.starts_at,
        ends_at=event.ends_at or alert.ends_at,
        severity=event.severity if event.severity_told else alert.severity,
        title=event.title or alert.title,
        description=event.description or alert.description,
        url=event.url or alert.url,
        labels=event.labels or alert.labels,
        annotations=event.annotations or alert.annotations,
        origin=event.origin or alert.origin,
        seen_at=_later(alert.seen_at, event.at),
        posted_at=_earlier(alert.posted_at, event.posted_at),
        posts=_all_posts(alert.posts, event.posts),
        states=event.states or alert.states,
        affects_us=alert.affects_us if event.affects_us is Affects.NO else event.affects_us,
    )


def _latest_expiry(alert: Alert, event: Event) -> datetime | None:
    """Return the later time; None where one of the ways in that repeat it tells its end."""
    known, new = alert.expires_at, event.expires_at
    return max(known, new) if known and new else None


def _told(alert: Alert) -> tuple[object, ...]:
    """What people see of the content: only a change of it is worth an update."""
    content = (alert.severity, alert.title, alert.description, alert.url, dict(alert.labels), dict(alert.annotations))
    return (*content, alert.affects_us, alert.started_at, alert.ends_at)


def _is_planned(alert: Alert) -> bool:
    return alert.kind is Kind.MAINTENANCE


def _end(alert: Alert, event: Event, now: datetime, repeat_within: timedelta) -> Tracked:
    if event.via and not event.person and event.via != alert.source:  # a copy does not end what its source owns
        if event.not_fixed:
            return _step(alert, Why.COPY_NOT_FIXED, event, now, Verb.NOTE) if alert.open else Tracked(alert)
        text = event.note or f"resolved at {event.via}" + (f" by {event.actor}" if event.actor else "")
        return _step(alert, Why.COPY_RESOLVED, event, now, Verb.CLOSE, note=text) if alert.open else Tracked(alert)
    if not alert.open:
        return _end_again(alert, event, now)
    if event.person:
        return _step(alert, Why.RESOLVED_BY_PERSON, event, now, Verb.CLOSE, **_ended(event, now, ResolvedBy.PERSON))
    if event.intake != POLL and event.at and alert.starts_at and event.at < alert.starts_at - SAME_START:
        return Tracked(alert)  # the late end of an earlier firing
    if event.intake != POLL and _is_previous_end(alert, event) and now - alert.opened_at <= repeat_within:
        return Tracked(alert)  # the same, told once more after the firing that took it back
    starts_at = _later(alert.starts_at, event.starts_at)  # a firing that its own end has overtaken is known by it
    final = replace(_content(alert, event), severity=alert.severity, starts_at=starts_at)
    return _step(final, Why.RESOLVED_BY_SOURCE, event, now, Verb.CLOSE, **_ended(event, now, ResolvedBy.SOURCE))


def _end_again(alert: Alert, event: Event, now: datetime) -> Tracked:
    """Record that the source has also ended what a person had resolved; all other ends are known."""
    if alert.relisted_at is not None and not event.person:
        alert = replace(alert, relisted_at=None)  # the list that showed it as open was an old one
    if event.person or alert.resolved_by is not ResolvedBy.PERSON or alert.source_ended:
        return Tracked(alert)
    told = replace(event, note=event.note or "ended at the source")
    seen_at = _later(alert.seen_at, event.at)
    return _step(alert, Why.SOURCE_ENDED, told, now, Verb.NOTE, source_ended=True, seen_at=seen_at, closed_at=now)


def _is_previous_end(alert: Alert, event: Event) -> bool:
    """Whether an end is that of the episode before, by the source's own time."""
    if event.at is None or alert.previous_ended_at is None:
        return False
    return abs(event.at - alert.previous_ended_at) <= SAME_START


def _ended(event: Event, now: datetime, by: ResolvedBy) -> dict[str, object]:
    ended_at = event.at or now if by is ResolvedBy.SOURCE else now
    fields: dict[str, object] = {"status": Status.RESOLVED, "resolved_by": by, "ended_at": ended_at, "closed_at": now}
    fields["muted"] = ""
    return fields | ({"owner": event.actor} if by is ResolvedBy.PERSON else {})


def _after_the_end(alert: Alert, event: Event, now: datetime, repeat_within: timedelta) -> Tracked:
    if event.affects_us is not Affects.NO:
        if _opens_again(alert, event, now, repeat_within):
            return _open(event, now, previous=alert)
        if alert.relisted_at is None and _takes_back(alert, event, now, repeat_within):
            return Tracked(replace(alert, relisted_at=now))
    if alert.repeated_at is not None and now - alert.repeated_at < REPEATS_COUNTED_EVERY:
        return Tracked(alert)
    return Tracked(replace(alert, repeats=alert.repeats + 1, repeated_at=now))


def _opens_again(alert: Alert, event: Event, now: datetime, repeat_within: timedelta) -> bool:
    """Whether a firing event after the end is a new episode; the first rule that fits (design, promise 8)."""
    if alert.resolved_by is ResolvedBy.ABSENCE:
        return True
    known_start = alert.starts_at or alert.started_at
    later_start = event.starts_at is not None and event.starts_at > known_start + SAME_START
    if _is_persons(alert):
        return later_start or event.severity.rank < alert.severity.rank
    if later_start or event.starts_at is None:
        return True
    ended_at = alert.ended_at or alert.updated_at
    if alert.source_ended:  # it went on for a while after the person's end
        ended_at = max(ended_at, alert.seen_at or ended_at)
    if event.intake == POLL and event.at is not None and event.at > ended_at:
        return True
    if not _takes_back(alert, event, now, repeat_within):
        return False
    return not _is_listed(event) or (alert.relisted_at is not None and alert.relisted_at < now)


def _takes_back(alert: Alert, event: Event, now: datetime, repeat_within: timedelta) -> bool:
    """Whether a firing with a known start says that its source told the end too early.

    Prometheus keeps the start while a rule fires. A message within `repeat_within` of the end is a late duplicate, and
    a page that was read within it may be an old copy. One look at a list proves nothing: it takes two.
    """
    if _is_persons(alert):
        return False
    late = now - (alert.closed_at or alert.updated_at) > repeat_within
    if _is_listed(event):
        return event.listed or late
    if event.via:
        return False  # what is born at a destination is told once; a repetition is old
    return (event.at or now) - (alert.closed_at or alert.updated_at) > repeat_within


def _is_listed(event: Event) -> bool:
    return event.listed or event.intake == POLL


def _is_persons(alert: Alert) -> bool:
    return alert.resolved_by is ResolvedBy.PERSON and not alert.source_ended


def _note(alert: Alert, event: Event, now: datetime) -> Tracked:
    place = f"{event.via or event.source}:"  # two systems may both count their notes from 1
    name = place + event.note_id
    if event.note_id and name in alert.note_ids:
        return Tracked(alert)
    ids = _remembered(alert.note_ids, place, name) if event.note_id else alert.note_ids
    return _step(alert, Why.NOTED, event, now, Verb.NOTE, note=event.note, note_ids=ids)


def _remembered(ids: tuple[str, ...], place: str, name: str) -> tuple[str, ...]:
    of_place = [id for id in ids if id.startswith(place)]
    forgotten = of_place[: max(0, len(of_place) + 1 - NOTES_REMEMBERED)]
    return (*(id for id in ids if id not in forgotten), name)


def _miss(alert: Alert, resolve_after: int, now: datetime, *, retracted: bool) -> Tracked:
    missing = replace(alert, missing_polls=alert.missing_polls + 1, missing_since=alert.missing_since or now)
    if missing.missing_polls < resolve_after:
        return Tracked(missing)
    return _gone(missing, Why.RETRACTED if retracted else Why.RESOLVED_BY_ABSENCE, now, now)


def _gone(alert: Alert, why: Why, ended_at: datetime, now: datetime) -> Tracked:
    """Resolve what its source speaks of no more; it never told the end."""
    over = replace(
        alert,
        status=Status.RESOLVED,
        resolved_by=ResolvedBy.RETRACTED if why is Why.RETRACTED else ResolvedBy.ABSENCE,
        ended_at=ended_at,
        closed_at=now,
        muted="",
        updated_at=now,
    )
    transition = Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=alert.status,
        after=over.status,
        verbs=(Verb.CLOSE,),
    )
    return Tracked(over, (transition,))


def _step(alert: Alert, why: Why, event: Event, now: datetime, *verbs: Verb, **changes: object) -> Tracked:
    after = replace(alert, updated_at=now, **changes)  # type: ignore[arg-type]  # the callers' keywords are fields
    return Tracked(after, (_transition(after, why, event, now, before=alert.status, verbs=verbs),))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two times that are known, None when neither is."""
    return max(filter(None, (one, other)), default=None)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def _all_posts(known: tuple[Post, ...], new: tuple[Post, ...]) -> tuple[Post, ...]:
    """Return what was written, by its time; what the source corrects takes the place of what it wrote at that time."""
    by_time = {post.at: post for post in (*known, *new)} if new else {}
    return tuple(by_time[at] for at in sorted(by_time))[-POSTS_MAX:] or known


def _transition(
    alert: Alert, why: Why, event: Event, now: datetime, *, before: Status | None, verbs: tuple[Verb, ...]
) -> Transition:
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=before,
        after=alert.status,
        verbs=verbs,
        actor=event.actor,
        note=event.note,
        note_id=event.note_id,
        via=event.via,
        severity=alert.severity if why in _TELLS_SEVERITY else None,
    )
