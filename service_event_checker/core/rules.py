"""Who is owed what: asks the rules at every transition and turns the answer into deliveries. Pure.

Rules add and never remove: a receiver matched for the first time in an episode is owed `open`, one that was
opened is owed the transition's verbs. A silence, or a receiver that is off, withholds only first openings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from service_event_checker.core import mirrors
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import (
    DRY_RUN,
    Alert,
    Delivery,
    Family,
    Link,
    Receiver,
    Transition,
    Verb,
    Why,
    remote_key,
)
from service_event_checker.core.ports import Write

STILL_FIRING = "The alert still fires at its source; it ends here when it ends there, or is resolved by a person."
RECEIVERS_MAX = 24  # an alert, its deliveries and its lanes must fit one entity group transaction of Azure Tables
_HEARERS = frozenset({None, Family.CHAT})  # people read there, nothing echoes
_OPENINGS = frozenset({Why.OPENED, Why.OPENED_AGAIN})


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    matchers: tuple[Matcher, ...]
    send: tuple[str, ...]
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules in their order, the silences, the receivers by name, and who mirrors whom."""

    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    mirrors: Mirrors = field(default_factory=Mirrors)


def names_of(alert: Alert) -> dict[str, str]:
    """Return what a matcher may ask for: the alert's labels and, over them, its own names."""
    own = {
        "source": alert.source,
        "kind": alert.kind.value,
        "intake": "\n".join(alert.intakes),
        "severity": alert.severity.value,
        "title": alert.title,
        "test": "true" if alert.test else "false",
        "affects_us": alert.affects_us.value,
    }
    return {**alert.labels, **own}


