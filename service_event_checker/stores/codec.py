"""How values become text in a store and come back. A field that an older version did not write takes its default."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from service_event_checker.core.model import Alert, Delivery, Link, Slot, Transition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALERT = TypeAdapter(Alert)
_DELIVERY = TypeAdapter(Delivery)
_LINK = TypeAdapter(Link)
# As a link was written before `sent` told when. Inside a text the quotes would be escaped.
_SENT_WITHOUT_TIMES = re.compile(r'"sent":\[[^\]]*\]')
_SLOT = TypeAdapter(Slot)
_TIMELINE = TypeAdapter(tuple[Transition, ...])
_QUEUE = TypeAdapter(tuple[Delivery, ...])


def dump_alert(alert: Alert) -> str:
    return _ALERT.dump_json(alert).decode()


def load_alert(text: str) -> Alert:
    return _ALERT.validate_json(text)


def dump_delivery(delivery: Delivery) -> str:
    return _DELIVERY.dump_json(delivery).decode()


def load_delivery(text: str) -> Delivery:
    return _DELIVERY.validate_json(text)


def dump_queue(deliveries: tuple[Delivery, ...]) -> str:
    return _QUEUE.dump_json(deliveries).decode()


def load_queue(text: str) -> tuple[Delivery, ...]:
    return _QUEUE.validate_json(text)


def dump_link(link: Link) -> str:
    return _LINK.dump_json(link).decode()


def load_link(text: str) -> Link:
    return _LINK.validate_json(_SENT_WITHOUT_TIMES.sub('"sent":{}', text, count=1))


def dump_slot(slot: Slot) -> str:
    return _SLOT.dump_json(slot).decode()


def load_slot(text: str) -> Slot:
    return _SLOT.validate_json(text)


def dump_transitions(transitions: tuple[Transition, ...]) -> str:
    return _TIMELINE.dump_json(transitions).decode()


def load_transitions(text: str) -> tuple[Transition, ...]:
    return _TIMELINE.validate_json(text)


def micros(at: datetime) -> int:
    """Return whole microseconds since 1970 UTC: what columns and row keys sort by."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_micros(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)
