"""Tells an outside watch (HEARTBEAT_URL) each minute that we run; when a loop stands still, we keep silent."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta

import structlog

from service_event_checker.core.errors import Reason
from service_event_checker.engine.services import Services
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.metrics import PINGS

STILL_AFTER = timedelta(minutes=20)  # longer than a pause or an open breaker keeps a loop from its work
TIMEOUT_SECONDS = 10.0

log = structlog.get_logger()


def ping(services: Services, now: datetime) -> None:
    """Ask the configured address, if all loops run. Raises StoreError, and asks nobody then."""
    url = services.settings.heartbeat_url
    if not url:
        return
    still = standing_still(services, now)
    if still:
        PINGS.labels("withheld").inc()
        log.error("heartbeat_withheld", standing_still=still)
        return
    reason = ask(url, TIMEOUT_SECONDS)
    if reason:
        PINGS.labels("failed").inc()
        log.warning("heartbeat_not_taken", variable="HEARTBEAT_URL", reason=reason.value)
    else:
        PINGS.labels("sent").inc()


def ask(url: str, timeout: float) -> Reason | None:
    """Ask the address, within so many seconds; return why it could not be asked. The address is nobody's to see."""
    try:
        with closing(Http(url, timeout=timeout)) as client:
            client.get("")
    except HttpError as error:
        return error.reason
    return None


def standing_still(services: Services, now: datetime) -> list[str]:
    """Return the loops that have left due work alone: checkers that nobody polls, receivers that nobody delivers to.

    By the store, so that the work of all processes counts. Raises StoreError.
    """
    long_ago = now - STILL_AFTER
    slots = services.store.slots()
    polls = [
        f"poll {name}"
        for name in services.poller.watches
        if (slot := slots.get(name)) and slot.due_at < long_ago and (slot.lease_until or long_ago) <= long_ago
    ]
    receivers = services.store.due(services.outbox.destinations, long_ago)
    return polls + [f"deliver {name}" for name in sorted(receivers)]
