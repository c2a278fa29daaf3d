"""Takes in what a destination's webhook tells of its objects, and keeps times of any sender out of the future.

The same for a request and for a replay from quarantine. When a function here returns, all that it took is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.ports import Inbound
from service_event_checker.engine.clocks import not_in_future
from service_event_checker.engine.services import Services

log = structlog.get_logger()


def ingest_destination_webhook(
    services: Services, receiver: str, headers: Mapping[str, str], payload: Any, now: datetime
) -> int:
    """Commit what a destination tells of its objects and return how many events that were.

    Raises InvalidInput, also where the destination is off, and StoreError.
    """
    destination = services.outbox.destinations.get(receiver)
    if not isinstance(destination, Inbound):
        raise InvalidInput("receiver", f"{receiver} is off, or does not support webhooks")
    events = _read(receiver, destination, headers, payload)
    services.pipeline.ingest(not_in_future(now, events), now)
    if events:
        log.info("remote_change", receiver=receiver, events=len(events))
    return len(events)


def _read(receiver: str, destination: Inbound, headers: Mapping[str, str], payload: Any) -> list[Event]:
    """Return the events of a payload; a reader that fails on it is a defect, and a sender's repetition no remedy."""
    try:
        return destination.parse(headers, payload)
    except InvalidInput:
        raise
    except Exception:
        log.exception("remote_change_unreadable", receiver=receiver)
        raise InvalidInput("body", "could not be read", "This is an internal error; see the log") from None
