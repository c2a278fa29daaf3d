"""What the pipeline gets of an object in another system: links to it, events of what a person did to it; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Delivery, Event, Link
from service_event_checker.core.vocabulary import EventStatus, Kind, Status
from service_event_checker.http.address import origin, without_credentials

Object = TypeVar("Object")

#: what it is to us when a person brings an object into a status
EVENTS: Mapping[Status, EventStatus] = {
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
}


def known(link: Link | None, what: str, homes: Iterable[str] = ()) -> Link:
    """Return the link if it leads to an object below one of `homes`, the addresses of the system that we write to.

    Raises DeliveryError, permanent: there is no `what` to write to.
    """
    if link is None or not link.external_id:
        raise DeliveryError(Reason.NOT_FOUND, f"no {what} of this episode is known", permanent=True)
    must_be_at(link, homes)
    return link


def must_be_at(link: Link, homes: Iterable[str]) -> None:
    """Raise DeliveryError, permanent, for an object of another system: here its id is that of a stranger's object.

    Where nobody knows the address, of the object or of the system, nothing is compared.
    """
    ours = [home for home in homes if home]
    if link.url and ours and not _place(link.url).startswith(tuple(map(_place, ours))):
        detail = f"belongs to another address: {link.url}, not {without_credentials(ours[0])}"
        raise DeliveryError(Reason.NOT_FOUND, detail, permanent=True)


def is_earlier(link: Link, delivery: Delivery) -> bool:
    """Whether a link leads to what an earlier episode than the delivery's has made."""
    return link.remote_key != remote_key(delivery.key, delivery.episode)


def without_copies(
    objects: Iterable[Object],
    key: Callable[[Object], str],
    creator: Callable[[Object], frozenset[str]],
    us: frozenset[str] = frozenset(),
) -> list[Object]:
    """Return objects, given oldest first, without what people copied there, keys and all.

    `creator` names who made one, by any of his ids; so does `us`, empty as long as it is not known. What somebody else
    made is a copy then; until then, what another made than made the oldest one of the same remote key.
    """
    makers: dict[str, frozenset[str]] = {}
    kept = []
    for each in objects:
        named = creator(each)
        maker = us or (makers.setdefault(key(each), named) if key(each) else frozenset())
        if not named or not maker or named & maker:
            kept.append(each)
    return kept


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


def _place(url: str) -> str:
    """Return an address in the form in which two can be compared: no credentials or query, the port named."""
    scheme, host, port = origin(url)
    return f"{scheme}://{host}:{port}{urlsplit(url).path.rstrip('/')}/".casefold()
