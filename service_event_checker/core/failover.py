"""Who is told while a receiver is down: its fallback; and the digest that the receiver gets when it is back. Pure.

The digest is an alert of its own, over from the start, whose opening waits in the receiver's own lane: as long as it
waits, it is extended; it is sent with all others as soon as the receiver works again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert, Delivery, Event, Receiver, Transition
from service_event_checker.core.routing import make_delivery, make_transition
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.tracker import over_at_once
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Verb, Why

SOURCE = "failover"
SEVERE = frozenset({Severity.CRITICAL, Severity.ERROR})
NEWS = frozenset({Verb.OPEN, Verb.UPDATE})
ARRIVED = frozenset({Why.DELIVERED, Why.DELIVERED_OTHERWISE})
RECEIVER, FALLBACK, NUMBER = "receiver", "fallback", "alerts"  # labels of a digest, for its title in any language
LISTED_MAX = 100  # alerts of a digest
DOWN_AFTER = timedelta(seconds=45)  # that nothing has worked, or that news waits
DOWN_AFTER_OUTAGE = timedelta(seconds=15)  # the same, while the receiver's vendor has an outage
FAILURES_MIN = 2  # in a row


def is_down(failures: int, failing: timedelta, waited: timedelta, *, outage: bool) -> bool:
    """Whether a receiver counts as down for a delivery that has waited so long.

    `failures` in a row, since `failing`. An outage of its vendor alone proves nothing; it only shortens the wait.
    """
    return failures >= FAILURES_MIN and max(failing, waited) >= (DOWN_AFTER_OUTAGE if outage else DOWN_AFTER)


def failed_over(alert: Alert, waiting: Delivery, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that adds the fallback of a delivery's receiver to the alert, None where it owes nothing.

    `waiting`: an opening, or an update that tells a rise (see `rise_untold`).
    """
    fallback = fallback_of(alert, waiting.receiver, book)
    if fallback is None or not is_news(waiting, alert):
        return None
    told = replace(alert, receivers=(*alert.receivers, fallback.name), updated_at=now)
    note = f"{waiting.receiver} could not be reached"
    transition = replace(make_transition(told, Why.FAILED_OVER, now, receiver=fallback.name), note=note)
    owed = make_delivery(told, fallback.name, Verb.OPEN, replace(transition, note=""), book, now)
    return Write(alert=told, transitions=(transition,), deliveries=(owed,))


def rise_untold(receiver: str, steps: Iterable[Transition], episode: int) -> bool:
    """Whether an episode's severity rose after the receiver was last told of it; `steps`: its timeline."""
    own = [step for step in steps if step.episode == episode]
    rises = [step.at for step in own if step.why is Why.SEVERITY_RAISED]
    told = [step.at for step in own if step.receiver == receiver and step.why in ARRIVED]
    return bool(rises) and (not told or max(told) <= max(rises))


def is_news(delivery: Delivery, alert: Alert) -> bool:
    """Whether a delivery may tell of the alert: it is of its episode, or of an earlier one whose object is now its."""
    carried = delivery.episode < alert.episode and delivery.receiver in alert.recent.carried
    return delivery.verb in NEWS and (delivery.episode == alert.episode or carried)


def fallback_of(alert: Alert, name: str, book: Rulebook) -> Receiver | None:
    """Return who is to be told of an alert while a receiver is down; None for nobody, or one who is told anyway."""
    receiver = book.receivers.get(name)
    fallback = book.receivers.get(receiver.fallback) if receiver else None
    if fallback is None or fallback.why_off or fallback.name in alert.receivers or fallback.name in alert.withheld:
        return None
    severe = alert.open and not alert.test and alert.source != SOURCE and alert.severity in SEVERE
    return fallback if severe else None


def has_digest(receiver: str, book: Rulebook) -> bool:
    """Whether a receiver gets a digest: people read it. A ticket system or a pager catches up by itself."""
    return book.family(receiver) in (Family.CHAT, Family.MAIL)


def digest_key(receiver: str) -> str:
    return alert_key(SOURCE, receiver)


def digest(
    known: Alert | None,
    receiver: str,
    told: Mapping[str, str],
    book: Rulebook,
    now: datetime,
    *,
    waits: bool,
) -> Write | None:
    """Return the commit that lists what went elsewhere; `told` maps internal ids to titles. None: all are listed.

    `known`: the receiver's newest digest. `waits`: it has not been sent yet.
    """
    fallback = book.receivers[receiver].fallback
    if known is not None and waits:
        listed = {**known.annotations, **told}
        if listed == known.annotations or len(known.annotations) >= LISTED_MAX:
            return None
        return Write(alert=_listing(replace(known, updated_at=now, ended_at=now), receiver, fallback, listed))
    event = Event(source=SOURCE, fingerprint=receiver, kind=Kind.ALERT, status=EventStatus.RESOLVED, at=now)
    bare = replace(over_at_once(event, known, now), receivers=(receiver,))
    new = _listing(bare, receiver, fallback, told)
    transition = replace(make_transition(new, Why.MISSED, now, receiver=receiver), before=None)
    return Write(
        alert=new,
        transitions=(transition,),
        deliveries=(make_delivery(new, receiver, Verb.OPEN, None, book, now),),
    )


def delivered_by(fallback: str, steps: list[Transition], episode: int) -> bool:
    """Whether an episode was sent to the fallback because its receiver was down, and arrived there."""
    there = [step for step in steps if step.episode == episode and step.receiver == fallback]
    sent = any(step.why is Why.FAILED_OVER for step in there)
    return sent and any(step.why in ARRIVED and step.verb is Verb.OPEN for step in there)


def _listing(alert: Alert, receiver: str, fallback: str, told: Mapping[str, str]) -> Alert:
    number = "1 alert was" if len(told) == 1 else f"{len(told)} alerts were"
    lines = [f"{id}: {title}" for id, title in list(told.items())[:LISTED_MAX]]
    return replace(
        alert,
        title=f"{number} sent to {fallback} while {receiver} could not be reached",
        description="\n".join(lines),
        labels={RECEIVER: receiver, FALLBACK: fallback, NUMBER: str(len(told))},
        annotations=dict(list(told.items())[:LISTED_MAX]),
    )
