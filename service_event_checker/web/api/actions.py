"""/api/v1/actions and /api/v1/approvals: run declared actions, and let named people approve them.

Who approves is known by a token that `people` in config.json names as a person's login; X-Actor proves nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.actions import Identity, Run, State, person_of
from service_event_checker.engine.actions import view
from service_event_checker.engine.actions.runs import NotNow
from service_event_checker.render.runs import ActionShape
from service_event_checker.web.api.lookup import find_alert
from service_event_checker.web.api.schemas import ActionRequest, ApprovalAnswer
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import actor, caller

VIA = "api"
KEY_MAX = 255  # characters of an Idempotency-Key

blueprint = Blueprint("actions", __name__, url_prefix="/api/v1")


@blueprint.get("/actions")
def many() -> dict[str, Any]:
    """List the configured actions."""
    return {"actions": [ActionShape.of(each).model_dump() for each in services().runs.policies.values()]}


@blueprint.post("/actions/execute")
def execute() -> tuple[dict[str, Any], int]:
    """Request a run: 202. It starts when it is approved; 404 for an unknown alert, 409 if it may not run now."""
    wanted = ActionRequest.model_validate(json_body(request))
    alert = find_alert(services().store, wanted.alert_id)
    runs, by = services().runs, actor()
    try:
        run = runs.request(
            alert, wanted.action_type, wanted.parameters, by=by, via=VIA, now=datetime.now(UTC), id=_run_id()
        )
    except NotNow as error:
        raise Refused(409, error.message) from None
    asked = runs.check(wanted.action_type, wanted.parameters)
    if (run.request.action, run.request.key, dict(run.request.parameters)) != (wanted.action_type, alert.key, asked):
        raise invalid("Idempotency-Key", "belongs to another request")
    services().wakes.set_all()
    return shown(run), 202


@blueprint.get("/approvals")
def waiting() -> dict[str, Any]:
    """List the runs that wait for their approval, the oldest first."""
    found = [shown(run) for run in services().runs.records.open()]
    return {"approvals": [run for run in found if run["state"] == State.WAITING.value]}


@blueprint.post("/approvals/<id>")
def answer(id: str) -> dict[str, Any]:
    """Approve or refuse a run, as a person whom its approval names; 409 if it does not wait any more."""
    wanted = ApprovalAnswer.model_validate(json_body(request))
    run = services().runs.records.find(id)
    if run is None:
        raise Refused(404, "There is no run with this ID. GET /api/v1/approvals lists those that wait.")
    who = Identity("login", caller().name)
    person = person_of(who, services().runs.people)
    if person is None:
        hint = "people in config.json names no person with this token's name as login"
        raise Refused(403, f"This token stands for no person, so it approves nothing: {hint}.")
    approve = wanted.answer == "approve"
    try:
        done = services().runs.answer(run, who, person.name, approve=approve, now=datetime.now(UTC))
    except NotNow as error:
        raise Refused(409, error.message, details=shown(error.run) if error.run else None) from None
    services().wakes.set_all()
    return shown(done)


def shown(run: Run) -> dict[str, Any]:
    """Return a run as the API shows it."""
    return view.shown(services().runs, run).model_dump(mode="json")


def _run_id() -> str:
    """Return the id of the run that this request and its repetitions ask for; "" without an Idempotency-Key."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_MAX:
        raise invalid("Idempotency-Key", f"has more than {KEY_MAX} characters")
    return hashlib.sha256(f"{caller().name}\0{key}".encode("utf-8", "replace")).hexdigest()[:16] if key else ""
