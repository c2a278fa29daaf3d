"""What a reconciliation has to correct: compares a destination's objects with our state. Pure.

A webhook that was lost, a close that never arrived, an object made twice: each becomes a repair. What differs and
may differ, by the `mirrors` or because a person wants it so, is listed and left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import Alert, Event, Link, Receiver, Remote, RemoteNote
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, ResolvedBy, Status, Verb

YOUNG = timedelta(minutes=2)  # what was made this lately may not be on our view yet
OWN = timedelta(minutes=1)  # clocks differ; a status of our own writing shows this much later at most
LATELY = timedelta(hours=1)  # what ended since is asked once more for notes
NOTES_MAX = 30  # of one object, the newest; fewer than an alert remembers (tracker.NOTES_REMEMBERED)
NEVER = datetime.min.replace(tzinfo=UTC)
INTAKE = "reconcile"


class Fix(StrEnum):
    """What is wrong, in words for the report; the last ones are listed and left."""

    CLOSE = "open though its alert is over: closed"
    ENDED = "closed there by a person: applied"
    NOT_FIXED = "merged, moved or marked as a duplicate there: applied"
    GONE = "deleted there: applied"
    ACKED = "work started there: applied"
    UNACKED = "moved back there: applied"
    NOTED = "new comment there: applied"
    OPENED = "created there, not known here: added"
    ACK_AGAIN = "acknowledged here, not there: acknowledged again"
    UNACK_AGAIN = "acknowledgement removed here, not there: removed again"
    RELISTED = "open at its source although its end was told: opened again at the second check"
    REOPENED_REMOTELY = "reopened there: applied"
    DUPLICATE = "created twice: the newer one is closed"
    ALLOWED = "differs as `mirrors` allows: left"
    FOREIGN = "carries our mark, but its alert is not known here: left"
    REOPENED_AFTER_END = "reopened there after its alert's end: left"
    GIVEN_UP = "failed before, see the failed deliveries: left"


LEFT = frozenset({Fix.ALLOWED, Fix.FOREIGN, Fix.REOPENED_AFTER_END, Fix.GIVEN_UP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One difference. `event`: what to ingest; `verb`: what to deliver there again; `original`: the older of two."""

    receiver: str
    fix: Fix
    remote: Remote
    key: str = ""
    episode: int = 0
    internal_id: str = ""
    event: Event | None = None
    verb: Verb | None = None
    original: Remote | None = None
    since: datetime | None = None

    @property
    def left(self) -> bool:
        return self.fix in LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalView:
    """What we know of one receiver's objects.

    `links` by external id; `alerts` (newest episodes) by key; `pending`: keys with unsettled deliveries to it, which
    are in motion and not judged; `dead`: (key, episode, verb) of failed deliveries that are not repeated;
    `acked_at`, `unacked_at`: by key, when that last happened to the alert; `status_from`: by key, which receiver told
    its status. `since`: when it was first looked at; what was born there before is history, and not ours to tell.
    """

    receiver: Receiver
    mirrors: Mirrors = field(default_factory=Mirrors)
    links: Mapping[str, Link] = field(default_factory=dict)
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()
    dead: frozenset[tuple[str, int, Verb]] = frozenset()
    acked_at: Mapping[str, datetime] = field(default_factory=dict)
    unacked_at: Mapping[str, datetime] = field(default_factory=dict)
    status_from: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None


def repairs(remotes: Sequence[Remote], view: LocalView, now: datetime) -> list[Repair]:
    """Return what differs, given all open objects of a receiver."""
    found: list[Repair] = []
    for same in _by_key(remotes):
        original, *younger = sorted(same, key=_age)
        duplicates = [_duplicate(each, original, view) for each in younger]
        found += (
            [repair for repair in duplicates if repair.key not in view.pending]
            if duplicates
            else _compare(original, view, now)
        )
    return found


