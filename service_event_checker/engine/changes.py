"""Changes of our own that people and pipelines report: kept for a week, evidence for the service that they name.

A change is never told or ticketed. It lies in the holding area, so that any process sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.knowledge import Change, ChangeKind
from service_event_checker.core.model import Alert, Event, HeldItem
from service_event_checker.core.roles import HoldingArea
from service_event_checker.core.vocabulary import EventStatus, Kind
from service_event_checker.render.text import line

AREA = "changes"
KEPT_FOR = timedelta(days=7)
KEPT_PER_SERVICE = 200
READ_MAX = 1000
AHEAD = timedelta(minutes=5)  # that a clock may be ahead of ours
AROUND = timedelta(hours=1)  # before an alert, and a quarter of it after
LABEL = "change"  # of an alert that is a change: its value is the kind
TEXT_MAX = 200

_KINDS = frozenset(kind.value for kind in ChangeKind)
_CHANGE = TypeAdapter(Change)


def note(holding: HoldingArea, change: Change, now: datetime) -> Change:
    """Keep a change; a repetition replaces. Raises InvalidInput for a time too far away, and StoreError."""
    if not now - KEPT_FOR <= change.at <= now + AHEAD:
        raise InvalidInput("at", "is more than 7 days ago, or ahead of now", "Give its time, with the zone")
    holding.put([_held(change)])
    return change


def recent(holding: HoldingArea, now: datetime, *, service: str = "", limit: int = READ_MAX) -> Sequence[Change]:
    """Return the changes of the last 7 days, the newest first; of one service if named. Raises StoreError."""
    held = holding.list(AREA, source=service, limit=limit)
    return [_CHANGE.validate_json(each.doc) for each in held if now - each.at <= KEPT_FOR]


def around(holding: HoldingArea, alert: Alert, now: datetime) -> Sequence[Change]:
    """Return the changes of an alert's service around its start, the newest first. Raises StoreError."""
    service = alert.labels.get("service", "")
    if not service or alert.kind is not Kind.ALERT:
        return []
    first, last = alert.started_at - AROUND, alert.started_at + AROUND / 4
    return [change for change in recent(holding, now, service=service) if first <= change.at <= last]


def take(holding: HoldingArea, events: Iterable[Event], now: datetime) -> Sequence[Event]:
    """Keep the events that are changes by their label, and return the others. Raises StoreError."""
    rest, changes = [], []
    for event in events:
        if event.kind is not Kind.ALERT or event.labels.get(LABEL) not in _KINDS:
            rest.append(event)
        elif event.status is EventStatus.FIRING:
            changes.append(_held(_told_by(event, now)))
    if changes:
        holding.put(changes)
    return rest


def prune(holding: HoldingArea, now: datetime) -> None:
    holding.prune(AREA, before=now - KEPT_FOR, per_source=KEPT_PER_SERVICE)


def _told_by(event: Event, now: datetime) -> Change:
    at = event.starts_at or event.at or now
    return Change(
        service=line(event.labels.get("service", ""), TEXT_MAX),
        at=min(max(at, now - KEPT_FOR), now + AHEAD),
        title=line(event.title, TEXT_MAX),
        kind=ChangeKind(event.labels[LABEL]),
        url=event.url,
        who=line(event.labels.get("who", ""), TEXT_MAX),
    )


def _held(change: Change) -> HeldItem:
    doc = _CHANGE.dump_json(change).decode()
    said = "\n".join((change.service, change.kind, change.at.isoformat(), change.title))
    id = hashlib.sha256(said.encode()).hexdigest()[:32]
    return HeldItem(area=AREA, id=id, source=change.service, at=change.at, doc=doc)
