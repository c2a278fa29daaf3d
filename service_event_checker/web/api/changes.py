"""What a person may do to an alert's status, by the API or from Slack: an event like any other."""

from __future__ import annotations

from datetime import datetime

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Status
from service_event_checker.engine.services import Services
from service_event_checker.web.errors import Refused

#: the event that asks for a status
_ASKING = {
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
}


def change_status(
    services: Services, known: Alert, wanted: Status, *, actor: str, intake: str, now: datetime, note: str = ""
) -> Alert:
    """Commit the change and return the alert as it is then: asked for what it is, or cannot become, it stays so.

    Raises StoreError, and Refused (409) where `known` is an episode of the past.
    """
    _refuse_past_episode(services, known)
    event = Event(
        source=known.source,
        fingerprint=known.fingerprint,
        kind=known.kind,
        status=_ASKING[wanted],
        intake=intake,
        actor=actor,
        note=note,
        person=True,
        test=known.test,
    )
    return services.pipeline.ingest([event], now)[known.key]


def _refuse_past_episode(services: Services, known: Alert) -> None:
    newest = services.store.get([known.key]).get(known.key)
    if newest is not None and newest.episode != known.episode:
        details = {"id": newest.internal_id, "status": newest.status}
        raise Refused(409, f"{known.internal_id} is over. The alert is {newest.internal_id} now.", details=details)
