"""Which alert an event speaks of. A remote object's id is looked up; an object that nobody knows (yet) is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from service_event_checker.core.clean import clean
from service_event_checker.core.model import Alert, Event, Link
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook


@dataclass(frozen=True, slots=True)
class Seen:
    """A clean event of a known alert, and the link of the object that it came from, if it came from one."""

    event: Event
    link: Link | None = None


def recognise(events: Iterable[Event], store: Store, book: Rulebook) -> tuple[list[Seen], list[Event]]:
    """Return the events whose alert is known, and those whose object is not (yet), both in the order they came.

    Raises InvalidInput for an event without an identity, and StoreError.
    """
    told = list(events)
    links = {ref: store.link_by(*ref) for ref in {event.ref for event in told if event.ref}}
    alerts = store.get({link.key for link in links.values() if link}) if links else {}
    known: list[Seen] = []
    unknown: list[Event] = []
    for event in told:
        link = links[event.ref] if event.ref else None
        alert = alerts.get(link.key) if link else None
        if event.ref is None:
            known.append(Seen(clean(event)))
        elif link is None or alert is None or _is_being_reopened(link, alert, store, book):
            unknown.append(event)
        else:
            known.append(Seen(clean(_about(alert, event)), link))
    return known, unknown


def rounds(events: Iterable[Seen]) -> list[dict[str, Seen]]:
    """Split events so that each round has at most one per alert, by key, in the order they came."""
    found: list[dict[str, Seen]] = []
    depth: dict[str, int] = {}
    for seen in events:
        key = seen.event.key
        number = depth.get(key, 0)
        depth[key] = number + 1
        if number == len(found):
            found.append({})
        found[number][key] = seen
    return found


def _about(alert: Alert, event: Event) -> Event:
    return replace(event, source=alert.source, fingerprint=alert.fingerprint, kind=alert.kind, test=alert.test)


def _is_being_reopened(link: Link, alert: Alert, store: Store, book: Rulebook) -> bool:
    """Whether an object of the episode before may soon be this one's: what is said there must wait for that."""
    if not alert.open or link.episode != alert.episode - 1:
        return False
    receiver = book.receivers.get(link.receiver)
    carried = receiver is not None and receiver.reopen_within > timedelta(0)
    return carried and alert.key in store.keys_with_pending(link.receiver)
