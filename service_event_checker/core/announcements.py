"""Commits that answer no event: what a reconciliation, a person or the outbox itself adds to an alert. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery, Transition
from service_event_checker.core.routing import make_delivery, make_transition
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import DRY_RUN, Family, Verb, Why


def owed_again(alert: Alert, receiver: str, verb: Verb, note: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit by which a reconciliation has a receiver told once more of what it missed."""
    transition = replace(make_transition(alert, Why.RECONCILED, now, receiver=receiver), note=note)
    owed = make_delivery(alert, receiver, verb, replace(transition, note=""), book, now)
    return Write(alert=replace(alert, updated_at=now), transitions=(transition,), deliveries=(owed,))


def linked(alert: Alert, receiver: str, url: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that shows a new object's address in the alert's chat messages; None if it is known."""
    if not url or alert.links.get(receiver) == url or book.receivers[receiver].family is Family.CHAT:
        return None
    seen = replace(alert, links={**alert.links, receiver: url}, updated_at=now)
    return _shown_in_chats(seen, make_transition(seen, Why.LINKED, now, receiver=receiver), book, now)


def dry_run(alert: Alert, receiver: str, text: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit that shows in chat what a test alert would have made elsewhere."""
    seen = replace(alert, annotations={**alert.annotations, f"{DRY_RUN}{receiver}": text}, updated_at=now)
    transition = replace(make_transition(seen, Why.DRY_RUN, now, receiver=receiver), note=text)
    return _shown_in_chats(seen, transition, book, now)


def shadowed(alert: Alert, delivery: Delivery, text: str, now: datetime) -> Write:
    """Return the commit that records what a receiver in shadow would have been sent."""
    said = f"{delivery.verb}: {text.removeprefix(f'{delivery.verb} ')}"
    transition = replace(make_transition(alert, Why.DRY_RUN, now, receiver=delivery.receiver), note=said)
    return Write(alert=replace(alert, updated_at=now), transitions=(transition,))


def requested(alert: Alert, receiver: str, actor: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit by which a person adds a receiver to an open alert; None when it was opened already."""
    if receiver in alert.receivers:
        return None
    left = {name: why for name, why in alert.withheld.items() if name != receiver}
    wanted = replace(alert, receivers=(*alert.receivers, receiver), withheld=left, updated_at=now)
    transition = replace(make_transition(wanted, Why.RECEIVER_ADDED, now, receiver=receiver), actor=actor)
    opening = make_delivery(wanted, receiver, Verb.OPEN, transition, book, now)
    return Write(alert=wanted, transitions=(transition,), deliveries=(opening,))


def gave_up(delivery: Delivery, alert: Alert, reason: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit that records a failed delivery and tells the alert's chats, unless a chat is what failed."""
    name = delivery.receiver
    note = f"{name}: {delivery.verb} failed, {reason}"
    transition = replace(make_transition(alert, Why.GAVE_UP, now, receiver=name), note=note)
    if book.family(name) is Family.CHAT:
        return Write(alert=alert, transitions=(transition,))
    return _shown_in_chats(alert, transition, book, now)


def _shown_in_chats(alert: Alert, transition: Transition, book: Rulebook, now: datetime) -> Write:
    """Owe an update to the alert's chats that can edit, and to nobody else."""
    chats = (name for name in alert.receivers if book.family(name) is Family.CHAT)
    told = (name for name in chats if Verb.UPDATE in book.verbs(name))
    deliveries = (make_delivery(alert, name, Verb.UPDATE, transition, book, now) for name in told)
    return Write(alert=alert, transitions=(transition,), deliveries=tuple(deliveries))
