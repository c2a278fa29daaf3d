"""Builds the values that tests speak of; what a test does not name is filled in here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from service_event_checker.core import matchers
from service_event_checker.core.ids import alert_key, internal_id
from service_event_checker.core.model import Alert, Delivery, Event, Receiver
from service_event_checker.core.silences import Silence
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Status, Verb
from service_event_checker.core.weekly import Weekly

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
NIGHTS = Weekly(("mon", "sat"), time(22, 0), time(6, 30), "Europe/Berlin")


def event(**changes: Any) -> Event:
    """An outage of GitHub, firing since `NOW`."""
    base = Event(
        source="github",
        fingerprint="8zc63m64hy36",
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title="Disruption with some GitHub services",
        severity=Severity.ERROR,
        description="We are investigating reports of degraded performance.",
        starts_at=NOW,
        at=NOW,
        url="https://www.githubstatus.com/incidents/8zc63m64hy36",
        labels={"component": "Actions"},
    )
    return replace(base, **changes)


def alert(**changes: Any) -> Alert:
    """The alert of `event()`, as its first commit left it."""
    key = alert_key(changes.get("source", "github"), changes.get("fingerprint", "8zc63m64hy36"))
    base = Alert(
        key=key,
        source="github",
        fingerprint="8zc63m64hy36",
        kind=Kind.OUTAGE,
        episode=1,
        internal_id=internal_id("github", key, 1),
        status=Status.FIRING,
        severity=Severity.ERROR,
        title="Disruption with some GitHub services",
        description="We are investigating reports of degraded performance.",
        started_at=NOW,
        opened_at=NOW,
        updated_at=NOW,
        starts_at=NOW,
        seen_at=NOW,
        url="https://www.githubstatus.com/incidents/8zc63m64hy36",
        labels={"component": "Actions"},
        intakes=("poll",),
        receivers=("slack",),
        revision=1,
    )
    return replace(base, **changes)


def delivery(alert: Alert, verb: Verb = Verb.OPEN, receiver: str = "slack", **changes: Any) -> Delivery:
    base = Delivery(
        key=alert.key,
        episode=alert.episode,
        revision=alert.revision,
        receiver=receiver,
        verb=verb,
        severity=alert.severity,
        due_at=NOW,
        created_at=NOW,
    )
    return replace(base, **changes)


def receiver(name: str = "slack", family: Family = Family.CHAT, **changes: Any) -> Receiver:
    base = Receiver(
        name=name,
        family=family,
        verbs=frozenset(Verb) - {Verb.RUN},
        findable=True,
        settle=timedelta(seconds=5),
        deadline=timedelta(seconds=2),
    )
    return replace(base, **changes)


def silence(id: str = "S-1", match: str = r'title=~"(?i)disk .*\\d+%",team!="a \"b\""', **changes: Any) -> Silence:
    """A silence of an hour, from `NOW` on."""
    made = Silence(matchers.parse(match), NOW, NOW + timedelta(hours=1), "Ada", "upgrade ☕", id=id, created_at=NOW)
    return replace(made, **changes)
