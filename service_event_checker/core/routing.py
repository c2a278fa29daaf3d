"""Turns transitions into deliveries, by the rules. Pure.

Rules add and never remove: a receiver matched for the first time in an episode gets `open`, one that was
opened gets the transition's verbs. A silence, or a receiver that is off, withholds only first openings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from service_event_checker.core import groups, mirrors
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link, Receiver, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import Rulebook, matched
from service_event_checker.core.silences import SILENCED, Holding, silence_of
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import Family, Verb, Why

STILL_FIRING = "The alert still fires at its source; it ends here when it ends there, or is resolved by a person."
_CHAT_LIKE = frozenset({None, Family.CHAT})  # people read there, nothing echoes


def route(alert: Alert, transitions: Iterable[Transition], book: Rulebook, now: datetime) -> Write:
    """Return the commit that the transitions ask for. `alert.revision` is the one that was read."""
    transitions = tuple(transitions)
    before = alert.withheld
    alert, links = _born_at_destination(alert, transitions, book)
    owed: dict[tuple[str, Verb], Delivery] = {}
    for transition in transitions:
        for verb in transition.verbs:
            for name in alert.receivers:
                alert = _add_deliveries(alert, name, verb, transition, book, now, owed)
    silence: Holding | None = None
    if alert.open and (transitions or alert.withheld):
        silence = silence_of(alert, book.silences, now)
        alert = _open_new(alert, transitions, book, now, owed, silence)
    deliveries = (replace(delivery, seq=seq) for seq, delivery in enumerate(owed.values()))
    held_back = _held_back(alert, before, now)
    return Write(
        alert=alert,
        transitions=(*transitions, *held_back),
        deliveries=tuple(deliveries),
        links=links,
        silenced_by=_silenced_by(silence, before, alert.withheld),
    )


def release(alert: Alert, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that tells those whose silence or absence is over, and those a rule names anew; or None."""
    if not alert.open or not alert.withheld:
        return None
    write = route(alert, (), book, now)
    if write.alert == alert:
        return None
    told = tuple(delivery.receiver for delivery in write.deliveries)
    why = (make_transition(alert, Why.RELEASED, now, receiver=", ".join(told)),) if told else ()
    return replace(write, transitions=(*why, *write.transitions))


def link_for(delivery: Delivery, alert: Alert, links: Iterable[Link], receiver: Receiver) -> Link | None:
    """Return the link that a delivery works on: its own episode's, or what an earlier one hands over.

    Within `reopen_within` the earlier object itself (its `open` means reopen); later a link without an
    external id that names it. None where there is nothing earlier.
    """
    earlier: Link | None = None
    for link in links:
        if link.episode == delivery.episode:
            return link
        if link.episode < delivery.episode and link.external_id:
            earlier = link
    if earlier is None:
        return None
    ended_at = alert.previous_ended_at if alert.episode == delivery.episode else None
    if ended_at is not None and alert.opened_at - ended_at <= receiver.reopen_within:
        return replace(earlier, episode=delivery.episode, closed=False)
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=remote_key(delivery.key, delivery.episode),
        previous=earlier.url or earlier.external_id,
    )


