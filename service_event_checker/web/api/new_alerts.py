"""POST /api/v1/alerts: alerts of systems that speak JSON, one or a list; a repetition gets the same answer again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request

from service_event_checker.core.errors import StoreError
from service_event_checker.engine import idempotency
from service_event_checker.engine.idempotency import KeptAnswer, KeyReused
from service_event_checker.render.shapes import AlertSummary
from service_event_checker.sources.rest import intake
from service_event_checker.sources.rest.intake import Heard, NeverSeen, Rejected, Taken
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import BODY_MAX, json_body, raw_body
from service_event_checker.web.security.caller import caller
from service_event_checker.web.webhooks.refusal import put_aside

LIST_MAX = 1000  # alerts of one request
KEY_MAX = 255  # characters
KEY_HEADER = "Idempotency-Key"  # https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
_UNKNOWN_END = "This alert was never seen firing, so that there is nothing to end."
_HEARD = {"heartbeat": True}  # and no alert

log = structlog.get_logger()
blueprint = Blueprint("new_alerts", __name__, url_prefix="/api/v1/alerts")


@blueprint.post("")
def create() -> Response:
    """Open an alert (201), see it again or end it (200); for a list, an answer for each of its alerts."""
    with put_aside(intake.SOURCE):
        body = json_body(request)
        if isinstance(body, list) and not 1 <= len(body) <= LIST_MAX:
            raise Refused(422, f"The list has {len(body)} alerts. Send 1 to {LIST_MAX}.")
    return _once(lambda: _many(body) if isinstance(body, list) else _one(body))


def _one(body: Any) -> KeptAnswer:
    answer = intake.take(services(), [body], _now())
    (result,) = answer.results
    match result:
        case Rejected():
            details = {"fields": _problems(result), "quarantined": result.quarantined or None}
            raise Refused(422, f"The alert cannot be used. {result.text}", details=details)
        case NeverSeen():
            raise Refused(404, _UNKNOWN_END)
        case Heard():
            return KeptAnswer(200, _HEARD)
        case Taken():
            shown = AlertSummary.of(result.alert).model_dump(mode="json")
            return KeptAnswer(_status(result), shown | _warnings(answer))


def _many(bodies: list[Any]) -> KeptAnswer:
    answer = intake.take(services(), bodies, _now())
    results = [{"index": index} | _result(result) for index, result in enumerate(answer.results)]
    rejected = sum(isinstance(result, Rejected) for result in answer.results)
    if rejected == len(results):
        raise Refused(422, f"None of {rejected} alerts can be used.", details={"results": results})
    counts = {"accepted": len(results) - rejected, "rejected": rejected}
    return KeptAnswer(200, counts | {"results": results} | _warnings(answer))


def _result(result: Taken | Heard | NeverSeen | Rejected) -> dict[str, Any]:
    match result:
        case Rejected():
            return {"status": 422, "fields": _problems(result), "quarantined": result.quarantined or None}
        case NeverSeen():
            return {"status": 404, "error": _UNKNOWN_END}
        case Heard():
            return {"status": 200} | _HEARD
        case Taken(alert=alert):
            return {
                "status": _status(result),
                "id": alert.internal_id,
                "key": alert.key,
                "fingerprint": alert.fingerprint,
            }


def _status(taken: Taken) -> int:
    return 201 if taken.opened else 200


def _problems(rejected: Rejected) -> list[dict[str, str]]:
    return [{"field": field, "problem": problem} for field, problem in rejected.problems]


def _warnings(answer: intake.Answer) -> dict[str, Any]:
    return {"warnings": list(answer.warnings)} if answer.warnings else {}


def _once(do: Callable[[], KeptAnswer]) -> Response:
    """Do it, or give the answer that the same request with this key got within a day. Raises Refused (422)."""
    key = request.headers.get(KEY_HEADER, "")
    if not key:
        return _response(do())
    if len(key) > KEY_MAX or not (key.isascii() and key.isprintable()):
        raise invalid(KEY_HEADER, f"is not 1 to {KEY_MAX} printable ASCII characters")
    holding = services().store.holding
    asked = idempotency.Request(caller().name, request.path, key, raw_body(request, BODY_MAX))
    try:
        kept = idempotency.find(holding, asked, _now())
    except KeyReused:
        raise invalid(KEY_HEADER, "was used with another body within 24 hours. Use a new one") from None
    if kept is not None:
        again = _response(kept)
        again.headers["Idempotency-Replayed"] = "true"
        return again
    answer = do()
    try:
        idempotency.keep(holding, asked, answer, _now())
    except StoreError as error:  # what was asked is done, and may be repeated
        log.warning("store_unavailable", during="keeping of an answer", reason=str(error))
    return _response(answer)


def _response(answer: KeptAnswer) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    return response


def _now() -> datetime:
    return datetime.now(UTC)