def missing_remotely(view: LocalView, remotes: Iterable[Remote]) -> list[tuple[Alert, Link]]:
    """Return the open alerts whose object is not among the open ones: each has to be looked at by its id."""
    listed = {remote.external_id for remote in remotes}
    wanted = []
    for link in view.links.values():
        alert = view.alerts.get(link.key)
        if alert is None or not alert.open or alert.episode != link.episode or link.key in view.pending:
            continue
        if link.external_id and not link.closed and link.external_id not in listed:
            wanted.append((alert, link))
    return wanted


def ended_lately(view: LocalView, remotes: Iterable[Remote], now: datetime) -> list[tuple[Alert, Link]]:
    """Return the pager's objects that are known to be over, the latest first: each may hold a note that we missed."""
    listed = {remote.external_id for remote in remotes}
    found = []
    for link in view.links.values():
        alert = view.alerts.get(link.key)
        if alert is None or alert.episode != link.episode or link.external_id in listed:
            continue
        told_at = alert.status_seen_at.get((view.receiver.name, EventStatus.RESOLVED), NEVER) if alert.open else NEVER
        over_at = max(told_at, link.sent.get(Status.RESOLVED, NEVER)) if alert.open else alert.updated_at
        if view.receiver.family is Family.PAGER and link.external_id and now - over_at < LATELY:
            found.append((over_at, alert, link))
    return [(alert, link) for _, alert, link in sorted(found, key=lambda each: each[0], reverse=True)]


def notes(alert: Alert, remote: Remote, view: LocalView) -> list[Repair]:
    """Return a person's comments on an object that nobody was told of."""
    since = alert.started_at if alert.source == view.receiver.name else alert.opened_at
    found = []
    for note in sorted(remote.notes, key=lambda note: note.at or NEVER)[-NOTES_MAX:]:
        if f"{view.receiver.name}:{note.id}" in alert.note_ids or (note.at is not None and note.at < since):
            continue
        found.append(_repair(view, Fix.NOTED, remote, alert, event=_noted(view, remote, note)))
    return found


def ended(alert: Alert, link: Link, remote: Remote | None, view: LocalView) -> list[Repair]:
    """Return what a look at an object that is not listed as open means; None: it is gone."""
    shown = remote or Remote(external_id=link.external_id, remote_key=link.remote_key, status=Status.RESOLVED)
    if shown.status is not Status.RESOLVED or _is_elsewhere(link, shown):
        return []  # a search that lags, or an object of the same id at another address
    fix = Fix.ENDED if remote and not remote.not_fixed else Fix.NOT_FIXED if remote else Fix.GONE
    what = shown.not_fixed if remote else f"{link.external_id} was deleted at {view.receiver.name}"
    event = replace(_event(view, shown, EventStatus.RESOLVED, note=what), not_fixed=bool(what))
    return [*notes(alert, shown, view), _repair(view, fix, shown, alert, event=event)]


def _is_elsewhere(link: Link, remote: Remote) -> bool:
    """Whether the destination is another system by now than the one where our object was made."""
    ours, shown = urlsplit(link.url).netloc, urlsplit(remote.url).netloc
    return bool(ours and shown) and ours != shown


def is_still_owed(verb: Verb, alert: Alert) -> bool:
    """Whether a verb that was found missing still says what the alert is: another repair may have changed it."""
    return alert.status is {Verb.ACK: Status.ACKNOWLEDGED, Verb.UNACK: Status.FIRING}.get(verb, alert.status)


def _compare(remote: Remote, view: LocalView, now: datetime) -> list[Repair]:
    link = view.links.get(remote.external_id)
    alert = view.alerts.get(link.key) if link else None
    if link is None or alert is None:
        return _unknown(remote, view, now)
    in_motion = link.key in view.pending
    if _stays_open(link, alert, view):
        return []
    if alert.episode != link.episode:
        return [] if in_motion else _over(remote, link, alert, view)
    found = notes(alert, remote, view)
    if in_motion:
        return found
    return found + (_status(remote, link, alert, view) if alert.open else _over(remote, link, alert, view))


def _stays_open(link: Link, alert: Alert, view: LocalView) -> bool:
    """Whether the object of an alert that flaps is open on purpose: its end is held back, or it went over."""
    name, recent = view.receiver.name, alert.recent
    return name in recent.held or (alert.open and alert.episode != link.episode and name in recent.carried)


