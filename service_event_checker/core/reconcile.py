"""What a reconciliation has to mend: compares what a destination holds with what we know of it. Pure.

A webhook that was lost, a close that never arrived, an object made twice: each becomes a repair. What differs and
may differ, by the `mirrors` or because a person wants it so, is listed and left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import (
    Alert,
    Event,
    EventStatus,
    Family,
    Kind,
    Link,
    Receiver,
    Remote,
    ResolvedBy,
    Status,
    Verb,
)

YOUNG = timedelta(minutes=2)  # what was made this lately may not be on our books yet
INTAKE = "reconcile"


class Fix(StrEnum):
    """What is wrong, in words for the report; the last ones are listed and left."""

    CLOSE = "open though its alert is over: closed"
    ENDED = "closed there by a person: told"
    GONE = "deleted there: told as closed"
    ACKED = "put into work there: told"
    UNACKED = "put back there: told"
    NOTED = "a comment that nobody was told: told"
    OPENED = "born there and never heard of: taken in"
    ACK_AGAIN = "acknowledged here, not there: acknowledged again"
    UNACK_AGAIN = "taken back here, not there: taken back again"
    TWICE = "made twice: the younger is closed"
    ALLOWED = "differs, as `mirrors` allows: left"
    FOREIGN = "carries our mark, and no alert here knows it: left"
    REOPENED = "opened again there after its alert's end: left"


LEFT = frozenset({Fix.ALLOWED, Fix.FOREIGN, Fix.REOPENED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One difference. `event`: what to ingest; `verb`: what is owed there once more; `kept`: the elder of two."""

    receiver: str
    fix: Fix
    remote: Remote
    key: str = ""
    episode: int = 0
    internal_id: str = ""
    event: Event | None = None
    verb: Verb | None = None
    kept: Remote | None = None
    since: datetime | None = None

    @property
    def left(self) -> bool:
        return self.fix in LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What we know of one receiver's objects.

    `links` by external id; `alerts` (newest episodes) by key; `owing`: keys with unsettled deliveries to it, which
    are in motion and not judged; `acked_at`, `unacked_at`: by key, when that last happened to the alert. `since`: when
    it was first looked at; what was born there before is history, and not ours to tell.
    """

    receiver: Receiver
    mirrors: Mirrors = field(default_factory=Mirrors)
    links: Mapping[str, Link] = field(default_factory=dict)
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    owing: frozenset[str] = frozenset()
    acked_at: Mapping[str, datetime] = field(default_factory=dict)
    unacked_at: Mapping[str, datetime] = field(default_factory=dict)
    since: datetime | None = None


def repairs(remotes: Sequence[Remote], books: Books, now: datetime) -> list[Repair]:
    """Return what differs, given all open objects of a receiver."""
    found: list[Repair] = []
    for same in _by_key(remotes):
        kept, *younger = sorted(same, key=_age)
        found += [_twice(each, kept, books) for each in younger] or _judge(kept, books, now)
    return found


def unlisted(books: Books, remotes: Iterable[Remote]) -> list[tuple[Alert, Link]]:
    """Return the open alerts whose object is not among the open ones: each has to be looked at by its id."""
    listed = {remote.external_id for remote in remotes}
    wanted = []
    for link in books.links.values():
        alert = books.alerts.get(link.key)
        if alert is None or not alert.open or alert.episode != link.episode or link.key in books.owing:
            continue
        if link.external_id and not link.closed and link.external_id not in listed:
            wanted.append((alert, link))
    return wanted


def ended(alert: Alert, link: Link, remote: Remote | None, books: Books) -> list[Repair]:
    """Return what a look at an object that is not listed as open means; None: it is gone."""
    shown = remote or Remote(external_id=link.external_id, remote_key=link.remote_key, status=Status.RESOLVED)
    if shown.status is not Status.RESOLVED:
        return []  # a search that lags
    fix = Fix.ENDED if remote else Fix.GONE
    event = _event(books, shown, EventStatus.RESOLVED, note="" if remote else f"{link.external_id} is gone")
    return [*_notes(shown, alert, books), _repair(books, fix, shown, alert, event=event)]


def _judge(remote: Remote, books: Books, now: datetime) -> list[Repair]:
    link = books.links.get(remote.external_id)
    alert = books.alerts.get(link.key) if link else None
    if link is None or alert is None:
        return _unknown(remote, books, now)
    if link.key in books.owing:
        return []  # in motion
    if alert.episode != link.episode or not alert.open:
        return _over(remote, link, alert, books)
    return [*_notes(remote, alert, books), *_status(remote, alert, books)]


def _unknown(remote: Remote, books: Books, now: datetime) -> list[Repair]:
    if remote.created_at is not None and now - remote.created_at < YOUNG:
        return []
    if remote.event is not None:
        if books.since is None or remote.created_at is None or remote.created_at < books.since:
            return []
        return [Repair(receiver=books.receiver.name, fix=Fix.OPENED, remote=remote, event=remote.event)]
    return [Repair(receiver=books.receiver.name, fix=Fix.FOREIGN, remote=remote, since=remote.created_at)]


def _over(remote: Remote, link: Link, alert: Alert, books: Books) -> list[Repair]:
    """Close what its alert left open, unless somebody wants it open or the mirrors say that it may be."""
    if not books.receiver.ends or alert.source == books.receiver.name:
        return []
    if link.closed:
        return [_repair(books, Fix.REOPENED, remote, alert, episode=link.episode)]
    if alert.resolved_by is not ResolvedBy.PERSON and not _carries(Verb.CLOSE, alert, books):
        return [_repair(books, Fix.ALLOWED, remote, alert, episode=link.episode)]
    return [_repair(books, Fix.CLOSE, remote, alert, episode=link.episode, verb=Verb.CLOSE)]


def _status(remote: Remote, alert: Alert, books: Books) -> list[Repair]:
    if remote.status is alert.status:
        return []
    at = remote.at or datetime.min.replace(tzinfo=UTC)
    if remote.status is Status.ACKNOWLEDGED:
        if at > books.unacked_at.get(alert.key, datetime.min.replace(tzinfo=UTC)) or not remote.at:
            event = _event(books, remote, EventStatus.ACKNOWLEDGED)
            return [] if _is_past(event, alert) else [_repair(books, Fix.ACKED, remote, alert, event=event)]
        is_pager = books.receiver.family is Family.PAGER  # elsewhere an ack is a comment and changes no status
        return [_again(Verb.UNACK, Fix.UNACK_AGAIN, remote, alert, books)] if is_pager else []
    if books.receiver.family is not Family.PAGER:
        return []
    if remote.at and at > books.acked_at.get(alert.key, datetime.max.replace(tzinfo=UTC)):
        event = _event(books, remote, EventStatus.UNACKNOWLEDGED)
        return [] if _is_past(event, alert) else [_repair(books, Fix.UNACKED, remote, alert, event=event)]
    return [_again(Verb.ACK, Fix.ACK_AGAIN, remote, alert, books)]


def _again(verb: Verb, fix: Fix, remote: Remote, alert: Alert, books: Books) -> Repair:
    """Owe a verb once more, unless the receiver has none such or the mirrors do not carry it."""
    if verb not in books.receiver.verbs or not _carries(verb, alert, books):
        return _repair(books, Fix.ALLOWED, remote, alert)
    return _repair(books, fix, remote, alert, verb=verb)


def _carries(verb: Verb, alert: Alert, books: Books) -> bool:
    """Whether what happens at the alert's source is carried to this receiver as the same verb."""
    table = books.mirrors.tables.get((alert.source, books.receiver.name), {})
    return verb in table.get(verb, (verb,))


