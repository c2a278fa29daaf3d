"""Who makes the request in hand."""

from __future__ import annotations

from flask import current_app, g, request

from service_event_checker.web.errors import Refused
from service_event_checker.web.security import auth
from service_event_checker.web.security.auth import Caller, Scope


def caller() -> Caller:
    """Return who makes the request; for routes that are not open."""
    found: Caller = g.caller
    return found


def may_read() -> bool:
    """Whether the caller of an open route may see more than strangers do."""
    try:
        auth.authorize(request, Scope.READ, current_app.extensions["keys"])
    except Refused:
        return False
    return True
