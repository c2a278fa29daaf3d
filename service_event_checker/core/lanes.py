"""Order within one lane (alert, receiver): what a new or a settled delivery does to those that wait. Pure.

Stores call this inside their transaction and write what it returns. Only the head of a lane has `due_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.store import Again, Failed, Outcome
from service_event_checker.core.vocabulary import Verb, Why

LAST = 1000  # the place of an update that lets others pass, within one revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane's own row, kept over all episodes. `dead_episode`: the episode whose open failed."""

    key: str
    receiver: str
    revision: int = 0
    head: str = ""
    dead_episode: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneChange:
    """What to write: the lane's row, deliveries to insert or replace, ids to delete.

    `dead` is kept as a failed delivery. `cancelled` counts opens that were over before they were sent.
    """

    lane: Lane
    put: tuple[Delivery, ...] = ()
    drop: tuple[str, ...] = ()
    dead: Delivery | None = None
    cancelled: int = 0


def in_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Sort a lane's deliveries as they are to be sent."""
    return sorted(deliveries, key=lambda delivery: (delivery.episode, delivery.revision, delivery.seq))


def append(lane: Lane, waiting: Sequence[Delivery], new: Iterable[Delivery], now: datetime) -> LaneChange:
    """Queue new deliveries behind those that wait; superfluous ones on both sides fall away."""
    queue = in_order(waiting)
    cancelled = 0
    for delivery in new:
        if delivery.episode == lane.dead_episode:
            continue  # its open failed: there is nothing to update
        if delivery.verb is Verb.CLOSE and delivery.cancels and _not_begun(queue, delivery):
            queue = [other for other in queue if other.episode != delivery.episode]
            cancelled += 1
            continue
        if delivery.verb is Verb.UPDATE:
            delivery, queue = _supersede(delivery, queue, now)
        if delivery.verb is Verb.CLOSE and _is_ending(queue, delivery.episode):
            continue
        held = [other for other in queue if _is_held(other, delivery, now)]
        queue = [other for other in queue if other not in held]
        queue.append(delivery)
        if delivery.verb is not Verb.CLOSE:  # which says the state of now by itself
            queue += [replace(other, revision=delivery.revision, seq=LAST, due_at=None) for other in held]
    return _change(lane, waiting, in_order(queue), now, cancelled=cancelled)


def settle(lane: Lane, waiting: Sequence[Delivery], settled: Delivery, outcome: Outcome, now: datetime) -> LaneChange:
    """Apply what became of a claimed delivery and make the next one due."""
    queue = [delivery for delivery in in_order(waiting) if delivery.id != settled.id]
    match outcome:
        case Again(due_at=due_at, reason=reason, intent_at=intent_at, yields=yields, tried=tried):
            released = replace(_released(settled), due_at=due_at, reason=reason, intent_at=intent_at)
            again = replace(released, attempts=settled.attempts + tried)
            queue = _behind(queue, again)
            return _change(lane, waiting, _end_first(queue, again) if yields else queue, now)
        case Failed(reason=reason):
            dead = replace(_released(settled), due_at=None, reason=reason)
            if settled.verb is Verb.OPEN:
                lane = replace(lane, dead_episode=settled.episode)
                queue = [delivery for delivery in queue if delivery.episode != settled.episode]
            change = _change(lane, waiting, queue, now)
            return replace(change, dead=dead, drop=tuple(id for id in change.drop if id != dead.id))
    return _change(lane, waiting, queue, now)


def swept(lane: Lane, waiting: Sequence[Delivery], latest: datetime | None, now: datetime) -> LaneChange:
    """Make the head due where it has no time, or one after `latest`: only a clock that was set back leaves that.

    A lease that runs beyond `latest` ends then: its worker may still be at work.
    """
    queue = in_order(waiting)
    if latest is not None:
        queue = [_until(delivery, latest) for delivery in queue]
    return _change(lane, waiting, queue, now)


def revive(lane: Lane, waiting: Sequence[Delivery], again: Sequence[Delivery], now: datetime) -> LaneChange:
    """Queue failed deliveries of the lane's newest episode again, ahead of what waits."""
    fresh = [replace(_released(delivery), attempts=0, reason="", due_at=None) for delivery in again]
    return _change(replace(lane, dead_episode=0), waiting, in_order([*fresh, *waiting]), now)


