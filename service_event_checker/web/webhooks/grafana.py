"""POST /hooks/grafana: what a contact point of Grafana sends. Never 429: it is answered when it is durable."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.sources.grafana.intake import SOURCE, take
from service_event_checker.web.context import services
from service_event_checker.web.request_body import json_body
from service_event_checker.web.webhooks.alertmanager import BODY_MAX, answer
from service_event_checker.web.webhooks.refusal import put_aside

blueprint = Blueprint("grafana", __name__)


@blueprint.post("/hooks/grafana")
def alerts() -> dict[str, Any]:
    with put_aside(SOURCE):
        return answer(take(services(), json_body(request, limit=BODY_MAX), datetime.now(UTC)))
