"""/api/v1/alerts: list, show, and change the status of alerts. A change is an event of a person, like any other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.model import Alert
from service_event_checker.core.store import Page, Query
from service_event_checker.core.vocabulary import Status
from service_event_checker.web.api import changes
from service_event_checker.web.api.lookup import find_alert, read_query
from service_event_checker.web.api.schemas import AlertDetail, AlertSummary, StatusChange
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import caller

INTAKE = "api"
_STATUSES = {"acknowledged": Status.ACKNOWLEDGED, "resolved": Status.RESOLVED, "active": Status.FIRING}

blueprint = Blueprint("alerts", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("")
def many() -> dict[str, Any]:
    page = _page(read_query(request.args))
    alerts = [AlertSummary.of(alert).model_dump(mode="json") for alert in page.alerts]
    return {"alerts": alerts, "cursor": page.cursor or None}


@blueprint.get("/<path:name>")
def one(name: str) -> dict[str, Any]:
    return _detail(find_alert(services().store, name))


@blueprint.put("/<path:name>/status")
def change_status(name: str) -> dict[str, Any]:
    """Acknowledge, resolve or take an acknowledgement back; asking again for what is so already changes nothing."""
    wanted = StatusChange.model_validate(json_body(request))
    here = services()
    known = find_alert(here.store, name)
    fulfilled = _STATUSES[wanted.status]
    actor, note = caller().name, wanted.resolution_note
    now = datetime.now(UTC)
    found = changes.change_status(here, known, fulfilled, actor=actor, intake=INTAKE, now=now, note=note)
    if found.status is not fulfilled:
        why = "it is resolved, and only its source opens it again"
        raise Refused(
            409, f"{found.internal_id} cannot become {wanted.status}: {why}.", details={"status": found.status}
        )
    return _detail(found)


def _page(query: Query) -> Page:
    try:
        return services().store.page(query)
    except (ValueError, OverflowError):  # a cursor of the right form that no store gave
        raise invalid("cursor", "is none that a page before has given") from None


def _detail(alert: Alert) -> dict[str, Any]:
    store = services().store
    links = store.links([alert.key]).get(alert.key, [])
    return AlertDetail.with_history(alert, store.timeline(alert.key), links).model_dump(mode="json")
