"""Hears the senders that promise to be heard from, and raises an alert about one that is silent.

A sender's last sign of life is a setting of the store, so that any process may hear it and any may look.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from service_event_checker.core import heartbeats
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.heartbeats import GAP_MAX, SOURCE, Heartbeat
from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Event
from service_event_checker.core.roles import Settings
from service_event_checker.engine.pipeline import Pipeline

_HEARD = "heard:"  # before the name: when the sender was last heard from
_LOOKS = (
    "heartbeat-looks"  # setting: {short name of a sender: [last look for it, since when without a gap]}, in seconds
)
_STEPS = 20  # of its time; a sender that is heard from more often costs no further writes
_REMOVED = "This heartbeat is no longer configured."

log = structlog.get_logger()


class Heartbeats:
    """The configured senders, by name. Safe to call from several threads and processes."""

    def __init__(self, store: Settings, configured: Iterable[Heartbeat] = ()) -> None:
        self._store = store
        self.configured: Mapping[str, Heartbeat] = {each.name: each for each in configured}
        self._by_alert = tuple(each for each in self.configured.values() if each.matchers)

    def hear(self, name: str, now: datetime) -> None:
        """Note that a sender was heard from. Raises InvalidInput for an unknown name, and StoreError."""
        known = self.configured.get(name)
        if known is None:
            names = ", ".join(sorted(self.configured)) or "none"
            raise InvalidInput("heartbeat", f'"{name}" is not configured', f"Configured are: {names}")
        last_at = self.last(name)
        if last_at is None or not now - known.every / _STEPS < last_at <= now:
            self._store.set_setting(_HEARD + name, now.isoformat())

    def take(self, events: Iterable[Event], now: datetime) -> Sequence[Event]:
        """Note what is only a sign of life of a sender, and return the other events. Raises StoreError.

        What we found in a sender's list proves that we reach it, not that it reaches us.
        """
        events = list(events)
        rest = [event for event in events if not self.covers(event)] if self._by_alert else events
        if len(rest) < len(events):
            sent = [event for event in events if not event.listed]
            for each in self._by_alert:
                if any(each.covers(event) for event in sent):
                    self.hear(each.name, now)
        return rest

    def covers(self, event: Event) -> bool:
        """Whether an event is only a sign of life, so that it becomes no alert."""
        return any(each.covers(event) for each in self._by_alert)

    def last(self, name: str) -> datetime | None:
        """Return when a sender was last heard from; None: never. Raises StoreError."""
        text = self._store.setting(_HEARD + name)
        return datetime.fromisoformat(text) if text else None

    def due_at(self, name: str, now: datetime) -> datetime:
        """Return when a configured sender has to be heard from again. Raises StoreError."""
        _, since = self._looks().get(_short(name), (now, now))
        return heartbeats.deadline(self.configured[name], self.last(name), since)

    def look(self, pipeline: Pipeline, now: datetime) -> None:
        """Raise an alert for each sender that is silent, and end those of senders that are heard again.

        Raises StoreError.
        """
        open_alerts = {alert.fingerprint: alert for alert in pipeline.store.open_alerts(SOURCE)}
        events = [heartbeats.heard(name, _REMOVED) for name in open_alerts if name not in self.configured]
        if self.configured:
            since = self._look_again(now)
            for name, each in self.configured.items():
                last_at = self.last(name)
                due_at = heartbeats.deadline(each, last_at, since[name])
                if now < due_at:
                    events += [heartbeats.heard(name)] if name in open_alerts else []
                elif name not in open_alerts and not self._is_known(pipeline, name, due_at):
                    events.append(heartbeats.silence(each, last_at, due_at))
        if events:
            pipeline.ingest(events, now)

    def _is_known(self, pipeline: Pipeline, name: str, due_at: datetime) -> bool:
        """Whether a person has already ended the alert about this very silence."""
        key = alert_key(SOURCE, name)
        known = pipeline.store.get([key]).get(key)
        return known is not None and known.starts_at == due_at

    def _look_again(self, now: datetime) -> Mapping[str, datetime]:
        """Note this look; return since when we listen to each sender without a gap: to a new one since now.

        Senders that only another process has configured, as a reload may be under way, keep their place.
        """
        known = {name: (last, since) for name, (last, since) in self._looks().items() if _is_unbroken(last, now)}
        since = {name: known.get(_short(name), (now, now))[1] for name in self.configured}
        known |= {_short(name): (now, at) for name, at in since.items()}
        seconds = {name: [last.timestamp(), at.timestamp()] for name, (last, at) in known.items()}
        self._store.set_setting(_LOOKS, json.dumps(seconds))
        return since

    def _looks(self) -> Mapping[str, tuple[datetime, datetime]]:
        """Return by short name when anybody looked last for a sender, and since when there was no gap."""
        found = json.loads(self._store.setting(_LOOKS) or "{}")
        if not isinstance(found, dict):
            return {}  # an older version wrote one look for all
        return {name: (_moment(last), _moment(since)) for name, (last, since) in found.items()}


def _is_unbroken(last: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - last <= GAP_MAX


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _short(name: str) -> str:
    """Return what stands for a name in a setting that holds all of them."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]
