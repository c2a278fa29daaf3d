"""What a delivery means where one object is kept for each episode: when it is opened, reopened, adopted, made anew.

The order is the same for all ticket systems and pagers; an adapter gives the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link, ObjectRef, OnResolve
from service_event_checker.core.ports import FindableByAlert, ObjectDestination
from service_event_checker.core.vocabulary import Verb
from service_event_checker.http.address import origin, without_credentials

UNCLOSED = "This could not be closed here, please close it:"


def deliver(
    destination: ObjectDestination, delivery: Delivery, alert: Alert, link: Link | None, on_resolve: OnResolve
) -> Link:
    """Do what the delivery's verb says and return the link to store. Repeatable. Raises DeliveryError."""
    if delivery.verb is Verb.OPEN:
        return _open(destination, delivery, alert, link)
    link = _known(link, destination.homes)
    if delivery.verb is Verb.CLOSE and on_resolve == "close":
        _close(destination, delivery, alert, link.external_id)
        return replace(link, closed=True)
    if delivery.verb is not Verb.CLOSE or on_resolve == "comment":
        destination.comment(delivery, alert, link.external_id)
    return link


def link_to(ref: ObjectRef, delivery: Delivery, previous: str = "") -> Link:
    """Return an object as that of the delivery's episode; `previous` names an earlier one, or ""."""
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=remote_key(delivery.key, delivery.episode),
        external_id=ref.external_id,
        url=ref.url,
        previous=previous,
    )


def _open(destination: ObjectDestination, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
    if link is None or not link.external_id:
        return _created(destination, delivery, alert, link.previous if link else "")
    try:
        _must_be_at(link, destination.homes)
        reopened = destination.reopen(delivery, alert, link.external_id)
    except DeliveryError as refusal:
        if not refusal.permanent:
            raise
        return _replaced(destination, delivery, alert, link.url or link.external_id)
    if not reopened and link.remote_key != remote_key(delivery.key, delivery.episode):
        destination.comment(delivery, alert, link.external_id)  # an earlier episode's object that nobody closed
    return replace(link, closed=False)


def _close(destination: ObjectDestination, delivery: Delivery, alert: Alert, external_id: str) -> None:
    """End the object. Where its system does not let us, the end is told in it all the same; then the refusal counts."""
    try:
        destination.close(delivery, alert, external_id)
    except DeliveryError as refusal:
        if refusal.reason is Reason.FORBIDDEN or (refusal.permanent and refusal.reason is not Reason.NOT_FOUND):
            _tell_the_end(destination, delivery, alert, external_id, refusal)
        raise


def _tell_the_end(
    destination: ObjectDestination, delivery: Delivery, alert: Alert, external_id: str, refusal: DeliveryError
) -> None:
    """Comment on an object that could not be closed. Raises DeliveryError where that may work another time."""
    note = "\n".join(filter(None, (delivery.note, f"{UNCLOSED} {refusal.detail}".strip())))
    try:
        destination.comment(replace(delivery, note=note), alert, external_id)
    except DeliveryError as error:
        if not error.permanent and refusal.permanent:
            raise


def _replaced(destination: ObjectDestination, delivery: Delivery, alert: Alert, previous: str) -> Link:
    """Take another open object of the alert, or make one, in place of one that cannot be opened again."""
    found = destination.find_open_for(alert.key) if isinstance(destination, FindableByAlert) else None
    if found:  # the outbox did not search: it took the old object for usable
        return link_to(found, delivery, previous)
    return _created(destination, delivery, alert, previous)


def _created(destination: ObjectDestination, delivery: Delivery, alert: Alert, previous: str) -> Link:
    key = remote_key(delivery.key, delivery.episode)
    return link_to(destination.create(delivery, alert, key, previous), delivery, previous)


def _known(link: Link | None, homes: Iterable[str]) -> Link:
    """Return the link if it leads to an object. Raises a permanent DeliveryError if there is no object to write to."""
    if link is None or not link.external_id:
        raise DeliveryError(Reason.NOT_FOUND, "no object of this episode is known", permanent=True)
    _must_be_at(link, homes)
    return link


def _must_be_at(link: Link, homes: Iterable[str]) -> None:
    """Raise DeliveryError, permanent, for an object of another system: here its id is that of a stranger's object.

    Where nobody knows the address, of the object or of the system, nothing is compared.
    """
    ours = [home for home in homes if home]
    if link.url and ours and not _place(link.url).startswith(tuple(map(_place, ours))):
        detail = f"belongs to another address: {link.url}, not {without_credentials(ours[0])}"
        raise DeliveryError(Reason.NOT_FOUND, detail, permanent=True)


def _place(url: str) -> str:
    """Return an address in the form in which two can be compared: no credentials or query, the port named."""
    scheme, host, port = origin(url)
    return f"{scheme}://{host}:{port}{urlsplit(url).path.rstrip('/')}/".casefold()
