"""/api/v1/verdict and /api/v1/alerts/{id}/verdict: is it us or them, and what a person says of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.engine import verdicts
from service_event_checker.render.shapes import AlertSummary, VerdictShape
from service_event_checker.web.api.lookup import find_alert
from service_event_checker.web.api.schemas import NewVerdict
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import actor

LABELS_MAX = 10

blueprint = Blueprint("verdicts", __name__, url_prefix="/api/v1")


@blueprint.get("/verdict")
def of_labels() -> dict[str, Any]:
    """Say what explains the trouble of all that is open with these labels, like ?service=checkout."""
    labels = {name: value for name, value in request.args.items() if value}
    if not 1 <= len(labels) <= LABELS_MAX:
        raise Refused(422, f"Name 1 to {LABELS_MAX} labels, like ?service=checkout.")
    if repeated := [name for name in labels if len(request.args.getlist(name)) > 1]:
        raise invalid(repeated[0], "is given more than once")
    found = verdicts.trouble(services(), labels, datetime.now(UTC))
    alerts = [AlertSummary.of(alert).model_dump(mode="json") for alert in found.alerts]
    return VerdictShape.of(found.verdict).model_dump(mode="json") | {"alerts": alerts}


@blueprint.post("/alerts/<path:name>/verdict")
def judge(name: str) -> dict[str, Any]:
    """Agree with the outages that explain an alert, or say no. Outranks what was found, for this alert."""
    wanted = NewVerdict.model_validate(json_body(request))
    known = find_alert(services().store, name)
    found = verdicts.vote(services(), known, wanted.answer, actor=actor(), now=datetime.now(UTC), note=wanted.note)
    verdict = verdicts.verdict_of(services(), found, datetime.now(UTC))
    return VerdictShape.of(verdict).model_dump(mode="json") | {"id": found.internal_id}