def requeued(letter: Delivery, alert: Alert) -> tuple[Delivery, ...]:
    """Return what sending a failed delivery again means now; () when its episode is past or it is too late.

    An open of an alert that is over by now is followed by a close, or is nothing where a close cancels it.
    """
    if alert.episode != letter.episode:
        return ()
    if letter.verb is not Verb.OPEN or alert.open:
        return (letter,)
    if letter.cancels:
        return ()
    return (letter, replace(letter, verb=Verb.CLOSE, seq=letter.seq + 1, intent_at=None))


def over_before_sent(alert: Alert, receiver: str, now: datetime) -> Transition:
    """Return the timeline's row for an open that its close has overtaken in the lane."""
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=Why.OVER_BEFORE_SENT,
        before=alert.status,
        after=alert.status,
        receiver=receiver,
    )


def _not_begun(queue: Sequence[Delivery], close: Delivery) -> bool:
    """Whether the episode's open is certainly unsent: a worker that holds it has to write its intent first."""
    return any(
        other.verb is Verb.OPEN and other.episode == close.episode and other.intent_at is None for other in queue
    )


def _supersede(update: Delivery, queue: list[Delivery], now: datetime) -> tuple[Delivery, list[Delivery]]:
    """Drop waiting updates of the episode: the new one says the state of now. It keeps the head's patience."""
    kept = []
    for other in queue:
        if other.verb is Verb.UPDATE and other.episode == update.episode and not _leased(other, now):
            if other.due_at is not None:
                update = replace(update, due_at=other.due_at, attempts=other.attempts, reason=other.reason)
        else:
            kept.append(other)
    return update, kept


def _change(
    lane: Lane, before: Sequence[Delivery], queue: Sequence[Delivery], now: datetime, *, cancelled: int = 0
) -> LaneChange:
    """Return the difference between the rows before and the queue, with exactly its head due."""
    rows = [replace(delivery, due_at=None) for delivery in queue]
    if rows:
        rows[0] = replace(rows[0], due_at=queue[0].due_at or now)
    known = {delivery.id: delivery for delivery in before}
    ids = {delivery.id for delivery in rows}
    return LaneChange(
        lane=replace(lane, revision=lane.revision + 1, head=rows[0].id if rows else ""),
        put=tuple(delivery for delivery in rows if known.get(delivery.id) != delivery),
        drop=tuple(id for id in known if id not in ids),
        cancelled=cancelled,
    )


def _behind(queue: Sequence[Delivery], again: Delivery) -> list[Delivery]:
    """Queue what has to be tried again: in its place, but an update lets the rest of its episode pass."""
    later = [other for other in queue if other.episode == again.episode]
    if again.verb is not Verb.UPDATE or not later:
        return in_order([again, *queue])
    if any(other.verb in (Verb.CLOSE, Verb.UPDATE) for other in later):
        return in_order(queue)  # which say the state of now by themselves
    return in_order([replace(again, revision=later[-1].revision, seq=LAST, due_at=None), *queue])


def _until(delivery: Delivery, latest: datetime) -> Delivery:
    if delivery.lease_until is not None and delivery.lease_until > latest:
        delivery = replace(delivery, lease_until=latest)
    return replace(delivery, due_at=None) if delivery.due_at and delivery.due_at > latest else delivery


def _end_first(queue: Sequence[Delivery], again: Delivery) -> list[Delivery]:
    """Let the end of its episode overtake a change that does not get through; nothing overtakes an open.

    It is the end that takes another place: it was never tried, so that its id is nowhere known yet.
    """
    if again.verb in (Verb.OPEN, Verb.CLOSE):
        return list(queue)
    return in_order(
        replace(each, revision=again.revision, seq=again.seq - 1)
        if each.verb is Verb.CLOSE and each.episode == again.episode
        else each
        for each in queue
    )


def _is_ending(queue: Sequence[Delivery], episode: int) -> bool:
    return any(other.verb is Verb.CLOSE and other.episode == episode for other in queue)


def _is_held(other: Delivery, newer: Delivery, now: datetime) -> bool:
    """Whether a later delivery passes an update: one that waits for its time, or any for what a person did."""
    waits = newer.by_person or (other.due_at is not None and other.due_at > now)
    passes = other.verb is Verb.UPDATE and newer.verb is not Verb.UPDATE and other.episode == newer.episode
    return passes and waits and not _leased(other, now)


def _leased(delivery: Delivery, now: datetime) -> bool:
    return delivery.lease_until is not None and delivery.lease_until > now


def _released(delivery: Delivery) -> Delivery:
    return replace(delivery, owner="", lease_until=None)
