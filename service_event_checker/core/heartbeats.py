"""Senders that promise to be heard from regularly, and when their silence is an alert of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_event_checker.core.matchers import Matcher
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

SOURCE = "heartbeat"  # of the alerts that say a sender is silent
GAP_MAX = timedelta(minutes=1)  # between two looks; after a longer one, what a sender sent meanwhile was perhaps lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A sender that is heard from at least once in `every`. `matchers`: which of its alerts count, beside requests."""

    name: str
    every: timedelta
    matchers: tuple[Matcher, ...] = ()
    severity: Severity = Severity.CRITICAL

    def covers(self, event: Event) -> bool:
        """Whether an event is only a sign of life of this sender, so that it becomes no alert."""
        if not self.matchers or event.status is not EventStatus.FIRING:
            return False
        names = _names_of(event)
        return all(matcher.matches(names) for matcher in self.matchers)


def deadline(heartbeat: Heartbeat, last_at: datetime | None, listening_since: datetime) -> datetime:
    """Return when the sender has to be heard from again; `listening_since`: when we last began to listen."""
    return max(last_at or listening_since, listening_since) + heartbeat.every


def silence(heartbeat: Heartbeat, last_at: datetime | None, due_at: datetime) -> Event:
    """Return what says that a sender is silent."""
    heard = f"It was last heard from at {_text(last_at)}." if last_at else "It was never heard from."
    return Event(
        source=SOURCE,
        fingerprint=heartbeat.name,
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title=f"{heartbeat.name} is silent",
        severity=heartbeat.severity,
        description=f"{heard} It has to send at least once in {_duration(heartbeat.every)}. "
        "If it cannot reach us, its alerts cannot reach us either.",
        starts_at=due_at,
        labels={"heartbeat": heartbeat.name},
        intake="heartbeat",
    )


def heard(name: str, note: str = "") -> Event:
    """Return what ends the alert about a sender."""
    return Event(
        source=SOURCE,
        fingerprint=name,
        kind=Kind.ALERT,
        status=EventStatus.RESOLVED,
        note=note,
        intake="heartbeat",
    )


def _names_of(event: Event) -> Mapping[str, str]:
    """Return what a matcher of a heartbeat may ask for: labels, `label.<name>`, and some of the event's own names."""
    own = {
        "source": event.source,
        "kind": event.kind.value,
        "intake": event.intake,
        "severity": event.severity.value,
        "title": event.title,
    }
    return {**event.labels, **{f"label.{name}": value for name, value in event.labels.items()}, **own}


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