def _add_deliveries(
    alert: Alert,
    name: str,
    verb: Verb,
    transition: Transition,
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> Alert:
    """Owe one receiver what a transition's verb means for it; return the alert, which remembers what was mirrored."""
    if name == transition.via:
        if transition.why is Why.COPY_RESOLVED and book.family(name) is Family.TICKET:
            answer = replace(transition, note=STILL_FIRING, actor="", note_id="")
            _owe(owed, make_delivery(alert, name, Verb.NOTE, answer, book, now))
        return alert
    for each in book.mirrors.verbs(transition, name, verb):
        if each is Verb.UNACK and each not in book.verbs(name):
            each = Verb.NOTE  # PagerDuty, for one, can only be told of it
        if each not in book.verbs(name):
            continue
        cause = transition if each is verb else replace(transition, note=mirrors.describe(transition, verb), actor="")
        delivery = make_delivery(alert, name, each, cause, book, now)
        if each is not Verb.NOTE and not {book.family(transition.via), book.family(name)} & _CHAT_LIKE:
            alert, allowed = mirrors.count_mirrored(alert, transition.via, name, now)
            delivery = delivery if allowed else replace(delivery, reason=mirrors.PING_PONG)
        _owe(owed, delivery)
    return alert


def _born_at_destination(
    alert: Alert, transitions: Iterable[Transition], book: Rulebook
) -> tuple[Alert, tuple[Link, ...]]:
    """Return an alert that one of our destinations sent as if it had been opened there, with its source's id."""
    for transition in transitions:
        home = transition.via
        if transition.why.opens and book.family(home) not in (None, Family.CHAT):
            link = Link(
                key=alert.key,
                episode=alert.episode,
                receiver=home,
                remote_key=remote_key(alert.key, alert.episode),
                external_id=alert.fingerprint,
                url=alert.url,
            )
            return replace(alert, receivers=(home,)), (link,)
    return alert, ()


def _open_new(
    alert: Alert,
    transitions: tuple[Transition, ...],
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
    silence: Holding | None,
) -> Alert:
    """Owe an `open` to the receivers that nobody has told yet, or note why they have to wait."""
    wanted = dict.fromkeys((*alert.withheld, *matched(alert, book.rules)))
    withheld: dict[str, str] = {}
    waits = groups.wait(alert, book.rules, now)
    receivers = list(alert.receivers)
    cause = transitions[-1] if transitions else None
    told = {*alert.receivers, *(book.moved.get(name, name) for name in alert.receivers)}
    for name in wanted:
        if name in told or name not in book.receivers:
            continue
        off = book.receivers[name].why_off
        if off:
            withheld[name] = f"off: {off}"
        elif silence:
            withheld[name] = f"{SILENCED}{silence.text}"
        elif waits:
            withheld[name] = waits
        elif Verb.OPEN in book.receivers[name].verbs and not (cause and cause.via == name):
            receivers.append(name)
            _owe(owed, make_delivery(alert, name, Verb.OPEN, cause, book, now))
    alert = replace(alert, receivers=tuple(receivers), withheld=withheld)
    return groups.join(alert, book.rules, silence) if book.groups else alert


def _silenced_by(silence: Holding | None, before: Mapping[str, str], withheld: Mapping[str, str]) -> str:
    """Return the id of the silence that withholds the alert from now on; "" for none, or one that did already."""
    if silence is None or not any(why.startswith(SILENCED) for why in withheld.values()):
        return ""
    known = any(why.startswith(SILENCED) and why.endswith(silence.mark) for why in before.values())
    return "" if known else silence.silence.id


def _held_back(alert: Alert, before: Mapping[str, str], now: datetime) -> Iterator[Transition]:
    """Yield the timeline's rows of who has to wait from now on, or for another reason than before."""
    for name, why in alert.withheld.items():
        if before.get(name) != why:
            yield replace(make_transition(alert, Why.WITHHELD, now, receiver=name), note=why, verb=Verb.OPEN)


def make_delivery(
    alert: Alert, name: str, verb: Verb, cause: Transition | None, book: Rulebook, now: datetime
) -> Delivery:
    receiver = book.receiver(name)
    return Delivery(
        key=alert.key,
        episode=alert.episode,
        revision=alert.revision + 1,
        receiver=name,
        verb=verb,
        severity=alert.severity,
        actor=cause.actor if cause else "",
        note=cause.note if cause else "",
        note_id=cause.note_id if cause else "",
        cancels=receiver is not None and receiver.cancels,
        created_at=now,
    )


def _owe(owed: dict[tuple[str, Verb], Delivery], delivery: Delivery) -> None:
    """Add a delivery; one of the same verb in the same commit takes up the other's note."""
    place = (delivery.receiver, delivery.verb)
    earlier = owed.get(place)
    if earlier is not None and earlier.note and earlier.note != delivery.note:
        delivery = replace(
            delivery,
            note=f"{earlier.note}\n{delivery.note}".strip(),
            note_id=",".join(filter(None, (earlier.note_id, delivery.note_id))),
        )
    owed[place] = delivery


def make_transition(alert: Alert, why: Why, now: datetime, *, receiver: str) -> Transition:
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=alert.status,
        after=alert.status,
        receiver=receiver,
    )