def _notes(remote: Remote, alert: Alert, books: Books) -> list[Repair]:
    name = books.receiver.name
    found = []
    for note in remote.notes:
        if f"{name}:{note.id}" in alert.note_ids or (note.at is not None and note.at < alert.opened_at):
            continue
        event = replace(
            _event(books, remote, EventStatus.NOTED), note=note.text, note_id=note.id, actor=note.actor, at=note.at
        )
        found.append(_repair(books, Fix.NOTED, remote, alert, event=event))
    return found


def _is_past(event: Event, alert: Alert) -> bool:
    """Whether the tracker would take the status as overtaken."""
    return event.at is not None and event.at < alert.heard.get(event.via, event.at)


def _event(books: Books, remote: Remote, status: EventStatus, note: str = "") -> Event:
    name = books.receiver.name
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
    books: Books,
    fix: Fix,
    remote: Remote,
    alert: Alert,
    *,
    episode: int = 0,
    event: Event | None = None,
    verb: Verb | None = None,
) -> Repair:
    return Repair(
        receiver=books.receiver.name,
        fix=fix,
        remote=remote,
        key=alert.key,
        episode=episode or alert.episode,
        internal_id=alert.internal_id,
        event=event,
        verb=verb,
        since=remote.at or alert.updated_at,
    )


def _twice(younger: Remote, kept: Remote, books: Books) -> Repair:
    link = books.links.get(younger.external_id) or books.links.get(kept.external_id)
    alert = books.alerts.get(link.key) if link else None
    return Repair(
        receiver=books.receiver.name,
        fix=Fix.TWICE,
        remote=younger,
        kept=kept,
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
