"""PagerDuty's V3 webhooks as values: the signature, and what one event tells. Asks nobody.

Three events in a row that we refuse disable the subscription for a day. What is authentic and of no interest is
therefore None, never an error. https://developer.pagerduty.com/docs/webhooks-overview
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import structlog
from pydantic import Field

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.destinations.pagerduty.payload import ACKNOWLEDGED, Agent, Reason, Reference
from service_event_checker.remote.payload import Moment, Payload, Text
from service_event_checker.remote.payload import read as read_payload
from service_event_checker.remote.ticket import RemoteChange

TYPE_MAX = 100  # characters of an unknown type that are worth a log line
_ANNOTATED = "incident.annotated"
_REOPENED = "incident.reopened"
_STATUSES = {
    "incident.acknowledged": EventStatus.ACKNOWLEDGED,
    "incident.unacknowledged": EventStatus.UNACKNOWLEDGED,
    "incident.resolved": EventStatus.RESOLVED,
    _REOPENED: EventStatus.UNACKNOWLEDGED,
}
_HINT = "Send PagerDuty's V3 webhook as it is"

log = structlog.get_logger()

Id = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]


class _Kind(Payload):
    event_type: str = Field(min_length=1)


class _Incident(Payload):
    id: Id
    status: Text = ""
    incident_key: Text = ""  # not in all of them
    resolve_reason: Reason = None


class _Note(Payload):
    incident: _Incident
    content: str
    id: Id
    trimmed: Any = False


Data = TypeVar("Data", bound=Payload)
Event = TypeVar("Event", bound=Payload)


class _Event(Payload, Generic[Data]):
    data: Data
    agent: Agent = None
    occurred_at: Moment = None


class _Webhook(Payload, Generic[Event]):
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """What was done to an incident. `key` is its incident_key where the event tells it; `agent` None: nobody did it."""

    remote: RemoteChange
    agent: Reference | None
    key: str = ""


def read(payload: Any) -> IncidentChange | None:
    """Return the change that a payload tells of, None for any other event. Raises InvalidInput."""
    kind = read_payload(_Webhook[_Kind], payload, _HINT).event.event_type
    if kind == _ANNOTATED:
        return _note(read_payload(_Webhook[_Event[_Note]], payload, _HINT).event)
    if kind in _STATUSES:
        return _change(kind, read_payload(_Webhook[_Event[_Incident]], payload, _HINT).event)
    log.info("pagerduty_event_ignored", type=kind[:TYPE_MAX])
    return None


def _change(kind: str, event: _Event[_Incident]) -> IncidentChange:
    taken = kind == _REOPENED and event.data.status == ACKNOWLEDGED
    status = EventStatus.ACKNOWLEDGED if taken else _STATUSES[kind]
    reason = event.data.resolve_reason
    merged = reason.merged if reason and status is EventStatus.RESOLVED else ""
    remote = RemoteChange(
        external_id=event.data.id,
        actor=_name(event.agent),
        at=event.occurred_at,
        status=status,
        reason=merged,
        not_fixed=bool(merged),
    )
    return IncidentChange(remote=remote, agent=event.agent, key=event.data.incident_key)


def _note(event: _Event[_Note]) -> IncidentChange | None:
    note = event.data
    if not note.content.strip():
        return None
    notes = [(note.id, f"{note.content} …" if note.trimmed is True else note.content)]
    remote = RemoteChange(external_id=note.incident.id, actor=_name(event.agent), at=event.occurred_at, notes=notes)
    return IncidentChange(remote=remote, agent=event.agent)


def _name(agent: Reference | None) -> str:
    return agent.summary if agent else ""
