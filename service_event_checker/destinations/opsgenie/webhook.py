"""What Opsgenie, or Jira Service Management, tells of its alerts as our events: webhook bodies, and listed alerts.

Pure. The body of a webhook: {action, alert: {alertId, message, alias, tags, username, createdAt (ms), updatedAt (ns),
note, ...}, note, integrationId}; description, details and priority only where the integration is set to send them.
https://support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.remote import links
from service_event_checker.remote import values as foreign
from service_event_checker.remote.marks import KEY_TAG, is_signed
from service_event_checker.remote.values import text

INTAKE = "/ops-webhook"
OUR_ALIAS = re.compile(rf"{KEY_TAG}(?P<key>[0-9a-f]{{20}})")
SEVERITIES: Mapping[str, Severity] = {
    "P1": Severity.CRITICAL,
    "P2": Severity.ERROR,
    "P3": Severity.WARNING,
    "P4": Severity.INFO,
    "P5": Severity.INFO,
}
_STATUSES = {
    "acknowledge": EventStatus.ACKNOWLEDGED,
    "unacknowledge": EventStatus.UNACKNOWLEDGED,
    "addnote": EventStatus.NOTED,
    "close": EventStatus.RESOLVED,
    "delete": EventStatus.RESOLVED,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((10**17, 1000), (10**14, 1), (10**11, 1 / 1000), (0, 1 / 1_000_000))  # from ns, µs, ms, s to µs
_NOTE_HOUR = 3600  # seconds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Here:
    """Who we are over there. `users`: what signs our own actions, in lower case; `address` of an alert, by its id.

    `by_alias`: the alerts that we made are linked by their alias, as nobody tells us their ids.
    """

    receiver: str
    users: frozenset[str]
    address: Callable[[str], str]
    by_alias: bool = False


def events(payload: Any, here: Here) -> list[Event]:
    """Return what a webhook's parsed body tells, nothing for our own doings. Raises InvalidInput."""
    body = _object(payload, "body")
    action = _needed(body.get("action"), "action")
    alert = _object(body.get("alert"), "alert")
    id = _needed(alert.get("alertId"), "alert.alertId")
    actor, note = text(alert.get("username")), text(body.get("note")) or text(alert.get("note"))
    if actor.casefold() in here.users or is_signed(note):
        return []
    if action.casefold() == "create":
        ours = OUR_ALIAS.fullmatch(text(alert.get("alias")))
        return [] if ours else [born(alert, here)]
    status = _STATUSES.get(action.casefold())
    if status is None:
        log.info("opsgenie_action_ignored", receiver=here.receiver, action=action[:50])
        return []
    if status is EventStatus.NOTED and not note:
        return []
    if action.casefold() == "delete":
        note = "deleted there" + (f" by {actor}" if actor else "")
    return [_change(id, alert, status, actor, note, here)]


def born(alert: Mapping[str, Any], here: Here) -> Event:
    """Return the opening of an alert that was made over there, from a webhook's `alert` or a listed alert.

    A listed alert has `id` for `alertId`, ISO 8601 for its times and, in JSM, `extraProperties` for `details`.
    """
    id = text(alert.get("alertId")) or text(alert.get("id"))
    started_at = moment(alert.get("createdAt"))
    return Event(
        source=here.receiver,
        fingerprint=id,
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title=text(alert.get("message")),
        severity=SEVERITIES.get(text(alert.get("priority")).upper(), Severity.WARNING),
        description=text(alert.get("description")),
        at=started_at or moment(alert.get("updatedAt")),
        starts_at=started_at,
        url=here.address(id),
        labels=_labels(alert),
        intake=INTAKE,
        via=here.receiver,
    )


def note_id(alert_id: str, at: datetime | None, note: str) -> str:
    """Return an id for a note, as Opsgenie has none that both its webhook and its list tell; "" without a time.

    The two also need not agree to the millisecond on when: the hour tells one "still looking" from the next.
    """
    if at is None:
        return ""
    hour = int(at.timestamp()) // _NOTE_HOUR
    said = f"{alert_id}\n{hour}\n{note.strip()}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def moment(value: object) -> datetime | None:
    """Return a time written as ISO 8601 or as a number of seconds, ms, µs or ns since 1970; None if it is none."""
    if isinstance(value, str):
        return foreign.moment(value)
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return None
        factor = next(factor for least, factor in _UNITS if value >= least)
        microseconds = value // factor if factor == 1000 else value / factor  # whole numbers keep their nanoseconds
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except (ValueError, OverflowError, StopIteration):
        return None


def _change(id: str, alert: Mapping[str, Any], status: EventStatus, actor: str, note: str, here: Here) -> Event:
    at = moment(alert.get("updatedAt"))
    alias = text(alert.get("alias"))
    return links.change(
        here.receiver,
        alias if here.by_alias and OUR_ALIAS.fullmatch(alias) else id,
        status,
        intake=INTAKE,
        actor=actor,
        at=at,
        note=note,
        note_id=note_id(id, at, note) if status is EventStatus.NOTED else "",
    )


def _labels(alert: Mapping[str, Any]) -> dict[str, str]:
    """Return the alert's own properties and its tags, teams, entity and source; several values are one per line."""
    details = as_mapping(alert.get("details")) or as_mapping(alert.get("extraProperties"))
    labels = {name: text(value) for name, value in details.items()}
    lists = {"tag": alert.get("tags"), "team": alert.get("teams")}
    labels |= {name: "\n".join(map(text, values)) for name, values in lists.items() if isinstance(values, list)}
    labels |= {"entity": text(alert.get("entity")), "reported_by": text(alert.get("source"))}
    return {name: value for name, value in labels.items() if value}


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "is no JSON object", "Send Opsgenie's own webhook body")
    return value


def _needed(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= FINGERPRINT_MAX:
        raise InvalidInput(where, f"must be text of 1 to {FINGERPRINT_MAX} characters")
    return value
