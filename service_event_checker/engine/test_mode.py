"""Test mode: one synthetic outage per checker, marked TEST, through the whole path. Nothing real is opened.

It is a setting in the store, shared by all processes, and ends by itself. What a test alert may reach is decided
by the outbox alone: chat, and a dry run everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core.model import Event
from service_event_checker.core.roles import AlertsAndSettings
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.engine.pipeline import Pipeline

LASTS = timedelta(hours=1)
SETTING = "test_mode_until"
FINGERPRINT = "test-mode"
INTAKE = "test"


class TestMode:
    """`checkers` are the names of those that are on."""

    __test__ = False  # not for pytest, whatever its name says

    def __init__(self, store: AlertsAndSettings, pipeline: Pipeline, checkers: Iterable[str]) -> None:
        self.store = store
        self.pipeline = pipeline
        self.checkers = tuple(checkers)

    def until(self, now: datetime) -> datetime | None:
        """Return when test mode ends by itself; None when it is off. Raises StoreError."""
        text = self.store.setting(SETTING)
        until = datetime.fromisoformat(text) if text else None
        return until if until is not None and until > now else None

    def turn_on(self, actor: str, now: datetime) -> datetime:
        """Begin, or begin anew; return when it ends by itself. Raises StoreError."""
        until = now + LASTS
        self.store.set_setting(SETTING, until.isoformat())
        self.pipeline.ingest((_synthetic(name, actor, now) for name in self.checkers), now)
        if self.until(now) is None:  # turned off meanwhile, perhaps before these could be seen
            self._end_all(actor, now)
        return until

    def turn_off(self, actor: str, now: datetime) -> int:
        """End it and every test alert; return how many there were. Raises StoreError."""
        ended = self._end_all(actor, now)
        self.store.set_setting(SETTING, "")
        return ended + self._end_all(actor, now)  # what was opened meanwhile: nothing would end it any more

    def expire(self, now: datetime) -> None:
        """End it when its time is over; called by the schedule. Raises StoreError."""
        if self.store.setting(SETTING) and self.until(now) is None:
            self.turn_off("", now)

    def _end_all(self, actor: str, now: datetime) -> int:
        over = [alert for alert in self.store.open_alerts() if alert.test]
        ends = (replace(_synthetic(alert.source, actor, now), status=EventStatus.RESOLVED) for alert in over)
        self.pipeline.ingest(ends, now)
        return len(over)


def _synthetic(checker: str, actor: str, now: datetime) -> Event:
    return Event(
        source=checker,
        fingerprint=FINGERPRINT,
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title=f"Synthetic outage of {checker}",
        severity=Severity.CRITICAL,
        description="Test mode: nothing is down. Tickets, pages and mails are dry runs.",
        at=now,
        starts_at=now,
        intake=INTAKE,
        actor=actor,
        test=True,
    )
