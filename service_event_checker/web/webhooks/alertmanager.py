"""POST /alert, /webhook, /hooks/alertmanager-events: what Alertmanager sends. Never 429, never 500.

An answer means that it is durable.
Alertmanager repeats on 5xx and drops on 4xx, 429 too: https://github.com/prometheus/alertmanager, notify/webhook.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.sources.alertmanager.intake import Taken, take_alerts, take_recorded
from service_event_checker.sources.alertmanager.webhook import SOURCE
from service_event_checker.web.context import services
from service_event_checker.web.request_body import json_body
from service_event_checker.web.webhooks.refusal import put_aside, rejected

BODY_MAX = 8 * 1024 * 1024  # bytes; some twenty thousand alerts

blueprint = Blueprint("alertmanager", __name__)


@blueprint.post("/alert")
def alert() -> dict[str, Any]:
    return _take("/alert")


@blueprint.post("/webhook")
def webhook() -> dict[str, Any]:
    return _take("/webhook")


@blueprint.post("/hooks/alertmanager-events")
def events() -> dict[str, Any]:
    """Take what its event recorder tells of mutes; other events are counted and left."""
    with put_aside(SOURCE):
        return take_recorded(services(), json_body(request, limit=BODY_MAX))


def _take(way_in: str) -> dict[str, Any]:
    with put_aside(SOURCE):
        payload = json_body(request, limit=BODY_MAX)
        return answer(take_alerts(services(), payload, way_in, datetime.now(UTC)))


def answer(taken: Taken) -> dict[str, Any]:
    """Return the answer that says what became of a message."""
    told: dict[str, Any] = {"accepted": taken.accepted, "rejected": rejected(taken.rejected, taken.quarantined)}
    return told | ({"warnings": list(taken.warnings)} if taken.warnings else {})