def _unknown(remote: Remote, view: LocalView, now: datetime) -> list[Repair]:
    if remote.created_at is not None and now - remote.created_at < YOUNG:
        return []
    name = view.receiver.name
    if remote.event is None:
        return [Repair(receiver=name, fix=Fix.FOREIGN, remote=remote, since=remote.created_at)]
    if view.since is None or remote.created_at is None or remote.created_at < view.since:
        return []
    found = [Repair(receiver=name, fix=Fix.OPENED, remote=remote, event=remote.event)]
    if remote.status is Status.ACKNOWLEDGED:
        taken = _event(view, remote, EventStatus.ACKNOWLEDGED)
        found.append(Repair(receiver=name, fix=Fix.ACKED, remote=remote, event=taken))
    noted = (_noted(view, remote, note) for note in remote.notes)
    return found + [Repair(receiver=name, fix=Fix.NOTED, remote=remote, event=event) for event in noted]


def _over(remote: Remote, link: Link, alert: Alert, view: LocalView) -> list[Repair]:
    """Close what its alert left open, unless somebody wants it open or the mirrors say that it may be."""
    by_person = alert.resolved_by is ResolvedBy.PERSON
    if alert.source == view.receiver.name and not by_person:
        return _relisted(remote, link, alert, view)
    if view.receiver.on_resolve != "close":
        return []
    if link.closed:
        return [_repair(view, Fix.REOPENED_AFTER_END, remote, alert, episode=link.episode)]
    if not by_person and not _carries(Verb.CLOSE, alert, view):
        return [_repair(view, Fix.ALLOWED, remote, alert, episode=link.episode)]
    if (alert.key, link.episode, Verb.CLOSE) in view.dead:
        return [_repair(view, Fix.GIVEN_UP, remote, alert, episode=link.episode)]
    return [_repair(view, Fix.CLOSE, remote, alert, episode=link.episode, verb=Verb.CLOSE)]


def _relisted(remote: Remote, link: Link, alert: Alert, view: LocalView) -> list[Repair]:
    """Take back an end that the alert's own source told too early; the tracker waits for a second look."""
    if remote.event is None or alert.episode != link.episode:
        return []
    return [_repair(view, Fix.RELISTED, remote, alert, event=replace(remote.event, listed=True))]


def _status(remote: Remote, link: Link, alert: Alert, view: LocalView) -> list[Repair]:
    """Compare the status of an open object with that of its alert."""
    reopened = link.closed and _is_later(remote, alert, view, link.sent.get(Status.RESOLVED))
    if remote.status is alert.status and not reopened:
        return []
    if _is_past(remote, alert, view):
        return []  # a list that lags
    taken, is_pager = remote.status is Status.ACKNOWLEDGED, view.receiver.family is Family.PAGER
    news = _is_taken_anew(remote, link, alert, view) if taken else is_pager and _is_put_back(remote, link, alert, view)
    if reopened or news:
        event = _event(view, remote, EventStatus.ACKNOWLEDGED if taken else EventStatus.UNACKNOWLEDGED)
        fix = Fix.REOPENED_REMOTELY if reopened else Fix.ACKED if taken else Fix.UNACKED
        return [_repair(view, fix, remote, alert, event=event)]
    return [_again(remote, alert, view)] if is_pager else []  # elsewhere an ack is a comment and changes no status


def _is_taken_anew(remote: Remote, link: Link, alert: Alert, view: LocalView) -> bool:
    """Whether somebody took it there after the alert was open to all again; our own changes do not count."""
    ours = link.sent.get(Status.ACKNOWLEDGED)
    if remote.at is None:
        return ours is None
    if ours is not None and remote.at <= ours + OWN:
        return False
    if view.status_from.get(alert.key) == view.receiver.name:
        return _is_later(remote, alert, view)
    return _is_later(remote, alert, view) and remote.at > view.unacked_at.get(alert.key, NEVER)


