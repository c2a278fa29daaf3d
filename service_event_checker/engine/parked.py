"""Events that name a remote object which we do not know (yet): kept durably and asked for again for a while.

A pager's acknowledgement may overtake the answer to the create that made its incident.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from pydantic import TypeAdapter

from service_event_checker.core.clean import clean
from service_event_checker.core.model import Event, Kept
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Store

SHELF = "parked"
ASKED_AT_ONCE = 1000  # also the most that lie here per receiver
PATIENCE = timedelta(minutes=2)  # on top of the settle time: the create itself, and what waits before it
PATIENCE_MAX = timedelta(hours=1)  # while the receiver still owes something

_EVENT = TypeAdapter(Event)

log = structlog.get_logger()


def park(store: Store, events: Iterable[Event], now: datetime) -> None:
    """Put the events aside; a repetition replaces. Raises StoreError."""
    waiting = [_kept(event, now) for event in events]
    if waiting:
        store.keep(waiting)


def waiting(store: Store, book: Rulebook, now: datetime) -> list[tuple[Kept, Event]]:
    """Return what is still worth asking for, the oldest first; what nobody will ever know is dropped and logged."""
    found = sorted(store.kept(SHELF, limit=ASKED_AT_ONCE), key=lambda kept: (kept.at, kept.id))
    if len(found) >= ASKED_AT_ONCE:
        store.trim(SHELF, before=now - PATIENCE_MAX, per_source=ASKED_AT_ONCE)
    hopeful: list[tuple[Kept, Event]] = []
    busy: dict[str, bool] = {}  # whether a receiver is still owed something
    for kept in found:
        event = _EVENT.validate_json(kept.doc)
        if _is_foreign(store, book, kept, now, busy):
            log.info("event_of_a_foreign_object", receiver=kept.source, status=event.status.value)
            store.unkeep(SHELF, kept.id)
        else:
            hopeful.append((kept, event))
    return hopeful


def _kept(event: Event, now: datetime) -> Kept:
    """Return the event, as long as texts may be, with an id of its own, so that asking twice is telling once."""
    receiver = event.ref[0] if event.ref else event.via
    storable = clean(replace(event, source=SHELF, fingerprint=SHELF))  # whose it is will show later
    event = replace(storable, source=event.source, fingerprint=event.fingerprint)
    id = hashlib.sha256(_EVENT.dump_json(event)).hexdigest()[:32]
    named = event if event.note_id else replace(event, note_id=id)
    return Kept(shelf=SHELF, id=id, source=receiver, at=now, doc=_EVENT.dump_json(named).decode())


def _is_foreign(store: Store, book: Rulebook, kept: Kept, now: datetime, busy: dict[str, bool]) -> bool:
    receiver = book.receivers.get(kept.source)
    age = now - kept.at
    if receiver is None or age > PATIENCE_MAX:
        return True
    if age <= receiver.settle + PATIENCE:
        return False
    if kept.source not in busy:
        busy[kept.source] = store.waiting(kept.source) > 0
    return not busy[kept.source]
