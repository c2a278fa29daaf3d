"""/api/v1/deliveries: what waits, failed or is settled; sending a failed one again, or deleting it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.roles import Store
from service_event_checker.engine import acts, settled
from service_event_checker.engine.search import is_offset
from service_event_checker.render.shapes import DeliveryState, DeliverySummary, SettledDelivery
from service_event_checker.web.api.lookup import read_cursor, read_limit, refuse_unknown
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid

LISTED_MAX = 200

blueprint = Blueprint("deliveries", __name__, url_prefix="/api/v1/deliveries")


@blueprint.get("")
def many() -> dict[str, Any]:
    """List failed deliveries, the newest first, or those that wait, the oldest first, or what is settled, in pages.

    Settled: of each alert's newest episode, the latest changed alert first. A page ends with an alert.
    """
    state = _state()
    store = services().store
    if state is DeliveryState.SETTLED:
        return _settled(store)
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


def _settled(store: Store) -> dict[str, Any]:
    cursor = read_cursor(request.args)
    if is_offset(cursor):
        raise invalid("cursor", "is not a cursor that this list issued")
    try:
        found = settled.page(store, limit=read_limit(request.args), cursor=cursor)
    except (ValueError, OverflowError):  # a cursor of the right form that no store gave
        raise invalid("cursor", "is not a cursor that we issued") from None
    shown = [SettledDelivery.of(step, alert) for alert, step in found.steps]
    return {"deliveries": [each.model_dump(mode="json") for each in shown], "cursor": found.cursor or None}


def _state() -> DeliveryState:
    given = request.args.getlist("state")
    try:
        state = DeliveryState(",".join(given) or DeliveryState.FAILED)
    except ValueError:
        raise invalid("state", f"is not one of {', '.join(DeliveryState)}") from None
    refuse_unknown(request.args, ("state", "limit", "cursor") if state is DeliveryState.SETTLED else ("state",))
    return state


def _unknown() -> Refused:
    return Refused(404, "There is no such failed delivery. GET /api/v1/deliveries?state=failed lists them.")
