"""/api/v1/heartbeats: senders that promise to be heard from; one says that it lives by a request here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint
from pydantic import AwareDatetime, BaseModel

from service_event_checker.core.heartbeats import Heartbeat
from service_event_checker.render.text import duration
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused

blueprint = Blueprint("heartbeats", __name__, url_prefix="/api/v1/heartbeats")


class HeartbeatShape(BaseModel):
    """A sender. `state`: "heard", "waiting" (not heard from since we listen, and not late yet) or "silent"."""

    name: str
    every: str
    match: list[str]
    state: str
    last_at: AwareDatetime | None
    due_at: AwareDatetime


@blueprint.get("")
def many() -> dict[str, Any]:
    """List the senders of config.json, each with its last sign of life."""
    now = datetime.now(UTC)
    return {"heartbeats": [_shape(each, now).model_dump(mode="json") for each in _configured().values()]}


@blueprint.post("/<name>")
def hear(name: str) -> dict[str, Any]:
    """Note that a sender lives. Any body, or none."""
    if name not in _configured():
        names = ", ".join(sorted(_configured())) or "none"
        raise Refused(404, f"There is no such heartbeat. Configured: {names}.")
    now = datetime.now(UTC)
    services().heartbeats.hear(name, now)
    return {"heartbeat": name, "due_at": services().heartbeats.due_at(name, now).isoformat()}


def _configured() -> dict[str, Heartbeat]:
    return dict(services().heartbeats.configured)


def _shape(each: Heartbeat, now: datetime) -> HeartbeatShape:
    last_at, due_at = services().heartbeats.last(each.name), services().heartbeats.due_at(each.name, now)
    return HeartbeatShape(
        name=each.name,
        every=duration(each.every),
        match=list(map(str, each.matchers)),
        state="silent" if due_at <= now else "heard" if last_at else "waiting",
        last_at=last_at,
        due_at=due_at,
    )
