"""POST /hooks/{statuspage|instatus}/<checker>/<token>: a status page says that something changed; we look sooner.

What the page sends is a hint and is not read: the checker asks the page itself. The address is the secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from flask import Blueprint, Flask, request

from service_event_checker.engine.hints import hint
from service_event_checker.engine.refusals import Refusal
from service_event_checker.engine.services import Services
from service_event_checker.remote.signature import is_proof
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import raw_body
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.secret_key import token_for
from service_event_checker.web.webhooks import azure_monitor

INSTATUS_SECRET = "INSTATUS_WEBHOOK_SECRET"  # noqa: S105  # the variable's name
BODY_MAX = 1024 * 1024  # bytes
KINDS = ("statuspage", "instatus")

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")


@blueprint.post("/<kind>/<checker>/<token>")
def status_page(kind: str, checker: str, token: str) -> dict[str, Any]:
    """Ask the page soon; at most one hinted poll per checker in 30 s, the last hint is not lost."""
    here = services()
    if checker not in here.poller.watches:
        return {"accepted": False, "reason": "the checker is off"}
    return {"accepted": True, "poll_at": hint(here.store, checker, datetime.now(UTC)).isoformat()}


def admit() -> Caller:
    """Let in who knows the checker's address and, where Instatus' secret is set, signs. Raises Refused (401, 403)."""
    asked: Mapping[str, str] = request.view_args or {}
    kind, checker = asked.get("kind", ""), asked.get("checker", "")
    here = services()
    given = asked.get("token", "").encode("utf-8", "replace")
    known = kind in KINDS and checker in _checkers(here)
    if not known or not hmac.compare_digest(given, hook_token(here, checker).encode()):
        raise Refused(
            403,
            "This is not a valid address. `flask --app app hook-urls` shows the addresses.",
            why=Refusal.WRONG_ADDRESS,
        )
    secret = here.settings.variables.get(INSTATUS_SECRET, "").strip()
    if kind == "instatus" and secret:
        _verify(secret)
    return Caller(f"{kind}:{checker}", frozenset({Scope.WRITE}))


def hook_token(services: Services, checker: str) -> str:
    """Return the secret part of a checker's address. Raises StoreError."""
    return token_for(services, f"status page hook\n{checker}")


def register(app: Flask) -> None:
    """Add the command that shows the addresses."""

    @app.cli.command("hook-urls")
    def hook_urls() -> None:
        """Show the addresses that are secrets: of each status page that tells of changes, and of Azure Monitor."""
        here: Services = app.extensions["services"]
        here.store.prepare()
        base = here.settings.public_url
        if not base:
            click.echo("PUBLIC_URL is not set: put this app's public address before each line.", err=True)
        for name in sorted(here.poller.watches):
            kind = next((part.kind for part in here.parts if part.section == "checker" and part.name == name), "")
            path = f"/hooks/{kind if kind in KINDS else 'statuspage'}/{name}/{hook_token(here, name)}"
            click.echo(f"{name}: {base}{path}")
        click.echo(f"Azure Monitor: {base}{azure_monitor.path(here)}")


def _verify(secret: str) -> None:
    """Compare Instatus' signature: HMAC-SHA256 of the raw body, in hex. Raises Refused (401)."""
    body = raw_body(request, BODY_MAX)
    given = request.headers.get("X-Instatus-Webhook-Signature", "").strip().lower().removeprefix("sha256=")
    if not is_proof([given], body, secret, scheme=""):
        raise Refused(401, f"The request is not signed with {INSTATUS_SECRET}.", why=Refusal.WRONG_SIGNATURE)


def _checkers(services: Services) -> set[str]:
    return {part.name for part in services.parts if part.section == "checker"}
