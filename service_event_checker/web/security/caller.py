"""Who makes the request in hand."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, g, request

from service_event_checker.engine.refusals import Refusal
from service_event_checker.render.text import line
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.security import auth
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.peer import peer_of

NAME_MAX = 60  # characters


def caller() -> Caller:
    """Return who makes the request; for routes that are not open."""
    found: Caller = g.caller
    return found


def actor() -> str:
    """Return who acts, for the timeline: the name that a person gives, and whose token it was.

    The name is the user of basic authentication, else the header X-Actor. It proves nothing and lets nobody in.
    """
    token = caller().name
    given = request.authorization.username if request.authorization else None
    said = given or request.headers.get("X-Actor", "").encode("latin-1", "replace").decode("utf-8", "replace")
    name = line(said, NAME_MAX)
    if not name or name == token:
        return token
    return name if token == auth.LOCAL.name else f"{name} ({token})"


def for_readers(detail: str, plain: str) -> str:
    """Return the detailed text for callers who may read, the plain one for strangers: it names no part of ours."""
    try:
        auth.authorize(request, Scope.READ, current_app.extensions["keys"])
    except Refused:
        return plain
    return detail


def may_read() -> bool:
    """Whether the caller of an open route may see more than strangers do; a wrong token counts as a guess."""
    try:
        auth.authorize(request, Scope.READ, current_app.extensions["keys"])
    except Refused as refused:
        if refused.why is Refusal.WRONG_TOKEN:  # the answer tells which tokens are right: a guess is seen here, too
            here = services()
            peer = peer_of(request, here.settings.trusted_proxies)
            here.refusals.note(request.endpoint or "", "", refused.why, peer, datetime.now(UTC))
        return False
    return True
