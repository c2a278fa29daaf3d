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
from service_event_checker.core.model import Event, HeldItem
from service_event_checker.core.roles import HoldingArea, Outbox
from service_event_checker.core.rules import Rulebook

AREA = "parked"
ASKED_AT_ONCE = 1000  # also the most that lie here per receiver
PATIENCE = timedelta(minutes=2)  # on top of the settle time: the create itself, and what waits before it
PATIENCE_MAX = timedelta(hours=1)  # while deliveries to the receiver wait

_EVENT = TypeAdapter(Event)

log = structlog.get_logger()


def park(holding: HoldingArea, events: Iterable[Event], now: datetime) -> None:
    """Put the events aside; a repetition replaces. Raises StoreError."""
    waiting = [_item(event, now) for event in events]
    if waiting:
        holding.put(waiting)


def waiting(holding: HoldingArea, outbox: Outbox, book: Rulebook, now: datetime) -> list[tuple[HeldItem, Event]]:
    """Return what is still worth asking for, the oldest first; what nobody will ever know is dropped and logged."""
    found = sorted(holding.list(AREA, limit=ASKED_AT_ONCE), key=lambda item: (item.at, item.id))
    if len(found) >= ASKED_AT_ONCE:
        holding.prune(AREA, before=now - PATIENCE_MAX, per_source=ASKED_AT_ONCE)
    hopeful: list[tuple[HeldItem, Event]] = []
    busy: dict[str, bool] = {}  # whether deliveries to a receiver wait
    for item in found:
        event = _EVENT.validate_json(item.doc)
        if _is_foreign(outbox, book, item, now, busy):
            log.info("remote_change_of_unknown_object", receiver=item.source, status=event.status.value)
            holding.remove(AREA, item.id)
        else:
            hopeful.append((item, event))
    return hopeful


def _item(event: Event, now: datetime) -> HeldItem:
    """Return the event, as long as texts may be, with an id of its own, so that asking twice is telling once."""
    receiver = event.ref[0] if event.ref else event.via
    storable = clean(replace(event, source=AREA, fingerprint=AREA))  # whose it is will show later
    event = replace(storable, source=event.source, fingerprint=event.fingerprint)
    id = hashlib.sha256(_EVENT.dump_json(event)).hexdigest()[:32]
    named = event if event.note_id else replace(event, note_id=id)
    return HeldItem(area=AREA, id=id, source=receiver, at=now, doc=_EVENT.dump_json(named).decode())


def _is_foreign(outbox: Outbox, book: Rulebook, item: HeldItem, now: datetime, busy: dict[str, bool]) -> bool:
    receiver = book.receivers.get(item.source)
    age = now - item.at
    if receiver is None or age > PATIENCE_MAX:
        return True
    if age <= receiver.settle + PATIENCE:
        return False
    if item.source not in busy:
        busy[item.source] = outbox.waiting(item.source) > 0
    return not busy[item.source]
