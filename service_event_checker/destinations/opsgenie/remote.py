"""Opsgenie's alerts and notes as a reconciliation compares them with what we know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service_event_checker.config.models import as_mapping
from service_event_checker.core.model import Remote, RemoteNote
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.opsgenie.payload import OpsAlert, OpsNote
from service_event_checker.destinations.opsgenie.webhook import OUR_ALIAS, Here, born, moment, note_id
from service_event_checker.remote.marks import is_signed

NOTES_MAX = 20  # of one alert
_REPORTED = {Status.ACKNOWLEDGED: ("acknowledgedBy", "ackTime"), Status.RESOLVED: ("closedBy", "closeTime")}
_NEVER = datetime.min.replace(tzinfo=UTC)
_TIMES_FROM = 10**11  # as a number of ms, a time that is no duration: 1973


def as_remote(alert: OpsAlert, here: Here, notes: Iterable[OpsNote] = ()) -> Remote:
    """Return an alert as what it is to us; one that was born there with the event that its webhook would bring."""
    ours = OUR_ALIAS.fullmatch(alert.alias)
    shown = Remote(
        external_id=alert.id,
        remote_key=ours["key"] if ours else "",
        status=_status(alert),
        created_at=moment(alert.raw.get("createdAt")),
        url=here.address(alert.id),
        notes=_peoples(alert.id, notes, here),
        event=None if ours else born(alert.raw, here),
    )
    actor, at = _last_change(alert, shown)
    return replace(shown, actor=actor, at=at)


def _status(alert: OpsAlert) -> Status:
    if not alert.open:
        return Status.RESOLVED
    return Status.ACKNOWLEDGED if alert.acknowledged else Status.FIRING


def _last_change(alert: OpsAlert, shown: Remote) -> tuple[str, datetime | None]:
    """Return who brought an alert into its status, and when. Opsgenie reports milliseconds since it was created.

    When an acknowledgement was taken back is not told; it was no later than the last change.
    """
    report = as_mapping(alert.raw.get("report"))
    if shown.status not in _REPORTED:
        taken_back = bool(report.get("ackTime") or alert.raw.get("ackTime"))
        return "", moment(alert.raw.get("updatedAt")) if taken_back else None
    who, when = _REPORTED[shown.status]
    value = report.get(when, alert.raw.get(when))
    actor = str(report.get(who) or alert.raw.get("owner") or "")
    if isinstance(value, int) and shown.created_at and 0 <= value < _TIMES_FROM:
        return actor, shown.created_at + timedelta(milliseconds=value)
    return actor, moment(value)


def _peoples(id: str, listed: Iterable[OpsNote], here: Here) -> tuple[RemoteNote, ...]:
    """Return people's newest notes on an alert, the oldest first."""
    found = []
    for note in listed:
        at = moment(note.created_at)
        ours = is_signed(note.text) or note.owner.casefold() in here.users
        if note.text and at and not ours:
            found.append(RemoteNote(id=note_id(id, at, note.text), text=note.text, actor=note.owner, at=at))
    return tuple(sorted(reversed(found), key=lambda note: note.at or _NEVER)[-NOTES_MAX:])
