"""Tells people once that a source's page changed: an alert that is over from the start, to chat, else mail. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from service_event_checker.core.model import Alert, Event, PageChange
from service_event_checker.core.replacing import replace
from service_event_checker.core.routing import make_delivery, make_transition
from service_event_checker.core.rules import Rulebook, matched
from service_event_checker.core.store import Write
from service_event_checker.core.tracker import over_at_once
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Verb, Why

SOURCE = "status-page"
SAME_WITHIN = timedelta(hours=24)  # the same change of the same page is told once in this time


def page_notice(
    known: Alert | None, checker: str, change: PageChange, text: str, book: Rulebook, now: datetime
) -> Write | None:
    """Return the commit that tells of a change; None where it was told already, or where nobody can be told.

    `known`: the checker's newest notice. `text`: what follows for people.
    """
    event = Event(
        source=SOURCE,
        fingerprint=checker,
        kind=Kind.ALERT,
        status=EventStatus.RESOLVED,
        title=f"{checker}: the status page changed",
        description=f"{change.what[:1].upper()}{change.what[1:]}. {text}",
        at=now,
        starts_at=change.since,
    )
    if known is not None and _is_told(known, event, now):
        return None
    alert = over_at_once(event, known, now)
    receivers = _receivers(replace(alert, source=checker, kind=Kind.OUTAGE, severity=Severity.CRITICAL), book, now)
    if not receivers:
        return None
    alert = replace(alert, receivers=receivers)
    told = replace(make_transition(alert, Why.MISSED, now, receiver=", ".join(receivers)), before=None)
    owed = tuple(make_delivery(alert, name, Verb.OPEN, None, book, now) for name in receivers)
    return Write(alert=alert, transitions=(told,), deliveries=owed)


def _is_told(known: Alert, event: Event, now: datetime) -> bool:
    """Whether this very change was told, or the same one a short time ago: some pages change and change back."""
    again = known.description == event.description and now - known.opened_at < SAME_WITHIN
    return again or known.started_at == event.starts_at


def _receivers(outage: Alert, book: Rulebook, now: datetime) -> tuple[str, ...]:
    """Return who hears of an outage of the source in chat, else by mail, else the first that is configured."""
    ruled = matched(outage, book, now)
    for family in (Family.CHAT, Family.MAIL):
        usable = [
            name
            for name, each in book.receivers.items()
            if each.family is family and not each.why_off and not each.shadow and Verb.OPEN in each.verbs
        ]
        if usable:
            return tuple(name for name in ruled if name in usable) or (usable[0],)
    return ()
