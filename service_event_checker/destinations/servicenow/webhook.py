"""What the business rule `deploy/servicenow/business_rule.js` tells of an incident: JSON in, a value out. Asks nobody.

ServiceNow has no webhook of its own, so the shape is ours:
`{"event": "incident.updated", "sys_id", "number", "state", "previous_state", "close_code", "correlation_id",
"correlation_display", "work_notes", "comments", "comment_id", "user", "user_name", "at"}`, all texts. `user` is the
login, `user_name` how the person is called; `work_notes` and `comments` are "" where nothing was said; `at` is UTC,
`2026-11-20 03:00:00`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from service_event_checker.destinations.servicenow.client import SYS_ID
from service_event_checker.remote.marks import KEY_TAG
from service_event_checker.remote.payload import Payload
from service_event_checker.remote.payload import read as read_payload
from service_event_checker.remote.ticket import RemoteChange
from service_event_checker.remote.values import moment

NOTE_MAX = 20_000  # characters
NAME_MAX = 200
_HINT = "Send what deploy/servicenow/business_rule.js sends"


class _Kind(Payload):
    event: str


class _Update(Payload):
    event: Literal["incident.updated"]
    sys_id: str = Field(pattern=f"^{SYS_ID.pattern}$")
    state: str | None = None
    previous_state: str | None = None
    close_code: str | None = None
    correlation_display: str | None = KEY_TAG
    work_notes: str | None = None
    comments: str | None = None
    comment_id: str | None = None
    user: str | None = None
    user_name: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """What somebody did to an incident, from one of its states to another. `ours`: it carries our keys."""

    remote: RemoteChange
    ours: bool
    before: str
    after: str
    user: str
    close_code: str = ""


def read(payload: Any) -> IncidentChange | None:
    """Return the change that a payload tells of, None for any other event. Raises InvalidInput."""
    if read_payload(_Kind, payload, _HINT).event != "incident.updated":
        return None
    update = read_payload(_Update, payload, _HINT)
    user = update.user or ""
    actor, at = (update.user_name or user)[:NAME_MAX], moment(update.at)
    return IncidentChange(
        remote=RemoteChange(external_id=update.sys_id, actor=actor, at=at, notes=_notes(update)),
        ours=(update.correlation_display or "").startswith(KEY_TAG),
        before=update.previous_state or "",
        after=update.state or "",
        user=user,
        close_code=(update.close_code or "")[:NAME_MAX],
    )


def _notes(update: _Update) -> list[tuple[str, str]]:
    said = [("work_notes", update.work_notes), ("comments", update.comments)]
    texts = [(name, (text or "").strip()[:NOTE_MAX]) for name, text in said]
    return [
        (f"{update.comment_id}:{name}"[:NAME_MAX] if update.comment_id else "", text) for name, text in texts if text
    ]
