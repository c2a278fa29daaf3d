"""/api/v1/changes: changes of our own, which may be the cause of what fires soon after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.knowledge import Change
from service_event_checker.engine import changes
from service_event_checker.render.shapes import ChangeShape
from service_event_checker.web.api.schemas import NewChange
from service_event_checker.web.context import services
from service_event_checker.web.request_body import json_body

SHOWN_MAX = 200

blueprint = Blueprint("changes", __name__, url_prefix="/api/v1/changes")


@blueprint.get("")
def many() -> dict[str, Any]:
    """List the changes of the last 7 days, the newest first (at most 200); `service` names one service."""
    service = request.args.get("service", "")
    found = changes.recent(services().store.holding, datetime.now(UTC), service=service, limit=SHOWN_MAX)
    return {"changes": [ChangeShape.of(each).model_dump(mode="json") for each in found]}


@blueprint.post("")
def create() -> tuple[dict[str, Any], int]:
    """Report a change. It is evidence for a cause of our own in alerts of this service soon after; nobody is told."""
    wanted, now = NewChange.model_validate(json_body(request)), datetime.now(UTC)
    change = Change(wanted.service, wanted.at or now, wanted.title, wanted.kind, wanted.url, wanted.who)
    return ChangeShape.of(changes.note(services().store.holding, change, now)).model_dump(mode="json"), 201
