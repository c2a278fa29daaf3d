"""POST /hooks/github: releases and deployments of GitHub are changes of our own. The repository names the service.

Format: https://docs.github.com/en/webhooks/webhook-events-and-payloads (`release`, `deployment`), signed as
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request
from pydantic import AwareDatetime, BaseModel, Field

from service_event_checker.core.knowledge import Change
from service_event_checker.engine import changes
from service_event_checker.engine.refusals import Refusal
from service_event_checker.remote.signature import is_proof
from service_event_checker.render.text import line, web_address
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import json_body, raw_body
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.local import is_local

SECRET = "GITHUB_WEBHOOK_SECRET"  # noqa: S105  # the variable's name
SIGNATURE = "X-Hub-Signature-256"
BODY_MAX = 1024 * 1024  # bytes

blueprint = Blueprint("github", __name__)


class _Named(BaseModel):
    name: str = Field(min_length=1)


class _Person(BaseModel):
    login: str = ""


class _Release(BaseModel):
    tag_name: str
    html_url: str = ""
    published_at: AwareDatetime | None = None


class _Deployment(BaseModel):
    ref: str
    environment: str = ""
    created_at: AwareDatetime | None = None


class _Told(BaseModel):
    action: str = ""
    repository: _Named
    sender: _Person = _Person()


class _Released(_Told):
    release: _Release


class _Deployed(_Told):
    deployment: _Deployment


@blueprint.post("/hooks/github")
def take() -> dict[str, Any]:
    """Keep a published release or a new deployment as a change; other events are of no interest."""
    body, now = json_body(request, limit=BODY_MAX), datetime.now(UTC)
    change = _change(request.headers.get("X-GitHub-Event", ""), body, now)
    if change:
        changes.note(services().store.holding, change, now)
    return {"accepted": int(change is not None)}


def admit() -> Caller:
    """Let in who signs with our secret; without one, a local request only. Raises Refused (401, 403, 413)."""
    caller = Caller("github", frozenset({Scope.WRITE}))
    secret = services().settings.variables.get(SECRET, "").strip()
    if not secret:
        if is_local(request):
            return caller
        raise Refused(403, f"Set {SECRET} to accept this.", why=Refusal.NOT_CONFIGURED)
    if not is_proof([request.headers.get(SIGNATURE, "")], raw_body(request, BODY_MAX), secret):
        raise Refused(401, f"The request is not signed with {SECRET}.", why=Refusal.WRONG_SIGNATURE)
    return caller


def _change(event: str, body: Any, now: datetime) -> Change | None:
    """Return what an event changes, None for other events."""
    if event == "release":
        released = _Released.model_validate(body)
        if released.action != "published":
            return None
        release = released.release
        return _told(released, release.published_at or now, f"release {release.tag_name}", release.html_url)
    if event == "deployment":
        deployed = _Deployed.model_validate(body)
        one = deployed.deployment
        to = f" to {one.environment}" if one.environment else ""
        return _told(deployed, one.created_at or now, f"deployment of {one.ref}{to}", "")
    return None


def _told(by: _Told, at: datetime, title: str, url: str) -> Change:
    service, who = line(by.repository.name, changes.TEXT_MAX), line(by.sender.login, changes.TEXT_MAX)
    return Change(service, at, line(title, changes.TEXT_MAX), url=web_address(url), who=who)
