"""Delivers to one adapter as the outbox does, without a store."""

from __future__ import annotations

from typing import Any

from service_event_checker.core.model import Alert, Delivery, Link, ObjectRef
from service_event_checker.core.ports import ObjectDestination, Pausable
from service_event_checker.core.vocabulary import Verb
from service_event_checker.engine import objects
from service_event_checker.engine.outbox import CALLS_AT_THEIR_SLOWEST
from service_event_checker.http import budget


def deliver(destination: Any, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
    """Return the link to store."""
    if isinstance(destination, Pausable):
        destination.raise_if_paused()
    if isinstance(destination, ObjectDestination):
        on_resolve = destination.config.on_resolve  # type: ignore[attr-defined]
        seconds = destination.config.timeout.total_seconds()  # type: ignore[attr-defined]
        with budget.limit(seconds * CALLS_AT_THEIR_SLOWEST):
            return objects.deliver(destination, delivery, alert, link, on_resolve)
    made: Link | None = destination.deliver(delivery, alert, link)
    return made


def link_to(found: ObjectRef | Link, alert: Alert, receiver: str) -> Link:
    """Return what a search found as the link of the alert's episode."""
    owed = Delivery(key=alert.key, episode=alert.episode, revision=1, receiver=receiver, verb=Verb.OPEN)
    return objects.link_to(ObjectRef(found.external_id, found.url), owed)
