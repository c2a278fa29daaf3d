"""/api/v1/deliveries: what waits and what failed; sending a failed one again, or deleting it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.engine import acts
from service_event_checker.render.shapes import DeliveryState, DeliverySummary
from service_event_checker.web.api.lookup import refuse_unknown
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid

LISTED_MAX = 200

blueprint = Blueprint("deliveries", __name__, url_prefix="/api/v1/deliveries")


@blueprint.get("")
def many() -> dict[str, Any]:
    """List failed deliveries, the newest first, or those that wait, the oldest first."""
    state = _state()
    store = services().store
    read = store.failed_deliveries if state is DeliveryState.FAILED else store.waiting_deliveries
    found = read(LISTED_MAX)
    alerts = store.get({delivery.key for delivery in found})
    shown = [DeliverySummary.in_state(delivery, alerts.get(delivery.key), state) for delivery in found]
    return {"deliveries": [each.model_dump(mode="json") for each in shown]}


@blueprint.post("/<delivery_id>/retry")
def retry(delivery_id: str) -> dict[str, Any]:
    """Send it again, as the state of now."""
    try:
        acts.retry(services(), delivery_id, datetime.now(UTC))
    except acts.UnknownDelivery:
        raise _unknown() from None
    return {"retried": delivery_id}


@blueprint.delete("/<delivery_id>")
def discard(delivery_id: str) -> dict[str, Any]:
    try:
        acts.discard(services(), delivery_id)
    except acts.UnknownDelivery:
        raise _unknown() from None
    return {"discarded": delivery_id}


def _state() -> DeliveryState:
    refuse_unknown(request.args, ("state",))
    given = request.args.getlist("state")
    try:
        return DeliveryState(",".join(given) or DeliveryState.FAILED)
    except ValueError:
        raise invalid("state", f"is not one of {', '.join(DeliveryState)}") from None


def _unknown() -> Refused:
    return Refused(404, "There is no such failed delivery. GET /api/v1/deliveries?state=failed lists them.")
