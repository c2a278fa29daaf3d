"""Opsgenie's alerts and notes as a reconciliation compares them with what we know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from service_event_checker.core.model import Remote, RemoteNote
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.opsgenie.payload import OpsAlert, OpsNote, moment
from service_event_checker.destinations.opsgenie.webhook import OwnIdentity, born, note_id
from service_event_checker.remote.marks import is_signed
from service_event_checker.remote.values import NEVER

NOTES_MAX = 20  # of one alert
_TIMES_FROM = 10**11  # a number of ms from here on is a time, not a duration: 1973


def as_remote(alert: OpsAlert, own: OwnIdentity, notes: Iterable[OpsNote] = ()) -> Remote:
    """Return an alert as what it is to us; one that was born there with the event that its webhook would bring."""
    actor, at = _last_change(alert)
    return Remote(
        external_id=alert.id,
        remote_key=alert.remote_key,
        status=alert.state,
        created_at=alert.created_at,
        url=own.address(alert.id),
        actor=actor,
        at=at,
        notes=_peoples(alert.id, notes, own),
        event=None if alert.remote_key else born(alert, own),
    )


def _last_change(alert: OpsAlert) -> tuple[str, datetime | None]:
    """Return who brought an alert into its status, and when.

    When an acknowledgement was taken back is not told; it was no later than the last change.
    """
    if alert.state is Status.FIRING:
        return "", alert.updated_at if alert.ack_time else None
    if alert.state is Status.ACKNOWLEDGED:
        return alert.acknowledged_by or alert.owner, _since_created(alert, alert.ack_time)
    return alert.closed_by or alert.owner, _since_created(alert, alert.close_time)


def _since_created(alert: OpsAlert, value: object) -> datetime | None:
    """Return a time that a report gives as such, or as milliseconds since the alert was created."""
    if isinstance(value, int) and alert.created_at and 0 <= value < _TIMES_FROM:
        return alert.created_at + timedelta(milliseconds=value)
    return moment(value)


def _peoples(id: str, listed: Iterable[OpsNote], own: OwnIdentity) -> tuple[RemoteNote, ...]:
    """Return people's newest notes on an alert, the oldest first."""
    found = [
        RemoteNote(id=note_id(id, each.created_at, each.note), text=each.note, actor=each.owner, at=each.created_at)
        for each in listed
        if each.note and each.created_at and not is_signed(each.note) and each.owner.casefold() not in own.users
    ]
    return tuple(sorted(reversed(found), key=lambda note: note.at or NEVER)[-NOTES_MAX:])