def matched(alert: Alert, rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return the receivers that the rules name for the alert as it is, in their order, each once."""
    names = names_of(alert)
    found: dict[str, None] = {}
    for rule in rules:
        if all(matcher.matches(names) for matcher in rule.matchers):
            found |= dict.fromkeys(rule.send)
            if not rule.proceed:
                break
    return tuple(found)


def route(alert: Alert, transitions: Iterable[Transition], book: Rulebook, now: datetime) -> Write:
    """Return the commit that the transitions ask for. `alert.revision` is the one that was read."""
    transitions = tuple(transitions)
    alert, links = _at_home(alert, transitions, book)
    owed: dict[tuple[str, Verb], Delivery] = {}
    for transition in transitions:
        for verb in transition.verbs:
            for name in alert.receivers:
                alert = _tell(alert, name, verb, transition, book, now, owed)
    if alert.open and (transitions or alert.withheld):
        alert = _open_new(alert, transitions, book, now, owed)
    deliveries = (replace(delivery, seq=seq) for seq, delivery in enumerate(owed.values()))
    return Write(alert=alert, transitions=transitions, deliveries=tuple(deliveries), links=links)


def release(alert: Alert, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that tells those whose silence or absence is over, and those a rule names anew; or None."""
    if not alert.open or not alert.withheld:
        return None
    write = route(alert, (), book, now)
    if write.alert == alert:
        return None
    told = tuple(delivery.receiver for delivery in write.deliveries)
    why = (_own(alert, Why.RELEASED, now, receiver=", ".join(told)),) if told else ()
    return replace(write, transitions=why)


def owed_again(alert: Alert, receiver: str, verb: Verb, note: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit by which a reconciliation has a receiver told once more of what it missed."""
    transition = replace(_own(alert, Why.RECONCILED, now, receiver=receiver), note=note)
    owed = _delivery(alert, receiver, verb, replace(transition, note=""), book, now)
    return Write(alert=replace(alert, updated_at=now), transitions=(transition,), deliveries=(owed,))


def linked(alert: Alert, receiver: str, url: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that shows a new object's address in the alert's chat messages; None if it is known."""
    if not url or alert.links.get(receiver) == url or book.receivers[receiver].family is Family.CHAT:
        return None
    seen = replace(alert, links={**alert.links, receiver: url}, updated_at=now)
    return _shown_in_chats(seen, _own(seen, Why.LINKED, now, receiver=receiver), book, now)


def rehearsed(alert: Alert, receiver: str, text: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit that shows in chat what a test alert would have made elsewhere."""
    seen = replace(alert, annotations={**alert.annotations, f"{DRY_RUN}{receiver}": text}, updated_at=now)
    transition = replace(_own(seen, Why.DRY_RUN, now, receiver=receiver), note=text)
    return _shown_in_chats(seen, transition, book, now)


def shadowed(alert: Alert, delivery: Delivery, text: str, now: datetime) -> Write:
    """Return the commit that records what a receiver in shadow would have been sent."""
    said = f"{delivery.verb}: {text.removeprefix(f'{delivery.verb} ')}"
    transition = replace(_own(alert, Why.DRY_RUN, now, receiver=delivery.receiver), note=said)
    return Write(alert=replace(alert, updated_at=now), transitions=(transition,))


def requested(alert: Alert, receiver: str, actor: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit by which a person adds a receiver to an open alert; None when it was opened already."""
    if receiver in alert.receivers:
        return None
    left = {name: why for name, why in alert.withheld.items() if name != receiver}
    wanted = replace(alert, receivers=(*alert.receivers, receiver), withheld=left, updated_at=now)
    transition = replace(_own(wanted, Why.RECEIVER_ADDED, now, receiver=receiver), actor=actor)
    opening = _delivery(wanted, receiver, Verb.OPEN, transition, book, now)
    return Write(alert=wanted, transitions=(transition,), deliveries=(opening,))


def gave_up(delivery: Delivery, alert: Alert, reason: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit that records a dead letter and tells the alert's chats of it, unless a chat is what died."""
    name = delivery.receiver
    note = f"{name}: {delivery.verb} was given up, {reason}"
    transition = replace(_own(alert, Why.GAVE_UP, now, receiver=name), note=note)
    if _family(book, name) is Family.CHAT:
        return Write(alert=alert, transitions=(transition,))
    return _shown_in_chats(alert, transition, book, now)


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


def _tell(
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
        if transition.why is Why.COPY_RESOLVED and _family(book, name) is Family.TICKET:
            answer = replace(transition, note=STILL_FIRING, actor="", note_id="")
            _owe(owed, _delivery(alert, name, Verb.NOTE, answer, book, now))
        return alert
    for each in book.mirrors.verbs(transition, name, verb):
        if each is Verb.UNACK and each not in _verbs(book, name):
            each = Verb.NOTE  # PagerDuty, for one, can only be told of it
        if each not in _verbs(book, name):
            continue
        cause = transition if each is verb else replace(transition, note=mirrors.said(transition, verb), actor="")
        delivery = _delivery(alert, name, each, cause, book, now)
        if each is not Verb.NOTE and not {_family(book, transition.via), _family(book, name)} & _HEARERS:
            alert, allowed = mirrors.counted(alert, transition.via, name, now)
            delivery = delivery if allowed else replace(delivery, reason=mirrors.PING_PONG)
        _owe(owed, delivery)
    return alert


def _at_home(alert: Alert, transitions: Iterable[Transition], book: Rulebook) -> tuple[Alert, tuple[Link, ...]]:
    """Return an alert that one of our destinations sent as if it had been opened there, with its source's id."""
    for transition in transitions:
        home = transition.via
        if transition.why in _OPENINGS and _family(book, home) not in (None, Family.CHAT):
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


def _shown_in_chats(alert: Alert, transition: Transition, book: Rulebook, now: datetime) -> Write:
    """Owe an update to the alert's chats that can edit, and to nobody else."""
    chats = (name for name in alert.receivers if _family(book, name) is Family.CHAT)
    told = (name for name in chats if Verb.UPDATE in _verbs(book, name))
    deliveries = (_delivery(alert, name, Verb.UPDATE, transition, book, now) for name in told)
    return Write(alert=alert, transitions=(transition,), deliveries=tuple(deliveries))


def _open_new(
    alert: Alert,
    transitions: tuple[Transition, ...],
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> Alert:
    """Owe an `open` to the receivers that nobody has told yet, or note why they have to wait."""
    wanted = dict.fromkeys((*alert.withheld, *matched(alert, book.rules)))
    silence = _silence(alert, book, now)
    withheld: dict[str, str] = {}
    receivers = list(alert.receivers)
    cause = transitions[-1] if transitions else None
    for name in wanted:
        if name in alert.receivers or name not in book.receivers:
            continue
        off = book.receivers[name].why_off
        if off or silence:
            withheld[name] = f"off: {off}" if off else f"silenced by {silence}"
        elif Verb.OPEN in book.receivers[name].verbs and not (cause and cause.via == name):
            receivers.append(name)
            _owe(owed, _delivery(alert, name, Verb.OPEN, cause, book, now))
    return replace(alert, receivers=tuple(receivers), withheld=withheld)


def _silence(alert: Alert, book: Rulebook, now: datetime) -> str:
    names = names_of(alert)
    for silence in book.silences:
        if silence.starts_at <= now < silence.ends_at and all(part.matches(names) for part in silence.matchers):
            return f"{silence.owner}: {silence.reason}"
    return ""


def _delivery(alert: Alert, name: str, verb: Verb, cause: Transition | None, book: Rulebook, now: datetime) -> Delivery:
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
        cancels=book.receivers[name].cancels,
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


def _own(alert: Alert, why: Why, now: datetime, *, receiver: str) -> Transition:
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=alert.status,
        after=alert.status,
        receiver=receiver,
    )


def _verbs(book: Rulebook, name: str) -> frozenset[Verb]:
    return book.receivers[name].verbs if name in book.receivers else frozenset()


def _family(book: Rulebook, name: str) -> Family | None:
    return book.receivers[name].family if name in book.receivers else None
