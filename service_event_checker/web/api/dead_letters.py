"""/api/v1/dead-letters: the earlier name of /api/v1/deliveries, which answers as it did until 1.0."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from service_event_checker.engine import acts
from service_event_checker.render.shapes import FailedDelivery
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid

LISTED_MAX = 200
DEPRECATED_AT = datetime(2026, 12, 1, tzinfo=UTC)

blueprint = Blueprint("dead_letters", __name__, url_prefix="/api/v1/dead-letters")


@blueprint.after_request
def deprecate(answer: Response) -> Response:
    """Say since when, and what to use instead (RFC 9745, RFC 8288)."""
    answer.headers["Deprecation"] = f"@{int(DEPRECATED_AT.timestamp())}"
    answer.headers.add("Link", '</api/v1/deliveries?state=failed>; rel="successor-version"')
    return answer


@blueprint.get("")
def many() -> dict[str, Any]:
    if "cursor" in request.args:  # other parameters were ignored, and are until 1.0
        raise invalid("cursor", "is not a known parameter")
    store = services().store
    found = store.failed_deliveries(LISTED_MAX)
    alerts = store.get({delivery.key for delivery in found})
    shown = [FailedDelivery.of(delivery, alerts.get(delivery.key)) for delivery in found]
    return {"dead_letters": [each.model_dump(mode="json") for each in shown]}


@blueprint.post("/<letter_id>/requeue")
def requeue(letter_id: str) -> dict[str, Any]:
    """Send it again, as the state of now."""
    try:
        acts.retry(services(), letter_id, datetime.now(UTC))
    except acts.UnknownDelivery:
        raise Refused(404, "There is no such failed delivery.") from None
    return {"requeued": letter_id}
