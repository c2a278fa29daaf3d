"""Ends alerts that their source has not repeated by the time that it named for that.

Silence proves something only while a repetition could have reached us. So nothing ends before requests could come in
for `GRACE`, counted anew after a start, after a pause of this job and after a repetition that we could not take.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from service_event_checker.core.roles import Settings
from service_event_checker.engine.pipeline import Pipeline

EVERY = timedelta(seconds=15)
PAUSE_MAX = EVERY * 3  # a longer one: the process, the machine or the store was away
GRACE = timedelta(minutes=3)  # Prometheus repeats once a minute, as evaluations fall at most every two
SOURCES = "expiry:sources"  # setting: [sources whose alerts are to be repeated]
RECEIVING = "expiry:receiving"  # setting: {"since", "until"}: when requests could come in without a pause


class Expiry:
    """One per process. Several processes may look at the same time: an alert ends once."""

    def __init__(self) -> None:
        self._interrupted = True  # since the last look of this process

    def interrupt(self) -> None:
        """Begin the grace time anew: a repetition came and could not be taken."""
        self._interrupted = True

    def run(self, pipeline: Pipeline, now: datetime) -> int:
        """End what is due and return how many; to be called each `EVERY`. Raises StoreError."""
        since = self._receiving_since(pipeline.store, now)
        if now - since < GRACE:
            return 0
        due = [
            alert
            for source in _sources(pipeline.store)
            for alert in pipeline.store.open_alerts(source)
            if alert.expires_at is not None and alert.expires_at <= now
        ]
        return pipeline.expire(due, now) if due else 0

    def _receiving_since(self, store: Settings, now: datetime) -> datetime:
        """Return since when requests could come in, and note that they can now."""
        since = now if self._interrupted else _unbroken(store, now)
        store.set_setting(RECEIVING, json.dumps({"since": since.isoformat(), "until": now.isoformat()}))
        self._interrupted = False
        return since


def note(store: Settings, source: str) -> None:
    """Remember durably that alerts of this source end unless they are repeated. Raises StoreError."""
    known = _sources(store)
    if source not in known:
        store.set_setting(SOURCES, json.dumps([*known, source]))


def _sources(store: Settings) -> list[str]:
    found: list[str] = json.loads(store.setting(SOURCES) or "[]")
    return found


def _unbroken(store: Settings, now: datetime) -> datetime:
    """Return since when there was no pause; now if there was one, or if the clock was set back."""
    noted: dict[str, str] = json.loads(store.setting(RECEIVING) or "{}")
    if not noted:
        return now
    pause = now - datetime.fromisoformat(noted["until"])
    return datetime.fromisoformat(noted["since"]) if timedelta(0) <= pause <= PAUSE_MAX else now
