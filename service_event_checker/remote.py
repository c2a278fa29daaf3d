"""What the pipeline gets of an object in another system: links to it, events of what a person did to it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Delivery, Event, EventStatus, Kind, Link, Status, remote_key

#: what it is to us when a person brings an object into a status
EVENTS: Mapping[Status, EventStatus] = {
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
}


def known(link: Link | None, what: str) -> Link:
    """Return the link if it leads to an object. Raises DeliveryError, permanent: there is no `what` to write to."""
    if link is None or not link.external_id:
        raise DeliveryError(Reason.NOT_FOUND, f"no {what} of this episode is known", permanent=True)
    return link


def key_of(delivery: Delivery, link: Link | None) -> str:
    """Return the remote key of what an `open` makes: the link's, where an episode has one already."""
    return link.remote_key if link else remote_key(delivery.key, delivery.episode)


def made(delivery: Delivery, key: str, external_id: str, url: str, previous: str = "") -> Link:
    """Return the link to what `delivery` has made or taken over; `previous` names an earlier object, or ""."""
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=key,
        external_id=external_id,
        url=url,
        previous=previous,
    )


def found(receiver: str, key: str, external_id: str, url: str) -> Link:
    """Return the link to what a search found; the caller knows whose it is."""
    return Link(key="", episode=0, receiver=receiver, remote_key=key, external_id=external_id, url=url)


def change(
    receiver: str,
    external_id: str,
    status: EventStatus,
    *,
    intake: str,
    actor: str,
    at: datetime | None,
    note: str = "",
    note_id: str = "",
) -> Event:
    """Return what a person did to an object of ours; the pipeline finds the alert by receiver and id."""
    return Event(
        source="",
        fingerprint="",
        kind=Kind.ALERT,
        status=status,
        ref=(receiver, external_id),
        via=receiver,
        intake=intake,
        actor=actor,
        at=at,
        note=note,
        note_id=note_id,
    )
