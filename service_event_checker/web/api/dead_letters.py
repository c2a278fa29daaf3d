"""/api/v1/dead-letters: what was given up, and sending it again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint

from service_event_checker.web.api.schemas import FailedDelivery
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused

LISTED_MAX = 200

blueprint = Blueprint("dead_letters", __name__, url_prefix="/api/v1/dead-letters")


@blueprint.get("")
def many() -> dict[str, Any]:
    store = services().store
    letters = store.failed_deliveries(LISTED_MAX)
    alerts = store.get({letter.key for letter in letters})
    return {
        "dead_letters": [
            FailedDelivery.of(letter, alerts.get(letter.key)).model_dump(mode="json") for letter in letters
        ]
    }


@blueprint.post("/<letter_id>/requeue")
def requeue(letter_id: str) -> dict[str, Any]:
    """Send it again, as the state of now."""
    here = services()
    if here.store.requeue(letter_id, datetime.now(UTC)):
        here.wakes.set_all()
        return {"requeued": letter_id}
    key = letter_id.partition(":")[0]
    if any(letter.id == letter_id for letter in here.store.failed_deliveries(key=key)):
        raise Refused(409, "Its episode is over: there is nothing left to send.")
    raise Refused(404, "There is no such dead letter.")
