"""POST /hooks/<kind>, /pd-webhook, /ops-webhook: destinations that tell us of changes.

Who sends is proved on the raw bytes, before they are read: by a signature where the destination has a secret for it,
else by the token of the route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from flask import Blueprint, current_app, g, request

from service_event_checker.config.settings import WEBHOOK_TOKEN
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.ports import Inbound
from service_event_checker.engine import inbox
from service_event_checker.engine.refusals import Refusal
from service_event_checker.engine.services import Services
from service_event_checker.http import strict_json
from service_event_checker.web.body_budget import reserve
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import demand_json, parse, raw_body
from service_event_checker.web.security import auth
from service_event_checker.web.security.auth import Caller, Keys, Scope
from service_event_checker.web.security.caller import for_readers
from service_event_checker.web.webhooks.refusal import put_aside

BODY_MAX = 1024 * 1024  # bytes
PAGERDUTY, OPSGENIE = "pagerduty", "opsgenie"

blueprint = Blueprint("destination_webhooks", __name__)

Answer = tuple[dict[str, Any], int]


@runtime_checkable
class SenderFilter(Protocol):
    """A destination whose webhooks contain the sender's ID, which is not a secret but excludes others."""

    def accepts(self, payload: Any) -> bool:
        """Whether the parsed body names the sender that is configured; True for all if none is configured."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedWebhook:
    """A body whose sender was let in. `receiver` is "" where several destinations might be meant, `among` them."""

    kind: str
    receiver: str
    among: tuple[str, ...]
    body: bytes


@blueprint.post("/hooks/<kind>")
@blueprint.post("/hooks/<kind>/<receiver>")
def ticket(**_: str) -> Answer:
    return {"accepted": _take(_verified())}, 200


@blueprint.post("/ops-webhook")
@blueprint.post("/ops-webhook/<receiver>")
def opsgenie(**_: str) -> Answer:
    return {"accepted": _take(_verified())}, 200


@blueprint.post("/pd-webhook")
@blueprint.post("/pd-webhook/<receiver>")
def pagerduty(**_: str) -> Answer:
    """As the others, but what is JSON is never answered 4xx: three of those, and PagerDuty sends nothing for a day.

    https://developer.pagerduty.com/docs/webhooks/webhook-behavior
    """
    webhook = _verified()
    try:
        return {"accepted": _take(webhook)}, 200
    except Refused as error:
        if error.status >= 500 or not strict_json.is_json(webhook.body):
            raise
        return {"accepted": 0, "quarantined": error.details["quarantined"], "error": error.message}, 202


def admit(kind: str = "") -> Caller:
    """Let in who signs, or knows the token, for a destination of the kind. Raises Refused (401, 403, 413)."""
    asked: Mapping[str, str] = request.view_args or {}
    here = services()
    kind, named = kind or _kind(here, asked.get("kind", "")), asked.get("receiver", "")
    candidates = _inbound_destinations(here, kind, named)
    body = raw_body(request, BODY_MAX)
    headers = dict(request.headers.items())
    verdicts = {name: destination.verify_signature(headers, body) for name, destination in candidates.items()}
    among = [name for name, verdict in verdicts.items() if verdict]
    if not among:
        unsigned = {name: candidates[name] for name, verdict in verdicts.items() if verdict is None}
        if not unsigned:
            detail = f"The request is not signed with the secret of {' or '.join(candidates)}."
            why = Refusal.WRONG_SIGNATURE
            raise Refused(401, for_readers(detail, "The request is not signed with the configured secret."), why=why)
        among = _admitted(here, kind, unsigned, body)
    g.verified_webhook = VerifiedWebhook(kind, among[0] if len(among) == 1 else "", tuple(among), body)
    return Caller(g.verified_webhook.receiver or kind, frozenset({Scope.WRITE}))


def admit_pagerduty() -> Caller:
    return admit(PAGERDUTY)


def admit_opsgenie() -> Caller:
    return admit(OPSGENIE)


def is_unauthenticated(services: Services, destination: object, kind: str) -> bool:
    """Whether anybody who knows the id in the body may speak for a destination, as no token is configured."""
    named = isinstance(destination, SenderFilter) and not destination.accepts({})
    return named and not services.settings.webhook_tokens.keys() & set(_token_variables(kind))


def _take(webhook: VerifiedWebhook) -> int:
    with put_aside(webhook.receiver or webhook.kind, webhook.receiver):
        if not webhook.receiver:
            raise Refused(400, f"Several destinations match. Use {request.path}/<{'|'.join(webhook.among)}>.")
        if webhook.kind != PAGERDUTY:
            demand_json(request)
        reserve(request, len(webhook.body))
        headers = dict(request.headers.items())
        return inbox.ingest_destination_webhook(
            services(), webhook.receiver, headers, parse(webhook.body), datetime.now(UTC)
        )


def _verified() -> VerifiedWebhook:
    found: VerifiedWebhook = g.verified_webhook
    return found


def _kind(services: Services, address: str) -> str:
    """Return the kind of destination that an address names. Raises Refused where config.json has none of it."""
    kinds = {part.kind.replace("_", "-"): part.kind for part in services.parts if part.section == "destination"}
    if address not in kinds:
        hint = "No destination of this kind is configured. Add it to config.json."
        raise Refused(403, hint, why=Refusal.NOT_CONFIGURED)
    return kinds[address]


def _inbound_destinations(services: Services, kind: str, named: str) -> dict[str, Inbound]:
    """Return the destinations of a kind that are on and webhook back, the named one only if one is. Raises Refused."""
    parts = [part for part in services.parts if part.section == "destination" and part.kind == kind]
    meant = [part for part in parts if not named or part.name == named]
    candidates: dict[str, Inbound] = {}
    for part in meant:
        destination = services.outbox.destinations.get(part.name)
        if isinstance(destination, Inbound):
            candidates[part.name] = destination
    if not candidates:
        off = "; ".join(f"{part.name} is off: {part.state}" for part in meant)
        detail = f"{off or 'config.json has no such destination'}. Requests are not accepted."
        plain = "Requests are not accepted. The log at start says what is off."
        raise Refused(403, for_readers(detail, plain), why=Refusal.NOT_CONFIGURED)
    return candidates


def _admitted(services: Services, kind: str, candidates: Mapping[str, Inbound], body: bytes) -> list[str]:
    """Return those whose sender this is, by the route's token and by the id in the body. Raises Refused (401, 403)."""
    unauthenticated = all(is_unauthenticated(services, destination, kind) for destination in candidates.values())
    if not unauthenticated:
        keys: Keys = current_app.extensions["keys"]
        auth.authorize_webhook(request, kind.upper(), keys)
    reserve(request, len(body))
    try:
        payload = strict_json.read(body)
    except InvalidInput as error:
        if unauthenticated:
            raise Refused(400, f"The body {error.problem}.") from None
        return list(candidates)  # who sends is known: what is wrong with it is told and kept by the route
    admitted = [name for name, one in candidates.items() if not isinstance(one, SenderFilter) or one.accepts(payload)]
    if not admitted:
        raise Refused(403, "The integrationId is not the configured one.", why=Refusal.WRONG_TOKEN)
    return admitted


def _token_variables(kind: str) -> tuple[str, str]:
    return f"{WEBHOOK_TOKEN}_{kind.upper()}", WEBHOOK_TOKEN
