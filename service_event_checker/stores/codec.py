"""How values become text in a store and come back. A field that an older version did not write takes its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from service_event_checker.core import matchers
from service_event_checker.core.model import Alert, Delivery, Link, Slot, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import Silence
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.core.weekly import Weekly

MICROS_MAX = 2**62  # later than any time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_ALERT = TypeAdapter(Alert)
_TYPED_KEYS = {"status_seen_at", "mirrored_at"}  # as _TextKeys in the document
_STATUSES = {str(status): status for status in EventStatus}
_DELIVERY = TypeAdapter(Delivery)
_LINK = TypeAdapter(Link)
_SLOT = TypeAdapter(Slot)
_TIMELINE = TypeAdapter(tuple[Transition, ...])
_QUEUE = TypeAdapter(tuple[Delivery, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredSilence:
    """A silence without what has columns of its own; its matchers as people write them."""

    match: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    owner: str
    reason: str
    created_at: datetime | None = None
    repeat: Weekly | None = None
    ended_by: str = ""


_SILENCE = TypeAdapter(_StoredSilence)


@dataclass(frozen=True, slots=True)
class _TextKeys:
    """The maps of an alert whose keys are text in its document: "receiver" or "receiver|status", and "a|b"."""

    heard: Mapping[str, datetime] = field(default_factory=dict)
    mirrored: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)


_TEXT_KEYS = TypeAdapter(_TextKeys)
_NO_KEYS = '"heard":{},"mirrored":{}'  # as most documents have it; inside a text the quotes would be escaped


def dump_alert(alert: Alert) -> str:
    document = _ALERT.dump_json(alert, exclude=_TYPED_KEYS).decode()
    return f"{document[:-1]},{_dump_keys(alert)}}}"


def load_alert(text: str) -> Alert:
    alert = _ALERT.validate_json(text)
    if _NO_KEYS in text:
        return alert
    stored = _TEXT_KEYS.validate_json(text)
    seen_at = {_status_key(key): at for key, at in stored.heard.items()}
    mirrored_at = {_pair(key): times for key, times in stored.mirrored.items()}
    return replace(alert, status_seen_at=seen_at, mirrored_at=mirrored_at)


def _dump_keys(alert: Alert) -> str:
    if not alert.status_seen_at and not alert.mirrored_at:
        return _NO_KEYS
    seen_at = {"|".join(filter(None, key)): at for key, at in alert.status_seen_at.items()}
    mirrored = {"|".join(pair): times for pair, times in alert.mirrored_at.items()}
    return _TEXT_KEYS.dump_json(_TextKeys(seen_at, mirrored)).decode()[1:-1]


def _status_key(text: str) -> tuple[str, EventStatus | None]:
    receiver, _, status = text.rpartition("|")
    return (receiver, _STATUSES[status]) if status in _STATUSES else (text, None)


def _pair(text: str) -> tuple[str, str]:
    one, _, other = text.partition("|")
    return one, other


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
    return _LINK.validate_json(text)


def dump_slot(slot: Slot) -> str:
    return _SLOT.dump_json(slot).decode()


def load_slot(text: str) -> Slot:
    return _SLOT.validate_json(text)


def dump_silence(silence: Silence) -> str:
    stored = _StoredSilence(
        match=tuple(map(str, silence.matchers)),
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        owner=silence.owner,
        reason=silence.reason,
        created_at=silence.created_at,
        repeat=silence.repeat,
        ended_by=silence.ended_by,
    )
    return _SILENCE.dump_json(stored).decode()


def load_silence(id: str, text: str, *, hits: int, revision: int) -> Silence:
    stored = _SILENCE.validate_json(text)
    return Silence(
        matchers=tuple(part for written in stored.match for part in matchers.parse(written)),
        starts_at=stored.starts_at,
        ends_at=stored.ends_at,
        owner=stored.owner,
        reason=stored.reason,
        id=id,
        created_at=stored.created_at,
        repeat=stored.repeat,
        ended_by=stored.ended_by,
        hits=hits,
        revision=revision,
    )


def dump_transitions(transitions: tuple[Transition, ...]) -> str:
    return _TIMELINE.dump_json(transitions).decode()


def load_transitions(text: str) -> tuple[Transition, ...]:
    return _TIMELINE.validate_json(text)


def micros(at: datetime) -> int:
    """Return whole microseconds since 1970 UTC: what columns and row keys sort by."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_micros(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)


def from_micros_clamped(number: int) -> datetime:
    """Return a time also for a number that no time has: somebody changed it, which is for a hash to show."""
    return from_micros(min(max(number, 0), _LATEST))
