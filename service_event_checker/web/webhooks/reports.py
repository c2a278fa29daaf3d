"""POST /hooks/reports/<receiver>: what became of a message that its system had taken. Signed by that system.

The address, which is signed as well, names the alert's key, its episode and the verb.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, g, request

from service_event_checker.core.ports import Reporting
from service_event_checker.core.vocabulary import Verb
from service_event_checker.engine.refusals import Refusal
from service_event_checker.engine.reports import take_failure
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import raw_body
from service_event_checker.web.security.auth import Caller, Scope

BODY_MAX = 64 * 1024  # bytes
_KEY = re.compile(r"[0-9a-f]{20}")
_EPISODE = re.compile(r"[1-9][0-9]{0,8}")

blueprint = Blueprint("delivery_reports", __name__)


@blueprint.post("/hooks/reports/<receiver>")
def take(receiver: str) -> dict[str, Any]:
    """Record the failure that a report tells; anything else it may tell is of no interest."""
    key, episode, verb = (request.args.get(name, "") for name in ("alert", "episode", "verb"))
    if not _KEY.fullmatch(key) or not _EPISODE.fullmatch(episode) or verb not in set(Verb):
        raise Refused(400, "The address does not name alert, episode and verb.")
    destination = services().outbox.destinations[receiver]
    why = destination.failed_report(g.report) if isinstance(destination, Reporting) else ""
    recorded = bool(why) and take_failure(services(), receiver, key, int(episode), Verb(verb), why, datetime.now(UTC))
    return {"accepted": recorded}


def admit() -> Caller:
    """Let in who signs as the receiver's system does. Raises Refused (401, 403, 413)."""
    receiver = str((request.view_args or {}).get("receiver", ""))
    destination = services().outbox.destinations.get(receiver)
    if not isinstance(destination, Reporting):
        raise Refused(403, "Reports of this receiver are not accepted.", why=Refusal.NOT_CONFIGURED)
    body = raw_body(request, BODY_MAX).decode("utf-8", "replace")
    g.report = dict(parse_qsl(body, keep_blank_values=True))
    query = request.query_string.decode("utf-8", "replace")
    path = f"{request.path}?{query}" if query else request.path
    if not destination.verify_report(dict(request.headers.items()), path, g.report):
        raise Refused(401, "The report is not signed with the receiver's secret.", why=Refusal.WRONG_SIGNATURE)
    return Caller(receiver, frozenset({Scope.WRITE}))
