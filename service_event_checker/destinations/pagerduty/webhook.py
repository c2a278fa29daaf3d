"""PagerDuty's V3 webhooks as values: the signature, and what one event says. Asks nobody.

Three events in a row that we refuse disable the subscription for a day: what is authentic and of no interest is
None, never an error. https://developer.pagerduty.com/docs/webhooks-overview
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.destinations.pagerduty.payload import ACKNOWLEDGED, Reference, reference
from service_event_checker.remote.signature import header, is_proof
from service_event_checker.remote.values import moment

SIGNATURE = "x-pagerduty-signature"
TYPE_MAX = 100  # characters of an unknown type that are worth a log line
_STATUSES = {
    "incident.acknowledged": EventStatus.ACKNOWLEDGED,
    "incident.unacknowledged": EventStatus.UNACKNOWLEDGED,
    "incident.resolved": EventStatus.RESOLVED,
}
_ANNOTATED = "incident.annotated"
_REOPENED = "incident.reopened"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HINT = "Send PagerDuty's V3 webhook as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event says of an incident. `key` is the incident_key where the event has one; `agent` None: nobody."""

    incident: str
    status: EventStatus
    agent: Reference | None
    at: datetime | None
    key: str = ""
    note: str = ""
    note_id: str = ""


def signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether one of the signatures `v1=<hex>,v1=<hex>` is HMAC-SHA256 of the raw body with our secret.

    There are several while the secret is being changed. https://developer.pagerduty.com/docs/verifying-signatures
    """
    return is_proof(header(headers, SIGNATURE).split(","), body, secret, scheme="v1=")


def read(payload: Any) -> tuple[str, Told | None]:
    """Return the event's type and what it says; None for a type that is none of our business.

    Payload: `{event: {event_type, occurred_at, agent: {id, type, summary} | null, data}}`, where data is an incident
    `{id, status, incident_key?}`, or of `incident.annotated` `{id, content, trimmed, incident: {id}}`.
    Raises InvalidInput.
    """
    event = _object(_object(payload, "body").get("event"), "event")
    kind = event.get("event_type")
    if not isinstance(kind, str) or not kind:
        raise InvalidInput("event.event_type", "must be text", _HINT)
    if kind == _ANNOTATED:
        return kind, _note(event)
    if kind in _STATUSES or kind == _REOPENED:
        return kind, _change(event, kind)
    return kind[:TYPE_MAX], None


def _change(event: Mapping[str, Any], kind: str) -> Told:
    incident = _object(event.get("data"), "event.data")
    taken = incident.get("status") == ACKNOWLEDGED
    reopened_as = EventStatus.ACKNOWLEDGED if taken else EventStatus.UNACKNOWLEDGED
    key = incident.get("incident_key")
    return Told(
        incident=_id(incident, "event.data"),
        status=_STATUSES.get(kind, reopened_as),
        agent=reference(event.get("agent")),
        at=moment(event.get("occurred_at")),
        key=key if isinstance(key, str) else "",
    )


def _note(event: Mapping[str, Any]) -> Told | None:
    note = _object(event.get("data"), "event.data")
    incident = _object(note.get("incident"), "event.data.incident")
    content = note.get("content")
    if not isinstance(content, str):
        raise InvalidInput("event.data.content", "must be text", _HINT)
    if not content.strip():
        return None
    return Told(
        incident=_id(incident, "event.data.incident"),
        status=EventStatus.NOTED,
        agent=reference(event.get("agent")),
        at=moment(event.get("occurred_at")),
        note=f"{content} …" if note.get("trimmed") is True else content,
        note_id=_id(note, "event.data"),
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "must be an object", _HINT)
    return value


def _id(value: Mapping[str, Any], where: str) -> str:
    id = value.get("id")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise InvalidInput(f"{where}.id", "must be an id of letters and digits", _HINT)
    return id
