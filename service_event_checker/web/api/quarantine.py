"""/api/v1/quarantine: bodies that were refused, to be seen, tried again, and thrown away."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.engine.quarantine import Held
from service_event_checker.sources.alertmanager.intake import NoneUsable
from service_event_checker.sources.replay import take_again
from service_event_checker.web.api.lookup import refuse_unknown
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.webhooks.refusal import rejected

LISTED_MAX = 200

blueprint = Blueprint("quarantined", __name__, url_prefix="/api/v1/quarantine")


@blueprint.get("")
def many() -> dict[str, Any]:
    refuse_unknown(request.args)
    return {"quarantine": [_summary(held) for held in quarantine.held(services().store.holding, limit=LISTED_MAX)]}


@blueprint.get("/<id>")
def one(id: str) -> dict[str, Any]:
    held = _find(id)
    more = asdict(held.refusal)
    return _summary(held) | {name: more[name] for name in ("headers", "binary", "redacted", "body")}


@blueprint.post("/<id>/replay")
def replay(id: str) -> dict[str, Any]:
    """Take it as if it came now; it stays, with today's error, where it still cannot be used."""
    try:
        return {"replayed": id, "accepted": take_again(services(), _find(id), datetime.now(UTC))}
    except NoneUsable as error:
        raise Refused(422, str(error), details={"rejected": rejected(error.rejected, {})}) from None
    except InvalidInput as error:
        raise Refused(422, str(error), details={"field": error.where}) from None


@blueprint.delete("/<id>")
def discard(id: str) -> dict[str, Any]:
    if not quarantine.discard(services().store.holding, id):
        raise _unknown()
    return {"discarded": id}


def _find(id: str) -> Held:
    held = quarantine.find(services().store.holding, id)
    if held is None:
        raise _unknown()
    return held


def _summary(held: Held) -> dict[str, Any]:
    refused = held.refusal
    return {
        "id": held.id,
        "source": held.source,
        "route": refused.route,
        "received_at": held.at.isoformat(),
        "error": refused.error,
        "cut": refused.cut,
    }


def _unknown() -> Refused:
    return Refused(404, "This ID is not in quarantine.")