def _is_put_back(remote: Remote, link: Link, alert: Alert, view: LocalView) -> bool:
    """Whether it was taken there, as itself told or as we wrote, and is not any more."""
    if view.status_from.get(alert.key) == view.receiver.name:
        return True
    ours = link.sent.get(Status.ACKNOWLEDGED)
    if ours is None or ours < view.acked_at.get(alert.key, NEVER):
        return False
    return remote.at is not None and remote.at >= ours


def _is_later(remote: Remote, alert: Alert, view: LocalView, than: datetime | None = None) -> bool:
    """Whether it came into its status after all that its receiver has told, and after `than`."""
    seen_at = alert.status_seen_at.get((view.receiver.name, None), NEVER)
    return remote.at is not None and remote.at > max(seen_at, than or NEVER)


def _is_past(remote: Remote, alert: Alert, view: LocalView) -> bool:
    """Whether its receiver has told of a later status."""
    return remote.at is not None and remote.at < alert.status_seen_at.get((view.receiver.name, None), NEVER)


def _again(remote: Remote, alert: Alert, view: LocalView) -> Repair:
    """Owe the alert's status once more, unless the receiver has no verb for it or the mirrors do not carry it."""
    verb = Verb.ACK if alert.status is Status.ACKNOWLEDGED else Verb.UNACK
    if verb not in view.receiver.verbs or not _carries(verb, alert, view):
        return _repair(view, Fix.ALLOWED, remote, alert)
    if (alert.key, alert.episode, verb) in view.dead:
        return _repair(view, Fix.GIVEN_UP, remote, alert)
    fix = Fix.ACK_AGAIN if verb is Verb.ACK else Fix.UNACK_AGAIN
    return _repair(view, fix, remote, alert, verb=verb)


def _carries(verb: Verb, alert: Alert, view: LocalView) -> bool:
    """Whether what happens at the alert's source is carried to this receiver as the same verb."""
    table = view.mirrors.tables.get((alert.source, view.receiver.name), {})
    return verb in table.get(verb, (verb,))


def _noted(view: LocalView, remote: Remote, note: RemoteNote) -> Event:
    event = _event(view, remote, EventStatus.NOTED, note=note.text)
    return replace(event, note_id=note.id, actor=note.actor, at=note.at)


def _event(view: LocalView, remote: Remote, status: EventStatus, note: str = "") -> Event:
    name = view.receiver.name
    return Event(
        source="",
        fingerprint="",
        kind=Kind.ALERT,
        status=status,
        ref=(name, remote.external_id),
        via=name,
        intake=INTAKE,
        actor=remote.actor,
        at=remote.at,
        note=note,
    )


def _repair(
    view: LocalView,
    fix: Fix,
    remote: Remote,
    alert: Alert,
    *,
    episode: int = 0,
    event: Event | None = None,
    verb: Verb | None = None,
) -> Repair:
    return Repair(
        receiver=view.receiver.name,
        fix=fix,
        remote=remote,
        key=alert.key,
        episode=episode or alert.episode,
        internal_id=alert.internal_id,
        event=event,
        verb=verb,
        since=remote.at or alert.updated_at,
    )


def _duplicate(younger: Remote, original: Remote, view: LocalView) -> Repair:
    link = view.links.get(younger.external_id) or view.links.get(original.external_id)
    alert = view.alerts.get(link.key) if link else None
    return Repair(
        receiver=view.receiver.name,
        fix=Fix.DUPLICATE,
        remote=younger,
        original=original,
        key=alert.key if alert else "",
        episode=link.episode if link else 0,
        internal_id=alert.internal_id if alert else "",
        since=younger.created_at,
    )


def _by_key(remotes: Iterable[Remote]) -> list[list[Remote]]:
    """Group by remote key; an object without one stands alone."""
    groups: defaultdict[str, list[Remote]] = defaultdict(list)
    for remote in remotes:
        groups[remote.remote_key or f"id:{remote.external_id}"].append(remote)
    return list(groups.values())


def _age(remote: Remote) -> tuple[datetime, int, str]:
    """Sort the oldest first; of one moment the lower number."""
    made = remote.created_at or datetime.max.replace(tzinfo=UTC)
    return (made, len(remote.external_id), remote.external_id)
