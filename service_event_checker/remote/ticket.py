"""What ticket systems and pagers share beyond their own calls: functions and values, no base class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Event, Remote
from service_event_checker.core.vocabulary import EventStatus, Kind, Status, Verb
from service_event_checker.remote.marks import marker
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.texts import say

Result = TypeVar("Result")
Object = TypeVar("Object")

#: what it is to us when a person brings an object into a status
EVENTS = {
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
}


@dataclass(frozen=True, slots=True)
class Comment:
    """What a comment tells. `full`: the alert's state and text also, not only what has just changed.

    `mark`: the marker by which this very comment is known again.
    """

    told: Notice
    mark: str
    full: bool


def comment_of(delivery: Delivery, alert: Alert) -> Comment:
    """Return what a delivery tells of an object that is there; one that is opened again always has something."""
    told = notice_of(delivery, alert)
    if delivery.verb is Verb.OPEN and not told.change:
        told = replace(told, change=say("change.reopened"))
    if delivery.verb is Verb.OPEN:
        told = replace(told, own={})  # a template of `open` writes a new object, not a comment
    return Comment(told, marker(delivery.id), full=delivery.verb in (Verb.UPDATE, Verb.OPEN))


def moved(before: Status | None, after: Status | None) -> EventStatus | None:
    """Return what it is to us that a person brought an object from one status into another; None: nothing."""
    return EVENTS[after] if after and after is not before else None


def not_found(error: DeliveryError) -> bool:
    return error.reason is Reason.NOT_FOUND


def unless_gone(call: Callable[[], Result], is_gone: Callable[[DeliveryError], bool] = not_found) -> Result | None:
    """Return what the call returns; None where its object is gone for good. Raises DeliveryError for all else."""
    try:
        return call()
    except DeliveryError as error:
        if not is_gone(error):
            raise
        return None


def duplicate_note(duplicate: Remote, original: Remote, address: str = "") -> tuple[str, str]:
    """Return the text and the marker of the comment with which an object that was made twice is closed.

    `address`: of the original, where its own value has none.
    """
    where = original.url or address or original.external_id
    return f"Made twice: {where} is the one that goes on.", marker(f"{duplicate.external_id}:{original.external_id}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteChange:
    """What a person did to one of our objects: set a status, with a reason or "", wrote notes (id, text).

    `not_fixed`: what is resolved was merged, moved, marked as a duplicate or deleted, as the reason says.
    """

    external_id: str
    actor: str
    at: datetime | None
    status: EventStatus | None = None
    reason: str = ""
    not_fixed: bool = False
    notes: Sequence[tuple[str, str]] = ()

    def events(self, receiver: str, intake: str) -> list[Event]:
        """Return the notes, then the status; the pipeline finds the alert by receiver and id."""
        noted = [self._event(receiver, intake, EventStatus.NOTED, text, id) for id, text in self.notes]
        return [*noted, *([self._event(receiver, intake, self.status, self.reason)] if self.status else [])]

    def _event(self, receiver: str, intake: str, status: EventStatus, note: str = "", note_id: str = "") -> Event:
        return Event(
            source="",
            fingerprint="",
            kind=Kind.ALERT,
            status=status,
            ref=(receiver, self.external_id),
            via=receiver,
            intake=intake,
            actor=self.actor,
            at=self.at,
            note=note,
            note_id=note_id,
            not_fixed=self.not_fixed and status is EventStatus.RESOLVED,
        )
