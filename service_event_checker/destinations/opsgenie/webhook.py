"""What Opsgenie, or Jira Service Management, tells of its alerts as our events: webhook bodies, and listed alerts.

Pure. The body of a webhook: {action, alert: {alertId, message, alias, tags, username, createdAt (ms), updatedAt (ns),
note, ...}, note, integrationId}; description, details and priority only where the integration is set to send them.
https://support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import Field

from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.destinations.opsgenie.payload import OpsAlert
from service_event_checker.remote.marks import is_signed
from service_event_checker.remote.payload import Payload, Text, read
from service_event_checker.remote.ticket import RemoteChange

INTAKE = "/ops-webhook"
_SEVERITIES = {  # of all else: a warning
    "P1": Severity.CRITICAL,
    "P2": Severity.ERROR,
    "P4": Severity.INFO,
    "P5": Severity.INFO,
}
_NOTED, _DELETED = "addnote", "delete"
_STATUSES = {
    "acknowledge": EventStatus.ACKNOWLEDGED,
    "unacknowledge": EventStatus.UNACKNOWLEDGED,
    "close": EventStatus.RESOLVED,
    _DELETED: EventStatus.RESOLVED,
}
_CONTENT = frozenset({"updatepriority", "updatemessage", "updatedescription"})
_NOTE_HOUR = 3600  # seconds
_HINT = "Send Opsgenie's own webhook body"

log = structlog.get_logger()


class _Webhook(Payload):
    action: str = Field(min_length=1, max_length=FINGERPRINT_MAX)
    alert: OpsAlert
    note: Text = ""


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """Who we are over there. `users`: what signs our own actions, in lower case; `address` of an alert, by its id.

    `by_alias`: the alerts that we made are linked by their alias, as nobody tells us their ids.
    """

    receiver: str
    users: frozenset[str]
    address: Callable[[str], str]
    by_alias: bool = False


def events(payload: Any, own: OwnIdentity) -> list[Event]:
    """Return what a webhook's parsed body tells, nothing of what we did ourselves. Raises InvalidInput."""
    body = read(_Webhook, payload, _HINT)
    alert, action, note = body.alert, body.action.casefold(), body.note or body.alert.note
    if alert.username.casefold() in own.users or is_signed(note):
        return []
    if action == "create":
        return [] if alert.remote_key else [born(alert, own)]
    if action in _CONTENT:
        return [] if alert.remote_key else [_changed(alert, own)]
    return _change(alert, action, note, own).events(own.receiver, INTAKE)


def born(alert: OpsAlert, own: OwnIdentity) -> Event:
    """Return the opening of an alert that was made over there."""
    return Event(
        source=own.receiver,
        fingerprint=alert.id,
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title=alert.message,
        severity=_SEVERITIES.get(alert.priority.upper(), Severity.WARNING),
        description=alert.description,
        at=alert.created_at or alert.updated_at,
        starts_at=alert.created_at,
        url=own.address(alert.id),
        labels=_labels(alert),
        intake=INTAKE,
        via=own.receiver,
        severity_told=bool(alert.priority),
    )


def _changed(alert: OpsAlert, own: OwnIdentity) -> Event:
    """Return the new content of an alert that was born over there; labels may be told in part only, and are left."""
    return replace(born(alert, own), at=alert.updated_at, labels={}, content_only=True)


def note_id(alert_id: str, at: datetime | None, note: str) -> str:
    """Return an id for a note, as Opsgenie has none that both its webhook and its list tell; "" without a time.

    The two also need not agree to the millisecond on when: the hour tells one "still looking" from the next.
    """
    if at is None:
        return ""
    hour = int(at.timestamp()) // _NOTE_HOUR
    said = f"{alert_id}\n{hour}\n{note.strip()}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _change(alert: OpsAlert, action: str, note: str, own: OwnIdentity) -> RemoteChange:
    """Return what an action did to an alert; nothing for an action that does not concern us."""
    status = _STATUSES.get(action)
    if status is None and action != _NOTED:
        log.info("opsgenie_action_ignored", receiver=own.receiver, action=action[:50])
    if action == _DELETED:
        note = "deleted there" + (f" by {alert.username}" if alert.username else "")
    return RemoteChange(
        external_id=alert.alias if own.by_alias and alert.remote_key else alert.id,
        actor=alert.username,
        at=alert.updated_at,
        status=status,
        reason=note,
        not_fixed=action == _DELETED and bool(alert.remote_key),
        notes=[(note_id(alert.id, alert.updated_at, note), note)] if action == _NOTED and note else [],
    )


def _labels(alert: OpsAlert) -> dict[str, str]:
    """Return the alert's own properties and its tags, teams, entity and source; several values are one per line."""
    labels = {
        **(alert.details or alert.extra_properties),
        "tag": "\n".join(alert.tags),
        "team": "\n".join(alert.teams),
        "entity": alert.entity,
        "reported_by": alert.source,
    }
    return {name: value for name, value in labels.items() if value}
