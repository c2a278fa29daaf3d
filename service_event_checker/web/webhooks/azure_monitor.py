"""POST /hooks/azure-monitor/<token>: alerts of Azure Monitor, whose action groups send no headers.

The address is the secret.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

from flask import Blueprint, request

from service_event_checker.engine.refusals import Refusal
from service_event_checker.engine.services import Services
from service_event_checker.sources.azure_monitor.hook import INTAKE
from service_event_checker.sources.azure_monitor.intake import SOURCE, take
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.secret_key import token_for
from service_event_checker.web.webhooks.refusal import put_aside

blueprint = Blueprint("azure_monitor", __name__)


@blueprint.post(f"{INTAKE}/<token>")
def alert(token: str) -> dict[str, int]:
    with put_aside(SOURCE, route=INTAKE):
        return {"accepted": take(services(), json_body(request), datetime.now(UTC))}


def admit() -> Caller:
    """Let in who knows the address. Raises Refused (403)."""
    given = (request.view_args or {}).get("token", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, _token(services()).encode()):
        hint = "This is not a valid address. `flask --app app hook-urls` shows the address."
        raise Refused(403, hint, why=Refusal.WRONG_ADDRESS)
    return Caller(SOURCE, frozenset({Scope.WRITE}))


def path(services: Services) -> str:
    """Return the address, which is a secret, without the host. Raises StoreError."""
    return f"{INTAKE}/{_token(services)}"


def _token(services: Services) -> str:
    return token_for(services, "azure monitor hook")
