"""Alertmanager's API v2, as Prometheus and others call it without an Alertmanager: alerts in, open alerts out. Pure.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml and docs/alerts_api.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.alertmanager.webhook import Parsed

INTAKE = "/api/v2/alerts"
RESOLVE_TIMEOUT = timedelta(minutes=5)  # Alertmanager's default, for alerts that name no end
_FIELDS = ("labels", "annotations", "startsAt", "endsAt", "generatorURL")


def message(body: Any) -> dict[str, Any]:
    """Return posted alerts, a list of `{labels, annotations, startsAt, endsAt, generatorURL}`, in the webhook's shape.

    An object that is such a message already, as quarantine keeps it, is taken as well. Raises InvalidInput.
    """
    if isinstance(body, dict) and isinstance(body.get("alerts"), list):
        return body
    if not isinstance(body, list):
        raise InvalidInput("body", "is not a list of alerts", 'Send [{"labels": {"alertname": "what it is"}}]')
    return {"alerts": body}


def parse(posted: Mapping[str, Any], now: datetime) -> Parsed:
    """Return the events of `message(...)`.

    An alert whose end is still to come fires, and is over then unless it is repeated; one without an end is over
    after five minutes. Other fields than those of the API, like a status, are ignored, as there.
    """
    alerts = [_ended(each) for each in posted["alerts"]]
    parsed = webhook.parse({"alerts": alerts}, INTAKE)
    return replace(parsed, events=tuple(_as_of(event, now) for event in parsed.events))


def listed(alert: Alert) -> dict[str, Any]:
    """Return an open alert as the API lists it (`gettableAlert`)."""
    return {
        "annotations": dict(alert.annotations),
        "endsAt": (alert.expires_at or alert.updated_at + RESOLVE_TIMEOUT).isoformat(),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in alert.receivers],
        "startsAt": alert.started_at.isoformat(),
        "status": {"inhibitedBy": [], "silencedBy": [], "mutedBy": [], "state": "active"},
        "updatedAt": alert.updated_at.isoformat(),
        "generatorURL": alert.url,
        "labels": dict(alert.labels),
    }


def _ended(alert: Any) -> Any:
    """Return an alert as the webhook tells an end, which is where it reads `endsAt`."""
    if not isinstance(alert, dict):
        return alert
    return {name: alert[name] for name in _FIELDS if name in alert} | {"status": "resolved"}


def _as_of(event: Event, now: datetime) -> Event:
    if event.at is not None and event.at <= now:
        return event
    return replace(event, status=EventStatus.FIRING, at=None, expires_at=event.at or now + RESOLVE_TIMEOUT)
