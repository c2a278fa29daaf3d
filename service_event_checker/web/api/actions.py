"""POST /api/v1/actions/execute: remediation that a person or program asks for. No kind of action exists yet."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service_event_checker.web.api.lookup import find_alert
from service_event_checker.web.api.schemas import ActionRequest
from service_event_checker.web.context import services
from service_event_checker.web.errors import invalid
from service_event_checker.web.request_body import json_body

blueprint = Blueprint("actions", __name__, url_prefix="/api/v1/actions")


@blueprint.post("/execute")
def execute() -> dict[str, Any]:
    """Refuse it: 404 for an alert that does not exist, 422 for an action that is not configured."""
    wanted = ActionRequest.model_validate(json_body(request))
    find_alert(services().store, wanted.alert_id)
    raise invalid("action_type", "no action is configured")
