"""The sign that some process runs the jobs, for probes and the page."""

from __future__ import annotations

from datetime import datetime, timedelta

from service_event_checker.core.roles import Settings

HEARTBEAT_MAX_AGE = timedelta(seconds=30)  # then no process is running the jobs
HEARTBEAT_SETTING = "heartbeat"


def beat(store: Settings, now: datetime) -> None:
    """Store that the jobs run. Raises StoreError."""
    store.set_setting(HEARTBEAT_SETTING, now.isoformat())


def last_heartbeat(store: Settings) -> datetime | None:
    """Return when any process last ran the jobs; None when none ever did. Raises StoreError."""
    text = store.setting(HEARTBEAT_SETTING)
    return datetime.fromisoformat(text) if text else None
