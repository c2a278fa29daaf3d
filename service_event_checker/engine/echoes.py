"""What comes back from a destination without news: past episodes, known ends, echoes of our own changes. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core import reconcile
from service_event_checker.core.model import Alert, Event, Link
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Status

RECEIPT_WITHIN = timedelta(minutes=1)  # clocks differ; what nobody did later than this is not our own doing
_STATUS_OF = {
    EventStatus.ACKNOWLEDGED: Status.ACKNOWLEDGED,
    EventStatus.UNACKNOWLEDGED: Status.FIRING,
    EventStatus.RESOLVED: Status.RESOLVED,
}
_OPPOSITES = {EventStatus.ACKNOWLEDGED: Status.FIRING, EventStatus.UNACKNOWLEDGED: Status.ACKNOWLEDGED}


def is_no_news(event: Event, link: Link, alert: Alert | None, book: Rulebook) -> bool:
    """Whether an event of a linked object changes nothing.

    It tells of a past episode, of an end that is known, of nothing but what we did there, or of a status that we
    have replaced there since.
    """
    if alert is not None and link.episode != alert.episode:
        return True
    if event.status is EventStatus.RESOLVED and link.closed and not _is_second_end(event, link, alert):
        return True
    if event.intake == reconcile.INTAKE:
        return False  # what was read there is not an echo
    return _is_echo(event, link) or _is_overwritten(event, link, book)


def marked(event: Event, link: Link) -> tuple[Link, ...]:
    """Return the link of a copy that was ended by its own system, or has come back to life there."""
    if event.person:
        return ()
    if event.status is EventStatus.RESOLVED:
        return (replace(link, closed=True),)
    alive = event.status in (EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED)
    return (replace(link, closed=False),) if alive and link.closed else ()


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


def _is_overwritten(event: Event, link: Link, book: Rulebook) -> bool:
    """Whether a pager tells of a status that we have replaced there since. Elsewhere what we write is a comment."""
    if book.receivers[link.receiver].family is not Family.PAGER:
        return False
    at = _opposite_at(event, link)
    return at is not None and event.at is not None and event.at <= at


def _opposite_at(event: Event, link: Link) -> datetime | None:
    """Return when we last wrote there the opposite of what the event tells."""
    opposite = _OPPOSITES.get(event.status)
    return link.sent.get(opposite) if opposite else None


def _is_second_end(event: Event, link: Link, alert: Alert | None) -> bool:
    """Whether an object whose end is known has been ended so much later that it was taken up in between."""
    known = [link.sent.get(Status.RESOLVED), alert.status_seen_at.get((event.via, None)) if alert else None]
    latest = max(filter(None, known), default=None)
    return event.at is not None and latest is not None and event.at > latest + RECEIPT_WITHIN
