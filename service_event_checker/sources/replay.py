"""Takes a quarantined body again, as if it came now, by the way that it came in."""

from __future__ import annotations

from datetime import datetime

import structlog

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.engine.inbox import ingest_destination_webhook
from service_event_checker.engine.quarantine import Held
from service_event_checker.engine.services import Services
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.alertmanager.intake import take_alerts

log = structlog.get_logger()


def take_again(services: Services, held: Held, now: datetime) -> int:
    """Take a quarantined body as if it came now, remove it, and return how many events or alerts it held.

    What is still wrong in a part of it is put aside anew. Raises InvalidInput with today's error, and StoreError.
    """
    refused = held.refusal
    payload = quarantine.payload(refused)
    if refused.receiver:
        taken = ingest_destination_webhook(services, refused.receiver, refused.headers, payload, now)
    elif held.source == webhook.SOURCE:
        taken = take_alerts(services, payload, refused.route, now, sent_at=held.at).accepted
    else:
        raise InvalidInput(
            "receiver",
            "is missing, and several destinations match",
            "Resend it to /hooks/<kind>/<receiver>",
        )
    quarantine.discard(services.store.holding, held.id)
    log.info("replayed", id=held.id, route=refused.route, taken=taken)
    return taken
