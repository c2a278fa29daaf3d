"""What the business rule `deploy/servicenow/business_rule.js` tells of an incident: JSON in, a value out. Asks nobody.

ServiceNow has no webhook of its own, so the shape is ours:
`{"event": "incident.updated", "sys_id", "number", "state", "previous_state", "correlation_id", "correlation_display",
"work_notes", "comments", "comment_id", "user", "user_name", "at"}`, all texts. `user` is the login, `user_name` how the
person is called; `work_notes` and `comments` are "" where nothing was said; `at` is UTC, `2026-11-20 03:00:00`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.destinations.servicenow.client import SYS_ID
from service_event_checker.remote.marks import KEY_TAG
from service_event_checker.remote.values import moment

NOTE_MAX = 20_000  # characters
NAME_MAX = 200
_HINT = "Send what deploy/servicenow/business_rule.js sends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody did to an incident. `ours`: it carries our keys; `notes` are (id, text)."""

    sys_id: str
    ours: bool
    before: str
    after: str
    notes: tuple[tuple[str, str], ...]
    user: str
    actor: str
    at: datetime | None


def read(payload: Any) -> Change | None:
    """Return the change that a payload tells of, None for any other event. Raises InvalidInput."""
    if not isinstance(payload, dict):
        raise InvalidInput("body", "must be an object", _HINT)
    if not isinstance(payload.get("event"), str):
        raise InvalidInput("event", "must be a text", _HINT)
    if payload["event"] != "incident.updated":
        return None
    told = {name: _text(payload, name) for name in ("user", "user_name", "comment_id", "correlation_display")}
    return Change(
        sys_id=_sys_id(payload),
        ours=told["correlation_display"].startswith(KEY_TAG) or "correlation_display" not in payload,
        before=_text(payload, "previous_state"),
        after=_text(payload, "state"),
        notes=tuple(_notes(payload, told["comment_id"])),
        user=told["user"],
        actor=(told["user_name"] or told["user"])[:NAME_MAX],
        at=moment(_text(payload, "at")),
    )


def _notes(payload: Mapping[str, Any], id: str) -> list[tuple[str, str]]:
    said = [(name, _text(payload, name).strip()[:NOTE_MAX]) for name in ("work_notes", "comments")]
    return [(f"{id}:{name}"[:NAME_MAX] if id else "", text) for name, text in said if text]


def _sys_id(payload: Mapping[str, Any]) -> str:
    sys_id = _text(payload, "sys_id")
    if not SYS_ID.fullmatch(sys_id):
        raise InvalidInput("sys_id", "must be the 32 hexadecimal digits of a sys_id", _HINT)
    return sys_id


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(name, "must be a text", _HINT)
    return value or ""
