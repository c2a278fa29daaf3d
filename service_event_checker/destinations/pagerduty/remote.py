"""An incident as a reconciliation sees it: where it stands, who brought it there and when, and what people wrote."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from service_event_checker.core.model import Remote, RemoteNote
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.pagerduty.document import remote_key_of
from service_event_checker.destinations.pagerduty.own_user import OwnUser
from service_event_checker.destinations.pagerduty.payload import ACKNOWLEDGED, RESOLVED, TRIGGERED, Incident, Note
from service_event_checker.remote.marks import ends_signed

_STATUSES = {TRIGGERED: Status.FIRING, ACKNOWLEDGED: Status.ACKNOWLEDGED, RESOLVED: Status.RESOLVED}
_EVER = datetime.min.replace(tzinfo=UTC)


def as_remote(incident: Incident, notes: Iterable[Note], us: OwnUser) -> Remote:
    """Return the incident with people's notes; of several who took it the last one counts, people before ourselves."""
    status = _STATUSES.get(incident.status, Status.FIRING)
    actor, at = incident.changed_by.person if incident.changed_by else "", incident.changed_at
    if status is Status.ACKNOWLEDGED and incident.acks:
        others = [ack for ack in incident.acks if not us.did(ack[0])]
        by, at = max(others or incident.acks, key=lambda ack: ack[1] or _EVER)
        actor = by.name
    return Remote(
        external_id=incident.id,
        remote_key=remote_key_of(incident.key),
        status=status,
        created_at=incident.created_at,
        url=incident.url,
        actor=actor,
        at=at,
        notes=tuple(_told(note) for note in notes if not _is_ours(note, us)),
    )


def _told(note: Note) -> RemoteNote:
    return RemoteNote(id=note.id, text=note.text, actor=note.by.name if note.by else "", at=note.at)


def _is_ours(note: Note, us: OwnUser) -> bool:
    """Whether it says nothing that a person wrote."""
    return not note.text.strip() or ends_signed(note.text) or us.did(note.by)
