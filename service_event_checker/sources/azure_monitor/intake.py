"""Takes in an alert of Azure Monitor's webhook, by a request and by a replay from quarantine alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from service_event_checker.engine.clocks import not_in_future
from service_event_checker.engine.services import Services
from service_event_checker.sources.azure_monitor import hook

SOURCE = "azure_monitor"  # in quarantine and logs

log = structlog.get_logger()


def take(services: Services, payload: Any, now: datetime) -> int:
    """Commit the alert and return how many that were: one. Raises InvalidInput and StoreError."""
    event = hook.parse(payload)
    services.pipeline.ingest(not_in_future(now, [event]), now)
    log.info("alerts_received", intake=hook.INTAKE, accepted=1)
    return 1
