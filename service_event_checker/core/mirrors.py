"""Who mirrors whom: what happens on one side of an alert becomes which verbs on the other. Pure.

Without a word in the configuration, an ack, an ack taken back and a note are carried as they are; a copy's own
resolved becomes a note; and the end of the alert itself closes. A breaker ends what goes to and fro for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from service_event_checker.core.model import Alert, Delivery, Event, Transition
from service_event_checker.core.vocabulary import EventStatus, Status, Verb, Why

ALERT = "alert"  # as the `to` of a mirror: the alert itself
PING_PONG = "ping_pong"  # the reason of failed deliveries by the circuit breaker
STATUSES_MAX = 10  # mirrored status changes per alert and pair of receivers ...
STATUSES_WITHIN = timedelta(minutes=10)  # ... in this time; notes do not count
_SAID = {Verb.ACK: "acknowledged", Verb.UNACK: "acknowledgement taken back", Verb.CLOSE: "resolved"}
_STATUSES = {Verb.ACK: Status.ACKNOWLEDGED, Verb.UNACK: Status.FIRING}
_STATUS_CHANGES = frozenset({Why.OPENED, Why.OPENED_AGAIN, Why.ACKNOWLEDGED, Why.UNACKNOWLEDGED, Why.SEVERITY_RAISED})

Table = Mapping[Verb, tuple[Verb, ...]]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """`tables` maps (from, to) to the verbs that follow on the other side; a missing verb has the default."""

    tables: Mapping[tuple[str, str], Table] = field(default_factory=dict)

    def verbs(self, transition: Transition, to: str, verb: Verb) -> tuple[Verb, ...]:
        """Return the verbs for a receiver after a transition that came via another receiver, or via none."""
        default = (Verb.NOTE,) if transition.why is Why.COPY_RESOLVED else (verb,)
        if not transition.via:
            return default
        return self.tables.get((transition.via, to), {}).get(verb, default)

    def promote_to_alert_end(self, event: Event) -> Event:
        """Return the event as what it is for the alert: a copy's resolved may be a person's end of the alert itself.

        A copy that was merged, moved or deleted ends nothing.
        """
        if event.status is not EventStatus.RESOLVED or not event.via or event.person or event.not_fixed:
            return event
        ends = Verb.CLOSE in self.tables.get((event.via, ALERT), {}).get(Verb.CLOSE, ())
        return replace(event, person=True) if ends else event


def describe(transition: Transition, verb: Verb) -> str:
    """Return the words of a note that stands for another verb: what happened, where, and who did it."""
    what = _SAID.get(verb, verb.value)
    where = f" at {transition.via}" if transition.via else ""
    who = f" by {transition.actor}" if transition.actor else ""
    return f"{what}{where}{who}" + (f": {transition.note}" if transition.note else "")


def status_from(timeline: Iterable[Transition]) -> str:
    """Return which receiver an open alert's status came from, given its transitions, the oldest first; "": none."""
    came_via = ""
    for transition in timeline:
        came_via = transition.via if transition.why in _STATUS_CHANGES else came_via
    return came_via


def drop_stale_status(
    delivery: Delivery, alert: Alert, timeline: Sequence[Transition], mirrors: Mirrors
) -> Delivery | None:
    """Return what is still to be sent of an ack, or of one taken back: it would undo what a person has done since
    at the receiver itself, so there it is a note; None where the receiver got that anyway.

    What others have done since follows in the lane, and needs no help.
    """
    status = _STATUSES.get(delivery.verb)
    if status is None or not alert.open or alert.status is status or alert.episode != delivery.episode:
        return delivery
    causes = (each for each in reversed(timeline) if delivery.verb in each.verbs and each.actor == delivery.actor)
    cause = next(causes, None)
    if cause is None or status_from(timeline) != delivery.receiver:
        return delivery
    if Verb.NOTE in mirrors.verbs(cause, delivery.receiver, delivery.verb):
        return None
    return replace(delivery, verb=Verb.NOTE, note=describe(cause, delivery.verb))


def count_mirrored(alert: Alert, one: str, other: str, now: datetime) -> tuple[Alert, bool]:
    """Count a status that is carried between two receivers; return the alert, and whether it may still be carried."""
    pair = (min(one, other), max(one, other))
    recent = tuple(at for at in alert.mirrored_at.get(pair, ()) if now - at < STATUSES_WITHIN)
    if len(recent) >= STATUSES_MAX:
        return alert, False
    return replace(alert, mirrored_at={**alert.mirrored_at, pair: (*recent, now)}), True
