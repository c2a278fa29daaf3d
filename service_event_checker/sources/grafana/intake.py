"""Takes in a message of Grafana's webhook, by a request and by a replay from quarantine alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service_event_checker.engine.services import Services
from service_event_checker.sources.alertmanager.intake import Taken, take_parsed
from service_event_checker.sources.grafana import hook

SOURCE = "grafana"  # in quarantine, logs and metrics


def take(services: Services, payload: Any, now: datetime, *, sent_at: datetime | None = None) -> Taken:
    """Commit the usable alerts of a message and put the others aside. Raises InvalidInput, NoneUsable, StoreError."""
    told = hook.message(payload)
    return take_parsed(services, told, hook.parse(told), hook.INTAKE, now, source=SOURCE, sent_at=sent_at)
