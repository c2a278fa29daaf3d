"""Takes a quarantined body again, as if it came now, by the way that it came in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.engine.inbox import ingest_destination_webhook
from service_event_checker.engine.quarantine import Held
from service_event_checker.engine.services import Services
from service_event_checker.sources.alertmanager import api, events, webhook
from service_event_checker.sources.alertmanager.intake import take_alerts, take_posted, take_recorded
from service_event_checker.sources.azure_monitor import intake as azure_monitor
from service_event_checker.sources.grafana import intake as grafana
from service_event_checker.sources.rest import intake as rest

log = structlog.get_logger()


def take_again(services: Services, held: Held, now: datetime) -> int:
    """Take a quarantined body as if it came now, remove it, and return how many events or alerts it held.

    What is still wrong in a part of it is put aside anew. Raises InvalidInput with today's error, and StoreError.
    """
    refused = held.refusal
    payload = quarantine.payload(refused)
    if refused.receiver:
        taken = ingest_destination_webhook(services, refused.receiver, refused.headers, payload, now)
    elif held.source == webhook.SOURCE and refused.route == api.INTAKE:
        taken = take_posted(services, payload, now).accepted
    elif held.source == webhook.SOURCE and refused.route == events.INTAKE:
        taken = take_recorded(services, payload)["accepted"]
    elif held.source == webhook.SOURCE:
        taken = take_alerts(services, payload, refused.route, now, sent_at=held.at).accepted
    elif held.source == grafana.SOURCE:
        taken = grafana.take(services, payload, now, sent_at=held.at).accepted
    elif held.source == azure_monitor.SOURCE:
        taken = azure_monitor.take(services, payload, now)
    elif held.source == rest.SOURCE:
        taken = _take_rest(services, payload, held.at, now)
    else:
        raise InvalidInput(
            "receiver",
            "is missing, and several destinations match",
            "Resend it to /hooks/<kind>/<receiver>",
        )
    quarantine.discard(services.store.holding, held.id)
    log.info("replayed", id=held.id, route=refused.route, taken=taken)
    return taken


def _take_rest(services: Services, payload: Any, sent_at: datetime, now: datetime) -> int:
    """Take one alert or a list of them. Raises InvalidInput where none can be used."""
    bodies = payload if isinstance(payload, list) else [payload]
    results = rest.take(services, bodies, now, sent_at=sent_at).results
    rejected = [each for each in results if isinstance(each, rest.Rejected)]
    if rejected and len(rejected) == len(results):
        raise InvalidInput("body", rejected[0].text)
    return len(results) - len(rejected)
