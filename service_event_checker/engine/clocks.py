"""Keeps times of any sender out of the future: one that is still to come would outrank all that is told later. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from service_event_checker.core.model import Event
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Kind

AHEAD_MAX = timedelta(minutes=5)  # clocks differ


def not_in_future(now: datetime, events: Iterable[Event], ahead: timedelta = AHEAD_MAX) -> Iterator[Event]:
    """Take what is still to come for now, and such a start for unknown. The start of planned work is a plan."""
    latest = now + ahead
    for event in events:
        to_come = event.starts_at is not None and event.starts_at > latest and event.kind is not Kind.MAINTENANCE
        if to_come:
            event = replace(event, starts_at=None)
        if event.posted_at and event.posted_at > latest:
            event = replace(event, posted_at=None)
        yield replace(event, at=now) if event.at and event.at > latest else event
